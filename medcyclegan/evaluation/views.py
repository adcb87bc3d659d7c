"""Which slices of a volume are shown, and which way round.

Radiological convention: axial and coronal views have the patient's right at the image's left, the
front or the head at the top; sagittal views have the front at the left, the head at the top. The
voxels of any axis order are permuted and flipped for it, never interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.foreground import body_mask_ct
from medcyclegan.geometry import closest_axes
from medcyclegan.volume import FloatVoxels, Volume

# An image of fewer rows or columns than this shows nothing.
LEAST_VOXELS = 4

# Of the body's length: below the skull base, through the brain's middle, near the top.
AXIAL_LEVELS = (0.75, 0.5, 0.25)

_NAMES = ("Sagittal", "Coronal", "Axial")
_LETTERS = ("AP", "RL", "RL"), ("SI", "SI", "AP")
_TOWARDS = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True)
class View:
    """One plane through a volume, across ``axis`` (0 left, 1 back, 2 feet) of the viewing order.

    ``left``, ``right``, ``top`` and ``bottom`` are the anatomical letters of the image's borders;
    ``size_mm`` is (height, width).
    """

    axis: int
    index: int
    title: str
    size_mm: tuple[float, float]

    @property
    def left(self) -> str:
        return _LETTERS[0][self.axis][0]

    @property
    def right(self) -> str:
        return _LETTERS[0][self.axis][1]

    @property
    def top(self) -> str:
        return _LETTERS[1][self.axis][0]

    @property
    def bottom(self) -> str:
        return _LETTERS[1][self.axis][1]

    def image(self, viewed: FloatVoxels) -> FloatVoxels:
        """Take the plane (rows, columns) out of voxels in viewing order."""
        return np.asarray(np.take(viewed, self.index, axis=self.axis).T)


def in_viewing_order(volume: Volume) -> FloatVoxels:
    """Return the voxels with axes that run to the patient's left, back and feet (or closest to)."""
    axes = closest_axes(volume.geometry.directions_ras)
    flips = tuple(slice(None, None, -1) if sign > 0 else slice(None) for _, sign in axes)
    return volume.voxels[flips].transpose(_order(volume))


def choose_views(sct: Volume) -> list[View]:
    """Choose three axial levels through the body, a coronal and a sagittal plane in its middle.

    Views of fewer than 4 rows or columns are left out, so that a single slice gives one view.
    """
    body = in_viewing_order(_body_or_all(sct))
    views = []
    for axis, fractions in ((2, AXIAL_LEVELS), (1, (0.5,)), (0, (0.5,))):
        rows, columns = (1 if axis == 2 else 2), (1 if axis == 0 else 0)
        if min(body.shape[rows], body.shape[columns]) < LEAST_VOXELS:
            continue
        filled = np.flatnonzero(body.any(axis=(rows, columns)))
        levels = {int(filled[round(f * (filled.size - 1))]) for f in fractions}
        views += [view_through(sct, axis=axis, index=index) for index in sorted(levels)]
    if not views:
        raise InputRefused(
            f"A volume of {sct.geometry.shape} voxels",
            rule=f"a picture needs {LEAST_VOXELS} rows and columns in one plane at least",
        )
    return views


def view_through(volume: Volume, *, axis: int, index: int) -> View:
    """The plane across ``axis`` (0 left, 1 back, 2 feet) of the viewing order, at ``index``."""
    order = _order(volume)
    rows, columns = order[1 if axis == 2 else 2], order[1 if axis == 0 else 0]
    shape, spacing_mm = volume.geometry.shape, volume.geometry.spacing_mm
    size_mm = (shape[rows] * spacing_mm[rows], shape[columns] * spacing_mm[columns])
    return View(axis, index, _title(volume, axis, index), size_mm)


def obliquity_degrees(volume: Volume) -> float:
    """Largest angle between a voxel axis and the anatomical axis it stands for."""
    directions = np.abs(volume.geometry.directions_ras)
    cosines = [directions[world, axis] for axis, world in enumerate(_worlds(volume))]
    return float(np.degrees(np.arccos(np.clip(min(cosines), 0.0, 1.0))))


def _worlds(volume: Volume) -> list[int]:
    return [world for world, _ in closest_axes(volume.geometry.directions_ras)]


def _order(volume: Volume) -> tuple[int, int, int]:
    """The voxel axis that stands for each world axis."""
    worlds = _worlds(volume)
    return worlds.index(0), worlds.index(1), worlds.index(2)


def _body_or_all(sct: Volume) -> Volume:
    try:
        return body_mask_ct(sct)
    except InputRefused:
        # A picture of an image without a body is what shows that something went wrong.
        return sct.with_voxels(np.ones_like(sct.voxels), unit="mask")


def _title(volume: Volume, axis: int, index: int) -> str:
    """Name the view with the position of the plane's centre, as in ``Axial, S 34 mm``."""
    world, sign = axis, closest_axes(volume.geometry.directions_ras)[_order(volume)[axis]][1]
    centre = (np.asarray(volume.geometry.shape) - 1) / 2.0
    along = _order(volume)[axis]
    centre[along] = volume.geometry.shape[along] - 1 - index if sign > 0 else index
    position_mm = float(volume.geometry.to_world(centre)[world])
    return f"{_NAMES[axis]}, {_TOWARDS[world][position_mm >= 0]} {abs(position_mm):.0f} mm"
