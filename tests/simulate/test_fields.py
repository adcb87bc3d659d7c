"""Smooth random fields: their statistics, their smoothness, and that the seed fixes them."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.slab_grid import cells_for, smooth_field


def test_the_knots_are_reached_and_the_field_is_linear_between() -> None:
    rng = np.random.default_rng(1)
    knots = np.random.default_rng(1).standard_normal((2, 3, 4)).astype(np.float32)
    field = smooth_field(rng, (5, 9, 13), (2, 3, 4))
    assert field.dtype == np.float32
    assert field.shape == (5, 9, 13)
    np.testing.assert_allclose(field[::4, ::4, ::4], knots, atol=1e-6)
    np.testing.assert_allclose(field[2], (field[0] + field[4]) / 2.0, atol=1e-6)
    np.testing.assert_allclose(field[:, 2], (field[:, 0] + field[:, 4]) / 2.0, atol=1e-6)
    np.testing.assert_allclose(field[..., 6], (field[..., 4] + field[..., 8]) / 2.0, atol=1e-6)


def test_mean_0_and_variance_1_at_the_knots() -> None:
    rng = np.random.default_rng(2)
    field = smooth_field(rng, (20, 40, 40), (20, 40, 40))
    assert field.mean() == pytest.approx(0.0, abs=0.02)
    assert field.std() == pytest.approx(1.0, abs=0.02)


def roughness(cells: int) -> float:
    field = smooth_field(np.random.default_rng(3), (16, 64, 64), (cells, cells, cells))
    return float(np.abs(np.diff(field, axis=2)).mean())


def test_fewer_knots_are_smoother() -> None:
    assert roughness(2) < 0.5 * roughness(6) < 0.25 * roughness(60)


def test_the_seed_fixes_it() -> None:
    one, same, other = (
        smooth_field(np.random.default_rng(seed), (3, 8, 8), (2, 3, 3)) for seed in (5, 5, 6)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 9), (2, 1, 3)])
def test_single_samples_lie_in_the_middle(shape: tuple[int, int, int]) -> None:
    field = smooth_field(np.random.default_rng(0), shape, (2, 3, 4))
    assert field.shape == shape
    assert np.isfinite(field).all()
    if shape[0] == 1:
        around = smooth_field(np.random.default_rng(0), (3, *shape[1:]), (2, 3, 4))
        np.testing.assert_allclose(field[0], around[1], atol=1e-6)


def test_knots_from_millimetres() -> None:
    assert cells_for((10, 100, 200), (5.0, 1.0, 1.0), 50.0) == (2, 3, 5)
    assert cells_for((1, 10, 10), (1.0, 1.0, 1.0), 500.0) == (2, 2, 2)
