"""Laws of what a scanner does to slices: coil, k-space, air, wrap, noise."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.scanner import (
    coil_edge,
    dark_centre,
    disturb,
    filter_plane,
    lose_beside_air,
    receive,
    sample_k_space,
    truncation_kernel,
    wrap_around,
)
from medcyclegan.simulate.slab_grid import SlabGrid

Rng = np.random.default_rng
GRID = SlabGrid(3, 64, 1.0, 3.0, 3.0, 2)
FLAT = np.ones((3, 64, 64), dtype=np.float32)


def edge() -> np.ndarray:
    """Half dark, half bright."""
    image = np.zeros((1, 8, 64), dtype=np.float32)
    image[..., 32:] = 1.0
    return image


def test_a_cut_of_k_space_rings_by_9_percent_and_a_window_does_not() -> None:
    point = truncation_kernel(1.0, 1.0)  # nothing cut along the other axis
    sharp = filter_plane(edge(), point, truncation_kernel(0.5, 1.0))
    assert float(sharp.max()) - 1.0 == pytest.approx(0.09, abs=0.03)  # Gibbs
    assert float(sharp.min()) < -0.05
    windowed = filter_plane(edge(), point, truncation_kernel(0.5, 0.54))
    assert float(windowed.max()) - 1.0 < 0.02  # the control


def test_what_k_space_does_keeps_flat_tissue_flat() -> None:
    for seed in range(12):
        assert np.abs(sample_k_space(FLAT, Rng(seed)) - 1.0).max() < 1e-4


def test_complex_slices_are_filtered_as_their_parts_are() -> None:
    image = Rng(0).standard_normal((2, 16, 16)).astype(np.float32)
    rows, columns = truncation_kernel(0.7, 0.8), truncation_kernel(0.6, 1.0)
    both = filter_plane((image + 2j * image).astype(np.complex64), rows, columns)
    assert both.dtype == np.complex64
    assert np.allclose(both, (1 + 2j) * filter_plane(image, rows, columns), atol=1e-5)


def test_a_coil_is_darker_at_its_centre_by_10_to_60_percent() -> None:
    gains = [dark_centre(GRID, Rng(seed)) for seed in range(40)]
    least = [float(gain.min()) for gain in gains]
    assert max(float(gain.max()) for gain in gains) <= 1.0
    assert min(least) < 0.6
    assert min(least) >= 0.4 - 1e-6


def test_a_coil_ends_and_signal_falls_beyond_it() -> None:
    wide = SlabGrid(3, 64, 8.0, 3.0, 3.0, 2)
    for seed in range(10):
        gain = coil_edge(wide, Rng(seed))
        assert float(gain.max()) > 0.9
        assert float(gain.min()) < 0.7
        assert float(gain.min()) >= 0.1 - 1e-6


def test_signal_falls_along_the_neck_and_not_along_the_vault() -> None:
    def falls(below_vertex_mm: float) -> float:
        where = np.full(FLAT.shape, below_vertex_mm, dtype=np.float32)
        pairs = [
            (receive(FLAT, GRID, Rng(seed), where).mean(), receive(FLAT, GRID, Rng(seed)).mean())
            for seed in range(60)
        ]
        return float(np.mean([there < 0.8 * without for there, without in pairs]))

    assert falls(240.0) > 0.3
    assert falls(40.0) == 0.0  # the control


def test_signal_is_lost_beside_a_sinus_and_not_beside_the_skin() -> None:
    air = np.zeros(FLAT.shape, dtype=np.float32)
    air[:, :10] = 1.0  # around the head
    air[:, 38:50, 28:40] = 1.0  # a sinus
    kept = lose_beside_air(FLAT, air, GRID, 1.0)
    beside, far, skin = kept[:, 36, 34].mean(), kept[:, 60, 4].mean(), kept[:, 12, 4].mean()
    assert beside < 0.6
    assert far > 0.98
    assert skin > 0.98
    weaker = lose_beside_air(FLAT, air, GRID, 0.2)[:, 36, 34].mean()
    assert weaker == pytest.approx(beside**0.2, rel=0.01)  # exp(-TE), a fifth of it
    assert np.array_equal(lose_beside_air(FLAT, np.zeros_like(air), GRID, 1.0), FLAT)


def test_what_wraps_lies_at_the_other_edge() -> None:
    image = np.zeros((1, 40, 40), dtype=np.float32)
    image[:, :4] = image[:, -4:] = image[:, :, :4] = image[:, :, -4:] = 1.0
    for seed in range(8):
        wrapped = wrap_around(image, Rng(seed))
        added = wrapped - image
        assert added.min() >= 0.0
        assert added.max() > 0.0
        rows, columns = (np.flatnonzero(added[0].any(axis=axis)) for axis in (1, 0))
        extent = min(np.ptp(rows), np.ptp(columns)) + 1
        assert extent <= 0.2 * 40 + 1  # a fifth of the view


def test_noise_has_a_floor_that_some_scanners_take_away() -> None:
    dark = np.zeros((3, 64, 64), dtype=np.float32)
    black = [float(np.mean(disturb(dark, Rng(seed)) == 0.0)) for seed in range(60)]
    assert 0.1 < float(np.mean(np.array(black) > 0.1)) < 0.55
    levels = [float(disturb(dark, Rng(seed)).mean()) for seed in range(60)]
    assert max(levels) < 0.07  # 1.25 of the largest standard deviation, .05
    assert float(np.median(levels)) < 0.02
    assert min(levels) < 0.002
