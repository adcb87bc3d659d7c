"""Planes through a patient's images that figures show, cut out of the voxels in one reading.

So the voxels of one patient are held at a time, however many patients and methods a figure shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.evaluation.study.load import PatientImages
from medcyclegan.evaluation.views import View, in_viewing_order, view_through

SAGITTAL, CORONAL, AXIAL = 0, 1, 2

# Left, right, bottom and top of a part of a picture, in mm from its upper left corner.
Box = tuple[float, float, float, float]

# Air kept around the body, as skin at the very edge of a picture cannot be judged.
MARGIN_MM = 8.0

# Of the signal in the body: fat is a small and much the brightest part of it.
MR_PERCENTILES = (1.0, 97.0)


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


def _reach(filled: NDArray[np.bool_], size_mm: float) -> tuple[float, float]:
    step_mm = size_mm / filled.size
    inside = np.flatnonzero(filled)
    low, high = inside[0] * step_mm - MARGIN_MM, (inside[-1] + 1) * step_mm + MARGIN_MM
    return max(0.0, float(low)), min(size_mm, float(high))


@dataclass(frozen=True, eq=False)
class Plane:
    """One plane through the images of a patient: pixels (rows, columns) of each.

    ``scts`` is by method, ``mr_range`` the signal that the MR is shown between, if there is one.
    """

    case: str
    view: View
    ct: FloatVoxels
    mask: FloatVoxels
    mr: FloatVoxels | None
    mr_range: tuple[float, float]
    scts: dict[str, FloatVoxels]

    @property
    def box(self) -> Box:
        """The box around the body, with a margin of air."""
        inside = np.asarray(self.mask > 0)
        top, bottom = _reach(np.any(inside, axis=1), self.view.size_mm[0])
        left, right = _reach(np.any(inside, axis=0), self.view.size_mm[1])
        return left, right, bottom, top


def cut(images: PatientImages, views: Sequence[View]) -> tuple[Plane, ...]:
    """Cut planes out of a patient's images, which can be let go of then."""
    mr_range = 0.0, 1.0
    if images.mr is not None:
        inside = images.mr.voxels[images.mask.voxels > 0]
        low, high = (float(p) for p in np.percentile(inside, MR_PERCENTILES))
        mr_range = low, max(high, low + 1e-6)
    return tuple(
        Plane(
            case=images.case,
            view=view,
            ct=view.image(in_viewing_order(images.ct)),
            mask=view.image(in_viewing_order(images.mask)),
            mr=None if images.mr is None else view.image(in_viewing_order(images.mr)),
            mr_range=mr_range,
            scts={m: view.image(in_viewing_order(sct)) for m, sct in images.scts.items()},
        )
        for view in views
    )
