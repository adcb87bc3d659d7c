"""Cleaning of label maps, and smooth signed distances to their bone.

Clean a whole-head label map: its tissues in R, A, S order, without gaps and specks.
Labels are those of FreeSurfer for the brain and of SynthSeg's extended set (Billot et al. 2023,
Medical Image Analysis 86:102789) for the rest of the head.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import closest_axes
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.simulate.tissues import Tissue

_LABELS_OF: dict[Tissue, tuple[int, ...]] = {
    Tissue.AIR: (0,),
    Tissue.WHITE_MATTER: (2, 7, 16, 41, 46, 77, 85, 530),
    Tissue.GREY_MATTER: (3, 8, 17, 18, 25, 42, 47, 53, 54, 57),
    Tissue.DEEP_GREY: (10, 11, 12, 13, 26, 28, 49, 50, 51, 52, 58, 60, 136, 137, 163, 164),
    Tissue.CSF: (4, 5, 14, 15, 24, 43, 44, 72),
    Tissue.BLOOD: (30, 62, 502, 514),
    Tissue.EYE_FLUID: (506,),
    Tissue.MUSCLE: (507, 508),
    Tissue.MUCOSA: (509,),
    Tissue.SKIN: (511,),
    Tissue.CORD: (512,),
    Tissue.CORTICAL_BONE: (515,),
    Tissue.MARROW: (516,),
}

# A hole of fewer voxels (of about 1 mm) than this is a gap of the labelling, not air: the
# smallest ethmoid cells are some 3 mm wide.
GAP_VOXELS = 30
_UNKNOWN = 255


def box_with_air(head: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The head's box and two voxels more, where the map goes on: the air that skin is seen by.

    Where the map ends with the head, as at the neck, the box ends too, and there is no skin.
    """
    box = ndimage.find_objects(head.astype(np.uint8))[0]
    return tuple(slice(max(0, part.start - 2), part.stop + 2) for part in box)


def to_ras_order(labels: Volume) -> tuple[NDArray[np.int32], tuple[float, float, float]]:
    """Permute and flip to R, A, S by whole axes; no interpolation."""
    axes = closest_axes(labels.geometry.directions_ras)
    order = [0, 0, 0]
    for axis, (world, _) in enumerate(axes):
        order[world] = axis
    voxels = labels.voxels.astype(np.int32).transpose(order)
    flips = tuple(slice(None, None, axes[axis][1]) for axis in order)
    spacing = labels.geometry.spacing_mm
    return voxels[flips], (spacing[order[0]], spacing[order[1]], spacing[order[2]])


def to_tissues(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    table = np.full(1024, _UNKNOWN, dtype=np.uint8)
    for meant, numbers in _LABELS_OF.items():
        table[list(numbers)] = meant
    if labels.min() < 0 or labels.max() >= table.size:
        raise InputRefused(
            f"Labels from {labels.min()} to {labels.max()}", rule="they must lie in 0..1023"
        )
    tissue: NDArray[np.uint8] = table[labels]
    if (tissue == _UNKNOWN).any():
        unknown = sorted(set(labels[tissue == _UNKNOWN].tolist()))
        raise InputRefused(
            f"Unknown labels {unknown}",
            rule="labels follow FreeSurfer and SynthSeg's extended set",
            remedy="map them to known labels first",
        )
    if not (tissue == Tissue.CORTICAL_BONE).any():
        raise InputRefused("No voxel is labelled bone (515)", rule="a CT needs bone")
    return tissue


def fill_gaps(tissue: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Close small holes by their nearest tissue, and drop specks that float outside the head."""
    body, _ = ndimage.label(tissue != Tissue.AIR)
    sizes = np.bincount(body.ravel())
    sizes[0] = 0
    cleaned = np.where(body == sizes.argmax(), tissue, np.uint8(Tissue.AIR))
    holes, _ = ndimage.label(cleaned == Tissue.AIR)
    hole_sizes = np.bincount(holes.ravel())
    gap = (hole_sizes < GAP_VOXELS)[holes] & (holes > 0)
    return fill(cleaned, gap)


def fill(tissue: NDArray[np.uint8], gap: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Give air where ``gap`` is set the nearest tissue."""
    nearest = ndimage.distance_transform_edt(
        tissue == Tissue.AIR, return_distances=False, return_indices=True
    )
    filled: NDArray[np.uint8] = np.where(gap, tissue[tuple(nearest)], tissue)
    return filled


def outside_air(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Air around the head, without what lies in nose, airway and ears (closing over 8 voxels)."""
    padded = np.pad(body[::2, ::2, ::2], 8)
    closed = ndimage.binary_closing(padded, iterations=4)
    filled = ndimage.binary_fill_holes(closed)[8:-8, 8:-8, 8:-8]
    full = filled.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    full = full[: body.shape[0], : body.shape[1], : body.shape[2]]
    outside: NDArray[np.bool_] = ~(full | body)
    return outside


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
