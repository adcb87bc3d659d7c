"""One prepared image, or a pair, as training and validation draw from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

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
