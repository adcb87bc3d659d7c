"""Teeth stand in the jaws and towards each other; an opening takes from bone what it says."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.label_heads.anatomy import TissueSlab
from medcyclegan.simulate.label_heads.bone import (
    METAL_SHARE,
    Opening,
    Teeth,
    draw_teeth,
    lay_teeth,
    opened,
)
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.simulate.label_heads.slabs import render_ct
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.head_labels import head_labels

MM = (1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


def one_tooth(*, down: bool, crown_share: float = 1.5) -> Teeth:
    one = np.ones(1, np.float32)
    middle = np.full((1, 3), 16.0, np.float32)
    return Teeth(middle, np.array([down]), 3.0 * one, 9.0 * one, crown_share * one, 1.0)


def index_around(head: HeadAnatomy) -> list[np.ndarray]:
    """Samples 1 mm apart around voxel 16 of a map of 4 mm; the last axis runs upwards."""
    n = (16.0 + np.arange(-14, 15) / 4.0).astype(np.float32)
    return list(np.meshgrid(n, n, n, indexing="ij"))


@pytest.mark.parametrize("down", [True, False])
def test_crowns_lie_towards_the_other_jaw_and_roots_taper(head: HeadAnatomy, down: bool) -> None:
    index = index_around(head)
    place, distance, share = lay_teeth(one_tooth(down=down), head, index)
    inside = distance < 0.0
    height = index[2].ravel()[place[inside]] - 16.0
    crown = share[inside] > 1.2
    assert crown.any()
    assert (np.sign(height[crown]) == (-1.0 if down else 1.0)).all()
    across = [(np.abs(height - side * 1.25) < 0.2).sum() for side in (1.0, -1.0)]
    assert across[int(down)] > across[1 - int(down)]
    volume_mm3 = inside.sum()
    assert 200 < volume_mm3 < 700  # a premolar is about half a millilitre


def test_a_head_without_two_jaws_has_no_teeth(head: HeadAnatomy) -> None:
    assert len(head.jaw_margins) == 0
    assert all(draw_teeth(head, np.random.default_rng(seed)) is None for seed in range(10))


def test_metal_is_beyond_the_scale_and_enamel_is_not() -> None:
    grid = SlabGrid(1, 16, 1.0, 1.0, 1.0, 2)
    tissue = np.full(grid.sampled_shape, np.uint8(Tissue.TOOTH))
    hu = [
        float(
            render_ct(
                TissueSlab(tissue, grid, np.full(tissue.shape, share, np.float32)),
                np.random.default_rng(0),
            ).mean()
        )
        for share in (1.0, 1.5, METAL_SHARE)
    ]
    assert hu[0] == pytest.approx(1900.0, abs=1.0)
    assert 2500.0 < hu[1] < 3000.0
    assert hu[2] > 3071.0


@pytest.mark.parametrize("flap_lost", [False, True])
def test_an_opening_is_a_cut_around_a_flap_or_a_hole(flap_lost: bool) -> None:
    n = np.arange(81, dtype=np.float32)
    points = np.stack(np.meshgrid(n, n, indexing="ij"), axis=-1).reshape(-1, 2)
    points = np.column_stack([points, np.zeros(len(points), np.float32)]).astype(np.float32)
    centre, holes = (
        np.array([40.0, 40.0, 0.0], np.float32),
        np.array([[60.0, 40.0, 0.0]], np.float32),
    )
    whole = np.full(len(points), -3.0, np.float32)
    found, plate = opened(Opening(centre, 20.0, 2.0, flap_lost, holes), whole, points, MM)
    missing = (found > 0.0).reshape(81, 81)
    assert missing[40 + 20, 40]  # burr hole
    assert missing[40, 59 if flap_lost else 60]
    assert missing[40, 40] == flap_lost
    assert not missing[40, 40 + 24]
    area = missing.sum()
    expected = np.pi * 21.0**2 if flap_lost else 2.0 * np.pi * 20.0 * 2.0 + np.pi * 5.5**2 * 0.8
    assert area == pytest.approx(expected, rel=0.15)
    assert not plate.any()  # deep in bone there is none
