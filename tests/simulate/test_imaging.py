"""Laws of the step from tissues to images."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.simulate.acquisition import (
    SEQUENCES,
    bias_field,
    ct_image,
    ct_table,
    mean_of_fractions,
    mr_image,
    mr_table,
    rician,
    smooth_noise,
)
from medcyclegan.simulate.tissues import PROPERTIES, Tissue

GRID = geometry_from_spacing((40, 44, 48), (1.0, 1.5, 2.0))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_partial_volume_is_the_mean_by_fraction() -> None:
    fractions = np.zeros((len(Tissue), 1, 1, 2), dtype=np.float32)
    fractions[Tissue.CORTICAL_BONE, 0, 0] = (0.25, 1.0)
    fractions[Tissue.AIR, 0, 0, 0] = 0.75
    hu = np.array([PROPERTIES[tissue].hu for tissue in Tissue])
    mixed, pure = mean_of_fractions(fractions, hu)[0, 0]
    bone, air = hu[Tissue.CORTICAL_BONE], hu[Tissue.AIR]
    assert mixed == pytest.approx(0.25 * bone + 0.75 * air, rel=1e-5)
    assert pure == pytest.approx(bone)


@pytest.mark.parametrize("sigma_mm", [0.0, 1.0, 3.0])
def test_noise_has_unit_spread_at_any_smoothness(sigma_mm: float) -> None:
    noise = smooth_noise(GRID, sigma_mm=sigma_mm, rng=rng())
    assert noise.std() == pytest.approx(1.0, abs=0.12)
    assert noise.mean() == pytest.approx(0.0, abs=0.12)


def test_smooth_noise_is_smooth_in_millimetres() -> None:
    def neighbours(noise: np.ndarray) -> float:
        return float(np.mean(noise[1:] * noise[:-1]))

    assert neighbours(smooth_noise(GRID, sigma_mm=3.0, rng=rng())) > 0.9
    assert neighbours(smooth_noise(GRID, sigma_mm=0.0, rng=rng())) < 0.05


def test_rician_noise_lifts_the_background_and_leaves_strong_signal() -> None:
    background = rician(np.zeros((60, 60, 20), dtype=np.float32), sd=10.0, rng=rng())
    strong = rician(np.full((60, 60, 20), 500.0, dtype=np.float32), sd=10.0, rng=rng())
    assert background.min() >= 0.0
    assert background.mean() == pytest.approx(10.0 * np.sqrt(np.pi / 2.0), rel=0.02)
    assert strong.mean() == pytest.approx(500.0, rel=0.005)
    assert strong.std() == pytest.approx(10.0, rel=0.05)


def test_the_bias_field_belongs_to_space_and_not_to_the_grid() -> None:
    field = bias_field(GRID, strength=0.4, rng=rng())
    affine = GRID.affine_ras.copy()
    affine[:3, 3] += affine[:3, 0] * (GRID.shape[0] - 1)
    affine[:3, 0] *= -1.0
    mirrored = bias_field(Geometry(GRID.shape, affine), strength=0.4, rng=rng())
    np.testing.assert_allclose(mirrored[::-1], field, rtol=1e-5)
    assert not np.allclose(mirrored, field, rtol=1e-3)
    assert 0.6 < field.min() < 1.0 < field.max() < 1.6


def test_the_bias_field_of_no_strength_is_one() -> None:
    np.testing.assert_array_equal(bias_field(GRID, strength=0.0, rng=rng()), 1.0)


def test_ct_noise_is_as_strong_as_asked_for() -> None:
    water = np.zeros(GRID.shape, dtype=np.float32)
    noisy = ct_image(water, water, geometry=GRID, noise_hu=12.0, rng=rng())
    assert noisy.std() == pytest.approx(12.0, rel=0.1)
    assert not ct_image(water, water, geometry=GRID, noise_hu=0.0, rng=rng()).any()


def test_ct_stays_within_its_number_range() -> None:
    air = np.full(GRID.shape, -1000.0, dtype=np.float32)
    image = ct_image(air, np.zeros_like(air), geometry=GRID, noise_hu=30.0, rng=rng())
    assert image.min() == -1024.0
    assert image.mean() == pytest.approx(-1000.0, abs=5.0)


def test_images_are_bit_equal_by_seed() -> None:
    flat = np.full(GRID.shape, 300.0, dtype=np.float32)

    def image(seed: int) -> np.ndarray:
        return mr_image(flat, 0.1 * flat, geometry=GRID, noise_sd=10.0, bias=0.3, rng=rng(seed))

    assert image(1).tobytes() == image(1).tobytes()
    assert image(1).tobytes() != image(2).tobytes()


def test_tables_vary_by_subject_within_the_tissues_spread() -> None:
    draws = np.array([ct_table(rng(seed)).value for seed in range(200)])
    for tissue in Tissue:
        properties = PROPERTIES[tissue]
        assert np.abs(draws[:, tissue] - properties.hu).max() <= 1.5 * properties.hu_sd + 1e-9
    assert draws[:, Tissue.MARROW].std() > 50.0
    assert draws[:, Tissue.AIR].std() == 0.0


@pytest.mark.parametrize("contrast", sorted(SEQUENCES))
def test_signal_is_in_the_range_of_scanners(contrast: str) -> None:
    table = mr_table(SEQUENCES[contrast], rng())
    assert 150.0 < table.value.max() < 2000.0
    assert table.value[Tissue.AIR] == 0.0
    assert (table.texture <= 0.15 * table.value + 1e-9).all()


def test_fluid_stays_nulled_in_every_subjects_flair() -> None:
    for seed in range(20):
        flair = mr_table(SEQUENCES["flair"], rng(seed)).value
        assert flair[Tissue.CSF] < 0.1 * flair[Tissue.GREY_MATTER]
