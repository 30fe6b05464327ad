"""Systems trained for the benchmark: the talker and its rivals, alike in data, features and steps.

In the flow speech -> features -> codes -> motion: makes several that differ after the features,
which all of them share. Each is a run of its own in one folder, resumed or skipped as it is there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from codetalker.audio import Waveform
from codetalker.benchmark.systems import Kind, System
from codetalker.causal.codec import Codec, CodecConfig
from codetalker.causal.features import FeatureSet, extract
from codetalker.causal.generator import Generator, free_run
from codetalker.causal.hearing import Hearing
from codetalker.causal.regression import RegressionRecipe, load_regression, train_regression
from codetalker.causal.talker import TalkerConfig
from codetalker.causal.train import NEUTRAL, Listener, speaking_styles
from codetalker.causal.train_codec import CODEC_PLAN, CodecRecipe, load_codec, train_codec
from codetalker.causal.train_talker import (
    TALKER_PLAN,
    Sampler,
    TalkerData,
    TalkerRecipe,
    load_talker,
    train_talker,
)
from codetalker.causal.whisper import WhisperEncoder
from codetalker.curves import frame_count
from codetalker.data.clip import Clip
from codetalker.disk import replacing
from codetalker.evaluation.baselines import Ridge, motion_taps
from codetalker.motion import Motion
from codetalker.rig import bundled_head
from codetalker.training.loop import Plan
from codetalker.training.run_record import tensors_digest, values_digest

NOISE = 0.3
"""Standard deviation of what training adds to features: less than the bundled models have, for
these learn the corpus alone."""
CPU = torch.device("cpu")
_SIZES = TalkerConfig(
    styles=1, heads=1, code_width=1, width=128, layers=1, feedforward=512, window=4, dropout=0.2,
    speech_noise=NOISE, speech_dropout=0.1,
)  # fmt: skip
"""Smaller than the bundled models, so that all of them are trained within minutes."""


@dataclass(frozen=True)
class Budget:
    """How long systems are trained, all of them alike.

    Attributes:
        steps, codec_steps: of the talker and of every regression; of the codec.
        seeds: trainings of each system.
        ablations: train what shows one choice each as well.
        recipe, codec_recipe: batches and losses.
        config, codec: sizes.
    """

    steps: int
    codec_steps: int
    seeds: int = 1
    ablations: bool = False
    recipe: TalkerRecipe = field(default_factory=TalkerRecipe)
    codec_recipe: CodecRecipe = field(default_factory=CodecRecipe)
    config: TalkerConfig = _SIZES
    codec: CodecConfig = field(default_factory=CodecConfig)

    def plan(self, seed: int) -> Plan:
        """That of the talker and of every regression."""
        every = max(self.steps // 4, 1)
        warmup = min(TALKER_PLAN.warmup, max(self.steps // 4, 1))
        return replace(
            TALKER_PLAN, steps=self.steps, warmup=warmup, evaluate_every=every, seed=seed
        )

    def codec_plan(self) -> Plan:
        """That of the codec."""
        steps = self.codec_steps
        every, warmup = max(steps // 4, 1), min(CODEC_PLAN.warmup, max(steps // 4, 1))
        return replace(CODEC_PLAN, steps=steps, warmup=warmup, evaluate_every=every)


QUICK = Budget(steps=500, codec_steps=1500)
FULL = Budget(steps=1600, codec_steps=CODEC_PLAN.steps, seeds=3, ablations=True)


class Ear:
    """Speech features of any sound, computed once and kept in a folder for all systems."""

    def __init__(self, encoder: WhisperEncoder, hearing: Hearing, folder: Path) -> None:
        self.encoder, self.hearing, self.folder = encoder, hearing, folder
        self._of = values_digest([repr(hearing), tensors_digest(encoder.state_dict())])

    def hear(self, sound: Waveform) -> NDArray[np.float16]:
        """(W, kept, D) features, from the folder where they are there."""
        name = hashlib.sha256(self._of.encode() + sound.samples.tobytes()).hexdigest()[:32]
        path = self.folder / f"{name}.npy"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as temporary:
                np.save(temporary, self.hear_anew(sound))
        return np.load(path)

    def hear_anew(self, sound: Waveform) -> NDArray[np.float16]:
        """The same, computed."""
        windows, loudness = self.hearing.windows, self.hearing.loudness
        return extract(self.encoder, windows, sound.samples, loudness=loudness)


Predict = Callable[[NDArray[np.float16], int, int], NDArray[np.float32]]
"""(features of a recording, row of its style, seed) -> (T, K) weights, at least."""


class Workshop:
    """Trains and opens the systems of one corpus.

    Args:
        clips: of a corpus; those of split `train` are learned from, those of `val` watched.
        ear: what all of them hear through.
        folder: of the runs and features.
        budget: how long they are trained.
    """

    def __init__(self, clips: list[Clip], ear: Ear, folder: Path, budget: Budget) -> None:
        self.clips, self.ear, self.folder, self.budget = clips, ear, folder, budget
        self.styles = (NEUTRAL, *speaking_styles(clips))
        self.windows = ear.hearing.windows

    @property
    def count(self) -> int:
        """Trainings in all, and the ridge."""
        each = self.budget.seeds * (len(_REGRESSIONS) + 1)
        return 1 + each + (1 + len(_RECIPES) + 3) * self.budget.ablations

    def systems(self) -> Iterator[System]:
        """One after another, each once it is trained."""
        data = self._data()
        yield self._ridge(data.sets[0])
        codec = self._codec("codec", self.budget.codec)
        for seed in range(self.budget.seeds):
            sampler = self._sampler(data, codec, seed)
            for name, (kind, title, whole) in _REGRESSIONS.items():
                plain = RegressionRecipe()
                yield self._regression(name, kind, title, plain, data, sampler, seed, whole=whole)
            yield self._talker("codetalker", "CodeTalker as trained here", data, codec, seed)
        if self.budget.ablations:
            yield from self._ablations(data, codec)

    def _ablations(self, data: TalkerData, codec: Codec) -> Iterator[System]:
        """One choice changed at a time, of one seed."""
        budget, sampler = self.budget, self._sampler(data, codec, 0)
        yield self._regression(
            "no-codebook", "transformer", "no codebook, the talker's losses",
            RegressionRecipe(articulated=True), data, sampler, 0, kind_of=Kind.ABLATION,
        )  # fmt: skip
        for name, (title, changed) in _RECIPES.items():
            recipe = replace(budget.recipe, **changed)
            yield self._talker(name, title, data, codec, 0, recipe, Kind.ABLATION)
        mouth, *others = budget.codec.parts
        sizes = {
            "codes-64": ("64 codes", replace(budget.codec, codes=64)),
            "codes-1024": ("1024 codes", replace(budget.codec, codes=1024)),
            "heads-2": (
                "2 codes a frame for the mouth",
                replace(budget.codec, parts=(replace(mouth, heads=2), *others)),
            ),
        }
        for name, (title, config) in sizes.items():
            other = self._codec(f"codec-{name}", config)
            yield self._talker(name, title, data, other, 0, None, Kind.ABLATION)

    def _data(self) -> TalkerData:
        ear = self.ear
        listener = Listener(ear.encoder, ear.hearing, self.styles, self.folder / "features", 0)
        sets = listener.corpus(self.clips, 0, {})
        used = (clip.digest(with_sound=True) for clip in self.clips if clip.split != "unseen")
        source = {
            "clips": values_digest(used),
            "styles": self.styles,
            "speech": tensors_digest(ear.encoder.state_dict()),
        }
        return TalkerData(sets, [], listener.validation(self.clips), self.windows, source)

    def _sampler(self, data: TalkerData, codec: Codec, seed: int) -> Sampler:
        return Sampler(data.sets, codec, self.windows, self.budget.recipe, seed)

    def _config(self, codec: Codec) -> TalkerConfig:
        sizes = codec.config
        return replace(
            self.budget.config, styles=len(self.styles), heads=sizes.heads,
            code_width=sizes.code_width, period=sizes.fps, features=self.ear.encoder.config.width,
        )  # fmt: skip

    def _codec(self, name: str, config: CodecConfig) -> Codec:
        train_codec(
            self.clips, bundled_head(), self.folder / name, config=config,
            recipe=self.budget.codec_recipe, plan=self.budget.codec_plan(), device=CPU,
        )  # fmt: skip
        return load_codec(self.folder / name)

    def _ridge(self, data: FeatureSet) -> System:
        """Of the speaker with the most clips, as that speaker's motion is what it is asked for."""
        per_hop = self.windows.frames_per_hop

        def batches() -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
            for style, (first, stop) in zip(data.styles, pairwise(data.starts), strict=True):
                if style == 1:
                    frames = slice(first * per_hop, stop * per_hop)
                    known = data.mask[frames].all(1)
                    taps = motion_taps(data.features[first:stop], self.windows)
                    yield taps[known], data.weights[frames][known]

        path = self.folder / f"ridge-{_digest(data)}.npz"
        if not path.exists():
            with replacing(path) as temporary:
                np.savez(temporary, **vars(Ridge.fit(batches)))
        with np.load(path) as arrays:
            ridge = Ridge(**arrays)

        def predict(features: NDArray[np.float16], style: int, seed: int) -> NDArray[np.float32]:
            return ridge.predict(motion_taps(features, self.windows))

        digest = hashlib.sha256(ridge.matrix.tobytes()).hexdigest()[:16]
        note = f"linear regression, fitted on {self.styles[1]} alone; it has no styles"
        return self._system(
            "ridge", "ridge", Kind.BASELINE, predict, digest, regression=True, note=note
        )

    def _regression(
        self,
        name: str,
        kind: str,
        title: str,
        recipe: RegressionRecipe,
        data: TalkerData,
        sampler: Sampler,
        seed: int,
        *,
        whole: bool = False,
        kind_of: Kind = Kind.BASELINE,
    ) -> System:
        folder = self.folder / f"{name}-{seed}"
        train_regression(
            kind, data, sampler, bundled_head(), folder,
            config=replace(self._config_plain(), styles=len(self.styles)),
            shared=self.budget.recipe, recipe=recipe, plan=self.budget.plan(seed),
        )  # fmt: skip
        net = load_regression(folder)

        @torch.inference_mode()
        def predict(features: NDArray[np.float16], style: int, seed: int) -> NDArray[np.float32]:
            heard = torch.from_numpy(features.astype(np.float32))[None]
            return net.generate(heard, net.style(torch.tensor([style])))[0].clamp(0, 1).numpy()

        return self._system(
            name, title, kind_of, predict, tensors_digest(net.state_dict()),
            regression=True, whole=whole, seed=seed, note=_NOTES[kind],
        )  # fmt: skip

    def _config_plain(self) -> TalkerConfig:
        return replace(self.budget.config, features=self.ear.encoder.config.width)

    def _talker(
        self,
        name: str,
        title: str,
        data: TalkerData,
        codec: Codec,
        seed: int,
        recipe: TalkerRecipe | None = None,
        kind: Kind = Kind.MODEL,
    ) -> System:
        folder = self.folder / f"{name}-{seed}"
        train_talker(
            data, codec, bundled_head(), folder, config=self._config(codec),
            recipe=recipe or self.budget.recipe, plan=self.budget.plan(seed), device=CPU,
        )  # fmt: skip
        talker, _ = load_talker(folder)
        generator, temperature = Generator(talker, codec), torch.tensor(codec.config.temperatures)

        @torch.inference_mode()
        def predict(features: NDArray[np.float16], style: int, seed: int) -> NDArray[np.float32]:
            heard = torch.from_numpy(features.astype(np.float32))[None]
            speech = talker.adapter(heard).flatten(1, 2)
            row = talker.style(torch.tensor([style]))
            return free_run(generator, speech, row, temperature, seed)[0][0].numpy()

        digest = tensors_digest(generator.state_dict())
        note = "codec and talker of this corpus alone, without phones and teachers"
        return self._system(name, title, kind, predict, digest, seed=seed, note=note)

    def _system(
        self,
        name: str,
        title: str,
        kind: Kind,
        predict: Predict,
        digest: str,
        *,
        regression: bool = False,
        whole: bool = False,
        seed: int = 0,
        note: str = "",
    ) -> System:
        def through(hear: Callable[[Waveform], NDArray[np.float16]]) -> Callable[..., Motion]:
            def animate(sound: Waveform, style: str | None, drawn: int) -> Motion:
                row = 0 if style is None else self.styles.index(style)
                weights = predict(hear(sound), row, drawn)
                frames = frame_count(sound.duration, self.windows.fps)
                return Motion(weights[:frames], bundled_head().blendshape_names, self.windows.fps)

            return animate

        return System(
            name, title, kind, through(self.ear.hear), digest, self.styles,
            latency=None if whole else self.windows.latency, regression=regression,
            cold=through(self.ear.hear_anew), seed=seed, note=note,
        )  # fmt: skip


_REGRESSIONS = {
    "window": ("window", "VOCA-like", False),
    "transformer": ("transformer", "FaceFormer-like", False),
    "gru": ("recurrent", "GRU, both ways", True),
}
"""Name -> kind, title, and whether it hears the whole recording."""
_NOTES = {
    "window": "window regression: a window of speech to a frame",
    "transformer": "the talker without codebook: regression of weights by the same transformer",
    "recurrent": "two bidirectional layers over the whole recording: not causal",
}
_RECIPES = {
    "no-regression": ("cross entropy alone", {"regression": 0.0, "query": 1.0}),
    "no-cross-entropy": ("distance to codes alone", {"query": 0.0}),
}
"""Ablations: name -> title and what of the talker's recipe is changed."""


def _digest(data: FeatureSet) -> str:
    digest = hashlib.sha256(data.starts.tobytes() + data.styles.tobytes())
    digest.update(data.features[:: max(1, len(data.features) // 64)].tobytes())
    return digest.hexdigest()[:16]


def held_out(clips: Sequence[Clip], long: float = 20.0) -> tuple[list[Clip], list[Clip]]:
    """What is trained on and the rest of a corpus, and the last take of speakers of long ones.

    Such takes are of a split of their own, `take`.
    """
    takes: dict[str, list[Clip]] = {}
    for clip in clips:
        if clip.split == "train" and clip.duration >= long:
            takes.setdefault(clip.speaker, []).append(clip)
    last = [own[-1] for own in takes.values() if len(own) > 1]
    kept = [clip for clip in clips if not any(clip is take for take in last)]
    return kept, [replace(clip, split="take") for clip in last]
