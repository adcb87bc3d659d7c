"""Noise that one side has beyond the other: its power is found again, without pairs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import ndimage

from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.dataset import PATCH_PX, Draw, excess_noise
from medcyclegan.training.data.open import open_data
from tests.training.data.data_factory import CT, MR, STILL, config, ct_values, write_volume

SPREAD = 0.05


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Noise of standard deviation 1 whose neighbours in the plane are alike."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), (*(0,) * (len(shape) - 2), 1.2, 1.2))
    return np.asarray(noise / noise.std(), np.float32)


def anatomy(rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth patches, one in five with an edge."""
    patch = 0.2 * ndimage.gaussian_filter(rng.normal(size=(PATCH_PX, PATCH_PX)), 6.0)
    if rng.random() < 0.2:
        patch[rng.integers(PATCH_PX) :] += 1.0
    return np.asarray(patch, np.float32)


def draws(seed: int, *, noise: float) -> Draw:
    """Patches of other anatomy for every seed, with smooth noise."""
    rng = np.random.default_rng(seed)
    shape = (PATCH_PX, PATCH_PX)
    return lambda: anatomy(rng) + np.float32(noise) * smooth_noise(rng, shape)


def neighbours(noise: NDArray[np.float32]) -> float:
    """Correlation of pixels that lie side by side."""
    return float(np.corrcoef(noise[..., 1:].ravel(), noise[..., :-1].ravel())[0, 1])


def test_the_noise_that_is_drawn_has_the_power_and_the_grain_of_that_which_was_added() -> None:
    spectrum = excess_noise(draws(1, noise=SPREAD), draws(2, noise=0.0))
    rng = np.random.default_rng(3)
    drawn = np.stack([spectrum.draw(2, 64, rng) for _ in range(200)])
    assert float(np.median(drawn.std(axis=(1, 2, 3)))) == pytest.approx(SPREAD, rel=0.15)
    added = smooth_noise(rng, (50, 64, 64))
    assert neighbours(drawn) == pytest.approx(neighbours(added), abs=0.06)
    # slices are independent; the control: pixels side by side are not
    assert abs(float(np.corrcoef(drawn[:, 0].ravel(), drawn[:, 1].ravel())[0, 1])) < 0.02
    assert neighbours(drawn) > 0.7


def test_sides_of_equal_noise_leave_next_to_none() -> None:
    rng = np.random.default_rng(0)
    none = excess_noise(draws(1, noise=SPREAD), draws(2, noise=SPREAD)).draw(1, 64, rng)
    assert none.std() < 0.3 * SPREAD
    cleaner = excess_noise(draws(1, noise=0.0), draws(2, noise=SPREAD)).draw(1, 64, rng)
    assert cleaner.std() < 0.1 * SPREAD


def noisy_folders(root: Path) -> Folders:
    """Large flat heads; those of A have noise of 75 HU, 0.05 in normalised units."""
    shape = (90, 90, 12)
    rng = np.random.default_rng(0)
    for number, side in enumerate(("a", "b")):
        values = np.where(ct_values(number, shape) > -1000, 40.0, -1000.0)
        if side == "a":
            values = values + 1500 * SPREAD * smooth_noise(rng, (12, 90, 90)).transpose(1, 2, 0)
        write_volume(root / side / f"{side}.nii", values.astype(np.float32))
    return Folders(root / "a", root / "b")


def test_pairs_are_made_from_the_clean_side_alone(tmp_path: Path) -> None:
    folders = noisy_folders(tmp_path)
    asked = {"a": CT, "b": CT, "augment": STILL, "spacing_mm": None, "size_px": 32, "depth": 1}
    all_pairs = open_data(config(**asked, matched_noise=1.0), folders, seed=0).train
    added = []
    for index in range(40):
        sample = all_pairs[index]
        assert bool(sample.paired)
        assert not bool(sample.matched)
        inside = sample.b > -0.9
        assert float(sample.b[inside].std()) < 0.005  # without noise: it is of B
        added.append(float((sample.a - sample.b)[inside].std()))
    assert np.median(added) == pytest.approx(SPREAD, rel=0.3)
    assert torch.equal(all_pairs[3].a, all_pairs[3].a)
    some = open_data(config(**asked, matched_noise=0.5), folders, seed=0).train
    assert 5 < sum(bool(some[index].paired) for index in range(40)) < 35
    none = open_data(config(**asked), folders, seed=0).train
    assert not any(bool(none[index].paired) for index in range(40))


def test_noise_of_other_units_cannot_be_compared() -> None:
    with pytest.raises(ValidationError, match="same unit and scaling"):
        config(a=MR, b=CT, matched_noise=0.5)
