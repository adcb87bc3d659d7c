"""Laws of the MR of a slab: one density for MR and CT, fat out of phase, complex means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medcyclegan.simulate.contrasts import Contrast
from medcyclegan.simulate.label_heads.anatomy import TissueSlab
from medcyclegan.simulate.label_heads.slabs import darken_marrow, render_ct, render_mr
from medcyclegan.simulate.slab_grid import SlabGrid
from medcyclegan.simulate.tissues import Tissue

Rng = np.random.default_rng
GRID = SlabGrid(1, 64, 1.0, 4.0, 4.0, 2)


def marrow_slab() -> TissueSlab:
    """Marrow whose share of bone grows from .05 to .75 along rows."""
    shape = GRID.sampled_shape
    share = np.broadcast_to(np.linspace(0.05, 0.75, shape[2]), shape).astype(np.float32)
    return TissueSlab(np.full(shape, Tissue.MARROW, np.uint8), GRID, share)


def test_marrow_is_darker_in_mr_where_it_is_denser_in_ct() -> None:
    slab = marrow_slab()
    ct = render_ct(slab, Rng(0))[0].mean(axis=0)
    mr = darken_marrow(np.ones(slab.tissue.shape, np.float32), slab, 1.0)[0].mean(axis=0)
    assert float(np.corrcoef(ct, mr)[0, 1]) < -0.95
    # the law: free space over that of a usual share, to a power
    free = (1.0 - slab.trabecular[0, 0]) / (1.0 - 0.35)
    for power in (0.8, 2.0):
        darkened = darken_marrow(np.ones(slab.tissue.shape, np.float32), slab, power)
        assert darkened[0, 0] == pytest.approx(free**power, rel=1e-4)
    # the control: what is no marrow does not follow
    muscle = replace(slab, tissue=np.full(slab.tissue.shape, Tissue.MUSCLE, np.uint8))
    values = np.ones(slab.tissue.shape, np.float32)
    assert np.array_equal(darken_marrow(values, muscle, 2.0), values)


def test_out_of_phase_a_voxel_of_fat_and_muscle_is_dark_and_in_phase_it_is_not() -> None:
    tissue = np.full(GRID.sampled_shape, Tissue.MUSCLE, np.uint8)
    tissue[::2, :, 32:] = Tissue.FAT  # half of the sub-slices on the right
    slab = TissueSlab(tissue, GRID, np.zeros(tissue.shape, np.float32))
    signal, fat = np.ones(len(Tissue)), np.zeros(len(Tissue))
    fat[Tissue.FAT] = 1.0

    def mixed_beside_pure(phase_rad: float) -> float:
        contrast = Contrast(signal, fat, fat_phase_rad=phase_rad)
        images = [render_mr(slab, signal=contrast, rng=Rng(seed)) for seed in range(9)]
        ratios = [image[..., 44:60].mean() / image[..., 4:20].mean() for image in images]
        return float(np.median(ratios))

    assert mixed_beside_pure(np.pi) < 0.3
    assert mixed_beside_pure(2.0 * np.pi) > 0.8


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0])
def test_every_ct_has_the_same_point_spread_in_millimetres(pixel_mm: float) -> None:
    grid = SlabGrid(1, 64, pixel_mm, 4.0, 4.0, 2)
    tissue = np.full(grid.sampled_shape, Tissue.MUSCLE, np.uint8)
    tissue[:, :, 32:] = Tissue.CORTICAL_BONE
    slab = TissueSlab(tissue, grid, np.full(tissue.shape, 0.9, np.float32))
    spread_mm = []
    for seed in range(4):
        line = np.diff(render_ct(slab, Rng(seed))[0, 32])  # the derivative of an edge
        at_mm = np.arange(line.size) * pixel_mm
        middle = float((line * at_mm).sum() / line.sum())
        spread_mm.append(float(np.sqrt((line * (at_mm - middle) ** 2).sum() / line.sum())))
    assert spread_mm == pytest.approx([0.6] * 4, abs=0.03)
