"""Coarser copies of volumes on one grid: cut to the body, and averaged in blocks of voxels.

Blocks, and no interpolation: what is shown of a voxel is the mean of voxels that are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medcyclegan.evaluation.views import LEAST_VOXELS, in_viewing_order
from medcyclegan.geometry import FloatArray, closest_axes
from medcyclegan.volume import FloatVoxels, Volume

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
