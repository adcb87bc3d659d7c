"""From a whole-head anatomical label map to what a simulation samples from.

Labels are those of FreeSurfer for the brain and of SynthSeg's extended set (Billot et al. 2023,
Medical Image Analysis 86:102789) for the rest of the head.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.simulate.label_heads.cleaning import (
    bone_surface,
    box_with_air,
    fill,
    fill_gaps,
    is_bone,
    outside_air,
    signed_distance,
    smoothed,
    surface_distance,
    to_ras_order,
    to_tissues,
    without_specks,
)
from medcyclegan.simulate.label_heads.skull import (
    AirKind,
    BonePart,
    HeadFrame,
    Spacing,
    air_kinds,
    bone_parts,
    find_frame,
    is_sinus,
    otic_distance,
)
from medcyclegan.simulate.tissues import Tissue

# How far orbital fat reaches around the globe.
ORBIT_MM = 13.0
DISTANCE_STEP_MM = 0.25
_DISTANCE_ZERO = 128
# How far the distances reach; nothing depends on what lies beyond, and files are smaller.
_OUTSIDE_MM, _DEPTH_MM, _AIR_MM, _SINUS_MM, _OTIC_MM = 2.0, 16.0, 5.0, 7.0, 12.0
_BONE_MM = (-4.0, 4.0)
# Jaws: how far from the midline and behind the front of the maxillary sinuses their teeth stand,
# the gap between them, and the percentile of the sinuses' height that is their floor.
_JAWS_ASIDE_MM, _JAWS_BEHIND_MM, _BITE_MM, _FLOOR_PERCENT = 30.0, 35.0, (4.0, 40.0), 20.0
# The dental arch: fewest voxels of a margin, how far off one plane they lie, how deep the row of
# incisors is (voxels), and where the outer rim begins, as a share of the arch's half width.
_FEWEST_MARGIN, _OFF_PLANE, _INCISORS, _RIM = 40, 3.0, 7, 0.75
# Ventricles lie within these distances, R, A and S, of the middle of the brain.
_VENTRICLES_MM = ((-22.0, 22.0), (-35.0, 40.0), (0.0, 28.0))
# How many voxels stand for the vault.
_VAULT_VOXELS = 20000
# Farther from a surface than this, distances are kept to the millimetre, and to two.
_FINE_MM, _COARSE_MM = 2.5, 6.5
_SMOOTH_SKIN_MM = 1.0


# Counts up whenever a label map comes to be another head than before: heads that were kept are not
# mixed with those of another preparation.
PREPARATION = 2

# What is looked up at the nearest voxel, and what is a distance, interpolated between voxels.
NEAREST = ("soft", "region", "bone")
DISTANCES = ("depth_below_skin", "bone_distance", "air_distance", "otic_distance")
CHANNELS = (*NEAREST, *DISTANCES)
# Bits of the channels ``region`` and ``bone``.
_ORBIT_BIT, _AIR_SHIFT, _RIGHT_BIT = 3, 4, 7
_LABEL_SHIFT = 3
_LOW_BITS, _LABEL_BITS = 0b111, 0b11


class Labelled(IntEnum):
    """What the label map has at a voxel, as far as bone and air go."""

    SOFT = 0
    COMPACT = 1
    MARROW = 2
    AIR = 3


@dataclass(frozen=True, eq=False)
class HeadAnatomy:
    """One subject, ready to be sampled.

    ``maps`` is uint8 (i, j, k, 7) in R, A, S order, the channels being ``CHANNELS``:

    - ``soft``, the tissue that would be there without bone and without air;
    - ``region``, packed: the :class:`BonePart`, whether orbital fat is possible, the
      :class:`AirKind` of the nearest air in the head, and whether it is the right side;
    - ``bone``, packed: half the thickness of the bone nearby, in millimetres, and the
      :class:`Labelled` of the voxel;
    - four distances in steps of ``DISTANCE_STEP_MM`` around 128: to the outside of the head
      (positive inside); to the surface of bone, sinuses within it counted as bone (negative
      inside); to the air in the head (negative inside); to the centre of the nearer inner ear.

    ``nearest`` and ``distances``, uint32 (i, j, k), hold the first three and the last four channels
    of a voxel in one number, the first in the lowest byte.
    """

    maps: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]
    nearest: NDArray[np.uint32] = field(init=False)
    distances: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        if self.maps.ndim != 4 or self.maps.shape[3] != len(CHANNELS):
            raise InputRefused(
                f"A prepared head of shape {self.maps.shape}",
                rule=f"it has {len(CHANNELS)} channels: {', '.join(CHANNELS)}",
                remedy="delete what an older version prepared, and prepare the label map again",
            )
        object.__setattr__(self, "nearest", _packed(self.maps[..., : len(NEAREST)]))
        object.__setattr__(self, "distances", _packed(self.maps[..., len(NEAREST) :]))

    @cached_property
    def sinus_extent(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The voxels along the axis from back to front between which the air of each kind lies,
        (2, 8) each: left and right, by kind; 0 and 0 where there is none."""
        low, high = np.zeros((2, 8), np.float32), np.zeros((2, 8), np.float32)
        air = to_mm(self.maps[..., CHANNELS.index("air_distance")]) < 0.0
        places = np.argwhere(air)
        region = unpacked(self.maps[air, CHANNELS.index("region")], np.zeros(len(places), np.uint8))
        for side in (0, 1):
            for kind in range(8):
                own = places[(region["right"] == side) & (region["air_kind"] == kind), 1]
                if own.size:
                    low[side, kind], high[side, kind] = np.percentile(own, (2.0, 98.0))
        return low, high

    @cached_property
    def jaw_margins(self) -> NDArray[np.int64]:
        """Voxels of the jaws that face the other jaw, (n, 4); the last is 1 for the upper jaw.

        They are found in the columns of the map, in the front of the face and near its middle, in
        which bone of the face lies above bone of the face with a gap as that between jaws, below
        the floor of the maxillary sinuses. None where there are no such sinuses.
        """
        parts = self._parts()
        sinus = (parts["labelled"] == Labelled.AIR) & (parts["air_kind"] == AirKind.MAXILLARY)
        sinus &= self.maps[..., CHANNELS.index("depth_below_skin")] > to_steps(_OUTSIDE_MM)
        if not sinus.any():
            return np.zeros((0, 4), dtype=np.int64)
        places = np.argwhere(sinus)
        face = self._bone_of(BonePart.FACE)
        face[:, :, int(np.percentile(places[:, 2], _FLOOR_PERCENT)) :] = False
        columns = np.argwhere(face.any(axis=2))
        found = []
        if len(columns):
            aside = np.abs(columns[:, 0] - places[:, 0].mean()) * self.spacing_mm[0]
            behind = (places[:, 1].max() - columns[:, 1]) * self.spacing_mm[1]
            columns = columns[(aside < _JAWS_ASIDE_MM) & (behind < _JAWS_BEHIND_MM)]
        for i, j in columns:
            heights = np.flatnonzero(face[i, j])
            gaps = np.diff(heights)
            widest = int(gaps.argmax()) if gaps.size else -1
            if widest >= 0 and _BITE_MM[0] < gaps[widest] * self.spacing_mm[2] < _BITE_MM[1]:
                found += [(i, j, heights[widest], 0), (i, j, heights[widest + 1], 1)]
        margins = np.array(found, dtype=np.int64).reshape(-1, 4)
        middle = float(places[:, 0].mean())
        return np.concatenate([_dental_arch(margins[margins[:, 3] == n], middle) for n in (0, 1)])

    @cached_property
    def vault_bone(self) -> NDArray[np.int64]:
        """One in some voxels of the vault's bone, (n, 3)."""
        vault = np.argwhere(self._bone_of(BonePart.VAULT))
        return np.asarray(vault[:: max(1, len(vault) // _VAULT_VOXELS)])

    @cached_property
    def ventricles(self) -> NDArray[np.int64]:
        """Voxels in the upper part of the ventricles, (n, 3): fluid all around, near the middle of
        the brain."""
        fluid = self.maps[..., CHANNELS.index("soft")] == Tissue.CSF
        off_mm = [
            ((np.arange(n) - centre) * mm).astype(np.float32)
            for n, centre, mm in zip(fluid.shape, self.brain_centre, self.spacing_mm, strict=True)
        ]
        near = [
            (off >= low) & (off <= high)
            for off, (low, high) in zip(off_mm, _VENTRICLES_MM, strict=True)
        ]
        box = np.ix_(*(np.flatnonzero(axis) for axis in near))
        first = [int(np.flatnonzero(axis)[0]) if axis.any() else 0 for axis in near]
        return np.argwhere(ndimage.binary_erosion(fluid[box])) + first

    def _parts(self) -> dict[str, NDArray[np.uint8]]:
        maps = {name: self.maps[..., place] for place, name in enumerate(CHANNELS)}
        return unpacked(maps["region"], maps["bone"])

    def _bone_of(self, part: BonePart) -> NDArray[np.bool_]:
        parts = self._parts()
        bone = (parts["labelled"] == Labelled.COMPACT) | (parts["labelled"] == Labelled.MARROW)
        return np.asarray(bone & (parts["part"] == part))

    @cached_property
    def brain_centre(self) -> tuple[np.float32, ...]:
        """The voxel in the middle of the brain; that of the box if there is none."""
        soft = self.maps[::4, ::4, ::4, CHANNELS.index("soft")]
        brain = np.argwhere(np.isin(soft, (Tissue.GREY_MATTER, Tissue.WHITE_MATTER)))
        middle = np.asarray(self.maps.shape[:3]) / 2.0
        if len(brain):
            middle = brain.mean(axis=0) * 4.0
        return tuple(np.float32(value) for value in middle)


def _dental_arch(margin: NDArray[np.int64], middle: float) -> NDArray[np.int64]:
    """Of a jaw's margin (n, 4) what lies near one plane, and on the outer rim of the arch."""
    for _ in range(4):
        if len(margin) < _FEWEST_MARGIN:
            return margin[:0]
        plane = np.column_stack([margin[:, :2], np.ones(len(margin))])
        fit = plane @ np.linalg.lstsq(plane, margin[:, 2], rcond=None)[0]
        off = np.abs(margin[:, 2] - fit)
        margin = margin[off <= max(_OFF_PLANE, float(np.percentile(off, 75.0)))]
    aside = np.abs(margin[:, 0] - middle)
    widest = np.zeros(int(margin[:, 1].max()) + 1)
    np.maximum.at(widest, margin[:, 1], aside)
    in_front = margin[:, 1] > margin[:, 1].max() - _INCISORS
    return np.asarray(margin[in_front | (aside > _RIM * widest[margin[:, 1]])])


def _packed(channels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """(i, j, k, 4 or fewer) bytes -> (i, j, k) numbers, the first byte the lowest."""
    words = np.zeros(channels.shape[:3], dtype=np.uint32)
    for place in range(channels.shape[3]):
        words |= channels[..., place].astype(np.uint32) << np.uint32(8 * place)
    return words


def prepare_head(labels: Volume) -> HeadAnatomy:
    """Clean a label map and measure the distances that simulation needs.

    Raises
    ------
    InputRefused
        If the map holds labels that have no tissue here, or no bone.
    """
    ordered, spacing_mm = to_ras_order(labels)
    tissue = fill_gaps(to_tissues(ordered))
    outside = outside_air(tissue != Tissue.AIR)
    box = box_with_air(~outside)
    tissue, outside = tissue[box], outside[box]
    inner_air = (tissue == Tissue.AIR) & ~outside
    frame = find_frame(ordered[box], tissue, inner_air, spacing_mm)
    maps = _pad_with_air(_stack_maps(tissue, outside, frame, spacing_mm))
    # Channel by channel in memory, so that a file of it is a third as large.
    return HeadAnatomy(np.asfortranarray(maps), spacing_mm)


def _stack_maps(
    tissue: NDArray[np.uint8],
    outside: NDArray[np.bool_],
    frame: HeadFrame | None,
    spacing_mm: Spacing,
) -> NDArray[np.uint8]:
    depth = smoothed(-signed_distance(~outside, spacing_mm), _SMOOTH_SKIN_MM, spacing_mm)
    part = bone_parts(tissue, frame, spacing_mm)
    inner_air = (tissue == Tissue.AIR) & ~outside
    kind = air_kinds(inner_air, depth, part, frame=frame, spacing_mm=spacing_mm)
    # There is no air in the vault but that of the frontal sinuses: gaps of the labelling.
    gap = inner_air & (part == BonePart.VAULT) & (kind == AirKind.AIRWAY) & (depth > 0.0)
    tissue = fill(tissue, gap)
    inner_air &= ~gap
    bone = is_bone(tissue)
    sinus = is_sinus(kind)
    to_bone, half = bone_surface(bone, sinus, inner_air & ~sinus, spacing_mm)
    to_air, kind = _air_surface(inner_air, kind, spacing_mm)
    to_air[kind == AirKind.MASTOID] = _AIR_MM  # its cells are drawn, not looked up
    reach = np.where(is_sinus(kind), np.float32(_SINUS_MM), np.float32(_AIR_MM))
    nearest_soft = ndimage.distance_transform_edt(
        bone | (tissue == Tissue.AIR), return_distances=False, return_indices=True,
        sampling=spacing_mm,
    )  # fmt: skip
    channels = {
        "soft": tissue[tuple(nearest_soft)],
        "region": _regions(tissue, part, kind, frame, spacing_mm),
        "bone": np.round(half).astype(np.uint8) | (_labelled(tissue, spacing_mm) << _LABEL_SHIFT),
        "depth_below_skin": _quantise(np.clip(depth, -_OUTSIDE_MM, _DEPTH_MM)),
        "bone_distance": _quantise(np.clip(to_bone, *_BONE_MM)),
        "air_distance": _quantise(np.clip(to_air, -reach, reach)),
        "otic_distance": _quantise(
            np.minimum(otic_distance(frame, tissue.shape, spacing_mm), _OTIC_MM)
        ),
    }
    return np.stack([channels[name] for name in CHANNELS], axis=-1)


def _air_surface(
    inner_air: NDArray[np.bool_], kind: NDArray[np.uint8], spacing_mm: Spacing
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Signed distance to the air in the head, and the kind of the nearest of it."""
    if not inner_air.any():
        return np.full(inner_air.shape, 1000.0, np.float32), kind
    nearest = ndimage.distance_transform_edt(
        ~inner_air, return_distances=False, return_indices=True, sampling=spacing_mm
    )
    return surface_distance(inner_air, spacing_mm), kind[tuple(nearest)]


def _regions(
    tissue: NDArray[np.uint8],
    part: NDArray[np.uint8],
    kind: NDArray[np.uint8],
    frame: HeadFrame | None,
    spacing_mm: Spacing,
) -> NDArray[np.uint8]:
    from_eye = ndimage.distance_transform_edt(tissue != Tissue.EYE_FLUID, sampling=spacing_mm)
    orbit = (from_eye < ORBIT_MM).astype(np.uint8)
    middle = tissue.shape[0] / 2.0 if frame is None else frame.eyes[0] / spacing_mm[0]
    right = (np.arange(tissue.shape[0]) > middle).astype(np.uint8)[:, None, None]
    return np.asarray(
        part | (orbit << _ORBIT_BIT) | (kind << _AIR_SHIFT) | (right << _RIGHT_BIT), np.uint8
    )


def _labelled(tissue: NDArray[np.uint8], spacing_mm: Spacing) -> NDArray[np.uint8]:
    bone = is_bone(tissue)
    labelled = np.where(bone, np.uint8(Labelled.COMPACT), np.uint8(Labelled.SOFT))
    labelled[tissue == Tissue.AIR] = Labelled.AIR
    labelled[without_specks(tissue == Tissue.MARROW, bone, spacing_mm)] = Labelled.MARROW
    return labelled


def unpacked(region: NDArray[np.uint8], bone: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
    """Unpack the channels ``region`` and ``bone``: ``part``, ``orbit``, ``air_kind``, ``right``,
    ``half_thickness`` in millimetres and ``labelled``; each of the channels' shape."""
    return {
        "part": region & np.uint8(_LOW_BITS),
        "orbit": (region >> np.uint8(_ORBIT_BIT)) & np.uint8(1),
        "air_kind": (region >> np.uint8(_AIR_SHIFT)) & np.uint8(_LOW_BITS),
        "right": region >> np.uint8(_RIGHT_BIT),
        "half_thickness": bone & np.uint8(_LOW_BITS),
        "labelled": (bone >> np.uint8(_LABEL_SHIFT)) & np.uint8(_LABEL_BITS),
    }


def _pad_with_air(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One voxel of air on all sides, far from bone; distances are measured before it is added,
    so that a neck cut off by the field of view gets no skin there."""
    padded: NDArray[np.uint8] = np.pad(maps, ((1, 1), (1, 1), (1, 1), (0, 0)), mode="edge")
    border = np.ones(padded.shape[:3], dtype=bool)
    border[1:-1, 1:-1, 1:-1] = False
    far = _quantise(np.asarray([-_OUTSIDE_MM, _BONE_MM[1], _AIR_MM]))
    padded[border, CHANNELS.index("bone")] = Labelled.AIR << _LABEL_SHIFT
    first = CHANNELS.index("depth_below_skin")
    for channel, value in enumerate(far, start=first):
        padded[border, channel] = value
    return padded


def _quantise(distance_mm: NDArray[Any]) -> NDArray[np.uint8]:
    fine = np.round(distance_mm / DISTANCE_STEP_MM)
    coarse = np.round(distance_mm) / DISTANCE_STEP_MM
    far = np.round(distance_mm / 2.0) * 2.0 / DISTANCE_STEP_MM
    size = np.abs(distance_mm)
    steps = np.where(size < _FINE_MM, fine, np.where(size < _COARSE_MM, coarse, far))
    return np.asarray(np.clip(steps + _DISTANCE_ZERO, 0, 255).astype(np.uint8))


def to_steps(distance_mm: float) -> np.uint8:
    """What a distance channel holds for some millimetres."""
    return np.uint8(round(distance_mm / DISTANCE_STEP_MM) + _DISTANCE_ZERO)


def to_mm(quantised: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn a distance channel back into millimetres, float32, at most 31.75 either way."""
    return (quantised.astype(np.float32) - _DISTANCE_ZERO) * np.float32(DISTANCE_STEP_MM)
