"""Distances of surfaces in mm: the 95th percentile Hausdorff distance and the mean distance.

A surface is the voxels of a mask that touch what is not in it by a face; the end of an image is no
surface, as nobody knows what lies beyond. Distances are those of voxel centres in the patient's
space, so that anisotropic, oblique and sheared grids need nothing of their own.

Definitions: Reinke et al., "Understanding metric-related pitfalls in image analysis validation",
Nat Methods 21 (2024) 182-194; the larger of the two directed percentiles, and the mean of the
distances of both surfaces together, which are those of MONAI's ``compute_hausdorff_distance`` and
symmetric ``compute_average_surface_distance``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from medcyclegan.core.geometry import FloatArray, Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import BONE_ABOVE_HU
from medcyclegan.imaging.body_mask import body_mask_ct

BoolArray = NDArray[np.bool_]
PERCENTILE = 95.0


@dataclass(frozen=True)
class SurfaceDistance:
    """How far two surfaces lie apart; NaN where one is missing, and then ``reason`` says which."""

    hd95_mm: float
    mean_mm: float
    reason: str = ""


def surface_distance(pred: BoolArray, ref: BoolArray, geometry: Geometry) -> SurfaceDistance:
    """Compare the surfaces of two masks (i, j, k) on one grid.

    A mask that is empty, or fills its whole image, has no surface: the result is NaN with a reason,
    never 0.
    """
    ours, theirs = _surface(pred), _surface(ref)
    lacking = [
        name
        for name, surface in (("synthetic CT", ours), ("reference CT", theirs))
        if not surface.any()
    ]
    if lacking:
        return SurfaceDistance(math.nan, math.nan, f"no surface in the {' and the '.join(lacking)}")
    first, second = (geometry.to_world(np.argwhere(s).astype(np.float64)) for s in (ours, theirs))
    there, back = _nearest_mm(first, second), _nearest_mm(second, first)
    return SurfaceDistance(
        hd95_mm=float(max(np.percentile(d, PERCENTILE) for d in (there, back))),
        mean_mm=float(np.concatenate((there, back)).mean()),
    )


def _surface(mask: BoolArray) -> BoolArray:
    # Beyond the image counts as inside, so that its end is no surface.
    return np.asarray(mask & ~ndimage.binary_erosion(mask, border_value=1))


def _nearest_mm(points: FloatArray, others: FloatArray) -> FloatArray:
    """Distance of each of ``points`` (n, 3) to the nearest of ``others`` (m, 3)."""
    return np.asarray(cKDTree(others).query(points)[0])


def bone_distance(pred: Volume, ref: Volume, mask: BoolArray) -> SurfaceDistance:
    """Compare bone, above 250 HU inside the mask (i, j, k), of two CTs in HU on one grid."""
    bones = [np.asarray((ct.voxels > BONE_ABOVE_HU) & mask) for ct in (pred, ref)]
    found = surface_distance(bones[0], bones[1], ref.geometry)
    return SurfaceDistance(found.hd95_mm, found.mean_mm, _of("bone", found.reason))


def body_distance(pred: Volume, body: BoolArray | None) -> SurfaceDistance:
    """Compare the body found in a synthetic CT with that of the reference, (i, j, k).

    Both are found by the same rule (above -400 HU, filled, without the couch); None says that none
    was found in the reference.
    """
    if body is None:
        return SurfaceDistance(math.nan, math.nan, "no body found in the reference CT")
    try:
        mine = body_mask_ct(pred).voxels > 0
    except InputRefused:
        return SurfaceDistance(math.nan, math.nan, "no body found in the synthetic CT")
    found = surface_distance(np.asarray(mine), body, pred.geometry)
    return SurfaceDistance(found.hd95_mm, found.mean_mm, _of("body", found.reason))


def _of(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else ""
