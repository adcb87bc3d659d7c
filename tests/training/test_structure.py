"""MIND: against the formula written out, blind to contrast, awake to anatomy."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from medcyclegan.training.losses import (
    NEAREST,
    PATCH_RADIUS_PX,
    PATCH_SIGMA_PX,
    SEARCH,
    VARIANCE_FLOOR,
    mind,
    structure_loss,
)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def distance_by_hand(image: Tensor, at: tuple[int, int], offset: tuple[int, int]) -> float:
    """The Gaussian-weighted squared difference of two patches, pixel by pixel."""
    total, weights = 0.0, 0.0
    for row in range(-PATCH_RADIUS_PX, PATCH_RADIUS_PX + 1):
        for column in range(-PATCH_RADIUS_PX, PATCH_RADIUS_PX + 1):
            weight = math.exp(-(row**2 + column**2) / (2.0 * PATCH_SIGMA_PX**2))
            here = float(image[at[0] + row, at[1] + column])
            there = float(image[at[0] + row + offset[0], at[1] + column + offset[1]])
            total += weight * (here - there) ** 2
            weights += weight
    return total / weights


def test_a_pixel_by_the_formula() -> None:
    image, at = noise(12, 12), (6, 5)
    variance = VARIANCE_FLOOR
    variance += sum(distance_by_hand(image, at, offset) for offset in NEAREST) / len(NEAREST)
    entries = [math.exp(-distance_by_hand(image, at, offset) / variance) for offset in SEARCH]
    expected = [entry / max(entries) for entry in entries]
    found = mind(image[None, None])[0, :, at[0], at[1]]
    assert found.tolist() == pytest.approx(expected, rel=1e-4)
    assert min(expected) < 0.5  # the pixel does tell its neighbours apart


def test_shape_and_range() -> None:
    found = mind(noise(2, 3, 9, 10))
    assert found.shape == (2 * 3, len(SEARCH), 9, 10)
    assert float(found.amax(dim=1).min()) == 1.0
    assert float(found.min()) > 0.0


def test_contrast_does_not_count_but_anatomy_does() -> None:
    image = noise(1, 2, 24, 24)
    assert float(structure_loss(image, image)) == 0.0
    assert float(structure_loss(image, -image)) == 0.0
    assert float(structure_loss(image, 0.7 - 0.5 * image)) < 1e-3
    moved = float(structure_loss(image, image.roll(2, -1)))
    other = float(structure_loss(image, noise(1, 2, 24, 24, seed=2)))
    assert min(moved, other) > 0.1


def test_slices_are_described_one_by_one() -> None:
    image = noise(1, 3, 12, 12)
    changed = image.clone()
    changed[0, 2] = noise(12, 12, seed=5)
    apart = (mind(image) - mind(changed)).abs().amax(dim=(1, 2, 3))
    assert apart[:2].tolist() == [0.0, 0.0]
    assert apart[2] > 0.1


def test_it_can_be_derived_also_in_flat_air() -> None:
    fake = torch.full((1, 1, 12, 12), -1.0, requires_grad=True)
    structure_loss(fake, noise(1, 1, 12, 12)).backward()
    assert fake.grad is not None
    assert fake.grad.isfinite().all()
    moving = noise(1, 1, 12, 12, seed=3).requires_grad_()
    structure_loss(moving, noise(1, 1, 12, 12)).backward()
    assert moving.grad is not None
    assert moving.grad.abs().sum() > 0
