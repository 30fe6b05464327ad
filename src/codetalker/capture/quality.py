"""Quality: how well the rig follows what was seen, and what is not good enough to learn from."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker.capture.points import (
    GAP_COLUMNS,
    INNER_LIP,
    OUTER_LIP,
    face_points,
    iod,
    lip_gap,
)
from codetalker.rig import bundled_head

_SMALL_EYES = 25.0
"""Pixels between the eyes below which lips are a blur."""
_TURNED = np.radians(40.0)
"""Beyond this, half of the mouth is out of sight ..."""
_TURNED_SHARE = 0.1
"""... and this share of the frames may be so."""
_MOVES_MM, _FOLLOWS = 0.5, 0.9
"""Lips that move so much (standard deviation) must be followed with this correlation."""
_OFF_MM = 2.5
"""RMS distance of the rig's lips from the landmarks that is too far."""


@dataclass(frozen=True)
class Quality:
    """Figures of a captured clip.

    Attributes:
        lost: share of the recording's frames without the face.
        eyes_px: distance of the eyes' outer corners in the picture; None where that is not known.
        lip_residual_mm: RMS distance of the rig's lips from the landmarks, in the image plane.
        lip_motion_mm: the same of the landmarks from their rest.
        gap_correlation: of the rig's lip gap with the landmarks'; None where lips are still.
        gap_rmse_percent: their difference, percent of the eyes' distance.
        turned: share of the frames in which the head is turned beyond 40 degrees.
    """

    lost: float
    eyes_px: float | None
    lip_residual_mm: float
    lip_motion_mm: float
    gap_correlation: float | None
    gap_rmse_percent: float
    turned: float

    def as_json(self) -> dict[str, float | None]:
        """To four places."""
        return {
            name: None if value is None else round(value, 4) for name, value in asdict(self).items()
        }

    def refused(self) -> str | None:
        """Why the clip is not usable, and what to do; None if it is."""
        if self.eyes_px is not None and self.eyes_px < _SMALL_EYES:
            return f"the eyes are {self.eyes_px:.0f} pixels apart; film nearer, or larger"
        if self.turned > _TURNED_SHARE:
            return f"the head is turned away in {self.turned:.0%} of it; film the face from ahead"
        if self.gap_correlation is not None and self.gap_correlation < _FOLLOWS:
            return (
                f"the lips are not followed (correlation {self.gap_correlation:.2f}); "
                "film in better light"
            )
        if self.lip_residual_mm > _OFF_MM:
            return f"the lips are {self.lip_residual_mm:.1f} mm off; film the face from ahead"
        return None


def measure(
    displacements: NDArray[np.floating],
    weights: NDArray[np.float32],
    pose: NDArray[np.floating],
    lost: float,
    eyes_px: float | None,
) -> Quality:
    """Compare (T, 468, 3) displacements in metres with the rig under (T, 52) weights."""
    lips = sorted({*OUTER_LIP, *INNER_LIP})
    rig = np.einsum("tk,kpc->tpc", weights, face_points().shapes[:, lips, :2])
    seen = displacements[:, lips, :2]
    true = lip_gap(displacements) * 1000
    drawn = (weights @ bundled_head().lip_gap_basis[:, GAP_COLUMNS]).mean(1) * 1000
    moves = true.std() > _MOVES_MM
    still = drawn.std() < 1e-6
    correlation = (0.0 if still else float(np.corrcoef(drawn, true)[0, 1])) if moves else None
    return Quality(
        lost=lost,
        eyes_px=eyes_px,
        lip_residual_mm=_rms(rig - seen) * 1000,
        lip_motion_mm=_rms(seen) * 1000,
        gap_correlation=correlation,
        gap_rmse_percent=float(np.sqrt(((drawn - true) ** 2).mean())) / iod() / 10,
        turned=float((np.abs(pose[:, :2]) > _TURNED).any(1).mean()),
    )


def _rms(vectors: NDArray[np.floating]) -> float:
    return float(np.sqrt((vectors**2).sum(-1).mean()))
