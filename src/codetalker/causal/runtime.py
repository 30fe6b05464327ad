"""The run time of the bundled family: speech -> features -> codes -> motion, without torch.

`feed` is the one path: it takes sound as it comes and gives each motion frame as soon as its
look-ahead has been heard. `animate` feeds it a whole recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from os import PathLike, cpu_count, environ
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from codetalker.arguments import as_whole, shown
from codetalker.audio import (
    SAMPLE_RATE,
    StreamResampler,
    Waveform,
    as_waveform,
    checked_rate,
)
from codetalker.causal.blinks import CURVES
from codetalker.causal.bundle import Bundle, load_bundle
from codetalker.causal.concealment import Concealment
from codetalker.causal.draws import CODES, draws
from codetalker.causal.graph import Graph, Port
from codetalker.causal.layers import Layers
from codetalker.causal.life import Life, Liveliness, shares_of_life
from codetalker.causal.manner import Course, Manner, checked_strength
from codetalker.causal.stream import Live, StreamState, check_like
from codetalker.errors import ModelError, OptionError
from codetalker.files import formats_of
from codetalker.motion import Motion, check_fps
from codetalker.progress import Progress
from codetalker.styles import Style, shares_of

NOT_YET = 1 << 20
"""Frames since a blink, at the start of a recording."""

FEED_SECONDS = 4.0
"""How much of a recording is fed at once."""

_ASKED = environ.get("OMP_NUM_THREADS", "").partition(",")[0]
THREADS = min(4, int(_ASKED) if _ASKED.isdecimal() and int(_ASKED) else cpu_count() or 1)
"""Windows that are heard at once, no more than OMP_NUM_THREADS; the frames, one after another, keep
up with no more than four."""


class CausalTalker:
    """A loaded model of the bundled family; see `codetalker.Talker`."""

    motion_type = Motion
    options: tuple[str, ...] = ("blinks", "life")

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        (width,) = next(iter(bundle.styles.values())).shape
        heads, codes = len(bundle.temperature), len(bundle.codebook)
        windows, state = bundle.windows, bundle.state
        speech = Port("speech", (windows.frames_per_hop, width))
        heard = [Port("speech", (1, width)), Port("style", (1, width))]
        heard += [Port("noise", (1, heads, codes)), Port("position", (1,), "int64")]
        memory = [Port(name, state[name]) for name in ("motion", "cache", "context")]
        left = [Port(f"{port.name}_out", port.shape) for port in memory]
        left.insert(1, Port("codes", (1, heads), "int64"))
        samples = Port("samples", (1, windows.samples))
        self._speech = Graph(bundle.speech, "speech.onnx", [samples], [speech])
        self._frame = Graph(bundle.talker, "talker.onnx", [*heard, *memory], left)
        self._layers = Layers(bundle)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> CausalTalker:
        """The model of a bundle folder.

        Raises:
            ModelError: it is missing, damaged, or of another family.
        """
        return cls(load_bundle(Path(folder)))

    def __reduce__(self) -> tuple[type[CausalTalker], tuple[Bundle]]:
        """Into other processes goes the bundle; each opens the graphs for itself."""
        return type(self), (self.bundle,)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the speaking styles, the default one first."""
        return tuple(self.bundle.styles)

    @property
    def formats(self) -> tuple[str, ...]:
        """Suffixes of the files that its motion can be written to."""
        return formats_of(Motion)

    @property
    def fps(self) -> int:
        """Motion frames per second of the model."""
        return self.bundle.windows.fps

    @property
    def latency(self) -> float:
        """Seconds of audio after the start of a frame until a live stream can give it, at most.

        That is at 16 kHz; `Live.latency` has what resampling adds, up to 6 ms.
        """
        return self.bundle.windows.latency

    @property
    def facts(self) -> dict[str, str]:
        """What `codetalker info` tells of the model beyond its styles and its rate."""
        bundle = self.bundle
        return {
            "live latency": f"{self.latency * 1000:.0f} ms and computing",
            "codebook": "{} codes of width {}".format(*bundle.codebook.shape),
            "codes per frame": f"{len(bundle.temperature)}",
            "size": f"{(len(bundle.speech) + len(bundle.talker)) / 1e6:.1f} MB",
            **bundle.notes,
        }

    def animate(
        self,
        audio: str | PathLike[str] | Waveform | ArrayLike,
        *,
        rate: float | None = None,
        style: Style | None = None,
        strength: float = 1.0,
        fps: float | None = None,
        seed: int = 0,
        blinks: bool = True,
        life: Liveliness = "off",
        progress: Progress | None = None,
    ) -> Motion:
        """Turn a recording into motion.

        Args:
            audio: a path, a `Waveform`, or (N,) or (N, channels) samples at `rate` Hz.
            style: one of `styles`, or a blend of some: `A:0.3,B:0.7`.
            strength: scale of the articulation; 1 is as trained.
            fps: frames per second of the result; the model's own by default.
            seed: of what speech does not determine, such as blinks.
            blinks: whether a model that has procedural blinks (`Bundle.blinks`) adds them.
            life: procedural motion of eyes, head and brows: `off`; `idle`, of eyes and head, as of
                one who listens; or `full`, with what goes with one's own voice.
            progress: called with the seconds done and in all.

        Raises:
            AudioError, StyleError, OptionError: what is wrong with the input, and the remedy.
        """
        waveform = as_waveform(audio, rate)
        if fps is not None:
            check_fps(fps)
        flow = self.flow(
            [waveform.samples],
            style=style,
            strength=strength,
            seed=seed,
            blinks=blinks,
            life=life,
        )
        parts = []
        for part in flow:
            parts.append(part)
            if progress:
                progress(part.start + part.duration, waveform.duration)
        motion = replace(Motion.joined(parts), audio=waveform)
        return motion if fps is None else motion.resample(fps)

    def flow(
        self,
        sound: Iterable[NDArray[np.float32]],
        *,
        style: Style | None = None,
        strength: float = 1.0,
        seed: int = 0,
        blinks: bool = True,
        life: Liveliness = "off",
    ) -> Iterator[Motion]:
        """Motion of sound of any length, in constant memory: what `animate` collects.

        Args:
            sound: (N,) samples at 16 kHz at a time, such as `codetalker.audio.heard` gives.
            style, strength, seed, blinks, life: as in `animate`.

        Raises:
            AudioError, StyleError, OptionError: what is wrong with the input, and the remedy.
        """
        state = self.start(style=style, strength=strength, seed=seed, blinks=blinks, life=life)
        for piece in _pieces(sound):
            yield self.feed(state, piece)
        yield self.finish(state)

    def stream(
        self,
        rate: float = SAMPLE_RATE,
        *,
        style: Style | None = None,
        strength: float = 1.0,
        seed: int = 0,
        blinks: bool = True,
        life: Liveliness = "off",
    ) -> Live:
        """Start a live stream of sound at `rate` Hz; the other arguments are those of `animate`.

        Raises:
            AudioError: the rate is not a whole number of Hz from 1 kHz to 1 MHz.
            StyleError, OptionError: as `animate`.
        """
        given = {"style": style, "strength": strength, "seed": seed}
        return Live(self, self.start(rate, **given, blinks=blinks, life=life))

    def resume(self, state: StreamState | bytes) -> Live:
        """Go on with a stream from a state of it, or from the bytes that one was saved as.

        Raises:
            ModelError: it is of another model, or damaged.
        """
        if isinstance(state, bytes):
            state = StreamState.from_bytes(state)
        if state.model != self.bundle.digest:
            raise ModelError("this state is of a stream of another model; resume it with that one")
        check_like(state, self.start(state.resampler.rate))
        windows, frames = self.bundle.windows, int(state.position[0])
        heard, rest = divmod(frames, windows.frames_per_hop)
        waiting = windows.lead + state.received - heard * windows.hop_samples
        known = 0 <= state.blink[1] < len(CURVES) and 0 <= frames < 1 << 53
        fits = not rest and len(state.pending) == waiting < windows.samples
        if not (known and fits and state.course.is_sound()):
            raise ModelError("this state of a stream is damaged: its sound and its frames differ")
        return Live(self, state)

    def start(
        self,
        rate: float = SAMPLE_RATE,
        *,
        style: Style | None = None,
        strength: float = 1.0,
        seed: int = 0,
        blinks: bool = True,
        life: Liveliness = "off",
    ) -> StreamState:
        """The state before the first sample: silence, and a neutral face.

        Raises:
            AudioError, StyleError, OptionError: what is out of range, and the remedy.
        """
        whole = as_whole(seed)
        if whole is None or not 0 <= whole < 1 << 63:
            raise OptionError(f"seed is {shown(seed)}; choose a whole number from 0 to 2^63 - 1")
        lively, voice = shares_of_life(life)
        manner = Manner(self._style(style), checked_strength(strength), lively, voice)
        resampler = StreamResampler(checked_rate(rate))
        shapes = self.bundle.state
        return StreamState(
            model=self.bundle.digest,
            course=Course.steady(manner),
            seed=whole,
            cache=np.zeros(shapes["cache"], np.float32),
            context=np.zeros(shapes["context"], np.float32),
            motion=np.zeros(shapes["motion"], np.float32),
            position=np.zeros(shapes["position"], np.int64),
            pending=np.zeros(self.bundle.windows.lead, np.float32),
            received=0,
            level=np.zeros(2),
            blinks=bool(blinks),
            blink=np.array([NOT_YET, 0], np.int64),
            memory=Life().start(),
            concealment=Concealment.start(resampler.rate),
            resampler=resampler,
        )

    def feed(self, state: StreamState, samples: NDArray[np.float32]) -> Motion:
        """The frames that (N,) more samples, at the stream's rate, complete; the state moves on."""
        return self._advance(state, state.resampler.feed(samples))

    def finish(self, state: StreamState) -> Motion:
        """The frames that are left when the sound ends; the state is finished."""
        state.finished = True
        tail = self._advance(state, state.resampler.finish())
        windows = self.bundle.windows
        left = -(-state.received * windows.fps // SAMPLE_RATE) - int(state.position[0])
        hops = -(-left // windows.frames_per_hop)
        silence = (hops - 1) * windows.hop_samples + windows.samples - len(state.pending)
        rest = self._advance(state, np.zeros(max(silence, 0), np.float32))
        return Motion.joined([tail, rest[: max(left, 0)]])

    def change(
        self,
        state: StreamState,
        *,
        style: Style | None = None,
        strength: float | None = None,
        life: Liveliness | None = None,
        seconds: float = 0.5,
    ) -> None:
        """Let the stream of a state go on otherwise; see `Live.change`.

        Raises:
            StyleError, OptionError: what is out of range, and the remedy.
        """
        if not 0 <= seconds <= 60:
            raise OptionError(f"a change in {seconds} seconds; choose from 0 to 60")
        changes: dict[str, Any] = {}
        if style is not None:
            changes["style"] = self._style(style)
        if strength is not None:
            changes["strength"] = checked_strength(strength)
        if life is not None:
            changes["life"], changes["voice"] = shares_of_life(life)
        frames = max(1, round(seconds * self.fps))
        state.course = state.course.changed(int(state.position[0]), frames, **changes)

    def hear(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """(samples,) window -> (frames_per_hop, width): what the talker hears in each frame."""
        return self._speech.run({"samples": window[None]})[0]

    def frame(
        self, speech: NDArray[np.float32], state: StreamState
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """One frame: its (K,) weights and (H,) codes; the state moves on."""
        motion, codes, state.cache, state.context = self._frame.run(
            {
                "speech": speech[None],
                "style": state.course.at(int(state.position[0])).style[None],
                "noise": self._noise(state),
                "cache": state.cache,
                "context": state.context,
                "motion": state.motion,
                "position": state.position,
            }
        )
        state.motion = motion
        state.position = state.position + 1
        return motion[0], codes[0]

    def _advance(self, state: StreamState, samples: NDArray[np.float32]) -> Motion:
        """Run every window that the samples, at 16 kHz, complete."""
        state.received += len(samples)
        state.pending = np.concatenate([state.pending, samples])
        first = int(state.position[0])
        windows = self._windows(state)
        frames = [self.frame(heard, state) for heard in self._heard(windows)]
        weights = np.array([w for w, _ in frames], np.float32)
        codes = np.array([c for _, c in frames], np.int64)
        shape, heads = len(self.bundle.blendshapes), len(self.bundle.temperature)
        return self._layers.laid(
            weights.reshape(-1, shape),
            codes.reshape(-1, heads),
            self._sounds(windows),
            first,
            state,
        )

    def _windows(self, state: StreamState) -> list[NDArray[np.float32]]:
        """The (samples,) windows that are complete, each at its gain; they leave `pending`."""
        windows, pending = self.bundle.windows, state.pending
        count = max(0, (len(pending) - windows.samples) // windows.hop_samples + 1)
        starts = range(0, count * windows.hop_samples, windows.hop_samples)
        cuts = [pending[start : start + windows.samples] for start in starts]
        if loudness := self.bundle.loudness:
            begun = state.received + windows.lead > len(pending)
            cuts = list(
                loudness.levelled(cuts, windows.lead, windows.hop_samples, state.level, begun)
            )
        state.pending = pending[count * windows.hop_samples :].copy()
        return cuts

    def _heard(self, windows: list[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """What the talker hears in each frame of the windows, which are heard one by one, so that a
        window's result does not depend on how many came together."""
        if len(windows) < 2:
            for window in windows:
                yield from self.hear(window)
            return
        with ThreadPoolExecutor(min(THREADS, len(windows))) as pool:
            for frames in pool.map(self.hear, windows):
                yield from frames

    def _sounds(self, windows: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        """The (N,) samples of each frame of the windows."""
        cut = self.bundle.windows
        hops = (window[cut.lead : cut.lead + cut.hop_samples] for window in windows)
        return [frame for hop in hops for frame in np.split(hop, cut.frames_per_hop)]

    def _noise(self, state: StreamState) -> NDArray[np.float32]:
        """(1, H, codes) Gumbel noise of this frame, scaled by the temperatures."""
        temperature = self.bundle.temperature
        random = draws(state.seed, int(state.position[0]), CODES)
        noise = np.zeros((1, len(temperature), len(self.bundle.codebook)), np.float32)
        drawn = temperature > 0
        noise[0, drawn] = random.gumbel(size=noise[0, drawn].shape) * temperature[drawn, None]
        return noise

    def _style(self, style: Style | None) -> NDArray[np.float32]:
        """(width,) embedding of a style, or the mean of several by their shares."""
        rows = self.bundle.styles
        shares = shares_of(self.styles[0] if style is None else style, self.styles)
        blend = sum(share * rows[name] for name, share in shares.items())
        return np.asarray(blend, np.float32)


def _pieces(sound: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The same sound, a few seconds at a time: enough for several windows beside each other."""
    step = int(FEED_SECONDS * SAMPLE_RATE)
    held: list[NDArray[np.float32]] = []
    for part in sound:
        for start in range(0, len(part), step):
            held.append(part[start : start + step])
            if sum(map(len, held)) >= step:
                yield np.concatenate(held)
                held = []
    if held:
        yield np.concatenate(held)
