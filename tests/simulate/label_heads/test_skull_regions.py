"""Landmarks of a head, and the parts of the skull and kinds of air that follow from them."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.label_heads.skull import (
    BRAIN_STEM,
    AirKind,
    BonePart,
    HeadFrame,
    air_kinds,
    bone_parts,
    find_frame,
    otic_distance,
)
from medcyclegan.simulate.tissues import Tissue

MM = (2.0, 2.0, 2.0)
SHAPE = (84, 110, 90)
EYES = ((28, 96, 50), (56, 96, 50))  # 56 mm apart; the midline is voxel 42
STEM = (42, 50, 50)  # straight behind: the head is level


def head_of_bone(eyes=EYES, stem=STEM) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Labels and tissues of a block of bone with eyes, a brain above and behind, and its stem."""
    labels, tissue = np.zeros(SHAPE, np.int32), np.full(SHAPE, np.uint8(Tissue.CORTICAL_BONE))
    tissue[20:64, 10:90, 55:85] = Tissue.WHITE_MATTER
    for i, j, k in eyes:
        tissue[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3] = Tissue.EYE_FLUID
    i, j, k = stem
    labels[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3] = BRAIN_STEM
    return labels, tissue


def frame_of(air: np.ndarray | None = None, stem: tuple[int, int, int] = STEM) -> HeadFrame:
    labels, tissue = head_of_bone(stem=stem)
    none = np.zeros(SHAPE, bool)
    frame = find_frame(labels, tissue, none if air is None else air, MM)
    assert frame is not None
    return frame


def test_ears_lie_behind_the_eyes_towards_the_brain_stem() -> None:
    frame = frame_of()
    assert frame.eyes == pytest.approx([84.0, 192.0, 100.0])
    assert frame.back == pytest.approx([0.0, -1.0, 0.0])
    assert frame.ears[:, 1:] == pytest.approx(np.array([[121.0, 80.0]] * 2))
    assert frame.ears[0, 0] < frame.eyes[0] < frame.ears[1, 0]
    nodding = frame_of(stem=(42, 50, 30))
    assert nodding.ears[0, 2] < frame.ears[0, 2] - 20.0  # the ears go where the stem goes


def test_the_air_of_a_canal_is_found_and_that_of_small_cells_is_not() -> None:
    air = np.zeros(SHAPE, bool)
    air[12:20, 54:59, 36:41] = True  # left: 11 mm in front of the guess and 3 mm lower
    air[66:72:2, 50:62:2, 34:46:2] = True  # right: speckles
    frame = frame_of(air)
    assert frame.ears[0, 1:] == pytest.approx([112.0, 76.0], abs=2.1)
    assert frame.ears[1, 1:] == pytest.approx([121.0, 80.0])


@pytest.mark.parametrize("eyes", [(), EYES[:1]])
def test_without_two_eyes_there_is_no_frame(eyes: tuple[tuple[int, int, int], ...]) -> None:
    labels, tissue = head_of_bone(eyes)
    assert find_frame(labels, tissue, np.zeros(SHAPE, bool), MM) is None
    parts = bone_parts(tissue, None, MM)
    assert set(np.unique(parts)) == {BonePart.VAULT, BonePart.FACE}
    assert otic_distance(None, SHAPE, MM).min() > 100.0


def test_parts_of_the_skull_are_where_anatomy_has_them() -> None:
    _, tissue = head_of_bone()
    part = bone_parts(tissue, frame_of(), MM)
    ear_j, ear_k, side_i = 121 // 2, 80 // 2, 42 + 26
    assert part[42, 50, 87] == BonePart.VAULT
    assert part[42, 60, 41] == BonePart.FACE  # 18 mm below the line, far from the brain
    assert part[side_i, ear_j - 4, ear_k] == BonePart.TEMPORAL
    assert part[84 - side_i, ear_j - 4, ear_k] == BonePart.TEMPORAL
    assert part[side_i, ear_j + 8, ear_k - 2] != BonePart.TEMPORAL, "the condyle of the jaw"
    assert part[side_i, ear_j - 20, ear_k] != BonePart.TEMPORAL, "40 mm behind the canal"
    assert part[42, ear_j, ear_k] != BonePart.TEMPORAL, "the clivus"
    assert part[42, 50, 20] == BonePart.SPINE
    volume_ml = (part == BonePart.TEMPORAL).sum() * 8.0 / 1000.0 / 2.0
    assert volume_ml < 4.2 / 3.0 * np.pi * 2.5**3  # within 25 mm of a point


def test_kinds_of_air_follow_from_their_place() -> None:
    _, tissue = head_of_bone()
    frame = frame_of()
    part = bone_parts(tissue, frame, MM)
    air, depth = np.ones(SHAPE, bool), np.full(SHAPE, 20.0, np.float32)
    kind = air_kinds(air, depth, part, frame=frame, spacing_mm=MM)
    assert kind[42 + 4, 96, 50 + 10] == AirKind.FRONTAL
    assert kind[42 + 12, 92, 50 - 12] == AirKind.MAXILLARY
    assert kind[42, 96 - 25, 50] == AirKind.SPHENOID
    assert kind[42, 90, 50] == AirKind.ETHMOID
    assert kind[42, 96, 20] == AirKind.AIRWAY
    ear_j, ear_k = 121 // 2, 80 // 2
    assert kind[42 + 28, ear_j, ear_k] == AirKind.AIRWAY, "the ear canal"
    assert kind[42 + 24, ear_j - 7, ear_k] == AirKind.MASTOID
    shallow = air_kinds(air, depth * 0.1, part, frame=frame, spacing_mm=MM)
    assert shallow[42 + 4, 96, 50 + 10] == AirKind.AIRWAY  # the control: a fold of the face


def test_the_inner_ear_lies_38_mm_from_the_midline() -> None:
    distance = otic_distance(frame_of(), SHAPE, MM)
    places = np.argwhere(distance < 2.0)
    assert set(np.sign(places[:, 0] - 42).tolist()) == {-1, 1}
    assert np.abs(np.abs(places[:, 0] - 42) * 2.0 - 38.0).max() <= 2.0
