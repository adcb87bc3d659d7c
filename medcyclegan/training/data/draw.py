"""Where a slab is drawn from: which case, which slices, which patch of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcyclegan.training.data.case import STEPS, Case

# Slabs of the two sides count as from the same height within this share of the body's height: a
# centimetre of a head, which is about what two heads differ by.
POSITION_TOLERANCE = 0.05
# Pixels of the box around the body that are tried before its middle is taken.
_TRIES = 32


@dataclass(frozen=True)
class Place:
    """A slab around a slice of a case, and the middle pixel (row, column) of the patch."""

    slice_index: int
    row: int
    column: int


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


def draw_place(case: Case, slice_index: int, rng: np.random.Generator) -> Place:
    """Choose a pixel of the body in a slice as the middle of the patch."""
    top, bottom, left, right = (int(edge) for edge in case.boxes[slice_index])
    body = case.images.array()[-1, slice_index]
    rows = rng.integers(top, bottom + 1, size=_TRIES)
    columns = rng.integers(left, right + 1, size=_TRIES)
    inside = np.flatnonzero(body[rows, columns])
    if not inside.size:
        return Place(slice_index, (top + bottom) // 2, (left + right) // 2)
    return Place(slice_index, int(rows[inside[0]]), int(columns[inside[0]]))


def cut(case: Case, place: Place, *, depth: int, size_px: int, wide_px: int) -> Tensor:
    """(channels * depth, wide_px, wide_px) float32 in [-1, 1]; outside of the image lies -1.

    The patch of ``size_px`` lies inside the image where that is large enough, and ``wide_px`` shows
    what is around it; else the image lies in its middle. A case of fewer than ``depth`` slices has
    its edge slices repeated.
    """
    voxels = case.images.array()[:-1]
    channels, slices, rows, columns = voxels.shape
    start = min(max(0, place.slice_index - depth // 2), max(0, slices - depth))
    taken = [min(start + n, slices - 1) for n in range(depth)]
    row = _start(place.row, rows, size_px) - (wide_px - size_px) // 2
    column = _start(place.column, columns, size_px) - (wide_px - size_px) // 2
    into_rows, from_rows = _overlap(row, rows, wide_px)
    into_columns, from_columns = _overlap(column, columns, wide_px)
    patch: NDArray[np.float32] = np.full(
        (channels, depth, wide_px, wide_px), -1.0, dtype=np.float32
    )
    found = voxels[:, taken[0] : taken[-1] + 1, from_rows, from_columns]
    found = found[:, [index - taken[0] for index in taken]]
    patch[:, :, into_rows, into_columns] = found.astype(np.float32) / STEPS
    return torch.from_numpy(patch.reshape(channels * depth, wide_px, wide_px))


def _start(middle: int, extent: int, size_px: int) -> int:
    """First pixel of a patch along one axis; negative where the image is smaller."""
    if extent <= size_px:
        return -((size_px - extent) // 2)
    return min(max(0, middle - size_px // 2), extent - size_px)


def _overlap(start: int, extent: int, size: int) -> tuple[slice, slice]:
    """Where a window that begins at ``start`` meets the image: in it, and in the image."""
    low, high = max(0, start), min(extent, start + size)
    return slice(low - start, high - start), slice(low, high)
