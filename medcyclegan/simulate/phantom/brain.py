"""Brain of the phantom: cortex, cerebellum, deep grey matter, ventricles and vessels.

The folded sheets of the brain: cerebral cortex and the leaves of the cerebellum.
Both are made the same way. A depth below the smooth hull of the lobe is cut by sulci, thin sheets
that stand on the hull; the distance to the resulting pial surface gives fluid (negative), a grey
ribbon and white matter.
"""

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
    Shape,
    Tube,
    paint,
    points_from,
    smooth_min,
)
from medcyclegan.simulate.tissues import Tissue

_CORTEX_MM = np.float32(2.7)
_FOLIUM_MM = np.float32(1.8)

_HEMISPHERE_CENTRE = (31.0, -16.0, 8.0)
_HEMISPHERE_RADII = (37.0, 86.0, 66.0)

# The corpus callosum and all below it fill this ellipse of the midsagittal plane (y, z).
_CALLOSUM_CENTRE = (-10.0, -2.0)
_CALLOSUM_RADII = (45.0, 29.0)

_CEREBELLUM = (
    Ellipsoid((27, -62, -33), (34, 38, 28)),
    Ellipsoid((0, -64, -30), (17, 33, 28)),
)


def callosum_norm(points: Points) -> Field:
    """Return (n,) 1 on the callosum's upper surface, below 1 under it, unit-free."""
    dy = (points.y - np.float32(_CALLOSUM_CENTRE[0])) / np.float32(_CALLOSUM_RADII[0])
    dz = (points.z - np.float32(_CALLOSUM_CENTRE[1])) / np.float32(_CALLOSUM_RADII[1])
    return np.asarray(np.sqrt(dy * dy + dz * dz), dtype=np.float32)


def below_tentorium(points: Points) -> Field:
    """Return (n,) a distance to the compartment of the cerebellum, mm, negative inside.

    Its roof falls to the back and to the sides, its front wall follows the petrous ridge.
    """
    roof = -3.0 + 0.36 * np.minimum(points.y + 45.0, 0.0) - 0.0045 * points.side_x**2
    front = -13.0 - 0.5 * points.side_x
    return np.asarray(np.maximum(points.z - roof, points.y - front), dtype=np.float32)


def paint_cerebrum(points: Points, labels: Labels, cavity_mm: Field, *, anatomy: Anatomy) -> None:
    """Write the hemispheres into ``labels`` (n,); ``cavity_mm`` (n,) is negative in the skull."""
    tentorium = below_tentorium(points)
    chosen = np.flatnonzero((cavity_mm < -anatomy.cortex_gap_mm) & (tentorium > 1.0))
    if chosen.size == 0:
        return
    inner = points_from(points.x[chosen], points.y[chosen], points.z[chosen])
    depth = np.minimum(-cavity_mm[chosen] - anatomy.cortex_gap_mm, tentorium[chosen] - 1.0)
    arch = callosum_norm(inner)
    below = np.maximum(1.0 - arch, 0.0) * _CALLOSUM_RADII[1]
    bend = 1.6 * anatomy.fold_depth.value(np.zeros_like(inner.x), inner.y, inner.z)
    depth = np.minimum(depth, np.sqrt((inner.x - bend) ** 2 + below**2) - 0.9).astype(np.float32)
    pial = np.minimum(depth, _sulci_mm(inner, depth, anatomy=anatomy))
    pial = np.minimum(pial, _sylvian_mm(inner) - 1.2)
    labels[chosen] = _layers(pial, ribbon_mm=_CORTEX_MM)
    callosum = (arch < 1.0) & (arch > 0.80) & (inner.side_x < 13.0) & (inner.z > -6.0)
    labels[chosen[callosum]] = Tissue.WHITE_MATTER


def _layers(pial_mm: Field, *, ribbon_mm: np.float32) -> Labels:
    deep = np.where(pial_mm < ribbon_mm, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    return np.where(pial_mm < 0, Tissue.CSF, deep).astype(np.uint8)


def _sulci_mm(points: Points, depth_mm: Field, *, anatomy: Anatomy) -> Field:
    """Return (n,) the distance to the sulci's walls, mm.

    The sulci are the zero sheets of random waves on an ellipsoid about each hemisphere's middle:
    a point is moved out to it along its radius, so that sheets stand on the surface. Distance to
    a sheet is field over slope, the slope taken along the ellipsoid.
    """
    side = np.where(points.x < 0, np.float32(-1), np.float32(1))
    middle = _HEMISPHERE_CENTRE
    spoke = [points.side_x - np.float32(middle[0]), points.y - np.float32(middle[1])]
    spoke.append(points.z - np.float32(middle[2]))
    scaled = [v / np.float32(r) for v, r in zip(spoke, _HEMISPHERE_RADII, strict=True)]
    reach = np.sqrt(sum(u * u for u in scaled)) + np.float32(1e-3)
    x, y, z = (v / reach for v in spoke)
    # Bent on their way down, as real sulci are.
    x = x + 2.2 * np.sin(points.z * 0.17 + points.y * 0.08).astype(np.float32)
    y = y + 2.4 * np.sin(points.side_x * 0.21 + points.z * 0.07).astype(np.float32)
    z = z + 2.4 * np.sin(points.y * 0.15 + points.side_x * 0.13).astype(np.float32)
    value, slope = anatomy.folds.value_and_slope((x + np.float32(middle[0])) * side, y, z)
    slope[0] = slope[0] * side
    length = np.sqrt(sum(v * v for v in spoke)) + np.float32(1e-3)
    along = sum(g * v for g, v in zip(slope, spoke, strict=True)) / length
    steep = sum(g * g for g in slope) - along * along
    # The floor keeps flat spots of the field from becoming wide lakes of fluid.
    sheet = np.abs(value) / np.sqrt(np.maximum(steep, 0) + np.float32(2e-3)) * reach
    dips = anatomy.fold_depth.value(x * side, y, z)
    beyond = np.maximum(depth_mm - (17.0 + 5.0 * dips), 0.0)
    # Towards the middle the sheets would crowd: no sulcus goes there.
    beyond += np.maximum(0.55 - reach, 0.0) * 60.0
    # Sulci open towards the surface.
    width = anatomy.sulcus_mm + 0.5 * np.exp(-np.maximum(depth_mm, 0) * np.float32(0.25))
    return np.asarray(np.sqrt(sheet * sheet + beyond * beyond) - width, dtype=np.float32)


def _sylvian_mm(points: Points) -> Field:
    """Return (n,) the distance to the Sylvian fissure: a T of an oblique sheet and the insula."""
    slant = points.z + 4.0 - 0.32 * (points.y + 5.0) - 0.12 * (points.side_x - 45.0)
    ends = np.maximum(np.abs(points.y + 6.0) - 32.0, 0.0)
    inward = np.maximum(38.0 - points.side_x, 0.0)
    opercula = np.sqrt(slant**2 + ends**2 + inward**2)
    sheet = points.side_x - 38.0 - 0.004 * (points.y - 2.0) ** 2 + 0.02 * (slant - 3.0) ** 2
    oval = np.sqrt(((slant - 3.0) / 16.0) ** 2 + ((points.y - 1.0) / 26.0) ** 2)
    insula = np.sqrt(sheet**2 + (18.0 * np.maximum(oval - 1.0, 0.0)) ** 2)
    return np.asarray(np.minimum(opercula, insula), dtype=np.float32)


def paint_cerebellum(points: Points, labels: Labels, cavity_mm: Field) -> None:
    """Write the cerebellum into ``labels`` (n,): leaves that fan out about the fourth ventricle."""
    if not points.overlaps((0, -105, -66), (66, -20, 0)):
        return
    hull = _CEREBELLUM[0].distance(points)
    hull = smooth_min(hull, _CEREBELLUM[1].distance(points), blend_mm=6.0)
    depth = np.minimum(-hull, -cavity_mm - 1.2)
    depth = np.minimum(depth, -below_tentorium(points) - 1.0).astype(np.float32)
    inside = depth > 0
    y, z = points.y + np.float32(44.0), points.z + np.float32(34.0)
    arm = np.sqrt(y * y + z * z + np.float32(0.25) * points.side_x**2) + np.float32(1e-3)
    # Leaves of some 6 mm at the hull; the sideways term bends them round the hemispheres.
    turn = np.arctan2(z, -y) * np.float32(18.0) + np.float32(0.11) * points.side_x
    sheet = np.abs(np.sin(turn)) * arm / np.float32(18.0)
    beyond = np.maximum(depth - 11.0, 0.0)
    pial = np.minimum(depth, np.sqrt(sheet * sheet + beyond * beyond) - 0.4)
    layers = _layers(pial.astype(np.float32), ribbon_mm=_FOLIUM_MM)
    labels[inside] = layers[inside]


# A calcification of the choroid plexus in the atrium of the LEFT lateral ventricle (x < 0 in RAS),
# in every subject: the one deliberate asymmetry, by which a flipped image is told.
LEFT_MARKER = Ellipsoid((24, -42, 11), (4.5, 5.5, 4.5))

_DEEP = (
    # Internal capsule and fornix: white matter between the nuclei.
    Part(Ellipsoid((20, -2, 4), (13, 30, 16)), Tissue.WHITE_MATTER),
    Part(Ellipsoid((26, 2, 1), (6, 17, 11)), Tissue.DEEP_GREY),
    Part(Ellipsoid((19.5, -2, -1), (4.5, 9, 6.5)), Tissue.DEEP_GREY),
    Part(Tube(((12, 18, 1, 6), (14, 12, 10, 5.5), (17, -6, 20, 3.2))), Tissue.DEEP_GREY),
    Part(Tube(((17, -6, 20, 3.2), (22, -24, 19, 2.0))), Tissue.DEEP_GREY),
    Part(Ellipsoid((11, -18, 7), (9.5, 15, 9)), Tissue.DEEP_GREY),
    Part(Ellipsoid((23, -6, -19), (8, 7, 8)), Tissue.GREY_MATTER),
    Part(Tube(((25, -12, -20, 5), (30, -30, -9, 4))), Tissue.GREY_MATTER),
)

_CISTERNS = (
    Part(Ellipsoid((0, 2, -19), (14, 12, 7)), Tissue.CSF),
    Part(Ellipsoid((0, -16, -14), (23, 14, 9)), Tissue.CSF),
    Part(Ellipsoid((0, -41, -1), (11, 8, 9)), Tissue.CSF),
    Part(Ellipsoid((0, -56, -60), (13, 10, 7)), Tissue.CSF),
    # Optic chiasm and infundibulum.
    Part(Tube(((0, 2, -16, 2.2), (9, 12, -20, 2.0))), Tissue.WHITE_MATTER),
)

_BRAINSTEM = (
    Part(Tube(((0, -16, -3, 9), (13, -12, -10, 6.5), (9, -19, -18, 7))), Tissue.WHITE_MATTER),
    Part(Ellipsoid((0, -26, -8), (15, 10, 9)), Tissue.WHITE_MATTER),
    Part(Ellipsoid((0, -25, -29), (18, 13, 14)), Tissue.WHITE_MATTER),
    Part(Tube(((14, -32, -31, 7), (24, -44, -36, 7))), Tissue.WHITE_MATTER),
    Part(Tube(((0, -33, -38, 9.5), (0, -37, -58, 7.5), (0, -41, -74, 6.0))), Tissue.WHITE_MATTER),
    Part(Tube(((0, -33, -6, 1.0), (0, -36, -18, 0.9), (0, -38, -26, 1.5))), Tissue.CSF),
)

_LATERAL = Tube(
    (
        (13, 31, 0, 2.8),
        (10, 22, 9, 4.4),
        (9, 8, 17, 4.6),
        (12, -12, 22, 4.4),
        (19, -30, 19, 5.2),
        (25, -43, 11, 6.2),
        (26, -56, 8, 3.8),
        (24, -70, 6, 1.4),
    )
)
_TEMPORAL_HORN = Tube(
    ((25, -43, 10, 5), (35, -36, -4, 2.6), (34, -20, -16, 1.8), (31, -8, -21, 1.4))
)
_THIRD = Ellipsoid((0, -12, 3), (2.4, 15, 12))
_FOURTH = Ellipsoid((0, -43, -33), (6.5, 6.5, 9))


def _ventricles(widening_mm: float) -> tuple[Part, ...]:
    """Return the ventricles; the thin ones widen by a share of ``widening_mm``."""
    shares: tuple[tuple[Shape, float], ...] = (
        (_LATERAL, 1.0),
        (_TEMPORAL_HORN, 0.4),
        (_THIRD, 0.4),
        (_FOURTH, 0.2),
    )
    return tuple(Part(shape, Tissue.CSF, grow_mm=widening_mm * share) for shape, share in shares)


# Septum pellucidum and fornix between the lateral ventricles; vein of Galen, arteries of the base.
_MIDLINE = (
    Part(Ellipsoid((0, 8, 11), (0.9, 22, 9)), Tissue.WHITE_MATTER),
    Part(Tube(((1.5, -8, 13, 2.0), (6, -28, 15, 2.4))), Tissue.WHITE_MATTER),
    Part(Tube(((0, -38, 3, 2.2), (0, -50, 4, 2.0), (0, -78, -6, 2.0))), Tissue.BLOOD),
    Part(Tube(((0, -14, -18, 1.8), (0, -12, -30, 1.8), (0, -18, -46, 1.6))), Tissue.BLOOD),
    Part(
        Tube(((11, 2, -28, 2.6), (10, 8, -20, 2.2), (24, 6, -16, 1.6), (38, 4, -10, 1.3))),
        Tissue.BLOOD,
    ),
)


def paint_brain(points: Points, labels: Labels, cavity_mm: Field, *, anatomy: Anatomy) -> None:
    """Write all soft tissue in the cranial cavity.

    ``labels`` (n,) is changed in place; ``cavity_mm`` (n,) is the distance to the inner table.
    """
    cavity = cavity_mm < 0
    if not cavity.any():
        return
    labels[cavity] = Tissue.CSF
    paint_cerebrum(points, labels, cavity_mm, anatomy=anatomy)
    paint_cerebellum(points, labels, cavity_mm)
    paint(_DEEP, points, labels, allowed=cavity)
    paint(_CISTERNS, points, labels, allowed=cavity)
    paint(_BRAINSTEM, points, labels, allowed=cavity)
    paint(_ventricles(anatomy.ventricle_mm), points, labels, allowed=cavity)
    paint(_MIDLINE, points, labels, allowed=cavity)
    _paint_sinuses(points, labels, cavity_mm)
    marker = (Part(LEFT_MARKER, Tissue.CORTICAL_BONE),)
    paint(marker, points, labels, allowed=cavity & (points.x < 0))


def _paint_sinuses(points: Points, labels: Labels, cavity_mm: Field) -> None:
    """Write falx, tentorium and the venous sinuses in their edges."""
    cavity = cavity_mm < 0
    tentorium = below_tentorium(points)
    above = (points.y < 62.0) & (tentorium > -2.0) & ((points.z > 0) | (points.y < -70.0))
    sagittal: Mask = above & (cavity_mm > points.side_x * np.float32(1.1) - 6.0)
    lateral = (np.abs(tentorium) < 3.2) & (cavity_mm > -5.5) & (points.y < -45.0)
    labels[cavity & (sagittal | (lateral & (points.z < 0)))] = Tissue.BLOOD
