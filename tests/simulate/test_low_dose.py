"""Photons are counted: noise by dose as physics has it, and no shift of HU."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medcyclegan.errors import UsageError
from medcyclegan.simulate.head_pairs import HeadGrid
from medcyclegan.simulate.low_dose_ct import (
    Exposure,
    LowDoseHeads,
    count_photons,
    scan_and_limit,
    scan_twice,
    to_attenuation,
    to_hu,
)

SIZE = 64


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def water(slices: int = 24, columns: int = SIZE) -> NDArray[np.float32]:
    """A cylinder of water of 160 mm in air, pixels of 3 mm, HU."""
    x = (np.arange(columns) - (columns - 1) / 2)[:, None] * 3.0
    y = (np.arange(SIZE) - (SIZE - 1) / 2)[None, :] * 3.0
    inside = np.where(x**2 + y**2 < 80.0**2, 0.0, -1000.0)
    return np.repeat(inside[..., None], slices, axis=2).astype(np.float32)


def middle(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inner 60 mm."""
    return image[SIZE // 2 - 10 : SIZE // 2 + 10, SIZE // 2 - 10 : SIZE // 2 + 10]


def scans(exposure: Exposure) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return scan_twice(water(), 3.0, exposure, rngs=(rng(1), rng(2)))


def exact_scan() -> NDArray[np.float32]:
    """As good as without noise, but with the errors of projection and reconstruction."""
    return scans(Exposure(photons=1e13, dose=1.0, electronic_sd=0.0, views=90))[1]


def test_a_line_integral_varies_as_its_counts_do() -> None:
    exact = np.full((400, 500), 2.0, dtype=np.float32)
    counted = count_photons(exact, photons=1e4, electronic_sd=0.0, rng=rng())
    expected = np.exp(2.0) / 1e4
    assert counted.var() == pytest.approx(expected, rel=0.03)
    assert counted.mean() == pytest.approx(2.0 + expected / 2, abs=3e-4)
    noisy = count_photons(exact, photons=1e4, electronic_sd=30.0, rng=rng())
    assert noisy.var() == pytest.approx(expected + (30.0 * np.exp(2.0) / 1e4) ** 2, rel=0.03)
    assert noisy.var() > 1.5 * counted.var()


@pytest.mark.parametrize("dose", [0.5, 0.25, 0.1])
def test_the_variance_of_an_image_is_inverse_to_the_dose(dose: float) -> None:
    exposure = Exposure(photons=1e6, dose=dose, electronic_sd=0.0, views=90)
    low, full = (image - exact_scan() for image in scans(exposure))
    ratio = middle(low).var() / middle(full).var()
    assert ratio == pytest.approx(1.0 / dose, rel=0.15)
    assert abs(ratio * dose**0.5 - 1.0) > 0.15  # the control: not as the root of the dose


def test_electronic_noise_weighs_more_at_low_dose() -> None:
    exposure = Exposure(photons=1e5, dose=0.1, electronic_sd=100.0, views=90)
    low, full = (image - exact_scan() for image in scans(exposure))
    assert middle(low).var() / middle(full).var() > 1.5 / 0.1


def test_hu_are_not_shifted_by_a_dose_that_leaves_photons() -> None:
    for image in scans(Exposure(photons=1e6, dose=0.25, views=90)):
        assert middle(image).mean() == pytest.approx(0.0, abs=1.0)
    starved, _ = scans(Exposure(photons=1e3, dose=0.05, views=90))
    assert abs(middle(starved).mean()) > 10.0  # the control: next to no photon gets through


def test_with_very_many_photons_no_noise_is_left() -> None:
    # what is left is of the cylinder's steps, at pixels of 3 mm and 90 views
    assert np.abs(middle(exact_scan())).max() < 5.0
    assert middle(exact_scan()).std() < 2.0
    assert middle(scans(Exposure(views=90))[0]).std() > 4.0


def test_slices_need_not_be_square() -> None:
    oblong, square = water(2, 56), water(2)
    exposure = Exposure(photons=1e12, electronic_sd=0.0, views=90)
    low, full = scan_twice(oblong, 3.0, exposure, rngs=(rng(1), rng(2)))
    assert low.shape == full.shape == oblong.shape
    same, _ = scan_twice(square, 3.0, exposure, rngs=(rng(1), rng(2)))
    np.testing.assert_allclose(low, same[4:60], atol=0.5)


def test_hu_and_attenuation_are_inverse() -> None:
    hu = np.array([-1000.0, -100.0, 0.0, 1500.0], dtype=np.float32)
    np.testing.assert_allclose(to_hu(to_attenuation(hu)), hu, atol=1e-3)
    assert to_attenuation(hu)[0] == 0.0


def test_two_scans_of_a_head_share_anatomy_but_no_noise() -> None:
    grid = HeadGrid((4.0, 4.0, 10.0), (64, 64, 2), 35.0)
    pair = LowDoseHeads(grid, Exposure(views=60)).pair(seed=3, subject=1)
    exact = LowDoseHeads(grid, Exposure(photons=1e12, electronic_sd=0.0, views=60)).pair(3, 1)
    assert pair.a.unit == pair.b.unit == "HU"
    assert pair.a.geometry == pair.b.geometry
    low, full = (v.voxels - exact.b.voxels for v in (pair.a, pair.b))
    assert low.std() > 1.5 * full.std()
    assert abs(np.corrcoef(low.ravel(), full.ravel())[0, 1]) < 0.05
    assert np.corrcoef(pair.a.voxels.ravel(), pair.b.voxels.ravel())[0, 1] > 0.99


def test_settings_that_cannot_be_are_refused() -> None:
    for bad in ({"dose": 0.0}, {"dose": 1.5}, {"photons": 0.0}, {"electronic_sd": -1.0},
                {"kernel": "bone"}):  # fmt: skip
        with pytest.raises(UsageError):
            Exposure(**bad)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="square"):
        LowDoseHeads(HeadGrid((1.0, 2.0, 5.0), (64, 64, 2)), Exposure())


def test_the_limit_is_the_scan_without_its_noise() -> None:
    exposure = Exposure(photons=1e6, dose=0.25, views=90)
    low, limit = scan_and_limit(water(), 3.0, exposure, rng=rng(1))
    assert np.array_equal(low, scans(exposure)[0])  # the same photons
    np.testing.assert_allclose(limit, exact_scan(), atol=0.5)
    assert middle(low - limit).std() > 3.0
