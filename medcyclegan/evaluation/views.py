"""Slices of a volume that are shown, which way round, and coarse copies of it.

Which slices of a volume are shown, and which way round.
Radiological convention: axial and coronal views have the patient's right at the image's left, the
front or the head at the top; sagittal views have the front at the left, the head at the top. The
voxels of any axis order are permuted and flipped for it, never interpolated.

Coarser copies of volumes on one grid: cut to the body, and averaged in blocks of voxels.
Blocks, and no interpolation: what is shown of a voxel is the mean of voxels that are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medcyclegan.core.geometry import FloatArray, closest_axes
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.body_mask import body_mask_ct

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


def choose_views(sct: Volume, body: Volume | None = None) -> list[View]:
    """Choose three axial levels through the body, a coronal and a sagittal plane in its middle.

    ``body`` is a mask of it on the same grid; without one it is sought in ``sct``.
    Views of fewer than 4 rows or columns are left out, so that a single slice gives one view.
    """
    inside = in_viewing_order(body or _body_or_all(sct))
    views = []
    for axis, fractions in ((2, AXIAL_LEVELS), (1, (0.5,)), (0, (0.5,))):
        rows, columns = (1 if axis == 2 else 2), (1 if axis == 0 else 0)
        if min(inside.shape[rows], inside.shape[columns]) < LEAST_VOXELS:
            continue
        filled = np.flatnonzero(inside.any(axis=(rows, columns)))
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


# A head of finer voxels looks the same in a window of a page, and takes eight times the room.
FINEST_MM = 2.0
# Of one image: a head at 2 mm has about one million, a trunk is thinned out further.
MOST_VOXELS = 3_000_000
# Kept around the body, so that what lies just outside of it can be seen.
MARGIN_MM = 10.0


@dataclass(frozen=True)
class Copy:
    """How voxels in viewing order become those shown: a part of them, averaged in blocks."""

    box: tuple[slice, slice, slice]
    block: tuple[int, int, int]

    def of(self, viewed: FloatVoxels) -> FloatVoxels:
        """Return the means of blocks; the last ones are filled up with the voxels at the border."""
        part = viewed[self.box]
        fill = [(0, -n % b) for n, b in zip(part.shape, self.block, strict=True)]
        part = np.pad(part, fill, mode="edge")
        (a, b, c), (i, j, k) = self.block, part.shape
        blocks = part.reshape(i // a, a, j // b, b, k // c, c)
        return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))

    def affine_ras(self, volume: Volume) -> FloatArray:
        """From an index of a shown voxel to the place of its centre in RAS mm."""
        to_voxel = np.zeros((4, 4))
        to_voxel[3, 3] = 1.0
        for voxel_axis, (world, sign) in enumerate(closest_axes(volume.geometry.directions_ras)):
            block = self.block[world]
            first = self.box[world].start + (block - 1) / 2.0
            last = volume.geometry.shape[voxel_axis] - 1
            to_voxel[voxel_axis, world] = -block if sign > 0 else block
            to_voxel[voxel_axis, 3] = last - first if sign > 0 else first
        return np.asarray(volume.geometry.affine_ras @ to_voxel)


def choose_copy(volume: Volume, body: Volume | None, most_voxels: int) -> Copy:
    """Choose the box around the body, if there is one, and blocks for at most so many voxels."""
    spacing_mm = np.asarray(viewed_spacing_mm(volume))
    shape = in_viewing_order(volume).shape
    box = tuple(slice(0, n) for n in shape)
    if body is not None:
        inside = in_viewing_order(body) > 0
        filled = [np.flatnonzero(inside.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
        margin = np.ceil(MARGIN_MM / spacing_mm).astype(int)
        box = tuple(
            slice(max(0, int(f[0] - m)), min(n, int(f[-1] + 1 + m)))
            for f, m, n in zip(filled, margin, shape, strict=True)
        )
    size = np.array([part.stop - part.start for part in box])
    block = np.ones(3, dtype=int)
    if size.min() >= LEAST_VOXELS:  # a picture keeps its pixels
        block = np.maximum(1, np.rint(FINEST_MM / spacing_mm)).astype(int)
    while np.prod(-(-size // block)) > most_voxels:
        # The finest axis along which there is something to average; of equal ones, across slices.
        shown_mm = np.where(block < size, block * spacing_mm, np.inf)
        block[2 - np.argmin(shown_mm[::-1])] += 1
    return Copy((box[0], box[1], box[2]), (int(block[0]), int(block[1]), int(block[2])))


def viewed_spacing_mm(volume: Volume) -> tuple[float, ...]:
    """Along the axes of the viewing order."""
    axes = closest_axes(volume.geometry.directions_ras)
    by_world = {world: mm for (world, _), mm in zip(axes, volume.geometry.spacing_mm, strict=True)}
    return by_world[0], by_world[1], by_world[2]
