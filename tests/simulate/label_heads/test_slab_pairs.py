"""Simulated MR and CT slabs: one anatomy, the seed fixes all, values that can be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from medcyclegan.simulate.label_heads.anatomy import TissueSlab, draw_tissue
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.simulate.label_heads.slabs import draw_contrast, render_ct, render_mr
from medcyclegan.simulate.slab_grid import SlabGrid, draw_grid
from medcyclegan.simulate.tissues import Tissue
from medcyclegan.training.data.simulated import SimulatedSlabs
from tests.simulate.head_labels import head_labels
from tests.training.simulated_training import simulated_data


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


def slab_of(head: HeadAnatomy, seed: int) -> TissueSlab:
    rng = np.random.default_rng(seed)
    return draw_tissue(head, draw_grid(rng, depth=3, size_px=48, pixel_mm=2.0), rng)


def mr_of(slab: TissueSlab, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return render_mr(slab, signal=draw_contrast(rng), rng=rng)


def core_of(slab: TissueSlab, tissue: Tissue, *, edge: int) -> np.ndarray:
    """Pixels (D, H, W) all of one tissue, as are those in a square of ``edge`` pixels around."""
    pure = (slab.tissue.reshape(3, -1, 48, 48) == tissue).all(axis=1)
    return np.asarray(ndimage.binary_erosion(pure, np.ones((1, edge, edge)), border_value=1))


def test_slabs_hold_tissue_on_their_samples(head: HeadAnatomy) -> None:
    seen: set[int] = set()
    for seed in range(12):
        slab = slab_of(head, seed)
        assert slab.tissue.dtype == np.uint8
        assert slab.tissue.shape == slab.grid.sampled_shape
        assert slab.tissue.max() < len(Tissue)
        seen |= set(np.unique(slab.tissue).tolist())
    assert {Tissue.AIR, Tissue.FAT, Tissue.MUSCLE, Tissue.MARROW, Tissue.WHITE_MATTER} <= seen


def test_grids_are_thin_or_thick_and_of_all_axes() -> None:
    rng = np.random.default_rng(0)
    grids = [draw_grid(rng, depth=5, size_px=32, pixel_mm=1.0) for _ in range(200)]
    spacing = np.array([grid.slice_spacing_mm for grid in grids])
    assert 0.35 < (spacing < 1.3).mean() < 0.65
    assert spacing.min() >= 0.8
    assert spacing.max() <= 6.5
    assert {grid.normal_axis for grid in grids} == {0, 1, 2}
    for grid in grids:
        assert 1 <= grid.sub_slices <= 4
        assert 0.69 < grid.slice_thickness_mm / grid.slice_spacing_mm <= 1.0


def test_sub_slices_are_averaged_in_their_order() -> None:
    grid = SlabGrid(2, 2, 1.0, 5.0, 5.0, 2)
    assert grid.sub_slices == 4
    samples = np.arange(8, dtype=np.float32)[:, None, None] * np.ones((8, 2, 2), np.float32)
    assert grid.average_sub_slices(samples)[:, 0, 0].tolist() == [1.5, 5.5]


def test_the_ct_is_that_of_its_tissues(head: HeadAnatomy) -> None:
    slab = slab_of(head, 3)
    ct = render_ct(slab, np.random.default_rng(0))
    assert ct.shape == (3, 48, 48)
    assert ct.dtype == np.float32
    assert ct.min() >= -1001.0
    assert ct.max() < 3000.0
    for tissue, edge, low, high in ((Tissue.AIR, 7, -1001, -990), (Tissue.FAT, 3, -120, -70)):
        core = core_of(slab, tissue, edge=edge)
        assert core.sum() > 20
        assert low <= ct[core].mean() <= high


def test_the_mr_is_not_negative_and_0_in_air_up_to_noise(head: HeadAnatomy) -> None:
    measured = 0
    for seed in range(6):
        slab = slab_of(head, seed)
        mr = mr_of(slab, seed)
        assert mr.shape == (3, 48, 48)
        assert mr.dtype == np.float32
        assert np.isfinite(mr).all()
        assert mr.min() >= 0.0
        air = core_of(slab, Tissue.AIR, edge=7)
        measured += int(air.sum())
        body = mr[~core_of(slab, Tissue.AIR, edge=1)]
        assert mr[air].mean() < 0.2 * np.median(body)
        assert 0.1 < np.percentile(mr, 99) < 4.0
    assert measured > 5000


def test_contrasts_differ_but_air_is_dark_and_bone_darker_than_most() -> None:
    signals = np.array([draw_contrast(np.random.default_rng(seed)) for seed in range(60)])
    assert (signals[:, Tissue.AIR] == 0.0).all()
    assert (signals[:, Tissue.CORTICAL_BONE] <= 0.12).all()
    assert signals.min() >= 0.0
    assert signals.max() <= 1.0
    brighter = signals[:, Tissue.CSF] > signals[:, Tissue.WHITE_MATTER]
    assert 0.2 < brighter.mean() < 0.9  # T2-like and T1-like both


def test_the_seed_and_the_number_fix_an_item(head: HeadAnatomy) -> None:
    def pairs(seed: int) -> SimulatedSlabs:
        return SimulatedSlabs([head], simulated_data(), seed=seed)

    mr, ct, paired, _ = pairs(1)[7]
    assert paired.tolist() == [True, True]
    again = pairs(1)
    _ = again[3]  # what was asked for before does not matter
    assert torch.equal(again[7][0], mr)
    assert torch.equal(again[7][1], ct)
    assert not torch.equal(pairs(1)[8][0], mr)
    assert not torch.equal(pairs(2)[7][0], mr)
    assert mr.shape == ct.shape == (2, 3, 40, 40)
    assert mr.dtype == ct.dtype == torch.float32
    for values in (mr, ct):
        assert -1.0 <= float(values.min()) < float(values.max()) <= 1.0
    assert torch.equal(ct[0], ct[1])
    assert not torch.equal(mr[0], mr[1])


def test_two_contrasts_share_their_outlines(head: HeadAnatomy) -> None:
    slab, other = slab_of(head, 3), slab_of(head, 8)
    air = slab.grid.average_sub_slices((slab.tissue == Tissue.AIR).astype(np.float32)) > 0.99
    elsewhere = other.grid.average_sub_slices((other.tissue == Tissue.AIR).astype(np.float32))
    agreements = []
    for seed in range(9):
        mr = mr_of(slab, seed)
        dark = mr < 0.25 * np.percentile(mr, 95)
        pairs = (dark[air].mean(), (dark == air).mean(), (dark == (elsewhere > 0.99)).mean())
        agreements.append([float(share) for share in pairs])
    in_air, here, there = np.median(agreements, axis=0)
    assert in_air > 0.85
    assert here > there + 0.1
