"""How good a talker is when it hears its own motion and not the true one, while it is trained.

Teacher forcing hides two ways to fail: errors that grow as they are fed back, and a face that
hardly moves because the mean of all motions is the safest guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from codetalker.data.store import Store, StoreClip
from codetalker.evaluation.metrics import VertexMetrics
from codetalker.paper.decoding import Predicting

STILL = 0.25
"""Below this share of the recorded motion's standard deviation, a face is as good as still."""


@torch.no_grad()
def free_figures(
    predictor: Predicting,
    subjects: Sequence[str],
    store: Store,
    clips: Sequence[StoreClip],
    samples: Sequence[Tensor],
) -> dict[str, float]:
    """Predict clips as `animate` does, and compare them with the truth.

    A clip whose subject is no style of the model's is spoken in one style, another from clip to
    clip. Lips and upper face are those of the store's region files; without them, the whole face.

    Args:
        predictor: of a model in evaluation.
        subjects: its styles.
        samples: each clip's normalised waveform, (N,).
    """
    rows = [
        subjects.index(clip.subject) if clip.subject in subjects else i % len(subjects)
        for i, clip in enumerate(clips)
    ]
    styles = torch.eye(len(subjects))[rows].to(samples[0])
    faces = torch.stack([torch.tensor(store.template(clip.subject)).flatten() for clip in clips])
    predictions = predictor.predict(samples, styles, templates=faces)
    metrics = _metrics(store)
    for clip, prediction in zip(clips, predictions, strict=True):
        template = np.array(store.template(clip.subject))
        predicted = template + prediction.motion.cpu().numpy().reshape(-1, *template.shape)
        metrics.add(clip.name, predicted, store.vertices(clip), template)
    result = metrics.result()
    ratios = {f"{k}_std_ratio": v for k, v in result["motion_std_ratio"].items() if v is not None}
    figures = {k: result[k] for k in ("lve", "lip_error", "mve", "fdd")} | ratios
    return {f"free_{name}": float(value) for name, value in figures.items()}


def free_warnings(figures: dict[str, float]) -> list[str]:
    """What looks wrong about them."""
    ratio = figures.get("free_lips_std_ratio", 1.0)
    if ratio >= STILL:
        return []
    return [
        f"the face hardly moves by itself: {ratio:.0%} of the recorded motion's standard deviation;"
        " see that sound and motion belong together and that the codec reconstructs well"
    ]


def _metrics(store: Store) -> VertexMetrics:
    """Clips of unequal lengths are compared over the overlap, however long that is."""
    if all((store.folder / name).is_file() for name in ("lve.txt", "fdd.txt")):
        lips, upper_face = store.regions()
    else:
        lips = upper_face = np.arange(store.vertices_per_face)
    return VertexMetrics(lips, upper_face, store.unit_mm, max_length_difference=math.inf)
