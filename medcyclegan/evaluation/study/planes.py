"""Which planes of a patient the figures show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.evaluation.views import View, in_viewing_order, view_through
from medcyclegan.volume import Volume

SAGITTAL, CORONAL, AXIAL = 0, 1, 2

# Left, right, bottom and top of a part of a picture, in mm from its upper left corner.
Box = tuple[float, float, float, float]

# Air kept around the body, as skin at the very edge of a picture cannot be judged.
MARGIN_MM = 8.0


def body_views(mask: Volume) -> dict[int, View]:
    """The plane across each axis with the most of the body in it.

    For a head, that is the axial slice through its widest part and the sagittal one near the
    middle; it is the same for every method, and nobody chose it.
    """
    inside = in_viewing_order(mask) > 0
    found = {}
    for axis in (SAGITTAL, CORONAL, AXIAL):
        others = tuple(a for a in range(3) if a != axis)
        found[axis] = view_through(mask, axis=axis, index=int(np.argmax(inside.sum(axis=others))))
    return found


def middle_view(mask: Volume) -> View:
    """The axial plane in the middle of the body's height."""
    filled = np.flatnonzero((in_viewing_order(mask) > 0).any(axis=(0, 1)))
    return view_through(mask, axis=AXIAL, index=int(filled[len(filled) // 2]))


def body_box(mask: Volume, view: View) -> Box:
    """The box around the body in a plane, with a margin of air."""
    inside = np.asarray(view.image(in_viewing_order(mask)) > 0)
    top, bottom = _reach(np.any(inside, axis=1), view.size_mm[0])
    left, right = _reach(np.any(inside, axis=0), view.size_mm[1])
    return left, right, bottom, top


def _reach(filled: NDArray[np.bool_], size_mm: float) -> tuple[float, float]:
    step_mm = size_mm / filled.size
    inside = np.flatnonzero(filled)
    low, high = inside[0] * step_mm - MARGIN_MM, (inside[-1] + 1) * step_mm + MARGIN_MM
    return max(0.0, float(low)), min(size_mm, float(high))
