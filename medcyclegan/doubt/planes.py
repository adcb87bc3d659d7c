"""A few planes across the slabs of a translation, where another view of it can be had cheaply.

All is done on the model grid, in planes along its second and third axes: a slab of neighbouring
planes is cut from what the network was given, and run through it as a view along that axis would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medcyclegan.geometry import Geometry, closest_axes
from medcyclegan.volume import Volume

# Where planes lie across the body, as shares of its box: through the eyes' height of both halves
# and the middle. Three each way keep the cost at some 3 % of a whole head's.
PLACES = (0.35, 0.5, 0.65)


@dataclass(frozen=True)
class Plane:
    """One plane across a model grid (D, H, W): along ``axis`` (1 or 2), at ``index``.

    ``order`` brings the grid's axes into the order that a network along ``axis`` is given: the
    normal first, then the others as R, A, S count.
    """

    axis: int
    index: int
    order: tuple[int, int, int]

    def slab(self, values: Tensor, depth: int) -> Tensor:
        """Cut (D, H, W) into the (depth, rows, columns) around the plane; edge planes repeat."""
        last = values.shape[self.axis] - 1
        around = range(self.index - depth // 2, self.index + depth // 2 + 1)
        wanted = torch.tensor([min(max(n, 0), last) for n in around])
        return values.index_select(self.axis, wanted).permute(self.order)

    def inside(self, body: Volume, grid: Geometry) -> NDArray[np.bool_]:
        """(rows, columns), where the plane's points lie in the mask ``body``, by nearest voxel."""
        axes = [np.arange(n, dtype=float) for n in grid.shape]
        axes[self.axis] = np.array([float(self.index)])
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        to_body = np.linalg.solve(body.geometry.affine_ras, grid.affine_ras)
        at = np.rint(points @ to_body[:3, :3].T + to_body[:3, 3]).astype(int)
        within = ((at >= 0) & (at < body.geometry.shape)).all(axis=-1)
        at = np.where(within[..., None], at, 0)
        hit = within & (body.voxels[at[..., 0], at[..., 1], at[..., 2]] > 0)
        return np.asarray(hit.transpose(self.order)[0])


def planes_across(grid: Geometry) -> Iterator[Plane]:
    """Yield the planes that are looked at on a model grid (D, H, W)."""
    worlds = [world for world, _ in closest_axes(grid.directions_ras)]
    for axis in (1, 2):
        rest = sorted((a for a in range(3) if a != axis), key=lambda a: worlds[a])
        for place in PLACES:
            index = round(place * (grid.shape[axis] - 1))
            yield Plane(axis, index, (axis, rest[0], rest[1]))


def squared(slab: Tensor, plane: Plane, grid: Geometry) -> Tensor:
    """Interpolate (depth, rows, columns) so that its pixels are squares, of the finer spacing.

    Rows or columns that run across thick slices are as far apart as those.
    """
    spacing = np.asarray(grid.spacing_mm)[list(plane.order[1:])]
    lengths = (np.asarray(slab.shape[1:]) - 1) * spacing
    size = tuple(int(n) for n in np.round(lengths / spacing.min()) + 1)
    return resized(slab, size)


def resized(slab: Tensor, size: tuple[int, ...]) -> Tensor:
    """Interpolate (depth, rows, columns) to other rows and columns, the outermost staying."""
    if tuple(slab.shape[1:]) == size:
        return slab
    return functional.interpolate(slab[None], size=size, mode="bilinear", align_corners=True)[0]
