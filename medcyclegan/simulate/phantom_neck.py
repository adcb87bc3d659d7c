"""The neck: spine, cord, airway, great vessels and the muscles about them."""

from __future__ import annotations

import numpy as np

from medcyclegan.simulate.phantom_shapes import Ellipsoid, Labels, Mask, Part, Points, Tube, paint
from medcyclegan.simulate.tissues import Tissue

NECK = Ellipsoid((0, -24, -165), (58, 60, 165))

_CANAL = Tube(((0, -41, -62, 11), (0, -43, -80, 9.5), (0, -46, -150, 9), (0, -50, -330, 9)))
_CORD = Tube(((0, -41, -74, 6.0), (0, -46, -150, 5.5), (0, -50, -330, 5.5)))
_ATLAS_ARCH = Tube(
    ((0, -17, -76, 4), (12, -20, -76, 5), (20, -33, -76, 6), (19, -46, -76, 4), (0, -58, -76, 4.5))
)
_ATLAS_MASS = Tube(((20, -34, -76, 7.5), (36, -34, -76, 4.0)))
_DENS = Tube(((0, -26, -74, 5.5), (0, -27, -92, 6.0)))
_COLUMN = Tube(((0, -27, -88, 10.0), (0, -29, -150, 11.0), (0, -33, -330, 12.0)))
_PILLAR = Tube(((17, -38, -86, 6.0), (18, -40, -150, 6.5), (18, -44, -330, 7.0)))
_SPINES = Tube(((0, -56, -92, 4.0), (0, -62, -150, 4.0), (0, -72, -330, 4.5)))

_FIRST_DISC_MM = -102.0
_VERTEBRA_MM = 18.0
_DISC_MM = 5.0
_LAMINAE = tuple(
    Tube(((18, -42, height, 4.0), (9, -54, height - 3, 3.2), (0, -60, height - 5, 3.6)), flat=1.6)
    for height in np.arange(-90.0, -320.0, -_VERTEBRA_MM)
)

_MUSCLES = (
    Part(Tube(((55, -34, -62, 6), (44, -2, -130, 8), (20, 18, -190, 7)), flat=1.3), Tissue.MUSCLE),
    Part(Ellipsoid((20, -82, -95), (17, 13, 60)), Tissue.MUSCLE),
    Part(Ellipsoid((20, -62, -95), (17, 10, 45)), Tissue.MUSCLE),
    Part(Ellipsoid((40, -56, -105), (10, 16, 45)), Tissue.MUSCLE),
    Part(Ellipsoid((11, -13, -110), (9, 5, 55)), Tissue.MUSCLE),
    Part(Ellipsoid((32, -30, -120), (9, 12, 38)), Tissue.MUSCLE),
)

_VESSELS = (
    Part(
        Tube(((27, -20, -52, 3.0), (28, -10, -80, 3.0), (26, -4, -125, 3.6), (22, 0, -220, 3.8))),
        Tissue.BLOOD,
    ),
    Part(
        Tube(((30, -28, -56, 4.0), (33, -16, -85, 5.0), (32, -8, -130, 5.5), (28, -4, -220, 6))),
        Tissue.BLOOD,
    ),
    Part(Tube(((27, -32, -80, 1.9), (25, -32, -220, 1.9))), Tissue.BLOOD),
)

_AIRWAY_WALL = Tube(
    ((0, 12, -62, 11), (0, 2, -84, 9), (0, 3, -110, 9), (0, 8, -135, 10), (0, 6, -220, 10))
)
_AIRWAY = (
    Part(_AIRWAY_WALL, Tissue.MUCOSA),
    Part(Ellipsoid((0, 12, -60), (11, 7, 10)), Tissue.AIR),
    Part(
        Tube(((0, 9, -66, 5), (0, 2, -84, 4), (0, 3, -110, 5.5), (0, 8, -135, 5), (0, 6, -220, 7))),
        Tissue.AIR,
    ),
)


def paint_neck(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Write the neck's muscles, spine and vessels into ``labels`` (n,) where allowed."""
    if points.low[2] > -40.0:
        return
    paint(_MUSCLES, points, labels, allowed=allowed)
    _paint_spine(points, labels, allowed=allowed)
    paint(_VESSELS, points, labels, allowed=allowed)


def paint_canal(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Open the spinal canal, through the skull's base too, and write the cord into it."""
    paint((Part(_CANAL, Tissue.CSF), Part(_CORD, Tissue.CORD)), points, labels, allowed=allowed)


def paint_airway(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Write pharynx and trachea, after the face so that they stay open."""
    paint(_AIRWAY, points, labels, allowed=allowed)


def _paint_spine(points: Points, labels: Labels, *, allowed: Mask) -> None:
    bone = tuple(
        part
        for shape in (_COLUMN, _PILLAR, _SPINES, _ATLAS_ARCH, _ATLAS_MASS, _DENS, *_LAMINAE)
        for part in (
            Part(shape, Tissue.CORTICAL_BONE),
            Part(shape, Tissue.MARROW, grow_mm=-1.4),
        )
    )
    height = np.mod(points.z - np.float32(_FIRST_DISC_MM), np.float32(_VERTEBRA_MM))
    gap = (points.z < _FIRST_DISC_MM + _DISC_MM) & (height < _DISC_MM)
    disc: Mask = gap & (points.side_x < 14.0) & (points.y > -40.0)
    behind = (points.z < -84.0) & (points.y < -63.0) & (height < 8.0)
    paint(bone, points, labels, allowed=allowed & ~disc & ~behind)
    column = (Part(_COLUMN, Tissue.MUCOSA),)
    paint(column, points, labels, allowed=allowed & disc)
