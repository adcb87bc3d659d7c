"""Sampling a function of world points on a grid, block by block, with partial volume."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from medcyclegan.geometry import Geometry
from medcyclegan.simulate.phantom_shapes import Field, Labels, Mask

FloatArray = NDArray[np.float64]
Labeller = Callable[[FloatArray], tuple[Labels, Field]]
Block = tuple[slice, slice, slice]

# Points evaluated at once: a dozen float32 fields of so many stay in a processor's second-level
# cache, and the box they fill is small enough to leave most of the anatomy out.
_POINTS = 24_000

# Sub-samples stand about this far apart, two or three along an axis: tables of bone are 2 mm.
_SUBSAMPLE_MM = 0.8
_FEWEST, _MOST = 2, 3
# Along the axis of thick slices more, as blur along it is what such slices look like.
_MOST_IN_SLICE = 4
_THICK_RATIO = 2.0


@dataclass(frozen=True)
class Sampled:
    """What was sampled, all on the grid (i, j, k).

    ``labels`` uint8 and ``body`` bool are those of voxel centres; ``means`` float32
    (n_tables, i, j, k) are the means over sub-samples of the tables' values.
    """

    labels: Labels
    body: Mask
    means: NDArray[np.float32]


def sample_grid(labeller: Labeller, geometry: Geometry, *, tables: FloatArray) -> Sampled:
    """Evaluate a labeller at voxel centres and at sub-samples of each voxel.

    Parameters
    ----------
    labeller:
        World points (n, 3) in RAS mm -> labels (n,) uint8 and distance to the skin (n,), mm.
    tables:
        (n_tables, n_labels), the values to average; row by row, looked up by label.
    """
    shape = geometry.shape
    labels = np.zeros(shape, dtype=np.uint8)
    body = np.zeros(shape, dtype=bool)
    means = np.empty((len(tables), *shape), dtype=np.float32)
    offsets = subsample_offsets(geometry)
    lookup = (tables / len(offsets)).astype(np.float32)
    # The voxel's centre goes first, the sub-samples after it.
    steps = np.concatenate([np.zeros((1, 3)), offsets]) @ geometry.affine_ras[:3, :3].T
    for block in _blocks(geometry, points_per_voxel=len(steps)):
        sides = tuple(s.stop - s.start for s in block)
        world = geometry.to_world(_indices(block))
        found, skin_mm = labeller((steps[:, None] + world).reshape(-1, 3))
        found = found.reshape(len(steps), *sides)
        labels[block] = found[0]
        body[block] = skin_mm[: len(world)].reshape(sides) < 0
        for mean, row in zip(means, lookup, strict=True):
            mean[block] = row[found[1:]].sum(axis=0)
    return Sampled(labels, body, means)


def subsample_offsets(geometry: Geometry) -> FloatArray:
    """Return (n, 3) the sub-samples of a voxel, in voxels from its centre."""
    finest = min(geometry.spacing_mm)
    counts = []
    for spacing in geometry.spacing_mm:
        most = _MOST_IN_SLICE if spacing > _THICK_RATIO * finest else _MOST
        counts.append(int(np.clip(round(spacing / _SUBSAMPLE_MM), _FEWEST, most)))
    axes = [(np.arange(n) + 0.5) / n - 0.5 for n in counts]
    return np.array(list(product(*axes)))


def _blocks(geometry: Geometry, *, points_per_voxel: int) -> Iterator[Block]:
    """Cut the grid into boxes that are about cubes in space."""
    spacing = np.asarray(geometry.spacing_mm)
    side_mm = np.cbrt(_POINTS / points_per_voxel * np.prod(spacing))
    sides = [max(1, round(side_mm / mm)) for mm in spacing]
    starts = [range(0, n, side) for n, side in zip(geometry.shape, sides, strict=True)]
    for corner in product(*starts):
        i, j, k = (
            slice(start, min(start + side, n))
            for start, side, n in zip(corner, sides, geometry.shape, strict=True)
        )
        yield i, j, k


def _indices(block: Block) -> FloatArray:
    axes = [np.arange(s.start, s.stop, dtype=np.float64) for s in block]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
