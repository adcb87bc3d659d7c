"""Laws of what lies in the soft tissue: sheets, collagen on bone, dura, mucosa, and no bone."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.label_heads.anatomy import split_soft_tissue
from medcyclegan.simulate.label_heads.label_maps import to_steps
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import PROPERTIES, Tissue

Rng = np.random.default_rng
GRID = SlabGrid(3, 64, 1.0, 3.0, 3.0, 2)
SHAPE = GRID.sampled_shape


def split(tissue: np.ndarray, seed: int, bone_mm: np.ndarray | None = None) -> np.ndarray:
    """Split a slab far below the skin, and far from bone unless told."""

    def steps(mm: float) -> np.ndarray:
        return np.full(SHAPE, to_steps(mm), dtype=np.uint8)

    maps = {
        "depth_below_skin": steps(15.0),
        "bone_distance": steps(15.0),
        "air_distance": steps(10.0),
        "orbit": np.zeros(SHAPE, np.uint8),
    }
    return split_soft_tissue(tissue, maps, GRID, Rng(seed), bone_mm=bone_mm)


def full(tissue: Tissue) -> np.ndarray:
    return np.full(SHAPE, tissue, dtype=np.uint8)


def share(tissue: Tissue, labels: np.ndarray) -> float:
    return float(np.mean(labels == tissue))


def plane_mm() -> np.ndarray:
    """The distance to bone whose surface is the row in the middle."""
    rows = np.arange(SHAPE[1], dtype=np.float32)[None, :, None] - SHAPE[1] / 2.0 + 0.5
    return np.broadcast_to(rows, SHAPE).astype(np.float32)


def test_muscle_holds_fat_glands_vessels_and_collagen_but_is_mostly_muscle() -> None:
    labels = np.concatenate([split(full(Tissue.MUSCLE), seed) for seed in range(40)])
    assert share(Tissue.MUSCLE, labels) > 0.5
    assert 0.08 < share(Tissue.FAT, labels) < 0.4
    for tissue in (Tissue.TENDON, Tissue.BLOOD, Tissue.GLAND):
        assert 0.005 < share(tissue, labels) < 0.15, tissue


def test_nothing_in_soft_tissue_is_bone_in_ct() -> None:
    for seed in range(20):
        for tissue in np.unique(split(full(Tissue.MUSCLE), seed, plane_mm())):
            assert PROPERTIES[Tissue(tissue)].hu < 160.0


def test_sheets_of_fat_are_thin() -> None:
    def runs(labels: np.ndarray) -> list[int]:
        """Lengths of rows of fat between other tissue."""
        lengths = []
        for row in (labels == Tissue.FAT).reshape(-1, SHAPE[2]).astype(np.int8):
            ends = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
            lengths += (ends[1::2] - ends[::2]).tolist()
        return lengths

    lengths = np.concatenate([runs(split(full(Tissue.MUSCLE), seed)) for seed in range(20)])
    assert float(np.median(lengths)) <= 4.0
    assert lengths.max() > 8  # pads


def test_collagen_lies_on_bone_more_than_elsewhere() -> None:
    near_mm = plane_mm()
    on_bone, elsewhere = [], []
    for seed in range(40):
        labels = split(full(Tissue.MUSCLE), seed, near_mm)
        on_bone.append(share(Tissue.TENDON, labels[(near_mm > 0.0) & (near_mm < 1.0)]))
        elsewhere.append(share(Tissue.TENDON, labels[near_mm > 6.0]))
    assert np.mean(on_bone) > 3.0 * np.mean(elsewhere)


@pytest.mark.parametrize("tissue", [Tissue.CSF, Tissue.GREY_MATTER])
def test_the_skull_is_lined_with_a_millimetre_of_dura(tissue: Tissue) -> None:
    distance = plane_mm()
    for seed in range(10):
        dura = split(full(tissue), seed, distance) == Tissue.DURA
        assert dura[(distance > 0.0) & (distance < 0.51)].all()
        assert not dura[distance > 1.2].any()
        assert not dura[distance <= 0.0].any()
    deep = np.full(SHAPE, 5.0, np.float32)
    assert not (split(full(tissue), 0, deep) == Tissue.DURA).any()  # the control


def test_mucosa_is_what_lies_near_air_and_the_tongue_is_muscle() -> None:
    labels = full(Tissue.MUCOSA)
    assert not (split(labels, 1) == Tissue.MUCOSA).any()
    maps = {name: np.full(SHAPE, to_steps(15.0), np.uint8) for name in (
        "depth_below_skin", "bone_distance")}  # fmt: skip
    maps |= {"air_distance": np.full(SHAPE, to_steps(1.0), np.uint8)}
    maps |= {"orbit": np.zeros(SHAPE, np.uint8)}
    assert (split_soft_tissue(labels, maps, GRID, Rng(1)) == Tissue.MUCOSA).all()


def test_what_is_no_soft_tissue_stays_and_the_input_is_not_changed() -> None:
    labels = full(Tissue.EYE_FLUID)
    before = labels.copy()
    assert np.array_equal(split(labels, 2), before)
    muscle = full(Tissue.MUSCLE)
    split(muscle, 2)
    assert (muscle == Tissue.MUSCLE).all()
