"""From a whole-head anatomical label map to what a simulation samples from.

Labels are those of FreeSurfer for the brain and of SynthSeg's extended set (Billot et al. 2023,
Medical Image Analysis 86:102789) for the rest of the head.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import closest_axes
from medcyclegan.simulate.temporal_bone import temporal_bone
from medcyclegan.simulate.tissues import Tissue
from medcyclegan.volume import Volume

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
# How far orbital fat reaches around the globe.
ORBIT_MM = 13.0
DISTANCE_STEP_MM = 0.25
_DISTANCE_ZERO = 128
_UNKNOWN = 255


@dataclass(frozen=True, eq=False)
class HeadAnatomy:
    """One subject, ready to be sampled.

    ``maps`` is uint8 (i, j, k, 6) in R, A, S order, the channels being ``CHANNELS``: the tissue,
    the tissue that would be there without bone, orbital fat possible (0/1), two signed distances
    in steps of ``DISTANCE_STEP_MM`` around 128: to the outside of the head (positive inside) and
    to the surface of bone (negative inside bone); and temporal bone (0/1).
    """

    maps: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]


CHANNELS = (
    "tissue",
    "tissue_without_bone",
    "orbit",
    "depth_below_skin",
    "bone_distance",
    "temporal_bone",
)


def prepare_head(labels: Volume) -> HeadAnatomy:
    """Clean a label map and measure the distances that simulation needs.

    Raises
    ------
    InputRefused
        If the map holds labels that have no tissue here, or no bone.
    """
    ordered, spacing_mm = _to_ras_order(labels)
    tissue = fill_gaps(_to_tissues(ordered))
    body = tissue != Tissue.AIR
    outside = _outside_air(body)
    box = _box_with_air(~outside)
    maps = _stack_maps(tissue[box], outside[box], spacing_mm)
    return HeadAnatomy(_pad_with_air(maps), spacing_mm)


def _box_with_air(head: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The head's box and two voxels more, where the map goes on: the air that skin is seen by.

    Where the map ends with the head, as at the neck, the box ends too, and there is no skin.
    """
    box = ndimage.find_objects(head.astype(np.uint8))[0]
    return tuple(slice(max(0, part.start - 2), part.stop + 2) for part in box)


def _to_ras_order(labels: Volume) -> tuple[NDArray[np.int32], tuple[float, float, float]]:
    """Permute and flip to R, A, S by whole axes; no interpolation."""
    axes = closest_axes(labels.geometry.directions_ras)
    order = [0, 0, 0]
    for axis, (world, _) in enumerate(axes):
        order[world] = axis
    voxels = labels.voxels.astype(np.int32).transpose(order)
    flips = tuple(slice(None, None, axes[axis][1]) for axis in order)
    spacing = labels.geometry.spacing_mm
    return voxels[flips], (spacing[order[0]], spacing[order[1]], spacing[order[2]])


def _to_tissues(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
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
    nearest = ndimage.distance_transform_edt(
        cleaned == Tissue.AIR, return_distances=False, return_indices=True
    )
    filled: NDArray[np.uint8] = np.where(gap, cleaned[tuple(nearest)], cleaned)
    return filled


def _outside_air(body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Air around the head, without what lies in nose, airway and ears (closing over 8 voxels)."""
    padded = np.pad(body[::2, ::2, ::2], 8)
    closed = ndimage.binary_closing(padded, iterations=4)
    filled = ndimage.binary_fill_holes(closed)[8:-8, 8:-8, 8:-8]
    full = filled.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    full = full[: body.shape[0], : body.shape[1], : body.shape[2]]
    outside: NDArray[np.bool_] = ~(full | body)
    return outside


def _stack_maps(
    tissue: NDArray[np.uint8],
    outside: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.uint8]:
    bone = (tissue == Tissue.CORTICAL_BONE) | (tissue == Tissue.MARROW)
    depth = ndimage.distance_transform_edt(~outside, sampling=spacing_mm)
    to_bone, nearest = ndimage.distance_transform_edt(
        bone, sampling=spacing_mm, return_indices=True
    )
    signed = ndimage.distance_transform_edt(~bone, sampling=spacing_mm) - to_bone
    from_eye = ndimage.distance_transform_edt(tissue != Tissue.EYE_FLUID, sampling=spacing_mm)
    channels = (
        tissue,
        tissue[tuple(nearest)],
        (from_eye < ORBIT_MM).astype(np.uint8),
        _quantise(depth),
        _quantise(signed),
        temporal_bone(tissue, spacing_mm).astype(np.uint8),
    )
    return np.stack(channels, axis=-1)


def _pad_with_air(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One voxel of air on all sides, far from bone; distances are measured before it is added,
    so that a neck cut off by the field of view gets no skin there."""
    padded = np.pad(maps, ((1, 1), (1, 1), (1, 1), (0, 0)))
    border = np.ones(padded.shape[:3], dtype=bool)
    border[1:-1, 1:-1, 1:-1] = False
    padded[border] = (Tissue.AIR, Tissue.AIR, 0, 0, 255, 0)
    return padded


def _quantise(distance_mm: NDArray[np.float64]) -> NDArray[np.uint8]:
    steps = np.round(distance_mm / DISTANCE_STEP_MM) + _DISTANCE_ZERO
    return np.clip(steps, 0, 255).astype(np.uint8)


def to_mm(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn a distance channel back into millimetres, float32, at most 31.75 either way."""
    return (quantised.astype(np.float32) - _DISTANCE_ZERO) * np.float32(DISTANCE_STEP_MM)
