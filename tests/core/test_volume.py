"""Volume: voxels that fit their grid, finite, float32 and not to be written to."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused

GRID = geometry_from_spacing((2, 3, 4), (1.0, 1.0, 1.0))


def test_voxels_become_float32_of_the_same_values() -> None:
    for dtype in (np.int16, np.uint8, np.float64, np.float32, bool):
        voxels = (np.arange(24).reshape(2, 3, 4) % 2).astype(dtype)
        volume = Volume(voxels, GRID, "a.u.")
        assert volume.voxels.dtype == np.float32
        assert np.array_equal(volume.voxels, voxels)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2, 4), (2, 3, 4, 1), (24,)])
def test_voxels_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputRefused, match="the two must be equal"):
        Volume(np.zeros(shape, np.float32), GRID, "HU")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_voxel_that_is_no_number_is_refused(value: float) -> None:
    voxels = np.zeros((2, 3, 4), np.float32)
    voxels[1, 2, 3] = value
    with pytest.raises(InputRefused, match="every voxel must be a finite number"):
        Volume(voxels, GRID, "HU")


def test_it_is_read_only_and_leaves_the_array_given_writable() -> None:
    voxels = np.zeros((2, 3, 4), np.float32)
    volume = Volume(voxels, GRID, "HU")
    with pytest.raises(ValueError, match="read-only"):
        volume.voxels[0, 0, 0] = 1.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        volume.unit = "a.u."  # type: ignore[misc]
    assert voxels.flags.writeable


def test_other_voxels_on_the_same_grid() -> None:
    volume = Volume(np.zeros((2, 3, 4), np.float32), GRID, "HU")
    other = volume.with_voxels(np.ones((2, 3, 4), np.float32))
    assert (other.geometry, other.unit, float(other.voxels.min())) == (GRID, "HU", 1.0)
    assert volume.with_voxels(other.voxels, unit="mask").unit == "mask"
    assert volume.voxels.max() == 0.0
    with pytest.raises(InputRefused):
        volume.with_voxels(np.ones((2, 3, 5), np.float32))
