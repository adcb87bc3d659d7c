"""Implicit shapes that the head phantom is put together from.

A shape gives an approximate signed distance in millimetres, negative inside. The head is built in
one half: shapes are placed at x >= 0 and met by points through abs(x), so that every one stands on
both sides; the subject's own warp makes the sides differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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
