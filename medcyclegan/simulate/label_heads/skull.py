"""Landmarks and regions of the skull, and how it varies from head to head.

Where eyes and ears of a label map are: the frame in which regions of the skull are told apart.
Label maps name eyes and brain stem but no ear. The ear canals lie some 71 mm behind the middle of
the eyes, towards the brain stem, and 20 mm below that line, as measured in 16 heads; where the map
shows the air of a canal near there, its middle is taken.

Which part of the skull a place belongs to, and which air of the head is a sinus of which kind.
Both follow from the frame of eyes, ears and brain stem, for label maps know bone and air alone.

What differs from head to head in bone and sinuses, drawn once a head before any slab is placed.
A slab then gets what that head has there, and a volume as large as the head is one head.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.simulate.slab_grid import Rng
from medcyclegan.simulate.tissues import Tissue

Points = NDArray[np.float64]

BRAIN_STEM = 16
_MIN_EYES_APART_MM = 45.0
# The ear canal from the middle of the eyes: along the line to the brain stem, and above it.
_EAR_BACK_MM, _EAR_UP_MM = 71.0, -20.0
# Where the air of a canal is looked for: this far from there, and this far from the midline.
_SEARCH_MM, _CANAL_LATERAL_MM = 13.0, (48.0, 66.0)
_FEWEST_CANAL_VOXELS = 20
# The inner ear lies medially of the canal; from the midline.
OTIC_LATERAL_MM = 38.0


@dataclass(frozen=True, eq=False)
class HeadFrame:
    """Landmarks in millimetres of R, A, S from voxel (0, 0, 0) of a map.

    ``eyes`` is the point midway between them; ``back`` and ``up`` are unit vectors of the sagittal
    plane, towards the ears and square to that; ``ears`` (2, 3) are the ear canals, left and right,
    on the lateral side of the inner ears.
    """

    eyes: Points
    back: Points
    up: Points
    ears: Points

    def lateral_back_up(
        self, shape: tuple[int, ...], spacing_mm: tuple[float, float, float]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Millimetres to the right, (i, 1, 1), backwards and upwards of the eyes, (1, j, k)."""
        right, front, above = (
            (np.arange(n) * mm - zero).astype(np.float32)
            for n, mm, zero in zip(shape, spacing_mm, self.eyes, strict=True)
        )
        plane = np.stack(np.broadcast_arrays(front[None, :, None], above[None, None, :]), axis=-1)
        back, up = (plane @ axis[1:].astype(np.float32) for axis in (self.back, self.up))
        return right[:, None, None], back, up


def find_frame(
    labels: NDArray[np.int32],
    tissue: NDArray[np.uint8],
    inner_air: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> HeadFrame | None:
    """Find the landmarks of a map (i, j, k) in R, A, S order; None if it has not two eyes.

    ``labels`` are those of the map, ``inner_air`` is air that is not around the head.
    """
    mm = np.asarray(spacing_mm)
    globes = np.argwhere(tissue == Tissue.EYE_FLUID)
    if len(globes) == 0 or np.ptp(globes[:, 0]) * mm[0] < _MIN_EYES_APART_MM:
        return None
    eyes = (globes.min(axis=0) + globes.max(axis=0)) / 2.0 * mm
    stem = np.argwhere(labels == BRAIN_STEM)
    back = np.array([0.0, -1.0, 0.0])
    if len(stem):
        back[1:] = (stem.mean(axis=0) * mm - eyes)[1:]
        back /= np.linalg.norm(back)
    up = np.array([0.0, back[2], -back[1]])
    guess = eyes + _EAR_BACK_MM * back + _EAR_UP_MM * up
    # A canal is wider than the air cells behind it, of which erosion leaves nothing.
    air_mm = np.argwhere(ndimage.binary_erosion(inner_air)) * mm
    ears = np.stack([_find_canal(air_mm, guess, side) for side in (-1.0, 1.0)])
    return HeadFrame(eyes, back, up, ears)


def _find_canal(air_mm: Points, guess: Points, side: float) -> Points:
    """The middle of an ear canal, (3,): of its air if there is some, or ``guess``."""
    lateral = (air_mm[:, 0] - guess[0]) * side
    off = np.hypot(air_mm[:, 1] - guess[1], air_mm[:, 2] - guess[2])
    low, high = _CANAL_LATERAL_MM
    canal = air_mm[(lateral > low) & (lateral < high) & (off < _SEARCH_MM)]
    place = np.array([guess[0] + side * (low + high) / 2.0, guess[1], guess[2]])
    if len(canal) >= _FEWEST_CANAL_VOXELS:
        place[1:] = np.median(canal[:, 1:], axis=0)
    return place


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
_SINUS_BOXES = {
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
    for sinus, box in _SINUS_BOXES.items():
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


Array = NDArray[np.float32]

# Thickness of the skull against that of the label map: from .6 to 1.5, by a head's draw and by
# part of the braincase (frontal 8 +- 2 mm, parietal 7 +- 1.4, occipital 8 +- 2.5 in adults: Lillie
# et al., J. Forensic Sci. 2016, 61:66, give spreads of a fifth to a third within a region).
_THICKNESS, _THICKNESS_SD = (0.6, 1.5), 0.22
# Size of the brain in its skull, by which the gap between them is 0 to some 8 mm wide.
_BRAIN_SIZE, _OWN_BRAIN_SIZE = (0.92, 1.03), 0.5
# What label and threshold leave open about where the surface of bone lies, millimetres.
_SURFACE_MM = (-0.3, 0.4)
# Compact tables of the vault, millimetres (outer 1.5, inner 1.0 to 1.5 on average).
_TABLE_MM = (0.7, 1.8)
# Share of bone in marrow spaces by part of the skull, so that 1900 HU times it is the HU of CT:
# vault 430 to 1070, clivus and sphenoid 200 to 600, jaw and vertebrae 150 to 500 HU.
_MARROW_SHARE = {
    BonePart.VAULT: (0.22, 0.56),
    BonePart.BASE: (0.10, 0.30),
    BonePart.FACE: (0.10, 0.25),
    BonePart.SPINE: (0.08, 0.25),
    BonePart.TEMPORAL: (0.25, 0.60),
}
# Compact bone 1370 to 1900 HU, the otic capsule 1800 to 2200 HU, as shares of 1900 HU. Skulls in
# CT of 1 mm have a 99th percentile of 1430 to 1840 HU.
_COMPACT_SHARE, _OTIC_SHARE = (0.72, 1.0), (0.95, 1.16)
_OTIC_RADIUS_MM = (6.0, 9.0)
# Temporal bone: the share that is air, how large the cells are, how often they hold fluid.
_PNEUMATISATION, _CELLS_MM, _EFFUSION = (0.0, 0.6), (1.8, 3.6), 0.06
# Sinuses: how far their walls move, how often frontal ones are missing, how thick mucosa is where
# it is swollen, and how often; how often there is a level of fluid, and how often no air is left.
_GROWTH_MM = {
    AirKind.FRONTAL: (-4.0, 6.0),
    AirKind.MAXILLARY: (-3.0, 5.0),
    AirKind.SPHENOID: (-4.0, 5.0),
}
_NO_FRONTAL = 0.08
_MUCOSA_MM, _SWOLLEN, _FLUID, _OPAQUE = (1.0, 6.0), 0.33, 0.06, 0.02
_GROWING_SINUSES = tuple(_GROWTH_MM)
_GONE_MM = -40.0


@dataclass(frozen=True, eq=False)
class HeadVariation:
    """One head's bone and sinuses; by kind of air (2, 8): left and right, ``AirKind``."""

    thickness: float
    surface_mm: float
    table_mm: float
    follow_labels: bool
    marrow_share: Array  # by BonePart
    compact_share: float
    otic_share: float
    otic_radius_mm: float
    pneumatisation: Array  # left, right
    cells_mm: float
    effusion: NDArray[np.bool_]  # left, right
    brain_size: float
    growth_mm: Array
    mucosa_mm: Array
    fluid_share: Array  # how much of a sinus's extent from back to front is under fluid


def draw_variation(rng: Rng) -> HeadVariation:
    """Draw one head; always as many numbers, so that what follows does not depend on them."""
    low, high = np.array([_MARROW_SHARE[part] for part in BonePart]).T
    return HeadVariation(
        thickness=float(np.clip(rng.normal(1.0, _THICKNESS_SD), *_THICKNESS)),
        surface_mm=float(rng.uniform(*_SURFACE_MM)),
        table_mm=float(rng.uniform(*_TABLE_MM)),
        follow_labels=bool(rng.random() < 0.4),
        marrow_share=rng.uniform(low, high).astype(np.float32),
        compact_share=float(rng.uniform(*_COMPACT_SHARE)),
        otic_share=float(rng.uniform(*_OTIC_SHARE)),
        otic_radius_mm=float(rng.uniform(*_OTIC_RADIUS_MM)),
        pneumatisation=_both_sides(rng, _PNEUMATISATION),
        cells_mm=float(rng.uniform(*_CELLS_MM)),
        effusion=rng.random(2) < _EFFUSION,
        brain_size=_draw_brain_size(rng),
        growth_mm=_draw_growth(rng),
        mucosa_mm=_draw_mucosa(rng),
        fluid_share=_draw_fluid(rng),
    )


def _draw_brain_size(rng: Rng) -> float:
    """Half of the brains are as large as the label map has them."""
    size, own = rng.uniform(*_BRAIN_SIZE), rng.random() < _OWN_BRAIN_SIZE
    return float(size) if own else 1.0


def _both_sides(rng: Rng, limits: tuple[float, float]) -> Array:
    """Left and right, alike but not the same."""
    low, high = limits
    sides = rng.uniform(low, high) + rng.normal(0.0, 0.15 * (high - low), 2)
    return np.clip(sides, low, high).astype(np.float32)


def _draw_growth(rng: Rng) -> Array:
    growth = np.zeros((2, 8), dtype=np.float32)
    for kind, limits in _GROWTH_MM.items():
        growth[:, kind] = _both_sides(rng, limits)
    if rng.random() < _NO_FRONTAL:
        growth[:, AirKind.FRONTAL] = _GONE_MM
    growth[:, AirKind.MASTOID] = _GONE_MM  # its cells are drawn on their own
    return growth


def _draw_mucosa(rng: Rng) -> Array:
    mucosa = np.zeros((2, 8), dtype=np.float32)
    kinds = [*_GROWING_SINUSES, AirKind.ETHMOID]
    thick = rng.uniform(*_MUCOSA_MM, (2, len(kinds)))
    swollen = (rng.random() < _SWOLLEN) & (rng.random((2, len(kinds))) < 0.7)
    opaque = rng.random((2, len(kinds))) < _OPAQUE
    mucosa[:, kinds] = np.where(opaque, -_GONE_MM, np.where(swollen, thick, 0.0))
    return mucosa


def _draw_fluid(rng: Rng) -> Array:
    share = np.zeros((2, 8), dtype=np.float32)
    filled = rng.uniform(0.15, 0.6, (2, len(_GROWING_SINUSES)))
    share[:, list(_GROWING_SINUSES)] = np.where(rng.random(filled.shape) < _FLUID, filled, 0.0)
    return share
