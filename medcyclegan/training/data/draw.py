"""Where a slab is drawn from: which case, which slices, which patch of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medcyclegan.training.data.case import STEPS, Case

# Slabs of the two sides count as from the same height within this share of the body's height: a
# centimetre of a head, which is about what two heads differ by.
POSITION_TOLERANCE = 0.05
# Pixels of the box around the body that are tried before its middle is taken.
_TRIES = 32
# The box around the body in a slice is the mean of those of so many slices on either side.
_BOX_REACH = 2
# By how much a body may be stretched or shrunk to the size of another.
_ZOOMS = (0.75, 1.35)
# Pictures that a picture is matched with: this share of all, those of the most similar outline.
_ALIKE_SHARE = 0.25


@dataclass(frozen=True)
class Place:
    """A slab around a slice of a case, and the middle pixel (row, column) of the patch.

    ``zoom`` is how many rows and columns of the image make one of the patch.
    """

    slice_index: int
    row: int
    column: int
    zoom: tuple[float, float] = (1.0, 1.0)


class Chooser:
    """Draws cases of one side, and slices of them; every slice of the body is as likely."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = cases
        self.ends = np.cumsum([len(case.slices) for case in cases])
        volumes = [number for number, case in enumerate(cases) if not case.meta.plane]
        normals = {cases[number].meta.normal for number in volumes}
        self.alike = {
            normal: np.array([n for n in volumes if cases[n].meta.normal == normal])
            for normal in normals
        }
        self.planes = np.array([n for n, case in enumerate(cases) if case.meta.plane], dtype=int)
        self.plane_sizes = np.array([_box_size(cases[n]) for n in self.planes]).reshape(-1, 2)

    def any_slice(self, rng: np.random.Generator) -> tuple[Case, int]:
        """A case and the index of one of its slices."""
        at = int(rng.integers(self.ends[-1]))
        number = int(np.searchsorted(self.ends, at, side="right"))
        case = self.cases[number]
        return case, int(case.slices[at - self.ends[number] + len(case.slices)])

    def slice_at(
        self, height: float, normal: int, rng: np.random.Generator
    ) -> tuple[Case, int] | None:
        """A volume cut along ``normal`` and its slice nearest to about a relative height.

        None where there is no such volume.
        """
        alike = self.alike.get(normal)
        if alike is None:
            return None
        case = self.cases[int(rng.choice(alike))]
        wanted = height + float(rng.uniform(-1.0, 1.0)) * POSITION_TOLERANCE / 2.0
        first, last = int(case.slices[0]), int(case.slices[-1])
        at = first + min(max(wanted, 0.0), 1.0) * (last - first)
        return case, int(case.slices[np.abs(case.slices - at).argmin()])

    def picture_like(self, case: Case, rng: np.random.Generator) -> tuple[Case, int] | None:
        """One of the pictures whose body is about as high and as wide, and its only slice.

        How high in a body a picture was taken is not known; the outline tells it in part. None
        where there are no pictures.
        """
        if not len(self.planes):
            return None
        apart = np.abs(np.log(self.plane_sizes / _box_size(case))).sum(axis=1)
        count = max(1, round(_ALIKE_SHARE * len(apart)))
        chosen = self.cases[int(self.planes[int(rng.choice(np.argsort(apart)[:count]))])]
        return chosen, int(chosen.slices[0])


def draw_place(case: Case, slice_index: int, rng: np.random.Generator, *, size_px: int) -> Place:
    """Choose a pixel of the body in a slice as the middle of a patch of ``size_px``.

    It is moved until the patch lies inside the image where that is large enough; else the image
    lies in the middle of the patch.
    """
    top, bottom, left, right = (int(edge) for edge in case.boxes[slice_index])
    body = case.images.array()[-1, slice_index]
    rows = rng.integers(top, bottom + 1, size=_TRIES)
    columns = rng.integers(left, right + 1, size=_TRIES)
    inside = np.flatnonzero(body[rows, columns])
    row, column = (top + bottom) // 2, (left + right) // 2
    if inside.size:
        row, column = int(rows[inside[0]]), int(columns[inside[0]])
    return Place(
        slice_index,
        _moved_in(row, body.shape[0], size_px),
        _moved_in(column, body.shape[1], size_px),
    )


def same_place(case: Case, place: Place, other: Case, slice_index: int) -> Place:
    """The place in a slice of another body that lies in its box where ``place`` lies in its own.

    Its zoom brings the other body to the size of the first one.
    """
    box, other_box = _box_around(case, place.slice_index), _box_around(other, slice_index)
    middles, zooms = [], []
    for at, first in ((place.row, 0), (place.column, 2)):
        low, high = box[first : first + 2]
        other_low, other_high = other_box[first : first + 2]
        zoom = float(np.clip((other_high - other_low + 1.0) / (high - low + 1.0), *_ZOOMS))
        zooms.append(zoom)
        middles.append(round((other_low + other_high) / 2.0 + zoom * (at - (low + high) / 2.0)))
    return Place(slice_index, middles[0], middles[1], (zooms[0], zooms[1]))


def cut(case: Case, place: Place, *, depth: int, size_px: int) -> Tensor:
    """(channels * depth, size_px, size_px) float32 in [-1, 1]; outside of the image lies -1.

    A case of fewer than ``depth`` slices has its edge slices repeated.
    """
    voxels = case.images.array()[:-1]
    channels, slices, rows, columns = voxels.shape
    start = min(max(0, place.slice_index - depth // 2), max(0, slices - depth))
    taken = [min(start + n, slices - 1) for n in range(depth)]
    height, width = (max(1, round(size_px * zoom)) for zoom in place.zoom)
    into_rows, from_rows = _overlap(place.row - height // 2, rows, height)
    into_columns, from_columns = _overlap(place.column - width // 2, columns, width)
    patch: NDArray[np.float32] = np.full((channels, depth, height, width), -1.0, dtype=np.float32)
    found = voxels[:, taken[0] : taken[-1] + 1, from_rows, from_columns]
    found = found[:, [index - taken[0] for index in taken]]
    patch[:, :, into_rows, into_columns] = found.astype(np.float32) / STEPS
    slab = torch.from_numpy(patch.reshape(channels * depth, height, width))
    if (height, width) == (size_px, size_px):
        return slab
    return functional.interpolate(slab[None], size=(size_px, size_px), mode="bilinear")[0]


def _box_size(case: Case) -> NDArray[np.float64]:
    """Rows and columns of the body in the first slice that has some."""
    top, bottom, left, right = (float(edge) for edge in case.boxes[int(case.slices[0])])
    return np.array([bottom - top + 1.0, right - left + 1.0])


def _moved_in(middle: int, extent: int, size_px: int) -> int:
    """The middle of a patch along one axis that lies inside, or around all if it is larger."""
    if extent <= size_px:
        return size_px // 2 - (size_px - extent) // 2
    return min(max(middle, size_px // 2), extent - size_px + size_px // 2)


def _box_around(case: Case, slice_index: int) -> NDArray[np.float64]:
    """First and last row, first and last column of the body around a slice of it."""
    near = np.abs(case.slices - slice_index) <= _BOX_REACH
    return np.asarray(case.boxes[case.slices[near]].mean(axis=0))


def _overlap(start: int, extent: int, size: int) -> tuple[slice, slice]:
    """Where a window that begins at ``start`` meets the image: in it, and in the image."""
    low, high = max(0, start), min(extent, start + size)
    high = max(low, high)
    return slice(low - start, high - start), slice(low, high)
