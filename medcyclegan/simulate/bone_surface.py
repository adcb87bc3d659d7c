"""Signed distances of a label map, as smooth as its anatomy and not as its voxels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.tissues import Tissue

Field = NDArray[np.float32]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

# Thinner plates would be smoothed away, so their surface stays that of their voxels.
_THICK_MM = 2.0
_SMOOTH_MM = 0.8
# Within this reach the thickest place of a bone is looked for; beyond the limit all is alike.
_REACH_MM, _LIMIT_MM = 7.0, 5.0


def is_bone(tissue: NDArray[np.uint8]) -> Mask:
    """Where a map of tissues has compact bone or marrow spaces; same shape."""
    return np.asarray((tissue == Tissue.CORTICAL_BONE) | (tissue == Tissue.MARROW))


def signed_distance(inside: Mask, spacing_mm: Spacing) -> Field:
    """Millimetres to the border of a mask, float32 (i, j, k), negative inside.

    The border lies midway between the centres of voxels on either side.
    """
    half = 0.5 * min(spacing_mm)
    out = ndimage.distance_transform_edt(~inside, sampling=spacing_mm)
    within = ndimage.distance_transform_edt(inside, sampling=spacing_mm)
    return np.asarray(np.where(inside, half - within, out - half), dtype=np.float32)


def smoothed(distance_mm: Field, sigma_mm: float, spacing_mm: Spacing) -> Field:
    """Smooth the steps of voxels off a distance."""
    sigma = tuple(sigma_mm / mm for mm in spacing_mm)
    return np.asarray(ndimage.gaussian_filter(distance_mm, sigma), dtype=np.float32)


def bone_surface(bone: Mask, sinus: Mask, airway: Mask, spacing_mm: Spacing) -> tuple[Field, Field]:
    """The signed distance to bone with its sinuses, and half the bone's thickness nearby, mm.

    The outline of thick bone is smoothed. The thickness is that of bone without sinuses. Where a
    sinus opens into the airway there is no surface.
    """
    half = _half_thickness(bone, spacing_mm)
    distance = signed_distance(bone | sinus, spacing_mm)
    within = ndimage.distance_transform_edt(bone | sinus | airway, sampling=spacing_mm)
    distance = np.where(sinus, np.minimum(distance, -within), distance).astype(np.float32)
    thick = np.clip((half - _THICK_MM) * 2.0 + 1.0, 0.0, 1.0)
    smooth = smoothed(distance, _SMOOTH_MM, spacing_mm)
    return np.asarray(distance + thick * (smooth - distance), np.float32), half


def _half_thickness(bone: Mask, spacing_mm: Spacing) -> Field:
    """How far the middle of the bone nearby lies below its surface, mm, at most ``_LIMIT_MM``."""
    depth = ndimage.distance_transform_edt(bone, sampling=spacing_mm).astype(np.float32)
    depth = np.minimum(depth - np.float32(0.5 * min(spacing_mm)), np.float32(_LIMIT_MM))
    sizes = tuple(2 * round(_REACH_MM / mm / 2.0) + 1 for mm in spacing_mm)
    middle = ndimage.maximum_filter(np.maximum(depth, 0.0), sizes)
    return np.asarray(ndimage.uniform_filter(middle, sizes), dtype=np.float32)
