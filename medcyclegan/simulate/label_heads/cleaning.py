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

# Steps of a level set end when its change (root mean square, voxels) is below the first, or after
# so many; and by how many voxels the array is larger that it is found on.
_LEVEL_SET_ERROR, _LEVEL_SET_STEPS, _MARGIN = 0.005, 60, 3
# Between these distances, in voxels, the level set gives way to the mask's own distance, which is
# smoothed there: where a surface may be moved to, but no thin plate is.
_NEAR, _FAR, _SMOOTH_MM = 1.0, 2.0, 0.8
# The least rise of a level set a voxel that is believed: no distance is divided by next to nothing.
_LEAST_STEEPNESS = 0.3
# How far around a voxel labels of marrow count.
_MARROW_MM = 0.9
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


def surface_distance(inside: Mask, spacing_mm: Spacing) -> Field:
    """Millimetres to the smooth surface that parts a mask from the rest, negative inside.

    Float32 (i, j, k). The surface is the level set that has the least curvature of all that leave
    every voxel's centre on its side (Whitaker, IEEE Symp. Volume Visualization 2000, 23): steps of
    voxels are gone, and plates of two voxels are as thick as before, which smoothing would not
    leave them. Plates and gaps of one voxel, which have no such level set, keep their steps.
    """
    import SimpleITK as sitk  # noqa: N813  # here, as trainings from prepared heads do without it

    distance = signed_distance(inside, spacing_mm)
    if inside.all() or not inside.any():
        return distance
    # At the array's ends the level set would bend: it is found on a larger one.
    mask = sitk.GetImageFromArray(np.pad(inside, _MARGIN, mode="edge").astype(np.uint8))
    found = sitk.AntiAliasBinary(mask, _LEVEL_SET_ERROR, _LEVEL_SET_STEPS)
    within = (slice(_MARGIN, -_MARGIN),) * 3
    level = -sitk.GetArrayViewFromImage(found)[within].astype(np.float32)
    voxel = np.float32(min(spacing_mm))
    near = level / _steepness(level, spacing_mm)
    near = np.clip(near, distance - 0.5 * voxel, distance + 0.5 * voxel)
    near = np.where(_is_thin(inside) | _is_thin(~inside), distance, near)
    share = np.clip((np.abs(distance) / voxel - _NEAR) / (_FAR - _NEAR), 0.0, 1.0)
    far = smoothed(distance, _SMOOTH_MM, spacing_mm)
    return np.asarray(near + share * (far - near), dtype=np.float32)


def _is_thin(mask: Mask) -> Mask:
    """Where a mask is but one voxel wide, and the voxels beside, (i, j, k)."""
    wide = ndimage.binary_opening(mask, np.ones((2, 2, 2), dtype=bool))
    return np.asarray(ndimage.binary_dilation(mask & ~wide))


def _steepness(level: Field, spacing_mm: Spacing) -> Field:
    """By how much a level set rises a millimetre, (i, j, k): along each axis on its steeper side,
    for in the middle of a thin plate it rises on both."""
    squared = np.zeros(level.shape, dtype=np.float32)
    for axis, mm in enumerate(spacing_mm):
        steps = np.abs(np.diff(level, axis=axis)) / np.float32(mm)
        ends = [(0, 0)] * 3
        ends[axis] = (1, 1)
        steps = np.pad(steps, ends)
        n = level.shape[axis]
        sides = (steps.take(range(n), axis), steps.take(range(1, n + 1), axis))
        squared += np.maximum(*sides) ** 2
    least = np.float32(_LEAST_STEEPNESS / max(spacing_mm))
    return np.asarray(np.maximum(np.sqrt(squared), least), dtype=np.float32)


def bone_surface(bone: Mask, sinus: Mask, airway: Mask, spacing_mm: Spacing) -> tuple[Field, Field]:
    """The signed distance to bone with its sinuses, and half the bone's thickness nearby, mm.

    The thickness is that of bone without sinuses. Where a sinus opens into the airway there is no
    surface.
    """
    distance = surface_distance(bone | sinus, spacing_mm)
    within = ndimage.distance_transform_edt(bone | sinus | airway, sampling=spacing_mm)
    distance = np.where(sinus, np.minimum(distance, -within), distance)
    return np.asarray(distance, np.float32), _half_thickness(bone, spacing_mm)


def without_specks(marrow: Mask, bone: Mask, spacing_mm: Spacing) -> Mask:
    """Where most of the bone nearby is labelled marrow, (i, j, k): its outline without specks."""
    weights = smoothed(bone.astype(np.float32), _MARROW_MM, spacing_mm)
    share = smoothed(marrow.astype(np.float32), _MARROW_MM, spacing_mm)
    return np.asarray(bone & (share > 0.5 * weights))


def _half_thickness(bone: Mask, spacing_mm: Spacing) -> Field:
    """How far the middle of the bone nearby lies below its surface, mm, at most ``_LIMIT_MM``."""
    depth = ndimage.distance_transform_edt(bone, sampling=spacing_mm).astype(np.float32)
    depth = np.minimum(depth - np.float32(0.5 * min(spacing_mm)), np.float32(_LIMIT_MM))
    sizes = tuple(2 * round(_REACH_MM / mm / 2.0) + 1 for mm in spacing_mm)
    middle = ndimage.maximum_filter(np.maximum(depth, 0.0), sizes)
    return np.asarray(ndimage.uniform_filter(middle, sizes), dtype=np.float32)
