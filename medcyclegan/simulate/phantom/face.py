"""Face and neck of the phantom: jaws, teeth, orbits, sinuses, airway, spine and muscles."""

from __future__ import annotations

import numpy as np

from medcyclegan.simulate.phantom.anatomy import Anatomy
from medcyclegan.simulate.phantom.shapes import (
    Ellipsoid,
    Field,
    Labels,
    Mask,
    Part,
    Points,
    Tube,
    paint,
    smooth_min,
)
from medcyclegan.simulate.phantom.skull import honeycomb
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

_NECK_MUSCLES = (
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
    paint(_NECK_MUSCLES, points, labels, allowed=allowed)
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


_BODY = Tube(
    ((46, 16, -104, 4.5), (37, 40, -112, 5.2), (22, 64, -117, 5.2), (0, 75, -118, 5.5)), flat=2.0
)
_RAMUS = Tube(((46, 14, -106, 5), (48, 8, -84, 4.5), (49, -4, -56, 5.0)))
_RAMUS_FRONT = Tube(((45, 22, -104, 4.5), (48, 18, -80, 3.6), (50, 18, -58, 2.4)))
_RAMUS_PLATE = Ellipsoid((48, 12, -85), (4.0, 13, 22), pitch_deg=-10)

_JAW_BONES = (
    *(Part(s, Tissue.CORTICAL_BONE) for s in (_BODY, _RAMUS, _RAMUS_FRONT, _RAMUS_PLATE)),
    *(Part(s, Tissue.MARROW, grow_mm=-1.9) for s in (_BODY, _RAMUS, _RAMUS_PLATE)),
)

# Both rows stand on one arch, a half ellipse open to the back: (half width, depth), mm.
_ARCH_CENTRE_Y = 34.0
_ARCH = (26.0, 41.0)
_ROW_LOW_MM, _ROW_HIGH_MM = -109.0, -84.0
_BITE_MM = -97.0
_TEETH = 7.5
# Length of half the arch, for the width of a tooth; length of a crown, and of the enamel on it.
_HALF_ARCH_MM = 53.0
_CROWN_MM, _ENAMEL_MM = 8.0, 1.3


def paint_jaw(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Write the mandible and the teeth into ``labels`` (n,) where allowed."""
    if not points.overlaps((0, -20, -135), (60, 95, -45)):
        return
    paint(_JAW_BONES, points, labels, allowed=allowed)
    _paint_teeth(points, labels, allowed=allowed)


def _paint_teeth(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Cut the arch at equal angles into teeth that taper to their roots.

    Crowns are covered with enamel; dentine is within them and in the roots.
    """
    u = points.side_x / np.float32(_ARCH[0])
    v = (points.y - np.float32(_ARCH_CENTRE_Y)) / np.float32(_ARCH[1])
    norm = np.sqrt(u * u + v * v) + np.float32(1e-6)
    across = np.abs(norm - 1.0) * np.float32(30.0)
    turn = np.arctan2(np.maximum(v, 0), u)
    pitch = np.float32(np.pi / 2 / _TEETH)
    beside = np.abs(np.mod(turn, pitch) / pitch - 0.5)
    height = np.abs(points.z - np.float32(_BITE_MM))
    taper = np.clip(1.35 - height / 13.0, 0.0, 1.0)
    row = (points.z > _ROW_LOW_MM) & (points.z < _ROW_HIGH_MM) & (v > -0.1)
    tooth: Mask = row & (across < 4.6 * taper) & (beside < 0.45 * taper) & (height > 0.4)
    labels[tooth & allowed] = Tissue.TOOTH
    beside_mm = (0.45 * taper - beside) * np.float32(_HALF_ARCH_MM / _TEETH)
    depth_mm = np.minimum(np.minimum(4.6 * taper - across, beside_mm), height - 0.4)
    labels[tooth & allowed & (height < _CROWN_MM) & (depth_mm < _ENAMEL_MM)] = Tissue.ENAMEL


_SOFT_OUTLINE = (
    (Ellipsoid((0, 28, -50), (66, 60, 50)), 14.0),
    (Ellipsoid((0, 34, -92), (58, 52, 40)), 16.0),
    (Ellipsoid((0, 46, -16), (52, 38, 20)), 12.0),
    (Ellipsoid((0, 74, -118), (19, 16, 15)), 14.0),
    (NECK, 22.0),
    (Ellipsoid((0, 82, -94), (20, 10, 12)), 9.0),
    (Tube(((0, 82, -34, 5.5), (0, 100, -64, 7.5))), 9.0),
    (Ellipsoid((8.5, 89, -67), (6, 8, 7)), 5.0),
)
_EYE_HOLLOW = Ellipsoid((33, 88, -37), (17, 15, 11))
_EAR = Ellipsoid((76, -32, -38), (6, 15, 29))
_EAR_ROOT = Ellipsoid((68, -26, -40), (12, 9, 16))
_CONCHA = Ellipsoid((84, -25, -40), (6, 7, 12))
_EAR_CANAL = Tube(((88, -24, -42, 3.2), (70, -23, -42, 2.9), (53, -22, -41, 2.6)))


def outline_distance(points: Points, vault_mm: Field) -> Field:
    """Return (n,) the distance to the skin's surface, mm, negative in the head.

    ``vault_mm`` (n,) is the distance to the scalp over the cranium.
    """
    distance = vault_mm
    for shape, blend_mm in _SOFT_OUTLINE:
        if points.overlaps(*shape.bounds(40.0)):
            distance = smooth_min(distance, shape.distance(points), blend_mm=blend_mm)
    if points.overlaps(*_EYE_HOLLOW.bounds(12.0)):
        hollow = -_EYE_HOLLOW.distance(points)
        distance = -smooth_min(-distance, -hollow, blend_mm=8.0)
    if points.overlaps(*_EAR.bounds(12.0)):
        ear = np.maximum(_EAR.distance(points), -_CONCHA.distance(points))
        distance = smooth_min(distance, _EAR_ROOT.distance(points), blend_mm=6.0)
        distance = smooth_min(distance, ear, blend_mm=4.0)
    return distance


_CHEWING_MUSCLES = (
    Part(Ellipsoid((63, 10, -24), (10, 32, 34)), Tissue.MUSCLE),
    Part(Ellipsoid((57, 22, -84), (7.5, 15, 26), pitch_deg=-15), Tissue.MUSCLE),
    Part(Ellipsoid((34, 14, -62), (11, 18, 13)), Tissue.MUSCLE),
    Part(Ellipsoid((30, 8, -80), (7, 10, 24)), Tissue.MUSCLE),
    Part(Ellipsoid((0, 34, -99), (22, 32, 17)), Tissue.MUSCLE),
    Part(Ellipsoid((0, 40, -118), (24, 30, 6)), Tissue.MUSCLE),
    Part(Tube(((0, 84, -92, 5.0), (18, 79, -96, 4.5), (32, 62, -96, 4.0))), Tissue.MUSCLE),
    Part(Ellipsoid((46, 46, -96), (4, 20, 12)), Tissue.MUSCLE),
    Part(Ellipsoid((55, -8, -80), (11, 13, 22)), Tissue.MUCOSA),
    Part(Tube(((0, 26, -80, 4), (0, 8, -88, 4.5))), Tissue.MUSCLE),
)

_ORBIT = Tube(((15, 22, -32, 5), (24, 40, -35, 14), (32, 58, -37, 18.5), (34, 72, -38, 19)))
_GLOBE = Ellipsoid((32, 59, -37), (12.2, 12.2, 12.2))
_ORBIT_PARTS = (
    Part(_ORBIT, Tissue.FAT),
    Part(
        Tube(((15, 26, -27, 1.5), (28, 50, -22, 3.0), (31, 62, -25, 1.5)), flat=0.5), Tissue.MUSCLE
    ),
    Part(
        Tube(((15, 26, -37, 1.5), (28, 48, -49, 3.0), (31, 60, -50, 1.5)), flat=0.5), Tissue.MUSCLE
    ),
    Part(
        Tube(((13, 26, -32, 1.5), (17, 46, -36, 2.6), (20, 60, -37, 1.3)), flat=2.0), Tissue.MUSCLE
    ),
    Part(
        Tube(((18, 26, -32, 1.5), (38, 44, -36, 2.6), (44, 58, -37, 1.3)), flat=2.0), Tissue.MUSCLE
    ),
    Part(Tube(((15, 22, -31, 2.8), (24, 38, -34, 3.0), (31, 48, -37, 3.2))), Tissue.CSF),
    Part(Tube(((15, 22, -31, 1.7), (24, 38, -34, 1.7), (31, 48, -37, 1.8))), Tissue.WHITE_MATTER),
    Part(Ellipsoid((40, 66, -27), (6, 7, 4)), Tissue.MUCOSA),
    Part(_GLOBE, Tissue.MUSCLE),
    Part(_GLOBE, Tissue.EYE_FLUID, grow_mm=-1.1),
    Part(Ellipsoid((32, 66.5, -37), (4.6, 2.1, 4.6)), Tissue.LENS),
)

_MAXILLA = (Ellipsoid((31, 45, -60), (18, 20, 16)), Ellipsoid((27, 47, -70), (15, 17, 14)))
_CHEEK = Tube(
    ((38, 62, -54, 6), (52, 50, -56, 6.5), (62, 30, -55, 4.0), (66, 8, -52, 3.0), (67, -12, -48, 4))
)
_ORBIT_RIM = Tube(
    ((50, 50, -54, 5), (51, 50, -36, 4.5), (47, 57, -20, 5), (30, 69, -14, 5.5), (8, 76, -20, 6))
)
_NASAL_BONE = Tube(((3, 80, -24, 3.5), (4, 87, -44, 2.6)))
_ETHMOID = Ellipsoid((0, 44, -37), (13, 26, 14))
_BROW = Ellipsoid((0, 72, -12), (30, 8, 15))
_ALVEOLUS = Tube(
    ((27, 34, -85, 7), (24, 52, -85, 6.5), (15, 68, -85, 6), (0, 75, -85, 6)), flat=1.2
)
_FACE_BONES = tuple(
    part
    for shape, shell_mm in (
        (_MAXILLA[0], 1.6),
        (_MAXILLA[1], 1.6),
        (_CHEEK, 1.6),
        (_ORBIT_RIM, 1.8),
        (_BROW, 1.7),
        (_ALVEOLUS, 1.6),
    )
    for part in (
        Part(shape, Tissue.CORTICAL_BONE),
        Part(shape, Tissue.MARROW, grow_mm=-shell_mm),
    )
)
_THIN_BONES = (
    Part(_NASAL_BONE, Tissue.CORTICAL_BONE),
    Part(_ETHMOID, Tissue.CORTICAL_BONE),
    Part(_ORBIT, Tissue.CORTICAL_BONE, grow_mm=1.6),
    Part(Ellipsoid((0, 50, -79), (22, 26, 3.2)), Tissue.CORTICAL_BONE),
)

_NASAL_CAVITY = Ellipsoid((0, 50, -62), (15, 40, 18))
_NOSE = (
    Part(_NASAL_CAVITY, Tissue.MUCOSA),
    Part(_NASAL_CAVITY, Tissue.AIR, grow_mm=-1.5),
    Part(Tube(((8, 92, -75, 3.4), (7, 88, -66, 4.0), (6, 76, -60, 4.0))), Tissue.AIR),
    Part(Ellipsoid((9.5, 50, -69), (4.2, 25, 5.5)), Tissue.MUCOSA),
    Part(Ellipsoid((8.5, 46, -58), (3.4, 22, 4.5)), Tissue.MUCOSA),
    Part(Ellipsoid((9.5, 50, -69), (1.0, 20, 3)), Tissue.CORTICAL_BONE),
    Part(Ellipsoid((0, 52, -60), (1.8, 36, 19)), Tissue.MUCOSA),
    Part(Ellipsoid((0, 48, -60), (0.7, 30, 17)), Tissue.CORTICAL_BONE),
)


def paint_face(points: Points, labels: Labels, *, anatomy: Anatomy, allowed: Mask) -> None:
    """Write muscles, bones, sinuses and orbits into ``labels`` (n,) where allowed."""
    if points.high[1] < -45.0 or points.low[2] > 30.0:
        return
    paint(_CHEWING_MUSCLES, points, labels, allowed=allowed)
    paint(_FACE_BONES, points, labels, allowed=allowed)
    paint(_THIN_BONES, points, labels, allowed=allowed)
    paint(_sinuses(anatomy.growth), points, labels, allowed=allowed)
    _paint_ethmoid(points, labels, allowed=allowed)
    paint(_NOSE, points, labels, allowed=allowed)
    paint(_ORBIT_PARTS, points, labels, allowed=allowed)


def paint_ear_canal(points: Points, labels: Labels) -> None:
    """Open the ear canals from outside."""
    paint((Part(_EAR_CANAL, Tissue.AIR),), points, labels, allowed=np.ones(labels.shape, bool))


def _sinuses(growth: float) -> tuple[Part, ...]:
    """Return the air sinuses with their lining; they grow through childhood."""
    shrink = 5.0 * (1.0 - growth)
    frontal = Ellipsoid((11, 73, -10), (11, 5.0, 13))
    sphenoid = Ellipsoid((8.5, 14, -38), (8.2, 15, 10.5))
    walls = ((_MAXILLA[0], 1.8), (_MAXILLA[1], 1.8), (frontal, 0.0), (sphenoid, 0.0))
    lining = tuple(
        Part(shape, Tissue.MUCOSA, grow_mm=-shrink - wall_mm) for shape, wall_mm in walls
    )
    return lining + tuple(
        Part(shape, Tissue.AIR, grow_mm=-shrink - wall_mm - 0.9) for shape, wall_mm in walls
    )


def _paint_ethmoid(points: Points, labels: Labels, *, allowed: Mask) -> None:
    cells = Part(_ETHMOID, Tissue.AIR, grow_mm=-1.2).mask(points)
    if cells is not None:
        cells &= allowed
        labels[cells] = Tissue.MUCOSA
        labels[cells & honeycomb(points, cell_mm=8.0, wall=0.25)] = Tissue.AIR
