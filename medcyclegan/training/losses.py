"""Losses on translated slabs. Tensors are (N, depth, H, W) in normalised units."""

from __future__ import annotations

from torch import Tensor


def l1_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference, a scalar."""
    return (fake - real).abs().mean()


def l2_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean squared difference, a scalar: large errors, such as missed bone, count more."""
    return (fake - real).square().mean()


def gradient_loss(fake: Tensor, real: Tensor) -> Tensor:
    """Mean absolute difference of the in-plane finite differences, a scalar: sharp edges count."""
    error = fake - real
    rows = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    columns = (error[..., :, 1:] - error[..., :, :-1]).abs().mean()
    return rows + columns
