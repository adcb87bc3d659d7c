"""The skull in a CT of a head: its bone, how thick the vault is, and its density ratio by region.

The thickness of the vault at a voxel of bone is its distance to the inside of the head plus that to
the outside: what a shell measures along its local normal.

The skull density ratio (SDR) is what focused ultrasound looks at before a treatment: how much less
dense the trabecular bone (diploe) is than the cortical tables that it lies between, along the
straight ways from a focus to the outside, and in the mean of these. W S Chang et al., "Factors
associated with successful magnetic resonance-guided focused ultrasound treatment: efficiency of
acoustic energy delivery through the skull", J Neurosurg 124 (2016) 411-416. A vendor's software
has rays, kernel and interpolation of its own: ratios by this module compare with each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import FloatArray
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.body_mask import (
    BoolArray,
    Spacing,
    block_mean,
    closed,
    dilated,
    enlarged,
    eroded,
)

# Soft tissue and fresh blood stay below 100 HU; the diploe, filled in, may have less than this.
BONE_FROM_HU = 300.0
# Closes the diploe between the tables, and sutures, up to twice this width.
_CLOSING_MM = 3.0
# Balls of these radii part the brain from the neck and the orbits: openings of the skull base are
# narrower than twice that. The foramen magnum is some 35 mm wide, and closed below by vertebrae
# where these are in the image.
_BALLS_MM = (6.0, 9.0, 12.0, 15.0, 18.0, 22.0)
_LEAST_CAVITY_ML = 300.0
# The grid on which the inside is sought; a block of it is bone if this share of it is.
_WORKING_MM, _COARSE_BONE = 3.0, 0.25
# Margin around the bone in which distances are measured.
_MARGIN_MM = 15.0

RAYS = 2048
_STEP_MM = 0.25
_REACH_MM = 140.0
# Bone this far apart on a ray is not one table and the other: a sinus or an earlier entry.
_LARGEST_GAP_MM = 6.0
# The vault begins this many degrees above the horizontal plane through the middle of the cavity,
# and its top is what lies within as many degrees of the vertical.
_VAULT_FROM_DEGREES, _TOP_WITHIN_DEGREES = 5.0, 35.0
REGIONS = ("vault", "front", "back", "left", "right", "top")


@dataclass(frozen=True)
class Region:
    """Figures of one part of the vault; lengths in mm, densities in HU.

    ``sdr`` is the mean over ``rays`` of the least HU between the tables over the mean of the two
    tables' peaks. NaN where no ray meets bone.
    """

    name: str
    rays: int
    thickness_mean_mm: float
    thickness_p5_mm: float
    thickness_p95_mm: float
    sdr: float
    cortical_hu: float
    trabecular_hu: float


@dataclass(frozen=True, eq=False)
class Skull:
    """``mask`` of all bone, the diploe filled in; ``thickness`` of the vault in mm, 0 elsewhere."""

    mask: Volume
    thickness: Volume
    regions: tuple[Region, ...]


def find_skull(ct: Volume) -> Skull:
    """Find the skull of a head in HU, any spacing, axis order and obliquity.

    Directions are those of the world (RAS): a head that is tilted has its regions tilted as much.

    Raises
    ------
    InputRefused
        If there is no bone, or none that encloses a cavity of 300 ml.
    """
    solid = ct.voxels >= BONE_FROM_HU
    if not solid.any():
        _refuse("nothing in it reaches the density of bone")
    spacing_mm = ct.geometry.spacing_mm
    box = _box(solid, spacing_mm)
    bone = _largest(closed(solid[box], spacing_mm, _CLOSING_MM))
    cavity = _cavity(bone, spacing_mm)
    start = np.array([each.start for each in box], dtype=np.float64)
    focus = ct.geometry.to_world(start + np.argwhere(cavity).mean(axis=0))
    within = np.zeros(solid.shape, dtype=np.float32)
    mask = np.zeros(solid.shape, dtype=np.float32)
    within[box] = _thickness_mm(bone, cavity, ct.geometry.directions_ras, spacing_mm)
    mask[box] = bone
    within *= _is_vault(ct, within > 0, focus)
    thickness = ct.with_voxels(within, unit="mm")
    regions = _regions(ct, thickness, focus)
    return Skull(ct.with_voxels(mask, unit="mask"), thickness, regions)


def _refuse(why: str) -> NoReturn:
    raise InputRefused(
        f"No skull is found: {why}",
        rule="the CT shows a head, in HU, with its vault in the field of view",
        remedy="check which image was given, and its HU",
    )


def _box(mask: BoolArray, spacing_mm: Spacing) -> tuple[slice, ...]:
    found = ndimage.find_objects(mask.astype(np.int8))[0]
    margins = [int(np.ceil(_MARGIN_MM / mm)) for mm in spacing_mm]
    return tuple(
        slice(max(0, part.start - margin), min(n, part.stop + margin))
        for part, margin, n in zip(found, margins, mask.shape, strict=True)
    )


def _largest(mask: BoolArray) -> BoolArray:
    labels, _ = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])))


def _cavity(bone: BoolArray, spacing_mm: Spacing) -> BoolArray:
    """The inside of the head: the largest space that a ball parts from what is around the head.

    The smallest ball that does so is taken, as a larger one does not reach into corners. It is
    rolled on a grid of some 3 mm; what of the space lies on the other side of thin bone there is
    left out by being no part of the largest piece.
    """
    a, b, c = (max(1, round(_WORKING_MM / mm)) for mm in spacing_mm)
    factors = (a, b, c)
    coarse_mm = (a * spacing_mm[0], b * spacing_mm[1], c * spacing_mm[2])
    coarse = block_mean(bone.astype(np.float32), factors) >= _COARSE_BONE
    for radius_mm in _BALLS_MM:
        labels, count = ndimage.label(eroded(~coarse, coarse_mm, radius_mm))
        sizes_ml = np.bincount(labels.ravel(), minlength=count + 1) * np.prod(coarse_mm) / 1000.0
        for label in 1 + np.argsort(-sizes_ml[1:])[:3]:
            part = dilated(labels == label, coarse_mm, radius_mm + max(coarse_mm))
            size_ml = float(part.sum() * np.prod(coarse_mm)) / 1000.0
            if size_ml >= _LEAST_CAVITY_ML and _faces_touched(labels == label) <= 1:
                return _largest(enlarged(part, factors, bone.shape) & ~bone)
    _refuse(f"bone encloses no space of {_LEAST_CAVITY_ML:g} ml")


def _faces_touched(part: BoolArray) -> int:
    """How many faces of the grid it reaches: the space around a head most, the canal one."""
    faces = (np.take(part, end, axis=axis) for axis in range(3) for end in (0, -1))
    return sum(bool(face.any()) for face in faces)


def _thickness_mm(
    bone: BoolArray, cavity: BoolArray, directions: FloatArray, spacing_mm: Spacing
) -> NDArray[np.float32]:
    """Distance to the cavity plus that to the outside, at each voxel of bone; 0 elsewhere."""
    total = np.zeros(bone.shape, dtype=np.float32)
    outside = ~bone & ~cavity
    for side in (cavity, outside):
        total[bone] += _distance_mm(side, bone, spacing_mm)
    return total


def _distance_mm(side: BoolArray, bone: BoolArray, spacing_mm: Spacing) -> NDArray[np.float32]:
    """From the centres of voxels of bone to the surface of ``side``.

    The surface lies before the nearest centre behind it. A column of voxels along the axis that the
    way runs along most has its centres so far apart along the way as its voxels are long there: the
    surface is half of that before, in the mean.
    """
    nearest = ndimage.distance_transform_edt(
        ~side, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    places = np.nonzero(bone)
    ways_mm = np.stack(
        [(nearest[axis][places] - places[axis]) * spacing_mm[axis] for axis in range(3)], axis=1
    )
    lengths_mm = np.linalg.norm(ways_mm, axis=1)
    along_mm = np.abs(ways_mm) * np.asarray(spacing_mm) / lengths_mm[:, None]
    return np.asarray(lengths_mm - 0.5 * along_mm.max(axis=1), dtype=np.float32)


def _elevation_degrees(vectors: FloatArray) -> FloatArray:
    lengths = np.maximum(np.linalg.norm(vectors, axis=-1), 1e-9)
    return np.asarray(np.degrees(np.arcsin(vectors[..., 2] / lengths)))


def _is_vault(ct: Volume, where: BoolArray, focus: FloatArray) -> BoolArray:
    places = np.argwhere(where)
    towards = ct.geometry.to_world(places.astype(np.float64)) - focus
    vault = np.zeros(where.shape, dtype=np.bool_)
    vault[tuple(places[_elevation_degrees(towards) >= _VAULT_FROM_DEGREES].T)] = True
    return vault


def directions(count: int = RAYS) -> FloatArray:
    """(n, 3) directions to the vault in RAS, evenly spread (Fibonacci's spiral)."""
    lowest = np.sin(np.radians(_VAULT_FROM_DEGREES))
    heights = lowest + (1.0 - lowest) * (np.arange(count) + 0.5) / count
    turns = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    flat = np.sqrt(1.0 - heights**2)
    return np.stack([flat * np.cos(turns), flat * np.sin(turns), heights], axis=1)


def regions_of(vectors: FloatArray) -> NDArray[np.str_]:
    """The region of each direction (n, 3) in RAS: top, front, back, left or right."""
    right, front = vectors[:, 0], vectors[:, 1]
    sides = np.where(right > 0, "right", "left")
    found = np.where(np.abs(front) >= np.abs(right), np.where(front > 0, "front", "back"), sides)
    is_top = _elevation_degrees(vectors) > 90.0 - _TOP_WITHIN_DEGREES
    return np.asarray(np.where(is_top, "top", found))


def _regions(ct: Volume, thickness: Volume, focus: FloatArray) -> tuple[Region, ...]:
    rays = directions()
    figures = _along_rays(ct, thickness, focus, rays)
    regions = regions_of(rays)
    return tuple(
        _region(name, figures[np.full(len(rays), True) if name == "vault" else regions == name])
        for name in REGIONS
    )


def _region(name: str, figures: FloatArray) -> Region:
    met = figures[np.isfinite(figures).all(axis=1)]
    if not len(met):
        return Region(name, 0, *([float("nan")] * 6))
    thick, cortical, trabecular = met.T
    p5, p95 = np.percentile(thick, (5, 95))
    ratio = float((trabecular / cortical).mean())
    means = (float(cortical.mean()), float(trabecular.mean()))
    return Region(name, len(met), float(thick.mean()), float(p5), float(p95), ratio, *means)


def _along_rays(ct: Volume, thickness: Volume, focus: FloatArray, rays: FloatArray) -> FloatArray:
    """(n, 3): thickness in mm, HU of the tables, least HU between; NaN where no bone is met."""
    reach_mm = np.arange(0.0, _REACH_MM, _STEP_MM)
    world = focus + rays[:, None, :] * reach_mm[None, :, None]
    inverse = np.linalg.inv(ct.geometry.affine_ras)
    places = np.moveaxis(world @ inverse[:3, :3].T + inverse[:3, 3], -1, 0)
    hu = ndimage.map_coordinates(ct.voxels, places, order=1, mode="constant", cval=-1000.0)
    depth = ndimage.map_coordinates(thickness.voxels, places, order=0, mode="constant")
    figures = np.full((len(rays), 3), np.nan)
    for number, (profile, thick) in enumerate(zip(hu, depth, strict=True)):
        found = _tables(profile)
        if found is not None and (thick > 0).any():
            figures[number] = (np.median(thick[thick > 0]), *found)
    return figures


def _tables(profile: NDArray[np.float32]) -> tuple[float, float] | None:
    """Mean HU of the two tables' peaks, and the least between; None where there is no bone.

    The first bone from within, with gaps of the diploe, is the vault. Each half has a table.
    """
    bone = np.flatnonzero(profile >= BONE_FROM_HU)
    if not len(bone):
        return None
    gaps = np.flatnonzero(np.diff(bone) * _STEP_MM > _LARGEST_GAP_MM)
    last = bone[gaps[0]] if len(gaps) else bone[-1]
    within = profile[bone[0] : last + 1]
    middle = (len(within) + 1) // 2
    inner = int(np.argmax(within[:middle]))
    outer = middle + int(np.argmax(within[middle:])) if len(within) > middle else inner
    cortical = 0.5 * float(within[inner] + within[outer])
    return cortical, float(within[inner : outer + 1].min())
