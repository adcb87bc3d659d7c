"""Implicit shapes, and their sampling on a grid with partial volume.

Implicit shapes that the head phantom is put together from.
A shape gives an approximate signed distance in millimetres, negative inside. The head is built in
one half: shapes are placed at x >= 0 and met by points through abs(x), so that every one stands on
both sides; the subject's own warp makes the sides differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.simulate.tissues import Tissue

Field = NDArray[np.float32]
Labels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Triple = tuple[float, float, float]

# Keeps the distance finite at the very centre of a shape, where its gradient is not defined.
_TINY = np.float32(1e-6)

# A tube leaves out segments farther from the points than this; no surface is grown or blended
# over more.
_FAR_MM = 14.0


@dataclass(frozen=True)
class Points:
    """Points in canonical head millimetres; ``x``, ``side_x = abs(x)``, ``y``, ``z`` are (n,)."""

    x: Field
    side_x: Field
    y: Field
    z: Field
    low: Triple
    high: Triple

    def overlaps(self, low: Triple, high: Triple) -> bool:
        """Whether the points' bounding box meets the box from ``low`` to ``high``."""
        return all(
            a <= d and c <= b for a, b, c, d in zip(self.low, self.high, low, high, strict=True)
        )


def points_from(x: Field, y: Field, z: Field) -> Points:
    """Make points of three (n,) float32 coordinates; n is at least 1."""
    side = np.abs(x)
    low = (float(side.min()), float(y.min()), float(z.min()))
    high = (float(side.max()), float(y.max()), float(z.max()))
    return Points(x=x, side_x=side, y=y, z=z, low=low, high=high)


class Shape(Protocol):
    """What can be painted."""

    def bounds(self, grow_mm: float) -> tuple[Triple, Triple]:
        """Return the low and the high corner of a box that holds the grown shape."""
        ...

    def distance(self, points: Points) -> Field:
        """Return (n,) the signed distance, mm."""
        ...


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid; ``pitch_deg`` turns it about the x axis, front end up."""

    centre: Triple
    radii: Triple
    pitch_deg: float = 0.0

    def bounds(self, grow_mm: float) -> tuple[Triple, Triple]:
        """See :class:`Shape`."""
        reach = max(self.radii[1:]) if self.pitch_deg else 0.0
        half = [max(r, reach) if i else r for i, r in enumerate(self.radii)]
        low, high = (
            [c + sign * (h + grow_mm) for c, h in zip(self.centre, half, strict=True)]
            for sign in (-1.0, 1.0)
        )
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def distance(self, points: Points) -> Field:
        """See :class:`Shape`."""
        dx = points.side_x - np.float32(self.centre[0])
        dy = points.y - np.float32(self.centre[1])
        dz = points.z - np.float32(self.centre[2])
        if self.pitch_deg:
            cos = np.float32(np.cos(np.deg2rad(self.pitch_deg)))
            sin = np.float32(np.sin(np.deg2rad(self.pitch_deg)))
            dy, dz = cos * dy + sin * dz, cos * dz - sin * dy
        ux, uy, uz = (
            d * np.float32(1.0 / r) for d, r in zip((dx, dy, dz), self.radii, strict=True)
        )
        norm = np.sqrt(ux * ux + uy * uy + uz * uz)
        rx, ry, rz = (np.float32(1.0 / r) for r in self.radii)
        slope = np.sqrt((ux * rx) ** 2 + (uy * ry) ** 2 + (uz * rz) ** 2)
        return np.asarray(norm * (norm - 1) / (slope + _TINY), dtype=np.float32)


@dataclass(frozen=True)
class Tube:
    """A chain of capsules through ``path``, each entry (x, y, z, radius).

    ``flat`` is the ratio of the radius along z to the one across; above 1 the section stands up.
    """

    path: tuple[tuple[float, float, float, float], ...]
    flat: float = 1.0

    def bounds(self, grow_mm: float) -> tuple[Triple, Triple]:
        """See :class:`Shape`."""
        reach = max(p[3] for p in self.path) * max(1.0, self.flat) + grow_mm * max(1.0, self.flat)
        columns = list(zip(*self.path, strict=True))[:3]
        low = [min(c) - reach for c in columns]
        high = [max(c) + reach for c in columns]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def distance(self, points: Points) -> Field:
        """See :class:`Shape`; infinite where more than 14 mm away, or the distance."""
        result = np.full(points.x.shape, np.inf, dtype=np.float32)
        for ends in zip(self.path[:-1], self.path[1:], strict=True):
            segment = Tube(ends, self.flat)
            if points.overlaps(*segment.bounds(_FAR_MM)):
                np.minimum(result, self._segment(points, *ends), out=result)
        return result

    def _segment(self, points: Points, start: tuple[float, ...], end: tuple[float, ...]) -> Field:
        squeeze = np.float32(1.0 / self.flat)
        px = points.side_x - np.float32(start[0])
        py = points.y - np.float32(start[1])
        pz = (points.z - np.float32(start[2])) * squeeze
        bx, by, bz = end[0] - start[0], end[1] - start[1], (end[2] - start[2]) / self.flat
        length = max(bx * bx + by * by + bz * bz, 1e-6)
        along = px * np.float32(bx / length) + py * np.float32(by / length)
        along += pz * np.float32(bz / length)
        np.clip(along, 0.0, 1.0, out=along)
        px -= along * np.float32(bx)
        py -= along * np.float32(by)
        pz -= along * np.float32(bz)
        radius = np.float32(start[3]) + along * np.float32(end[3] - start[3])
        return np.asarray(np.sqrt(px * px + py * py + pz * pz) - radius, dtype=np.float32)


@dataclass(frozen=True)
class Part:
    """A shape of one tissue; ``grow_mm`` moves its surface outwards (a shell) or inwards."""

    shape: Shape
    tissue: Tissue
    grow_mm: float = 0.0

    def mask(self, points: Points) -> Mask | None:
        """Return (n,) where the points lie in the part, or None if no point can."""
        if not points.overlaps(*self.shape.bounds(max(self.grow_mm, 0.0))):
            return None
        return np.asarray(self.shape.distance(points) < np.float32(self.grow_mm))


def paint(parts: tuple[Part, ...], points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Write the parts into ``labels`` (n,) in order, the later over the earlier, where allowed."""
    for part in parts:
        mask = part.mask(points)
        if mask is not None:
            labels[mask & allowed] = part.tissue


def smooth_min(a: Field, b: Field, *, blend_mm: float) -> Field:
    """Return the union of two distances with the crease filled over ``blend_mm``."""
    gap = np.maximum(np.float32(blend_mm) - np.abs(a - b), 0)
    return np.asarray(np.minimum(a, b) - gap * gap * np.float32(0.25 / blend_mm), dtype=np.float32)


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
