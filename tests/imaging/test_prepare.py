"""From a scan to [-1, 1] on the model grid, and home again."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.imaging.preprocessing import prepare, to_native_space
from medcyclegan.imaging.resampling import AXIAL, CORONAL, SAGITTAL
from tests.tiny_model import head_on, identity_model, tiny_task

GRID = geometry_from_spacing((36, 34, 32), (4.2, 4.1, 4.4))


@pytest.mark.parametrize("normal", [SAGITTAL, CORONAL, AXIAL])
def test_values_lie_in_minus_1_to_1_on_the_model_grid(normal: int) -> None:
    mr, body = head_on(GRID, radius_mm=50.0)
    ready = prepare(mr, body, tiny_task(), normal=normal)
    assert ready.values.shape == ready.geometry.shape
    assert ready.values.dtype == torch.float32
    assert (float(ready.values.min()), float(ready.values.max())) == (-1.0, 1.0)
    assert 0.0 < ready.window.lower < ready.window.upper < 1100.0
    corner = ready.values[0, 0, 0]
    assert float(corner) == -1.0  # air


@pytest.mark.parametrize("normal", [SAGITTAL, CORONAL, AXIAL])
def test_prepared_and_brought_home_is_what_it_was_inside_the_head(normal: int) -> None:
    mr, body = head_on(GRID, radius_mm=50.0)
    task = identity_model().task
    ready = prepare(mr, body, task, normal=normal)
    home = to_native_space(ready.values, ready, task, GRID)
    assert home.geometry is GRID
    assert home.unit == "HU"
    _, core = head_on(GRID, radius_mm=40.0)
    inside = core.voxels > 0
    np.testing.assert_allclose(home.voxels[inside], mr.voxels[inside], atol=1.0)
    # The control: the same values on a grid that was turned are not the same image.
    flipped = to_native_space(ready.values.flip(0), ready, task, GRID)
    assert np.abs(flipped.voxels[inside] - mr.voxels[inside]).max() > 100.0


def test_far_from_the_head_lies_the_lowest_value_of_the_target() -> None:
    mr, body = head_on(GRID, radius_mm=25.0)
    task = identity_model().task
    ready = prepare(mr, body, task, normal=AXIAL)
    home = to_native_space(torch.ones_like(ready.values), ready, task, GRID)
    assert home.voxels[0, 0, 0] == -1000.0
    assert home.voxels[18, 17, 16] == pytest.approx(2000.0, abs=0.01)
    assert home.voxels.min() == -1000.0


def test_beyond_the_scan_lies_the_lowest_value_of_the_source() -> None:
    narrow = geometry_from_spacing((20, 20, 20), (4.0, 4.0, 4.0))
    mr, body = head_on(narrow, radius_mm=100.0)
    ready = prepare(mr, body, identity_model().task, normal=AXIAL)
    assert ready.values.shape == (26, 26, 26)  # the scan and the margin
    assert float(ready.values[0, 0, 0]) == pytest.approx(-1.0, abs=1e-5)
    assert float(ready.values[13, 13, 13]) > 0.0
