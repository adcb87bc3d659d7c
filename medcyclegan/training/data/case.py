"""A prepared image or pair, and where slabs are drawn from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor
from torch.nn import functional

from medcyclegan.training.data.config import Side

# [-1, 1] in steps of 1/32767: 0.05 HU in a window of 3000 HU, at half the memory of float32.
STEPS = 32767
# Slices with less body than this share of the fullest are not drawn: the rim of the skull.
LEAST_BODY_SHARE = 0.02

Stored = NDArray[np.int16]


class Facts(BaseModel):
    """What the summary says of an image as it was read: voxels (i, j, k), least and greatest value.

    ``warnings`` are the reader's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    values: tuple[float, float]
    warnings: tuple[str, ...]


class Meta(BaseModel):
    """What is known of a prepared image, or of the two of a pair, beside their voxels.

    ``part`` numbers the slices of a series that was taken apart, and is None else; ``normal`` is
    the world axis that D runs along; ``plane`` says that this is a picture or radiograph.
    ``channels`` counts the images of A and of B, 0 for a side that is not there; ``facts`` has
    those of A first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    part: int | None
    normal: int
    plane: bool
    facts: tuple[Facts, ...]
    channels: tuple[int, int]

    @property
    def paired(self) -> bool:
        """Whether there are images of both sides."""
        return min(self.channels) > 0

    def facts_of(self, side: Side) -> tuple[Facts, ...]:
        """What is known of the images of one side."""
        return self.facts[: self.channels[0]] if side == "a" else self.facts[self.channels[0] :]


class Images(Protocol):
    """Where the voxels are: (channels, D, H, W), the body (0 or 1) as the last channel."""

    def array(self) -> Stored:
        """The voxels; not to be written to."""


@dataclass(frozen=True, eq=False)
class InMemory:
    """Voxels in memory; workers that are forked share them."""

    voxels: Stored

    def array(self) -> Stored:
        """The voxels themselves."""
        return self.voxels


@dataclass(frozen=True)
class OnDisk:
    """Voxels in a .npy file, mapped into memory when they are first asked for."""

    path: Path

    def array(self) -> Stored:
        """The mapped file; a worker that gets a copy of this maps it anew."""
        return _mapped(self.path)


@lru_cache(maxsize=4096)
def _mapped(path: Path) -> Stored:
    return np.load(path, mmap_mode="r")  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False)
class Case:
    """A prepared image of one side, or of both sides on the grid of A.

    ``slices`` are the indices along D that slabs may be centred on; ``boxes`` (D, 4) int holds the
    first and last row and column of the body in each slice.
    """

    name: str
    subject: str
    format: str
    meta: Meta
    images: Images
    slices: NDArray[np.intp]
    boxes: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(D, H, W) of the model grid."""
        depth, rows, columns = self.images.array().shape[1:]
        return depth, rows, columns

    def relative_height(self, index: int) -> float:
        """Where a slice lies between the first (0) and the last (1) slice of the body."""
        first, last = int(self.slices[0]), int(self.slices[-1])
        return (index - first) / (last - first) if last > first else 0.5

    def values(self, side: Side) -> Tensor | None:
        """(D, H, W) float32 in [-1, 1], or (C, D, H, W) of several channels; None without it."""
        first, second = self.meta.channels
        start, count = (0, first) if side == "a" else (first, second)
        if count == 0:
            return None
        voxels = self.images.array()[start : start + count]
        stacked = torch.from_numpy(voxels.astype(np.float32) / STEPS)
        return stacked if count > 1 else stacked[0]

    def body(self) -> Tensor:
        """(D, H, W) bool."""
        return torch.from_numpy(self.images.array()[-1] > 0)


def forget_mapped() -> None:
    """Map files anew from here on, as one of them was replaced."""
    _mapped.cache_clear()


def pack(images: list[NDArray[np.float32]], body: NDArray[np.bool_]) -> Stored:
    """Put images (D, H, W) in [-1, 1] and their body into one array (channels, D, H, W)."""
    stored = [np.rint(image * STEPS).astype(np.int16) for image in images]
    return np.stack([*stored, body.astype(np.int16)])


def make_case(name: str, subject: str, file_format: str, meta: Meta, images: Images) -> Case:
    """Find where slabs may be drawn from."""
    body = np.asarray(images.array()[-1]) > 0
    areas = body.sum(axis=(1, 2))
    slices = np.flatnonzero(areas >= max(1.0, LEAST_BODY_SHARE * areas.max()))
    boxes = np.zeros((body.shape[0], 4), dtype=np.intp)
    for index in np.flatnonzero(areas):
        rows = np.flatnonzero(body[index].any(axis=1))
        columns = np.flatnonzero(body[index].any(axis=0))
        boxes[index] = rows[0], rows[-1], columns[0], columns[-1]
    return Case(name, subject, file_format, meta, images, slices, boxes)


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
