"""Heads of one label map differ in shape: the deformation is one to one, and as large as drawn."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.label_heads.proportions import Proportions, draw_proportions
from medcyclegan.simulate.label_heads.sampling import _offsets_in_pixel
from medcyclegan.simulate.slab_grid import SlabGrid, draw_grid

CENTRE = tuple(np.float32(value) for value in (70.0, 90.0, 90.0))
MM = (1.0, 1.0, 1.0)
SAME = Proportions((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), 0.0)


def whole_head(step: int = 6) -> list[np.ndarray]:
    """Voxels of a map of 1 mm, ``step`` apart, from below the neck to above the vertex."""
    axes = (np.arange(0, 141, step), np.arange(0, 181, step), np.arange(-40, 200, step))
    return [a.astype(np.float32) for a in np.meshgrid(*axes, indexing="ij")]


def volume_change(moved: list[np.ndarray], step: int = 6) -> np.ndarray:
    """The determinant of the deformation's derivatives, of the samples' shape."""
    slopes = np.array([np.gradient(values, step) for values in moved])
    return np.linalg.det(np.moveaxis(slopes, (0, 1), (-2, -1)))


def test_no_draw_folds_or_tears_a_head() -> None:
    index = whole_head()
    change = [
        volume_change(draw_proportions(np.random.default_rng(seed)).moved(index, CENTRE, MM))
        for seed in range(60)
    ]
    assert np.min(change) > 0.3
    assert np.max(change) < 2.0
    assert np.std([one.mean() for one in change]) > 0.01
    folded = Proportions((0.0, 0.0), (0.0, 0.0), (0.0, 0.0), 1.2)  # the control: beyond any draw
    assert volume_change(folded.moved(index, CENTRE, MM)).min() < 0.0


def test_without_draws_a_head_is_its_label_map() -> None:
    index = whole_head()
    for moved, own in zip(SAME.moved(index, CENTRE, MM), index, strict=True):
        assert np.array_equal(moved, own)


def test_breadth_over_length_varies_between_heads_and_between_heights_of_one() -> None:
    """Of a box in the label map, looked up through the deformation at vault and jaw."""
    index = whole_head(step=2)
    heights = [int(np.flatnonzero(index[2][0, 0] == z)[0]) for z in (40.0, 120.0)]

    def ratios(proportions: Proportions) -> list[float]:
        moved = proportions.moved(index, CENTRE, MM)
        inside = (np.abs(moved[0] - 70.0) < 50.0) & (np.abs(moved[1] - 90.0) < 65.0)
        found = []
        for height in heights:
            plane = inside[:, :, height]
            found.append(float(plane.any(1).sum() / plane.any(0).sum()))
        return found

    drawn = np.array([ratios(draw_proportions(np.random.default_rng(n))) for n in range(40)])
    assert 0.02 < drawn[:, 1].std() / drawn.mean() < 0.08
    assert (drawn[:, 0] / drawn[:, 1]).std() > 0.03
    jaw, vault = ratios(SAME)
    assert jaw == vault  # the control: a head that is only scaled has one ratio at all heights


@pytest.mark.parametrize("thickness_mm", [2.0, 3.0, 6.0])
def test_sub_slices_are_spread_evenly_over_a_pixel(thickness_mm: float) -> None:
    grid = SlabGrid(3, 8, 1.0, thickness_mm, thickness_mm, 2)
    offsets = _offsets_in_pixel(grid, np.random.default_rng(0))
    count = grid.sub_slices
    assert offsets.shape == (3 * count, 2)
    assert np.allclose(offsets[:count].mean(axis=0), 0.0)
    for axis in (0, 1):
        steps = np.sort(offsets[:count, axis])
        assert np.allclose(np.diff(steps), 1.0 / count)
    # A stripe of .3 of a pixel, anywhere in it, fills .3 of it: one sample says all or none.
    assert _stripe_error(offsets[:count, 0]) < 0.75 * _stripe_error(np.zeros(1))


def _stripe_error(samples_px: np.ndarray, width_px: float = 0.3) -> float:
    """The mean error of the share of a pixel that a stripe fills, over all its places."""
    places = np.linspace(-0.5, 0.5, 101)[:, None]
    off = np.abs((samples_px - places + 0.5) % 1.0 - 0.5)
    return float(np.abs((off < width_px / 2.0).mean(axis=1) - width_px).mean())


def test_a_thin_slice_of_the_training_has_two_and_a_volume_one() -> None:
    rng = np.random.default_rng(0)
    thin = [draw_grid(rng, depth=5, size_px=8, pixel_mm=1.0) for _ in range(40)]
    assert min(grid.sub_slices for grid in thin) == 2
    only = SlabGrid(5, 8, 1.0, 1.0, 1.0, 2)
    assert not _offsets_in_pixel(only, rng).any()
