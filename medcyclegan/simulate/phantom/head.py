"""Head phantom from code alone: one subject's MR, CT, tissues and body, the truth known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.simulate.acquisition import SEQUENCES, ct_image, ct_table, mr_image, mr_table
from medcyclegan.simulate.phantom.anatomy import Anatomy, draw_anatomy
from medcyclegan.simulate.phantom.brain import paint_brain
from medcyclegan.simulate.phantom.face import (
    NECK,
    outline_distance,
    paint_airway,
    paint_canal,
    paint_ear_canal,
    paint_face,
    paint_jaw,
    paint_neck,
)
from medcyclegan.simulate.phantom.shapes import Field, Labels, Points, sample_grid
from medcyclegan.simulate.phantom.skull import (
    cavity_distance,
    honeycomb,
    paint_base,
    paint_inner_ear,
    paint_vault,
    skull_thickness,
)
from medcyclegan.simulate.tissues import BONE_TISSUES, Tissue

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
    brain = np.where(np.isin(labels, BONE_TISSUES), 1.0, cavity_mm)
    paint_face(points, labels, anatomy=anatomy, allowed=beneath & (cavity_mm > 0.8))
    paint_jaw(points, labels, allowed=beneath)
    paint_airway(points, labels, allowed=beneath & (cavity_mm > 3.0))
    paint_brain(points, labels, brain.astype(np.float32), anatomy=anatomy)
    paint_inner_ear(points, labels, allowed=beneath)
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


# The head of the largest subject, ears, nose and chin, with a margin of air; mm along R, A, S.
_FIELD_OF_VIEW_MM = (184.0, 248.0, 244.0)


@dataclass(frozen=True)
class PhantomSubject:
    """One simulated subject, all volumes on one grid.

    ``mr`` is in a.u., ``ct`` in HU; ``labels`` are :class:`~medcyclegan.simulate.tissues.Tissue`
    values at voxel centres; ``body_mask`` is 1 in the head, its sinuses and airways included.
    A calcification in the atrium of the LEFT lateral ventricle, none on the right, tells left
    from right in every subject.
    """

    mr: Volume
    ct: Volume
    labels: Volume
    body_mask: Volume


def default_geometry(spacing_mm: float = 1.0) -> Geometry:
    """Return an isotropic RAS grid centred on the head, vertex to chin and upper neck."""
    i, j, k = (round(length / spacing_mm) for length in _FIELD_OF_VIEW_MM)
    return geometry_from_spacing((i, j, k), (spacing_mm, spacing_mm, spacing_mm))


def make_phantom(geometry: Geometry, *, contrast: str, seed: int) -> PhantomSubject:
    """Make the head of subject ``seed`` on any grid, oblique and thick-sliced ones included.

    The head's middle is the world's origin. ``seed`` fixes the subject and the noise to the last
    bit; the anatomy does not depend on the grid or on the contrast.

    Raises
    ------
    UsageError
        If ``contrast`` is not one of ``SEQUENCES``.
    """
    if contrast not in SEQUENCES:
        raise UsageError(f"Contrast {contrast!r}", rule=f"it must be one of {', '.join(SEQUENCES)}")
    anatomy_rng, ct_rng, mr_rng = (
        np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)
    )
    anatomy = draw_anatomy(anatomy_rng)
    ct_values, mr_values = ct_table(ct_rng), mr_table(SEQUENCES[contrast], mr_rng)
    tables = np.stack([mr_values.value, mr_values.texture, ct_values.value, ct_values.texture])
    sampled = sample_grid(partial(label_points, anatomy=anatomy), geometry, tables=tables)
    mr_mean, mr_texture, ct_mean, ct_texture = sampled.means
    mr = mr_image(
        mr_mean,
        mr_texture,
        geometry=geometry,
        noise_sd=mr_rng.uniform(8.0, 18.0),
        bias=mr_rng.uniform(0.1, 0.45),
        rng=mr_rng,
    )
    noise_hu = ct_rng.uniform(8.0, 15.0)
    ct = ct_image(ct_mean, ct_texture, geometry=geometry, noise_hu=noise_hu, rng=ct_rng)
    return PhantomSubject(
        mr=Volume(mr, geometry, "a.u."),
        ct=Volume(ct, geometry, "HU"),
        labels=Volume(sampled.labels.astype(np.float32), geometry, "label"),
        body_mask=Volume(sampled.body.astype(np.float32), geometry, "mask"),
    )
