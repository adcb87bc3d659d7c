"""Bone, sinuses and air cells: drawn once a head and side, with walls left, as dense as drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medcyclegan.simulate.label_heads.anatomy import TissueSlab
from medcyclegan.simulate.label_heads.bone import Skull, bone_hu, draw_bone_share, draw_skull
from medcyclegan.simulate.label_heads.label_maps import to_steps
from medcyclegan.simulate.label_heads.sampling import Maps
from medcyclegan.simulate.label_heads.skull import AirKind, BonePart, HeadVariation, draw_variation
from medcyclegan.simulate.label_heads.slabs import render_ct
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue

GRID = SlabGrid(12, 96, 1.0, 1.0, 1.0, 2)
Rng = np.random.default_rng


def steps_of(distance_mm: np.ndarray) -> np.ndarray:
    return np.clip(np.round(distance_mm * 4.0) + 128, 0, 255).astype(np.uint8)


def block_of_bone(part: BonePart, kind: AirKind = AirKind.AIRWAY, air_mm: float = 7.0) -> Maps:
    """Bone in the columns from 16 to 80 of every slice, right of the middle row on the right side,
    air in it at ``air_mm`` from where it is all air."""
    shape = GRID.sampled_shape
    row, column = (
        np.broadcast_to(axis, shape)
        for axis in (np.arange(96.0)[None, :, None], np.arange(96.0)[None, None, :])
    )
    return {
        "soft": np.full(shape, np.uint8(Tissue.MUSCLE)),
        "part": np.full(shape, np.uint8(part)),
        "air_kind": np.full(shape, np.uint8(kind)),
        "right": (row >= 48).astype(np.uint8),
        "half_thickness": np.full(shape, np.uint8(3)),
        "labelled": np.zeros(shape, np.uint8),
        "bone_distance": steps_of(np.clip(np.abs(column - 48.0) - 32.5, -4.0, 4.0)),
        "air_distance": steps_of(np.clip(np.abs(column - 48.0) - air_mm, -7.0, 7.0)),
        "otic_distance": np.full(shape, to_steps(12.0)),
        "depth_below_skin": np.full(shape, to_steps(16.0)),
    }


def varied(**changes: object) -> HeadVariation:
    plain = replace(
        draw_variation(Rng(0)),
        thickness=1.0,
        surface_mm=0.0,
        follow_labels=False,
        table_mm=1.2,
        effusion=np.zeros(2, bool),
    )
    nothing = np.zeros((2, 8), np.float32)
    return replace(plain, **({"growth_mm": nothing, "mucosa_mm": nothing} | changes))


def skull_of(maps: Maps, head: HeadVariation, seed: int = 0) -> Skull:
    return draw_skull(maps, head, GRID, Rng(seed), fluid=np.zeros(GRID.sampled_shape, bool))


def test_a_head_is_drawn_before_and_without_its_slabs() -> None:
    first, again = draw_variation(Rng(7)), draw_variation(Rng(7))
    assert np.array_equal(first.pneumatisation, again.pneumatisation)
    assert np.array_equal(first.growth_mm, again.growth_mm)
    heads = [draw_variation(Rng(seed)) for seed in range(300)]
    shares = np.array([head.pneumatisation for head in heads])
    assert shares.min() >= 0.0
    assert shares.max() <= 0.6
    assert 0.0 < np.abs(shares[:, 0] - shares[:, 1]).mean() < 0.2  # sides are alike, not the same
    no_frontal = np.mean([head.growth_mm[0, AirKind.FRONTAL] < -20.0 for head in heads])
    assert 0.03 < no_frontal < 0.14
    assert (
        0.15 < np.mean([(head.mucosa_mm[:, AirKind.MAXILLARY] > 0).any() for head in heads]) < 0.5
    )


@pytest.mark.parametrize("share", [(0.1, 0.5), (0.6, 0.0)])
def test_each_side_of_the_temporal_bone_is_as_airy_as_drawn(share: tuple[float, float]) -> None:
    head = varied(pneumatisation=np.asarray(share, np.float32), cells_mm=2.5)
    maps = block_of_bone(BonePart.TEMPORAL)
    for side in (0, 1):
        found = []
        for seed in range(4):
            skull = skull_of(maps, head, seed)
            deep = (skull.solid_mm < -2.0) & (maps["right"].ravel()[skull.place] == side)
            found.append(float((skull.tissue[deep] == Tissue.AIR).mean()))
        assert np.mean(found) == pytest.approx(share[side], abs=0.1)
    elsewhere = skull_of(block_of_bone(BonePart.VAULT), head)  # the control
    assert not (elsewhere.tissue == Tissue.AIR).any()


def test_cells_leave_a_wall() -> None:
    skull = skull_of(
        block_of_bone(BonePart.TEMPORAL), varied(pneumatisation=np.full(2, 0.6, np.float32))
    )
    air = skull.tissue == Tissue.AIR
    assert air.any()
    assert skull.solid_mm[air].max() < -1.0


@pytest.mark.parametrize("growth_mm", [-4.0, 0.0, 5.0])
def test_sinuses_move_their_walls_as_drawn_and_leave_1_mm_of_bone(growth_mm: float) -> None:
    growth = np.zeros((2, 8), np.float32)
    growth[:, AirKind.FRONTAL] = growth_mm
    maps = block_of_bone(BonePart.FACE, AirKind.FRONTAL, air_mm=20.0)
    skull = skull_of(maps, varied(growth_mm=growth))
    hollow = (skull.hollow_mm < 0.0) & skull.in_sinus
    width = hollow.sum() / (GRID.sampled_shape[0] * 96)
    assert width == pytest.approx(2.0 * (20.0 + growth_mm), abs=1.5)
    assert skull.solid_mm[hollow].max() <= -1.0
    kept = skull_of(block_of_bone(BonePart.FACE, AirKind.AIRWAY, 20.0), varied(growth_mm=growth))
    assert not kept.in_sinus.any()  # the control: the airway does not move


def test_swollen_mucosa_is_as_thick_as_drawn_on_the_side_drawn() -> None:
    mucosa = np.zeros((2, 8), np.float32)
    mucosa[1, AirKind.MAXILLARY] = 4.5
    maps = block_of_bone(BonePart.FACE, AirKind.MAXILLARY, air_mm=20.0)
    skull = skull_of(maps, varied(mucosa_mm=mucosa))
    right = maps["right"].ravel()[skull.place] == 1
    hollow = skull.hollow_mm < 0.0
    swollen = hollow & (skull.filling == Tissue.MUCOSA)
    assert not swollen[~right].any()
    width = swollen[right].sum() / (GRID.sampled_shape[0] * 48)
    assert width == pytest.approx(2.0 * 4.5, abs=1.1)


@pytest.mark.parametrize("thickness", [0.6, 1.0, 1.5])
def test_bone_is_thicker_by_its_factor(thickness: float) -> None:
    skull = skull_of(block_of_bone(BonePart.VAULT), varied(thickness=thickness))
    width = float((skull.solid_mm < 0.0).sum() / (GRID.sampled_shape[0] * 96))
    # Half the thickness is 3 mm there, on either side.
    assert width == pytest.approx(65.0 + 2.0 * np.clip((thickness - 1.0) * 3.0, -2.0, 2.5), abs=0.8)


def test_hu_and_the_share_of_bone_are_one() -> None:
    assert bone_hu(0.0, 10.0) == 10.0
    assert bone_hu(1.0, 10.0) == 1900.0
    assert bone_hu(0.4, 0.0) == pytest.approx(760.0)
    maps, head = block_of_bone(BonePart.VAULT), varied()
    skull = skull_of(maps, head)
    share, other = (draw_bone_share(maps["part"], skull, head, GRID, Rng(seed)) for seed in (1, 2))
    tissue = np.full(GRID.sampled_shape, np.uint8(Tissue.MARROW))
    ct = render_ct(TissueSlab(tissue, GRID, share), Rng(3))
    deep = np.zeros(GRID.sampled_shape, bool)
    deep[:, :, 24:72] = True
    assert np.corrcoef(ct[deep], share[deep])[0, 1] > 0.95
    assert abs(np.corrcoef(ct[deep], other[deep])[0, 1]) < 0.4  # the control
    mean_hu = bone_hu(float(head.marrow_share[BonePart.VAULT]), 10.0)
    assert float(ct[deep].mean()) == pytest.approx(float(mean_hu), abs=110.0)


def test_the_inner_ear_is_denser_than_compact_bone() -> None:
    maps, head = (
        block_of_bone(BonePart.TEMPORAL),
        varied(pneumatisation=np.full(2, 0.6, np.float32)),
    )
    maps["otic_distance"][:, 20:28, 44:52] = to_steps(1.0)
    skull = skull_of(maps, head)
    capsule = np.zeros(GRID.sampled_shape, bool)
    capsule.ravel()[skull.place[skull.otic]] = True
    assert capsule.sum() == 12 * 8 * 8
    tissue = skull.tissue[skull.otic]
    assert set(tissue.tolist()) <= {Tissue.CORTICAL_BONE, Tissue.CSF}
    assert (tissue == Tissue.CORTICAL_BONE).mean() > 0.6
    share = draw_bone_share(maps["part"], skull, head, GRID, Rng(1))
    assert float(share[capsule].mean()) == pytest.approx(head.otic_share, abs=0.05)
