"""Which planes of a patient the figures show."""

from __future__ import annotations

import numpy as np

from medcyclegan.evaluation.views import View, in_viewing_order, view_through
from medcyclegan.volume import Volume

SAGITTAL, CORONAL, AXIAL = 0, 1, 2


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
