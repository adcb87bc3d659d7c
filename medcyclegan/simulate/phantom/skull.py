"""The cranial cavity, the skull's vault in its two tables, and the bones of the base."""

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
from medcyclegan.simulate.tissues import Tissue

_TABLE_MM = np.float32(2.0)
_NO_MARROW_MM = 4.2

_TEMPORAL_FOSSA = Ellipsoid((39, -10, -20), (27, 35, 26))
_POSTERIOR_FOSSA = Ellipsoid((0, -60, -30), (58, 42, 35))
_BRAINSTEM_FUNNEL = Ellipsoid((0, -32, -46), (16, 16, 30))
_FOSSAE = ((_TEMPORAL_FOSSA, 9.0), (_POSTERIOR_FOSSA, 18.0), (_BRAINSTEM_FUNNEL, 9.0))
# A fossa moves no surface farther off than this: skull, scalp and the widest blend are less.
_REACH_MM = 40.0
_TEMPLE = Ellipsoid((68, 5, -6), (12, 34, 26))
_OCCIPUT = Ellipsoid((0, -108, -15), (30, 20, 26))


def cavity_distance(points: Points) -> Field:
    """Return (n,) the distance to the inner table of the skull, mm, negative inside."""
    distance = _upper_cavity(points)
    for shape, blend_mm in _FOSSAE:
        if points.overlaps(*shape.bounds(_REACH_MM)):
            distance = smooth_min(distance, shape.distance(points), blend_mm=blend_mm)
    return distance


def _upper_cavity(points: Points) -> Field:
    """A superellipsoid of exponent 2.25, broader behind than in front, flat below in front.

    Its distance is (norm - 1) over the slope of the norm; powers of 2.25 and 1.25 are spelt with
    square roots, which are several times faster.
    """
    width = np.clip(1.0 - 0.0013 * (points.y + 20.0), 0.8, 1.08).astype(np.float32)
    radius_x = np.float32(69.0) * width
    dz = points.z - np.float32(12.0)
    low = 36.0 + 24.0 * np.clip((-15.0 - points.y) / 50.0, 0.0, 1.0)
    radius_z = np.where(dz > 0, np.float32(69.0), low.astype(np.float32))
    radius_y = np.float32(89.0)
    scaled = (
        points.side_x / radius_x,
        np.abs(points.y + np.float32(16.0)) / radius_y,
        np.abs(dz) / radius_z,
    )
    powers = sum(u * u * np.sqrt(np.sqrt(u)) for u in scaled)
    norm = np.asarray(powers + np.float32(1e-6)) ** np.float32(1.0 / 2.25)
    slope = np.zeros_like(norm)
    for u, radius in zip(scaled, (radius_x, radius_y, radius_z), strict=True):
        ratio = u / norm
        slope += (ratio * np.sqrt(np.sqrt(ratio)) / radius) ** 2
    return np.asarray((norm - 1) / np.sqrt(slope + np.float32(1e-9)), dtype=np.float32)


def skull_thickness(points: Points, anatomy: Anatomy) -> Field:
    """Return (n,) the thickness of the skull, canonical mm: thin at the temple, thick behind."""
    thin = np.exp(-np.maximum(_TEMPLE.distance(points), 0) * np.float32(0.09))
    thick = np.exp(-np.maximum(_OCCIPUT.distance(points), 0) * np.float32(0.07))
    lumps = anatomy.lumps.value(points.x, points.y, points.z)
    factor = 1.0 + 0.07 * lumps - 0.45 * thin + 0.2 * thick
    return np.asarray(factor * anatomy.skull_mm, dtype=np.float32)


def paint_vault(
    points: Points,
    labels: Labels,
    cavity_mm: Field,
    thickness_mm: Field,
    *,
    anatomy: Anatomy,
    vault: Mask,
) -> None:
    """Write the two tables and the marrow between them into ``labels`` where ``vault`` (n,) is.

    ``cavity_mm`` (n,) is the distance to the inner table, ``thickness_mm`` (n,) the skull's. Where
    the skull is thin it has no marrow; elsewhere the tables' thickness is patchy.
    """
    if not vault.any():
        return
    patches = anatomy.patches.value(points.x, points.y, points.z)
    table_mm = np.minimum(_TABLE_MM * (1.0 + 0.22 * patches), 0.36 * thickness_mm)
    labels[vault] = Tissue.CORTICAL_BONE
    marrow = (cavity_mm > table_mm) & (cavity_mm < thickness_mm - table_mm)
    labels[vault & marrow & (thickness_mm > _NO_MARROW_MM)] = Tissue.DIPLOE


_CLIVUS = Tube(((0, -9, -33, 7.5), (0, -12, -48, 6.5), (0, -19, -62, 5.0)))
_SPHENOID = Ellipsoid((0, 10, -38), (19, 22, 13))
_GREATER_WING = Tube(((14, 20, -30, 4.0), (34, 30, -30, 3.5), (52, 30, -28, 4.0)))
_PETROUS = Tube(((11, -13, -33, 5.5), (30, -22, -34, 9.0), (52, -30, -40, 11.0)))
_MASTOID = Ellipsoid((54, -33, -50), (11, 15, 20))
# The bone around the inner half of the ear canal.
_CANAL_WALL = Tube(((66, -23, -42, 6.0), (53, -22, -41, 6.5)))
_CONDYLE = Ellipsoid((20, -34, -66), (9, 13, 8))
_PTERYGOID_PLATE = Tube(((15, 16, -44, 2.2), (15, 14, -72, 1.6)))

_BASE = (
    Part(_CLIVUS, Tissue.CORTICAL_BONE),
    Part(_CLIVUS, Tissue.MARROW, grow_mm=-1.8),
    Part(_SPHENOID, Tissue.CORTICAL_BONE),
    Part(_SPHENOID, Tissue.MARROW, grow_mm=-2.0),
    Part(_GREATER_WING, Tissue.CORTICAL_BONE),
    Part(_CONDYLE, Tissue.CORTICAL_BONE),
    Part(_CONDYLE, Tissue.MARROW, grow_mm=-2.0),
    Part(_PTERYGOID_PLATE, Tissue.CORTICAL_BONE),
    Part(_MASTOID, Tissue.CORTICAL_BONE),
    Part(_PETROUS, Tissue.CORTICAL_BONE),
    Part(_CANAL_WALL, Tissue.CORTICAL_BONE),
    # Apex of the pyramid: the one part of it that often holds fatty marrow.
    Part(Ellipsoid((14, -14, -34), (5, 4, 3)), Tissue.MARROW),
    # Sella with the pituitary gland.
    Part(Ellipsoid((0, 2, -25), (8, 6, 5.5)), Tissue.CSF),
    Part(Ellipsoid((0, 1, -27.5), (6, 4.5, 3.5)), Tissue.MUCOSA),
)

_INNER_EAR = (
    Part(Ellipsoid((40, -23, -37), (8.0, 7.0, 7.0)), Tissue.OTIC_BONE),
    Part(Ellipsoid((51, -22, -40), (4, 4, 6)), Tissue.AIR),
    Part(Ellipsoid((42, -22, -37), (3, 4, 3)), Tissue.CSF),
    Part(Tube(((26, -25, -35, 2.2), (38, -24, -36, 2.2))), Tissue.CSF),
)


def paint_base(points: Points, labels: Labels, *, anatomy: Anatomy, allowed: Mask) -> None:
    """Write the bones of the base and the mastoid's air cells."""
    paint(_BASE, points, labels, allowed=allowed)
    _paint_mastoid_cells(points, labels, growth=anatomy.growth)


def paint_inner_ear(points: Points, labels: Labels, *, allowed: Mask) -> None:
    """Write middle and inner ear, after the brain, which would fill their fluid."""
    paint(_INNER_EAR, points, labels, allowed=allowed)


def _paint_mastoid_cells(points: Points, labels: Labels, *, growth: float) -> None:
    """Fill the mastoid with cells of some 4 mm; they fill in over childhood."""
    cells = Part(_MASTOID, Tissue.AIR, grow_mm=-3.0 - 3.0 * (1.0 - growth)).mask(points)
    if cells is not None:
        labels[cells & honeycomb(points, cell_mm=5.0, wall=0.35)] = Tissue.AIR


def honeycomb(points: Points, *, cell_mm: float, wall: float) -> Mask:
    """Return (n,) where a warped gyroid lies off its walls: connected cells with thin septa."""
    k = np.float32(2.0 * np.pi / (2.0 * cell_mm))
    bend = np.float32(0.6)
    x = points.x * k + bend * np.sin(points.z * k * np.float32(0.37))
    y = points.y * k + bend * np.sin(points.x * k * np.float32(0.41))
    z = points.z * k + bend * np.sin(points.y * k * np.float32(0.43))
    gyroid = np.sin(x) * np.cos(y) + np.sin(y) * np.cos(z) + np.sin(z) * np.cos(x)
    return np.asarray(np.abs(gyroid) > np.float32(wall))
