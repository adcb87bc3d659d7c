"""Projections are line integrals, and their reconstruction gives back what was projected."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.errors import UsageError
from medcyclegan.simulate.low_dose_ct import KERNELS, ParallelBeam, to_attenuation, to_hu

BEAM = ParallelBeam(size_px=96, pixel_mm=2.0, views=160)


def disc(radius_mm: float, *, centre_mm: tuple[float, float] = (0.0, 0.0)) -> NDArray[np.float32]:
    """The share of each pixel that lies in a disc, (96, 96, 1), from 8 x 8 sub-samples."""
    fine = (np.arange(96 * 8) + 0.5) / 8 - 0.5 - 95 / 2
    x, y = np.meshgrid(fine * 2.0, fine * 2.0, indexing="ij")
    inside = (x - centre_mm[0]) ** 2 + (y - centre_mm[1]) ** 2 < radius_mm**2
    share = inside.reshape(96, 8, 96, 8).mean(axis=(1, 3), dtype=np.float32)
    return np.asarray(share[..., None], dtype=np.float32)


def head_hu() -> NDArray[np.float32]:
    """A ring of bone around water, with an insert of fat off the middle; HU in air."""
    hu = -1000.0 + 2000.0 * disc(75.0) - 1000.0 * disc(68.0)
    return np.asarray(hu - 100.0 * disc(15.0, centre_mm=(25.0, -10.0)), dtype=np.float32)


def core(shares: NDArray[np.float32], pixels: int = 4) -> NDArray[np.bool_]:
    whole = ndimage.binary_erosion(shares[..., 0] > 0.999, iterations=pixels)
    return np.asarray(whole[..., None])


def test_a_ray_through_a_disc_is_as_long_as_the_chord() -> None:
    views = BEAM.project(disc(60.0))[..., 0]
    offset_mm = (np.arange(BEAM.bins) - (BEAM.bins - 1) / 2) * 2.0
    chord_mm = 2.0 * np.sqrt(np.maximum(60.0**2 - offset_mm**2, 0.0))
    inside = np.abs(offset_mm) < 50.0
    assert np.abs(views - chord_mm)[:, inside].max() < 1.5  # of 120 mm; pixels are 2 mm
    assert np.abs(views - chord_mm)[:, np.abs(offset_mm) > 64.0].max() == 0.0
    assert np.abs(views - 1.03 * chord_mm)[:, inside].max() > 1.5


def test_every_view_sees_all_of_the_attenuation() -> None:
    image = disc(30.0, centre_mm=(-35.0, 20.0))
    totals = BEAM.project(image)[..., 0].sum(axis=1) * 2.0
    np.testing.assert_allclose(totals, image.sum() * 4.0, rtol=0.01)


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_noise_the_reconstruction_is_the_image_in_hu(kernel: str) -> None:
    hu = head_hu()
    image = to_hu(BEAM.reconstruct(BEAM.project(to_attenuation(hu)), kernel=kernel))
    water = core(disc(68.0)) & ~ndimage.binary_dilation(
        disc(15.0, centre_mm=(25.0, -10.0)) > 0, iterations=4
    )
    fat = core(disc(15.0, centre_mm=(25.0, -10.0)), 3)
    for region, expected in ((water, 0.0), (fat, -100.0)):
        assert image[region].mean() == pytest.approx(expected, abs=2.0)
        assert np.abs(image[region] - expected).max() < 15.0
    mirrored = image[::-1]
    assert mirrored[fat].mean() > -50.0  # the control: fat lies off the middle


def test_a_wrong_pixel_width_is_seen_in_hu() -> None:
    projected = BEAM.project(to_attenuation(head_hu()))
    wrong = ParallelBeam(size_px=96, pixel_mm=2.04, views=160)
    image = to_hu(wrong.reconstruct(projected, kernel="hann"))
    assert image[core(disc(60.0)) & ~core(disc(45.0))].mean() < -10.0


def test_slices_are_projected_each_for_itself() -> None:
    two = np.concatenate([disc(60.0), disc(20.0)], axis=2)
    both = BEAM.reconstruct(BEAM.project(two), kernel="hann")
    alone = BEAM.reconstruct(BEAM.project(disc(20.0)), kernel="hann")
    np.testing.assert_allclose(both[..., 1:], alone, atol=1e-5)
    assert both.shape == two.shape


def test_kernels_from_sharp_to_soft() -> None:
    noise = np.random.default_rng(0).standard_normal((160, BEAM.bins, 1)).astype(np.float32)
    spread = [float(BEAM.reconstruct(noise, kernel=kernel).std()) for kernel in KERNELS]
    assert spread[0] > 1.1 * spread[1] > 1.5 * spread[2]
    # of white noise the ramp passes pi^2 / (12 views) in variance; reading linearly between bins
    # leaves 2/3 + cos(2 pi f) / 3 at the frequency f, which the ramp weights to 2/3 - 2 / pi^2
    expected_mm = np.sqrt(np.pi**2 / 12 / 160 * (2 / 3 - 2 / np.pi**2)) / 2.0
    assert spread[0] == pytest.approx(expected_mm, rel=0.03)


def test_what_cannot_be_projected_is_refused() -> None:
    for bad in ((1, 1.0, 10), (64, 0.0, 10), (64, 1.0, 0)):
        with pytest.raises(UsageError, match="views"):
            ParallelBeam(*bad)
    with pytest.raises(UsageError, match="ram-lak, shepp-logan, hann"):
        BEAM.reconstruct(np.zeros((160, BEAM.bins, 1), dtype=np.float32), kernel="bone")
