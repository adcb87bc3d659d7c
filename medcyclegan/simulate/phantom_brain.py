"""What lies in the cranial cavity: fluid, lobes, deep grey, ventricles, brainstem and vessels."""

from __future__ import annotations

import numpy as np

from medcyclegan.simulate.phantom_anatomy import Anatomy
from medcyclegan.simulate.phantom_cortex import (
    below_tentorium,
    paint_cerebellum,
    paint_cerebrum,
)
from medcyclegan.simulate.phantom_shapes import (
    Ellipsoid,
    Field,
    Labels,
    Mask,
    Part,
    Points,
    Shape,
    Tube,
    paint,
)
from medcyclegan.simulate.tissues import Tissue

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
