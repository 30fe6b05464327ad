"""The run time: speech -> features -> codes -> motion, on numpy and ONNX Runtime.

`Live` is the one path: it takes sound as it comes and gives each motion frame as soon as its
look-ahead has been heard. `Talker.animate` feeds it a whole recording.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from math import isfinite
from os import PathLike, cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

from codetalker.audio import SAMPLE_RATE, StreamResampler, Waveform, as_mono
from codetalker.blinks import LIDS, Blinks, draw_curve, lids
from codetalker.bundle import Bundle, find_model, load_bundle, read_config
from codetalker.errors import AudioError, ModelError, OptionError, StyleError
from codetalker.export import FORMATS
from codetalker.motion import Motion, check_fps

Progress = Callable[[float, float], None]
"""Gets the seconds of audio done and the seconds in all."""

JAW, RESTING = "jawOpen", 0.03
"""Below this weight of the jaw, the mouth rests."""
BEGINNING = 5
"""Frames in which a face comes out of rest at the start of a sound (200 ms): a speaker whose first
word is near has opened the mouth before, but nobody has seen it."""
NOT_YET = 1 << 20
"""Frames since a blink, at the start of a recording."""

FEED_SECONDS = 4.0
"""How much of a recording `animate` feeds at once, for the progress bar's sake."""

THREADS = min(4, cpu_count() or 1)
"""Windows that are heard at once; the frames, one after another, keep up with no more."""


def load(model: str | PathLike[str] | None = None) -> Any:
    """A talker: the bundled one, or that of a model folder.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    folder = find_model(None if model is None else Path(model))
    family = read_config(folder).get("family")
    if family == "default":
        return Talker(load_bundle(folder))
    if family == "paper":
        from codetalker.paper.runtime import load_paper_talker

        return load_paper_talker(folder)
    raise ModelError(f"{folder / 'config.json'} names the unknown family {family!r}")


@dataclass
class TalkerState:
    """All that one moment of a stream leaves to the next; plain data, so it can be saved.

    Attributes:
        cache, context, motion, position: the state of `talker.onnx`; see `codetalker.bundle`.
        pending: (N,) float32, the samples from the start of the next window on.
        received: samples at 16 kHz so far.
        level: (2,) float64 power of the sound; see `codetalker.loudness`.
        blink: (2,) int64, frames since the last blink began, and its curve.
        seed: of the noise that samples codes; frame i's noise depends on (seed, i) alone.
    """

    cache: NDArray[np.float32]
    context: NDArray[np.float32]
    motion: NDArray[np.float32]
    position: NDArray[np.int64]
    pending: NDArray[np.float32]
    received: int
    level: NDArray[np.float64]
    blink: NDArray[np.int64]
    seed: int


class Talker:
    """A loaded model of the `default` family."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        width = next(iter(bundle.styles.values())).shape
        noise = (len(bundle.temperature), len(bundle.codebook))
        inputs = bundle.state | {"speech": (1, *width), "style": (1, *width), "noise": (1, *noise)}
        self._speech = _session(
            bundle.speech, "speech.onnx", {"samples": (1, bundle.windows.samples)}
        )
        self._frame = _session(bundle.talker, "talker.onnx", inputs)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the speaking styles, the default one first."""
        return tuple(self.bundle.styles)

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files that its motion can be written to."""
        return tuple(FORMATS)

    @property
    def fps(self) -> int:
        """Motion frames per second of the model."""
        return self.bundle.windows.fps

    @property
    def latency(self) -> float:
        """Seconds of audio after the start of a frame until a live stream can give it, at most.

        That is at 16 kHz. Resampling adds 6 ms from higher rates and 9 ms from 8 kHz.
        """
        return self.bundle.windows.latency

    def animate(
        self,
        audio: str | PathLike[str] | Waveform | ArrayLike,
        *,
        rate: float | None = None,
        style: str | None = None,
        strength: float = 1.0,
        fps: float | None = None,
        seed: int = 0,
        blinks: bool = True,
        progress: Progress | None = None,
        on_codes: Callable[[NDArray[np.int64]], None] | None = None,
    ) -> Motion:
        """Turn a recording into motion.

        Args:
            audio: a path, a `Waveform`, or (N,) or (N, channels) samples at `rate` Hz.
            style: one of `styles`.
            strength: scale of the articulation; 1 is as trained.
            fps: frames per second of the result; the model's own by default.
            seed: of what speech does not determine, such as blinks.
            blinks: whether a bundle that has procedural blinks (`codetalker.blinks`) adds them.
            progress: called with the seconds done and in all.
            on_codes: called with the (n, H) codes of each piece, for statistics.

        Raises:
            AudioError, StyleError, OptionError: what is wrong with the input, and the remedy.
        """
        waveform = as_waveform(audio, rate)
        if fps is not None:
            check_fps(fps)
        live = self.stream(style=style, strength=strength, seed=seed, blinks=blinks)
        parts = []
        for piece in [*_pieces(waveform.samples), None]:
            parts.append(live.finish() if piece is None else live.feed(piece))
            if on_codes:
                on_codes(live.codes)
            if progress:
                done = waveform.duration if piece is None else live.state.received / SAMPLE_RATE
                progress(done, waveform.duration)
        weights = np.concatenate([part.weights for part in parts])
        motion = Motion(weights, self.bundle.blendshapes, self.fps, waveform)
        return motion if fps is None else motion.resample(fps)

    def stream(
        self,
        rate: int = SAMPLE_RATE,
        *,
        style: str | None = None,
        strength: float = 1.0,
        seed: int = 0,
        blinks: bool = True,
    ) -> Live:
        """Start a live stream of sound at `rate` Hz; the other arguments are those of `animate`."""
        if not (isfinite(strength) and 0 <= strength <= 3):
            raise OptionError(f"strength is {strength}; choose from 0 to 3, where 1 is as trained")
        if not 0 <= seed < 1 << 63:
            raise OptionError(f"seed is {seed}; choose a whole number from 0 to 2^63 - 1")
        blinking = self.bundle.blinks if blinks else None
        state, resampler = self.start(seed), StreamResampler(rate)
        return Live(self, self._style(style), strength, blinking, state, resampler)

    def start(self, seed: int = 0) -> TalkerState:
        """The state before the first sample: silence, and a neutral face."""
        shapes = self.bundle.state
        return TalkerState(
            cache=np.zeros(shapes["cache"], np.float32),
            context=np.zeros(shapes["context"], np.float32),
            motion=np.zeros(shapes["motion"], np.float32),
            position=np.zeros(shapes["position"], np.int64),
            pending=np.zeros(self.bundle.windows.lead, np.float32),
            received=0,
            level=np.zeros(2),
            blink=np.array([NOT_YET, 0]),
            seed=seed,
        )

    def hear(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """(samples,) window -> (frames_per_hop, width): what the talker hears in each frame."""
        return _run(self._speech, {"samples": window[None]})[0]

    def frame(
        self, speech: NDArray[np.float32], style: NDArray[np.float32], state: TalkerState
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """One frame: its (K,) weights and (H,) codes; the state moves on."""
        motion, codes, state.cache, state.context = _run(
            self._frame,
            {
                "speech": speech[None],
                "style": style[None],
                "noise": self._noise(state),
                "cache": state.cache,
                "context": state.context,
                "motion": state.motion,
                "position": state.position,
            },
        )
        state.motion = motion
        state.position = state.position + 1
        return motion[0], codes[0]

    def _noise(self, state: TalkerState) -> NDArray[np.float32]:
        """(1, H, codes) Gumbel noise of this frame, scaled by the temperatures."""
        temperature = self.bundle.temperature
        frame = np.array([0, 0, 0, state.position[0]], np.uint64)
        random = np.random.Generator(np.random.Philox(key=state.seed, counter=frame))
        noise = np.zeros((1, len(temperature), len(self.bundle.codebook)), np.float32)
        drawn = temperature > 0
        noise[0, drawn] = random.gumbel(size=noise[0, drawn].shape) * temperature[drawn, None]
        return noise

    def _style(self, name: str | None) -> NDArray[np.float32]:
        styles = self.bundle.styles
        if name is None:
            name = self.styles[0]
        if name not in styles:
            near = difflib.get_close_matches(name, styles, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(styles)}"
            raise StyleError(f"there is no style {name!r}; {hint}")
        return styles[name]


@dataclass
class Live:
    """A stream: sound in, in chunks of any size; motion out, as soon as it can be known.

    Use as a context manager or call `finish` at the end of the sound.

    Attributes:
        talker, style, strength, blinks, resampler: what the stream was started with.
        state: what it goes on from.
        codes: (n, H), those of the n frames that `feed` or `finish` returned last.
    """

    talker: Talker
    style: NDArray[np.float32]
    strength: float
    blinks: Blinks | None
    state: TalkerState
    resampler: StreamResampler
    codes: NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    _finished: bool = False

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *error: object) -> None:
        self._finished = True

    def feed(self, chunk: ArrayLike) -> Motion:
        """Take the next (N,) or (N, channels) samples; return the frames they complete, 0 or more.

        Raises:
            AudioError: the stream is finished, or the samples are not finite numbers.
        """
        if self._finished:
            raise AudioError("the stream is finished; start another one")
        return self._advance(self.resampler.feed(as_mono(chunk)))

    def finish(self) -> Motion:
        """End the sound; return the frames that are left. T = ceil(seconds * fps) in all."""
        if self._finished:
            raise AudioError("the stream is finished; start another one")
        self._finished = True
        windows, state = self.talker.bundle.windows, self.state
        tail = self._advance(self.resampler.finish())
        codes = self.codes
        left = -(-state.received * windows.fps // SAMPLE_RATE) - int(state.position[0])
        hops = -(-left // windows.frames_per_hop)
        silence = (hops - 1) * windows.hop_samples + windows.samples - len(state.pending)
        rest = self._advance(np.zeros(max(silence, 0), np.float32)).weights[: max(left, 0)]
        self.codes = np.concatenate([codes, self.codes[: len(rest)]])
        return replace(tail, weights=np.concatenate([tail.weights, rest]))

    def _advance(self, samples: NDArray[np.float32]) -> Motion:
        """Run every window that the samples complete."""
        state = self.state
        state.received += len(samples)
        state.pending = np.concatenate([state.pending, samples])
        bundle = self.talker.bundle
        first = int(state.position[0])
        frames = [self.talker.frame(heard, self.style, state) for heard in self._heard()]
        weights = np.array([w for w, _ in frames], np.float32).reshape(-1, len(bundle.blendshapes))
        self.codes = np.array([c for _, c in frames], np.int64).reshape(-1, len(bundle.temperature))
        for number, frame in enumerate(weights[: max(BEGINNING - first, 0)], first):
            frame[bundle.articulation] *= (number / BEGINNING) ** 2
        if self.strength != 1.0:
            weights[:, bundle.articulation] *= self.strength
            weights = weights.clip(0, 1)
        if self.blinks:
            for number, frame in enumerate(weights, first):
                self._blink(frame, number)
        return Motion(weights, bundle.blendshapes, self.talker.fps)

    def _blink(self, weights: NDArray[np.float32], frame: int) -> None:
        """Replace the lids of a frame's (K,) weights, in place."""
        assert self.blinks
        state, bundle = self.state, self.talker.bundle
        jaw, *eyes = (bundle.blendshapes.index(name) for name in (JAW, *LIDS))
        state.blink[0] += 1
        resting = weights[jaw] < RESTING
        if self.blinks.draw(int(state.blink[0]), resting, self.talker.fps, state.seed, frame):
            state.blink[:] = 0, draw_curve(state.seed, frame)
        weights[eyes] = lids(int(state.blink[1]), int(state.blink[0]), weights[eyes])

    def _heard(self) -> Iterator[NDArray[np.float32]]:
        """What the talker hears in each frame of the complete windows; windows are heard one by
        one, so that a window's result does not depend on how many came together."""
        windows, pending = self.talker.bundle.windows, self.state.pending
        count = max(0, (len(pending) - windows.samples) // windows.hop_samples + 1)
        starts = range(0, count * windows.hop_samples, windows.hop_samples)
        cuts = [pending[start : start + windows.samples] for start in starts]
        if loudness := self.talker.bundle.loudness:
            begun = self.state.received + windows.lead > len(pending)
            cuts = list(
                loudness.levelled(cuts, windows.lead, windows.hop_samples, self.state.level, begun)
            )
        self.state.pending = pending[count * windows.hop_samples :].copy()
        if count < 2:
            for cut in cuts:
                yield from self.talker.hear(cut)
            return
        with ThreadPoolExecutor(min(THREADS, count)) as pool:
            for frames in pool.map(self.talker.hear, cuts):
                yield from frames


def _session(
    graph: bytes, name: str, inputs: dict[str, tuple[int, ...]]
) -> onnxruntime.InferenceSession:
    """A graph ready to run, once its inputs are seen to have the shapes that the bundle gives."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # windows run beside each other instead
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises many kinds for a graph it cannot run
        raise ModelError(f"{name} cannot be run ({error}); export the model again") from None
    takes = {value.name: tuple(value.shape) for value in session.get_inputs()}
    if takes != inputs:
        raise ModelError(f"{name} takes {takes}, not {inputs}; export the model again")
    return session


def _run(
    session: onnxruntime.InferenceSession, inputs: dict[str, NDArray[Any]]
) -> list[NDArray[Any]]:
    return session.run(None, inputs)  # type: ignore[return-value]  # these graphs give tensors only


def _pieces(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """A recording in pieces of a few seconds."""
    step = int(FEED_SECONDS * SAMPLE_RATE)
    return (samples[start : start + step] for start in range(0, len(samples), step))


def as_waveform(audio: str | PathLike[str] | Waveform | ArrayLike, rate: float | None) -> Waveform:
    """Sound in any form that `animate` takes, at 16 kHz.

    Raises:
        AudioError: it cannot be read, holds nothing, or is an array without a rate.
    """
    if isinstance(audio, str | PathLike):
        return Waveform.load(audio)
    if isinstance(audio, Waveform):
        waveform = audio.resampled(SAMPLE_RATE)
    elif rate is None:
        raise AudioError("samples come without a rate; pass rate=, in Hz")
    else:
        waveform = Waveform.of(audio, rate)
    if not len(waveform.samples):
        raise AudioError("the waveform holds no samples; pass at least one")
    return waveform
