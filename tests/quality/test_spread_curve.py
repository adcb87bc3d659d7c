"""Errors of pairs: on other grids, on other scales, and where two images lie apart."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.quality.uncertainty import ErrorSample, error_sample, fitted_curve
from tests.tiny_tasks import task_of

GRID = geometry_from_spacing((24, 24, 24), (4.0, 4.0, 4.0))


def ramp(geometry: Geometry = GRID, *, unit: str = "HU") -> Volume:
    """Values linear in the world, which interpolation gives back."""
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    values = 100.0 + world @ np.array([3.0, -2.0, 1.0])
    return Volume(values.astype(np.float32), geometry, unit)  # type: ignore[arg-type]


def sample(truth: Volume, task: Task) -> ErrorSample:
    made = ramp(unit=task.target.unit)
    inner = np.zeros(GRID.shape, np.float32)
    inner[6:18, 6:18, 6:18] = 1.0
    spread = made.with_voxels(np.ones(GRID.shape, np.float32))
    return error_sample("one", made, spread, truth, made.with_voxels(inner, unit="mask"), task)


def test_a_true_image_on_another_grid_is_brought_to_that_of_the_result() -> None:
    fine = Geometry((60, 60, 60), np.diag([2.0, 2.0, 2.0, 1.0]) + _shift(GRID, 2.0, 60))
    found = sample(ramp(fine), task_of("mr-ct"))
    assert found.error.max() < 0.01
    raised = sample(ramp(fine).with_voxels(ramp(fine).voxels + 7.0), task_of("mr-ct"))
    assert raised.error.mean() == pytest.approx(7.0, abs=0.01)


def _shift(grid: Geometry, spacing_mm: float, size: int) -> np.ndarray:
    """What moves a grid of cubes to the middle of another."""
    middle = grid.to_world((np.asarray(grid.shape) - 1) / 2.0)
    moved = np.zeros((4, 4))
    moved[:3, 3] = middle - spacing_mm * (size - 1) / 2.0
    return moved


def test_a_scanners_scale_is_no_error_in_mr_and_is_one_in_hu() -> None:
    doubled = ramp().with_voxels(ramp().voxels * 2.0 + 50.0)
    mr = Volume(doubled.voxels, GRID, "a.u.")
    assert sample(mr, task_of("mr-mr")).error.max() < 0.01
    assert sample(doubled, task_of("mr-ct")).error.mean() > 50.0


def test_two_images_that_lie_apart_are_refused() -> None:
    affine = GRID.affine_ras.copy()
    affine[:3, 3] += 80.0
    with pytest.raises(InputRefused, match="covers 0% of the body"):
        sample(ramp(Geometry(GRID.shape, affine)), task_of("mr-ct"))


def test_a_spread_that_is_the_same_everywhere_makes_no_curve() -> None:
    flat = ErrorSample("flat", np.full(1000, 3.0), np.ones(1000))
    with pytest.raises(InputRefused, match="is 3 everywhere"):
        fitted_curve([flat], fitted_on="flat")
