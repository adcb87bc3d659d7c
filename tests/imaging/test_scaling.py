"""inverse(forward(x)) = x inside the window; outside, the window's ends."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import Domain, Percentiles, Window
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.preprocessing import WindowScaling, fit_window

HU = Window(lower=-1000.0, upper=2000.0)
GRID = geometry_from_spacing((10, 10, 10), (1.0, 1.0, 1.0))
MR = Domain(modality="MR", unit="a.u.", scaling=Percentiles(lower=1.0, upper=99.0))
CT = Domain(modality="CT", unit="HU", scaling=HU)


@pytest.mark.parametrize("window", [HU, Window(lower=0.0, upper=1e-3), Window(lower=3, upper=4e4)])
def test_back_and_forth_inside_the_window(window: Window) -> None:
    scaling = WindowScaling(window)
    values = torch.linspace(window.lower, window.upper, 1001)
    scaled = scaling(values)
    width = window.upper - window.lower
    np.testing.assert_allclose(scaling.inverse(scaled), values, atol=1e-6 * width)
    np.testing.assert_allclose(scaled, np.linspace(-1.0, 1.0, 1001), atol=1e-5)
    # The control: the inverse of another window gives other values.
    other = WindowScaling(Window(lower=window.lower, upper=window.upper + 0.1 * width))
    assert (other.inverse(scaled) - values).abs().max() > 0.05 * width


def test_values_outside_are_clipped_both_ways() -> None:
    scaling = WindowScaling(HU)
    physical = torch.tensor([-3000.0, -1000.0, 500.0, 2000.0, 9000.0])
    assert scaling(physical).tolist() == [-1.0, -1.0, 0.0, 1.0, 1.0]
    normalised = torch.tensor([-1.7, -1.0, 0.0, 1.0, 2.0])
    back = scaling.inverse(normalised).tolist()
    assert back == [-1000.0, -1000.0, 500.0, 2000.0, 2000.0]


def test_a_network_is_given_plain_tensors() -> None:
    scaling = WindowScaling(HU)
    assert type(scaling(torch.zeros(3))) is type(scaling.inverse(torch.zeros(3))) is torch.Tensor
    # The control: MONAI's transform gives a tensor that takes its metadata through every operation.
    assert type(scaling.forward(torch.zeros(3)) + 1.0) is MetaTensor


def test_a_fixed_window_does_not_look_at_the_volume() -> None:
    flat = Volume(np.zeros(GRID.shape, np.float32), GRID, "HU")
    assert fit_window(flat, flat, CT) is HU


def test_percentiles_are_those_inside_the_body() -> None:
    voxels = np.full(GRID.shape, 1e6, np.float32)
    voxels[:5] = np.random.default_rng(0).permutation(500).reshape(5, 10, 10)
    body = np.zeros(GRID.shape, np.float32)
    body[:5] = 1.0
    volume = Volume(voxels, GRID, "a.u.")
    window = fit_window(volume, volume.with_voxels(body, unit="mask"), MR)
    assert (window.lower, window.upper) == pytest.approx((4.99, 494.01))
    everywhere = volume.with_voxels(np.ones(GRID.shape, np.float32), unit="mask")
    assert fit_window(volume, everywhere, MR).upper == pytest.approx(1e6)


@pytest.mark.parametrize(("inside", "message"), [(0.0, "mask is empty"), (1.0, "one value")])
def test_no_body_or_no_contrast_is_refused(inside: float, message: str) -> None:
    flat = Volume(np.full(GRID.shape, 3.0, np.float32), GRID, "a.u.")
    body = flat.with_voxels(np.full(GRID.shape, inside, np.float32), unit="mask")
    with pytest.raises(InputRefused, match=message):
        fit_window(flat, body, MR)
