"""Pictures and single slices on the model grid: nothing added, nothing lost, one slice."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Domain, Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.preprocessing import prepare, prepare_plane, to_native_space
from medcyclegan.imaging.resampling import AXIAL, CORONAL, SAGITTAL, model_geometry, slice_axis

GREY = Domain(modality="image", unit="a.u.", scaling=Window(lower=0, upper=255))


def picture(columns: int = 40, rows: int = 30) -> Volume:
    """A smooth picture in the geometry that readers give to planes."""
    rough = np.random.default_rng(5).uniform(0, 255, size=(columns, rows))
    values = ndimage.gaussian_filter(rough, 4.0, mode="nearest")
    values = (values - values.min()) / np.ptp(values) * 255.0
    grid = Geometry((columns, rows, 1), np.diag([-1.0, -1.0, 1.0, 1.0]))
    return Volume(values[:, :, None].astype(np.float32), grid, "a.u.")


def task(plane_px: int | None = None) -> Task:
    return Task(name="t", source=GREY, target=GREY, depth=1, plane_px=plane_px)


def test_there_and_back_is_the_same_picture() -> None:
    volume = picture()
    ready = prepare_plane(volume, task())
    assert ready.values.shape == (1, 40, 30)
    # R and A count up: the upper left corner of the picture, left and front, is the last of both
    assert ready.values[0, -1, -1] == pytest.approx(volume.voxels[0, 0, 0] / 127.5 - 1.0, abs=1e-5)
    back = to_native_space(ready.values, ready, task(), volume.geometry)
    assert np.abs(back.voxels - volume.voxels).max() < 1e-3
    assert np.abs(back.voxels - volume.voxels[::-1]).max() > 10.0  # the control: mirrored


@pytest.mark.parametrize("plane_px", [20, 60])
def test_resized_and_back_without_a_dark_rim(plane_px: int) -> None:
    volume = picture()
    ready = prepare_plane(volume, task(plane_px))
    assert ready.values.shape == (1, round(40 * plane_px / 30), plane_px)
    back = to_native_space(ready.values, ready, task(plane_px), volume.geometry)
    error = np.abs(back.voxels - volume.voxels)
    assert error.mean() < 4.0
    rim = np.ones(error.shape, dtype=bool)
    rim[2:-2, 2:-2] = False
    assert error[rim].mean() < 8.0


@pytest.mark.parametrize(
    ("shape", "normal"),
    [((30, 30, 1), AXIAL), ((30, 1, 30), CORONAL), ((1, 30, 30), SAGITTAL)],
)
def test_a_single_slice_stays_one(shape: tuple[int, int, int], normal: int) -> None:
    grid = geometry_from_spacing(shape, (0.7, 0.7, 0.7))
    assert slice_axis(grid, task()) == normal
    body = Volume(np.ones(shape, np.float32), grid, "mask")
    found = model_geometry(grid, body, task(), normal=normal)
    assert found.shape[0] == 1
    assert found.spacing_mm == pytest.approx((0.7, 1.0, 1.0))
    # the control: two slices as thin get a margin of air
    two = geometry_from_spacing((30, 30, 2), (0.7, 0.7, 0.7))
    body = Volume(np.ones((30, 30, 2), np.float32), two, "mask")
    assert model_geometry(two, body, task(), normal=AXIAL).shape[0] > 2


def test_without_a_spacing_every_voxel_is_kept_as_it_is() -> None:
    shape = (30, 28, 12)
    grid = geometry_from_spacing(shape, (0.83, 0.83, 3.1))
    noise = np.random.default_rng(1).uniform(0, 255, size=shape).astype(np.float32)
    volume, body = Volume(noise, grid, "a.u."), Volume(np.ones(shape, np.float32), grid, "mask")
    own = task().model_copy(update={"spacing_mm": None})
    for asked, most in ((own, 1e-3), (task(), 255.0)):
        ready = prepare(volume, body, asked, normal=AXIAL)
        back = to_native_space(ready.values, ready, asked, grid)
        worst = float(np.abs(back.voxels - noise).max())
        assert worst < most
    assert worst > 20.0  # the control: interpolation smooths noise
