"""Where bone of the skull base holds air cells: the mastoid and the petrous part around the ear.

Label maps give no landmarks there, so the place follows from the eyes: the ear canal lies some
75 mm behind the middle of the eyes, and a little below them, in adults.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.tissues import Tissue

# Millimetres from the point midway between the eyes: to either side, behind, and upwards. The
# ranges hold the air cells of both sides in the heads that were looked at, with a small margin.
_LATERAL_MM = (20.0, 68.0)
_BEHIND_MM = (50.0, 115.0)
_ABOVE_MM = (-60.0, 8.0)


def temporal_bone(
    tissue: NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Return (i, j, k) where bone may hold air cells, of tissues (i, j, k) in R, A, S order.

    Nowhere if the map holds no eyes, or but one of them.
    """
    place = np.zeros(tissue.shape, dtype=bool)
    eyes = np.argwhere(tissue == Tissue.EYE_FLUID)
    if len(eyes) == 0 or np.ptp(eyes[:, 0]) * spacing_mm[0] < 45.0:
        return place
    middle = (eyes.min(axis=0) + eyes.max(axis=0)) / 2.0
    right, front, up = (
        (np.arange(n) - centre) * mm
        for n, centre, mm in zip(tissue.shape, middle, spacing_mm, strict=True)
    )
    inside = (
        _within(np.abs(right), _LATERAL_MM)[:, None, None]
        & _within(-front, _BEHIND_MM)[None, :, None]
        & _within(up, _ABOVE_MM)[None, None, :]
    )
    bone = (tissue == Tissue.CORTICAL_BONE) | (tissue == Tissue.MARROW)
    place[inside & bone] = True
    return place


def _within(values_mm: NDArray[np.float64], limits_mm: tuple[float, float]) -> NDArray[np.bool_]:
    return (values_mm >= limits_mm[0]) & (values_mm <= limits_mm[1])
