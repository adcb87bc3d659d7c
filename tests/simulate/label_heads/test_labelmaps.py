"""Label maps become anatomies to sample from: tissues, gaps closed, distances in millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import InputRefused
from medcyclegan.simulate.label_heads.cleaning import fill_gaps
from medcyclegan.simulate.label_heads.label_maps import (
    CHANNELS,
    HeadAnatomy,
    Labelled,
    prepare_head,
    to_mm,
    unpacked,
)
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.head_labels import BONE, GRID, head_labels


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


def channel(head: HeadAnatomy, name: str) -> np.ndarray:
    maps = {known: head.maps[..., place] for place, known in enumerate(CHANNELS)}
    return (maps | unpacked(maps["region"], maps["bone"]))[name]


def tissue_of(head: HeadAnatomy) -> np.ndarray:
    """The tissue of the label map, put together from what a head keeps of it."""
    labelled = channel(head, "labelled")
    tissue = channel(head, "soft").copy()
    for kind, meant in (
        (Labelled.AIR, Tissue.AIR),
        (Labelled.COMPACT, Tissue.CORTICAL_BONE),
        (Labelled.MARROW, Tissue.MARROW),
    ):
        tissue[labelled == kind] = meant
    return tissue


def test_tissues_are_those_of_the_labels(head: HeadAnatomy) -> None:
    tissue = tissue_of(head)
    assert head.maps.dtype == np.uint8
    assert head.spacing_mm == (4.0, 4.0, 4.0)
    assert set(np.unique(tissue)) == {
        Tissue.AIR, Tissue.MUSCLE, Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.WHITE_MATTER,
        Tissue.EYE_FLUID,
    }  # fmt: skip
    labels = head_labels().voxels
    assert (tissue == Tissue.CORTICAL_BONE).sum() == (labels == BONE).sum()
    # Cropped to the head, with two voxels of the map's own air and one added on each side.
    assert 32 <= min(tissue.shape) <= max(tissue.shape) <= 34
    for axis in range(3):
        for end in (0, -1):
            assert (np.take(tissue, end, axis=axis) == Tissue.AIR).all()
            near = np.take(tissue, (3, 4) if end == 0 else (-4, -5), axis=axis)
            assert (near != Tissue.AIR).any()


def test_all_48_orders_of_the_map_give_the_same_head(head: HeadAnatomy) -> None:
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1), (0, 2, 1), (1, 2, 0), (2, 1, 0)):
        for signs in ((1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)):
            directions = np.eye(3)[:, list(order)] * signs
            shape = tuple(GRID.shape[axis] for axis in order)
            affine = np.eye(4)
            affine[:3, :3] = directions * 4.0
            affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2.0)
            turned = prepare_head(head_labels(Geometry((shape[0], shape[1], shape[2]), affine)))
            assert np.array_equal(turned.maps, head.maps)


def test_distances_are_in_millimetres_and_signed(head: HeadAnatomy) -> None:
    tissue, mm = tissue_of(head), to_mm(channel(head, "bone_distance"))
    inner = np.zeros(tissue.shape, dtype=bool)
    inner[1:-1, 1:-1, 1:-1] = True
    bone = (tissue == Tissue.CORTICAL_BONE) | (tissue == Tissue.MARROW)
    assert mm[bone].max() <= 0.5  # smoothed, by a part of a voxel
    assert mm[~bone & inner].min() >= -0.5
    assert np.abs(mm[bone]).min() <= 2.5  # the surface lies midway between voxels of 4 mm
    i, j, k = (n // 2 for n in tissue.shape)
    assert mm[i, j, k] == 4.0  # the middle of the brain: as far as is kept
    depth = to_mm(channel(head, "depth_below_skin"))
    assert depth[i, j, k] == 16.0
    scalp = (tissue == Tissue.MUSCLE) & inner
    assert 0.5 < depth[scalp].min() <= 2.0
    assert np.median(depth[scalp]) < 16.0
    assert depth[tissue == Tissue.AIR].min() == -2.0


def test_the_scalp_is_shallow_where_the_head_touches_its_box_too(head: HeadAnatomy) -> None:
    depth = to_mm(channel(head, "depth_below_skin"))
    _, j, k = (n // 2 for n in depth.shape)
    scalp = np.flatnonzero(tissue_of(head)[:, j, k] == Tissue.MUSCLE)
    assert depth[scalp[0], j, k] <= 8.0  # two voxels: the outside is found on half the grid
    assert depth[scalp[-1], j, k] <= 8.0


def test_an_airway_is_not_the_outside(head: HeadAnatomy) -> None:
    depth = to_mm(channel(head, "depth_below_skin"))
    airway = tissue_of(head) == Tissue.AIR
    assert (airway & (depth > 1.0)).any()  # it lies up to 10 mm deep; the outside below 0
    to_air = to_mm(channel(head, "air_distance"))
    assert to_air[airway & (depth > 1.0)].max() < 0.0
    assert to_air[tissue_of(head) == Tissue.EYE_FLUID].min() > 0.0


def test_without_bone_and_air_there_is_the_nearest_soft_tissue(head: HeadAnatomy) -> None:
    tissue, without = tissue_of(head), channel(head, "soft")
    bone = (tissue == Tissue.CORTICAL_BONE) | (tissue == Tissue.MARROW)
    kept = ~bone & (tissue != Tissue.AIR)
    assert not np.isin(without, (Tissue.CORTICAL_BONE, Tissue.MARROW, Tissue.AIR)).any()
    assert np.array_equal(without[kept], tissue[kept])
    assert {Tissue.MUSCLE, Tissue.WHITE_MATTER} <= set(without[bone])


def test_orbital_fat_lies_around_the_eye_alone(head: HeadAnatomy) -> None:
    orbit = channel(head, "orbit") == 1
    eye = tissue_of(head) == Tissue.EYE_FLUID
    assert orbit[eye].all()
    assert eye.sum() < orbit.sum() < 0.1 * orbit.size


def test_small_gaps_are_closed_and_specks_dropped() -> None:
    tissue = np.zeros((24, 24, 24), np.uint8)
    tissue[2:18, 2:18, 2:18] = Tissue.MUSCLE
    tissue[5, 5, 5] = Tissue.AIR
    tissue[8:14, 8:14, 8:14] = Tissue.AIR
    tissue[22, 22, 22] = Tissue.FAT
    closed = fill_gaps(tissue)
    assert closed[5, 5, 5] == Tissue.MUSCLE
    assert (closed[8:14, 8:14, 8:14] == Tissue.AIR).all()
    assert closed[22, 22, 22] == Tissue.AIR
    assert (closed != tissue).sum() == 2


def test_gaps_and_specks_of_a_map_leave_no_trace(head: HeadAnatomy) -> None:
    volume = head_labels()
    voxels = volume.voxels.copy()
    voxels[16, 17, 15] = 0  # in the middle of the brain
    voxels[0, 0, 0] = 507  # far outside
    assert np.array_equal(prepare_head(volume.with_voxels(voxels)).maps, head.maps)


@pytest.mark.parametrize(
    ("label", "message"),
    [(999, r"Unknown labels \[999\]"), (2000, r"0 to 2000"), (-3, r"-3 to")],
)
def test_labels_that_mean_nothing_here_are_refused(label: int, message: str) -> None:
    volume = head_labels()
    voxels = volume.voxels.copy()
    voxels[16, 16, 16] = label
    with pytest.raises(InputRefused, match=message):
        prepare_head(volume.with_voxels(voxels))


def test_a_map_without_bone_is_refused() -> None:
    volume = head_labels()
    voxels = np.where(volume.voxels == BONE, 507, volume.voxels).astype(np.float32)
    with pytest.raises(InputRefused, match="a CT needs bone"):
        prepare_head(volume.with_voxels(voxels))
