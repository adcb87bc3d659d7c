"""Two sides of a pair: one anatomy, a target without chance, contrasts that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medcyclegan.simulate.label_heads.anatomy import TissueSlab, draw_tissue, middle_voxel
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy, prepare_head
from medcyclegan.simulate.label_heads.slabs import (
    acquired_side,
    clean_side,
    draw_water,
    noisy_ct,
    render_ct,
    standard_signal,
)
from medcyclegan.simulate.slab_grid import SlabGrid, draw_grid
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.head_labels import head_labels

Rng = np.random.default_rng


@pytest.fixture(scope="module")
def head() -> HeadAnatomy:
    return prepare_head(head_labels())


def brain_slab(head: HeadAnatomy) -> TissueSlab:
    rng = Rng(3)
    grid = draw_grid(rng, depth=3, size_px=48, pixel_mm=2.0)
    return draw_tissue(head, grid, rng, place=middle_voxel)


def slab_of(head: HeadAnatomy, seed: int) -> TissueSlab:
    rng = Rng(seed)
    return draw_tissue(head, draw_grid(rng, depth=3, size_px=48, pixel_mm=2.0), rng)


def test_the_standard_contrasts_are_those_of_their_names() -> None:
    t1, t2 = standard_signal("t1"), standard_signal("t2")
    assert t1[Tissue.FAT] > t1[Tissue.WHITE_MATTER] > t1[Tissue.GREY_MATTER] > t1[Tissue.CSF]
    assert t2[Tissue.CSF] > t2[Tissue.GREY_MATTER] > t2[Tissue.WHITE_MATTER] > t2[Tissue.MUSCLE]
    for signal in (t1, t2):
        assert signal.max() == 1.0
        assert signal[Tissue.AIR] == 0.0
        assert signal[Tissue.CORTICAL_BONE] < 0.1


@pytest.mark.parametrize("kind", ["t1", "t2"])
def test_what_is_learned_holds_no_chance_and_what_is_acquired_does(
    kind: str, head: HeadAnatomy
) -> None:
    slab = slab_of(head, 3)
    water = draw_water(slab, Rng(1))
    clean = [clean_side(kind, slab, water, Rng(seed)) for seed in (1, 2)]
    assert np.array_equal(*clean)
    acquired = [acquired_side(kind, slab, water, Rng(seed)) for seed in (1, 2)]
    assert not np.array_equal(*acquired)
    for image in (*clean, *acquired):
        assert image.shape == (3, 48, 48)
        assert image.dtype == np.float32
        assert image.min() >= 0.0
    assert 300.0 < np.percentile(clean[0], 99.5) < 1500.0  # a.u.
    pure = slab.tissue == Tissue.AIR
    pure.reshape(-1)[slab.surfaces.place] = False
    air = slab.grid.average_sub_slices(pure.astype(np.float32)) == 1.0
    core = ndimage.binary_erosion(air, np.ones((1, 7, 7)))
    assert np.abs(clean[0][core]).max() < 1e-3


def test_water_is_dark_in_t1_and_bright_in_t2_and_shared_by_both_sides(head: HeadAnatomy) -> None:
    slab = brain_slab(head)
    white = slab.tissue == Tissue.WHITE_MATTER
    pure = slab.grid.average_sub_slices(white.astype(np.float32)) == 1.0
    assert pure.any()
    dry, wet = np.zeros(slab.tissue.shape, np.float32), np.where(white, np.float32(4.0), 0.0)
    for kind, sign in (("t1", -1.0), ("t2", 1.0)):
        for side in (clean_side, acquired_side):
            before, after = (side(kind, slab, water, Rng(5)) for water in (dry, wet))
            change = float((after - before)[pure].mean() / before[pure].mean())
            assert sign * change > 0.05, (kind, side)
            assert abs(change) < 0.6


def test_some_slabs_have_lesions_and_most_do_not(head: HeadAnatomy) -> None:
    slab = brain_slab(head)
    largest = [float(draw_water(slab, Rng(seed)).max()) for seed in range(60)]
    assert 5 < sum(value > 2.0 for value in largest) < 30
    for seed in range(20):
        lesion = draw_water(slab, Rng(seed)) > 2.0
        assert (slab.tissue[lesion] == Tissue.WHITE_MATTER).all()


def test_the_noise_of_a_ct_is_5_to_25_hu_and_moves_no_mean(head: HeadAnatomy) -> None:
    ct = render_ct(slab_of(head, 3), Rng(0))
    sds, correlations = [], []
    for seed in range(30):
        noise = noisy_ct(ct, Rng(seed)) - ct
        sds.append(float(noise.std()))
        pairs = (noise[..., 1:].ravel(), noise[..., :-1].ravel())
        correlations.append(float(np.corrcoef(*pairs)[0, 1]))
        assert abs(float(noise.mean())) < 1.5
    assert min(sds) >= 4.9
    assert max(sds) <= 25.1
    assert max(sds) - min(sds) > 10.0
    assert min(correlations) < 0.1  # sharp kernels and soft ones
    assert max(correlations) > 0.6


def test_acquired_contrasts_are_those_of_their_names_and_random_is_any() -> None:
    grid = SlabGrid(1, 64, 1.0, 1.0, 1.0, 2)
    tissue = np.full(grid.sampled_shape, Tissue.CSF, np.uint8)
    tissue[:, 32:] = Tissue.WHITE_MATTER
    slab = TissueSlab(tissue, grid, np.zeros(tissue.shape, np.float32))

    def ratios(kind: str) -> list[float]:
        images = (acquired_side(kind, slab, draw_water(slab, Rng(0)), Rng(s)) for s in range(20))
        return [float(image[:, 8:24].mean() / image[:, 40:56].mean()) for image in images]

    assert float(np.median(ratios("t1"))) < 0.8
    assert float(np.median(ratios("t2"))) > 1.5
    assert min(ratios("random")) < 0.7
    assert max(ratios("random")) > 1.5
