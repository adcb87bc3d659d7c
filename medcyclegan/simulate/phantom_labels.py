"""The head put together: one function from points to tissues."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.phantom_anatomy import Anatomy
from medcyclegan.simulate.phantom_brain import paint_brain
from medcyclegan.simulate.phantom_face import outline_distance, paint_ear_canal, paint_face
from medcyclegan.simulate.phantom_jaw import paint_jaw
from medcyclegan.simulate.phantom_neck import NECK, paint_airway, paint_canal, paint_neck
from medcyclegan.simulate.phantom_shapes import Field, Labels, Points
from medcyclegan.simulate.phantom_skull import (
    cavity_distance,
    honeycomb,
    paint_base,
    paint_vault,
    skull_thickness,
)
from medcyclegan.simulate.tissues import Tissue

_SKIN_MM = 2.0
_UNDER_SKIN_FAT_MM = 5.0
_GALEA_MM = 1.0

# Points farther than this inside the cavity can be nothing but brain: no bone protrudes so far.
_DEEP_MM = 14.0

# The occipital bone ends here, canonical height; the canal of the spine opens through it.
_FORAMEN_MAGNUM_MM = -70.0


def label_points(world_ras_mm: NDArray[np.float64], *, anatomy: Anatomy) -> tuple[Labels, Field]:
    """Return the tissue of each world point (n, 3) and its distance to the skin.

    The label (n,) is a :class:`Tissue` value; the distance (n,), mm, is negative in the head,
    air-filled sinuses and airways included.
    """
    points = anatomy.canonical(world_ras_mm)
    cavity_mm = cavity_distance(points)
    if cavity_mm.max() < -_DEEP_MM:
        labels = np.zeros(cavity_mm.shape, dtype=np.uint8)
        paint_brain(points, labels, cavity_mm, anatomy=anatomy)
        return labels, cavity_mm
    thickness_mm = skull_thickness(points, anatomy)
    outline_mm = outline_distance(points, cavity_mm - thickness_mm - anatomy.scalp_mm)
    labels = np.zeros(outline_mm.shape, dtype=np.uint8)
    body = outline_mm < 0
    if not body.any():
        return labels, outline_mm
    deep = outline_mm < -_SKIN_MM
    outer_mm = cavity_mm - thickness_mm
    labels[body] = Tissue.SKIN
    labels[deep] = Tissue.FAT
    _paint_soft_tissue(points, labels, outline_mm, outer_mm)
    beneath = outline_mm < -(_SKIN_MM + 0.8)
    paint_neck(points, labels, allowed=beneath)
    vault = beneath & (points.z > _FORAMEN_MAGNUM_MM) & (cavity_mm >= 0) & (outer_mm < 0)
    paint_vault(points, labels, cavity_mm, thickness_mm, anatomy=anatomy, vault=vault)
    paint_base(points, labels, anatomy=anatomy, allowed=beneath & (cavity_mm > -_DEEP_MM))
    paint_canal(points, labels, allowed=beneath)
    brain = np.where((labels == Tissue.CORTICAL_BONE) | (labels == Tissue.MARROW), 1.0, cavity_mm)
    paint_face(points, labels, anatomy=anatomy, allowed=beneath & (cavity_mm > 0.8))
    paint_jaw(points, labels, allowed=beneath)
    paint_airway(points, labels, allowed=beneath & (cavity_mm > 3.0))
    paint_brain(points, labels, brain.astype(np.float32), anatomy=anatomy)
    paint_ear_canal(points, labels)
    return labels, outline_mm


def _paint_soft_tissue(points: Points, labels: Labels, outline_mm: Field, outer_mm: Field) -> None:
    """Write the aponeurosis on the skull and, in face and neck, muscle with seams of fat.

    ``outer_mm`` (n,) is the distance to the outside of the skull.
    """
    deep = outline_mm < -_SKIN_MM
    labels[deep & (outer_mm < _GALEA_MM)] = Tissue.MUSCLE
    if points.low[2] > -45.0:
        return
    core = (outline_mm < -(_SKIN_MM + _UNDER_SKIN_FAT_MM)) & (points.z < -45.0)
    neck = core & (NECK.distance(points) < -5.0)
    labels[neck & honeycomb(points, cell_mm=24.0, wall=0.12)] = Tissue.MUSCLE
    face = core & ~neck
    labels[face & honeycomb(points, cell_mm=13.0, wall=0.55)] = Tissue.MUSCLE
