"""Which part of the skull a place belongs to, and which air of the head is a sinus of which kind.

Both follow from the frame of eyes, ears and brain stem, for label maps know bone and air alone.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.landmarks import OTIC_LATERAL_MM, HeadFrame
from medcyclegan.simulate.tissues import Tissue

Spacing = tuple[float, float, float]
Mask = NDArray[np.bool_]


class BonePart(IntEnum):
    """Parts of the skull whose marrow spaces differ."""

    VAULT = 0
    BASE = 1
    FACE = 2
    SPINE = 3
    TEMPORAL = 4


class AirKind(IntEnum):
    """Air in the head. The airway keeps its shape; the others vary from head to head."""

    AIRWAY = 0
    FRONTAL = 1
    MAXILLARY = 2
    SPHENOID = 3
    ETHMOID = 4
    MASTOID = 5


def is_sinus(kind: NDArray[np.uint8]) -> Mask:
    """Whether kinds of air lie in a hollow of bone, whose walls they shape; same shape."""
    return np.asarray((kind != AirKind.AIRWAY) & (kind != AirKind.ETHMOID))


# Bone so near to the brain belongs to the braincase.
_BRAINCASE_MM = 15.0
_BRAIN = (Tissue.GREY_MATTER, Tissue.WHITE_MATTER, Tissue.DEEP_GREY)
# The vault ends at this height above the line from the eyes to the brain stem, but reaches lower
# behind the ears.
_VAULT_UP_MM, _OCCIPUT_BACK_MM = -8.0, 105.0
_SPINE_BACK_MM, _SPINE_UP_MM, _SPINE_LATERAL_MM = 70.0, -30.0, 35.0
# The temporal bone that may hold air: this far around a point behind the ear canal, but neither the
# condyle of the jaw nor the zygoma in front of it.
_TEMPORAL_MM, _TEMPORAL_LATERAL_MM, _TEMPORAL_BACK_MM = 25.0, 52.0, 8.0
_CONDYLE_BACK_MM, _CONDYLE_UP_MM = -6.0, 8.0
_CANAL_RADIUS_MM, _CANAL_MEDIAL_MM = 8.0, 44.0
# Boxes of the sinuses: limits of the distance from the midline, backwards and upwards of the eyes.
_SINUSES = {
    AirKind.ETHMOID: ((0.0, 18.0), (-10.0, 45.0), (-15.0, 12.0)),
    AirKind.MAXILLARY: ((12.0, 50.0), (-12.0, 45.0), (-52.0, -2.0)),
    AirKind.SPHENOID: ((0.0, 24.0), (38.0, 78.0), (-20.0, 16.0)),
    AirKind.FRONTAL: ((0.0, 50.0), (-25.0, 25.0), (8.0, 60.0)),
}
# Air of folds of the face is shallower than any sinus.
_SINUS_DEPTH_MM = 6.0
# The centre of the inner ear from the ear canal.
_OTIC_BACK_MM, _OTIC_UP_MM = -2.0, 6.0


def bone_parts(
    tissue: NDArray[np.uint8], frame: HeadFrame | None, spacing_mm: Spacing
) -> NDArray[np.uint8]:
    """The part of the skull, (i, j, k), that bone at each place would belong to."""
    braincase = _near_brain(tissue, spacing_mm)
    part = np.where(braincase, np.uint8(BonePart.VAULT), np.uint8(BonePart.FACE))
    if frame is None:
        return part
    right, back, up = frame.lateral_back_up(tissue.shape, spacing_mm)
    high = (up > _VAULT_UP_MM) | (back > _OCCIPUT_BACK_MM)
    part[braincase & ~high] = BonePart.BASE
    spine = (back > _SPINE_BACK_MM) & (up < _SPINE_UP_MM) & (np.abs(right) < _SPINE_LATERAL_MM)
    part[spine & ~braincase] = BonePart.SPINE
    for side, ear_back, ear_up in _ears(frame):
        behind, above = back - ear_back, up - ear_up
        lateral = side * right
        around = np.hypot(behind - _TEMPORAL_BACK_MM, above)
        ball = np.hypot(around, lateral - _TEMPORAL_LATERAL_MM) < _TEMPORAL_MM
        part[ball & ((behind > _CONDYLE_BACK_MM) | (above > _CONDYLE_UP_MM))] = BonePart.TEMPORAL
    return part


def air_kinds(
    inner_air: Mask, depth_mm: NDArray[np.float32], part: NDArray[np.uint8], *,
    frame: HeadFrame | None, spacing_mm: Spacing,
) -> NDArray[np.uint8]:  # fmt: skip
    """The kind, (i, j, k), of the air in the head; ``depth_mm`` below the skin."""
    kind = np.zeros(inner_air.shape, dtype=np.uint8)
    if frame is None:
        return kind
    right, back, up = frame.lateral_back_up(inner_air.shape, spacing_mm)
    lateral = np.abs(right)
    deep = inner_air & (depth_mm > _SINUS_DEPTH_MM)
    for sinus, box in _SINUSES.items():
        inside = deep
        for values, (low, high) in zip((lateral, back, up), box, strict=True):
            inside = inside & (values >= low) & (values <= high)
        kind[inside] = sinus
    kind[inner_air & (part == BonePart.TEMPORAL)] = AirKind.MASTOID
    for side, ear_back, ear_up in _ears(frame):
        canal = np.hypot(back - ear_back, up - ear_up) < _CANAL_RADIUS_MM
        kind[canal & (side * right > _CANAL_MEDIAL_MM) & inner_air] = AirKind.AIRWAY
    return kind


def otic_distance(
    frame: HeadFrame | None, shape: tuple[int, ...], spacing_mm: Spacing
) -> NDArray[np.float32]:
    """Millimetres, (i, j, k), to the centre of the nearer inner ear; far away without a frame."""
    nearest = np.full(shape, 1000.0, dtype=np.float32)
    if frame is None:
        return nearest
    right, back, up = frame.lateral_back_up(shape, spacing_mm)
    for side, ear_back, ear_up in _ears(frame):
        plane = np.hypot(back - ear_back - _OTIC_BACK_MM, up - ear_up - _OTIC_UP_MM)
        np.minimum(nearest, np.hypot(plane, side * right - OTIC_LATERAL_MM), out=nearest)
    return nearest


def _ears(frame: HeadFrame) -> list[tuple[float, float, float]]:
    """Side (-1 left, 1 right), and how far behind and above the eyes each ear canal lies."""
    found = []
    for side, ear in zip((-1.0, 1.0), frame.ears, strict=True):
        found.append(
            (side, float((ear - frame.eyes) @ frame.back), float((ear - frame.eyes) @ frame.up))
        )
    return found


def _near_brain(tissue: NDArray[np.uint8], spacing_mm: Spacing) -> Mask:
    """Within ``_BRAINCASE_MM`` of the brain, (i, j, k), found on half the grid."""
    brain = np.isin(tissue[::2, ::2, ::2], _BRAIN)
    if not brain.any():
        return np.zeros(tissue.shape, dtype=bool)
    double = tuple(2.0 * mm for mm in spacing_mm)
    near = ndimage.distance_transform_edt(~brain, sampling=double) < _BRAINCASE_MM
    full = near.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    return np.asarray(full[: tissue.shape[0], : tissue.shape[1], : tissue.shape[2]])
