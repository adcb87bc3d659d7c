"""Losses against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from medcyclegan.training.losses import gradient_loss, l1_loss, l2_loss

REAL = torch.tensor([[[[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]])
FAKE = torch.tensor([[[[1.0, -2.0, 0.0], [0.5, 0.0, 3.0]]]])


def test_l1() -> None:
    assert float(l1_loss(FAKE, REAL)) == pytest.approx((1 + 2 + 0 + 0.5 + 0 + 3) / 6)
    assert float(l1_loss(FAKE, FAKE)) == 0.0


def test_l2() -> None:
    assert float(l2_loss(FAKE, REAL)) == pytest.approx((1 + 4 + 0 + 0.25 + 0 + 9) / 6)
    assert float(l2_loss(FAKE, FAKE)) == 0.0


def test_gradient() -> None:
    rows = (0.5 + 2.0 + 3.0) / 3  # between the two rows
    columns = (3.0 + 2.0 + 0.5 + 3.0) / 4
    assert float(gradient_loss(FAKE, REAL)) == pytest.approx(rows + columns)


def test_a_constant_offset_has_no_gradient_loss_but_an_edge_that_is_missed_has() -> None:
    assert float(gradient_loss(REAL + 5.0, REAL)) == 0.0
    edge = torch.zeros(2, 3, 8, 8)
    edge[..., 4:] = 1.0
    assert float(gradient_loss(torch.zeros_like(edge), edge)) == pytest.approx(1 / 7)
    # Only differences in the plane count, not between slices or slabs.
    steps = torch.arange(3.0)[None, :, None, None].expand(2, 3, 8, 8)
    assert float(gradient_loss(torch.zeros_like(steps), steps)) == 0.0


@pytest.mark.parametrize("loss", [l1_loss, l2_loss, gradient_loss])
def test_losses_are_scalars_that_can_be_derived(loss) -> None:  # type: ignore[no-untyped-def]
    fake = torch.randn(2, 3, 5, 6, requires_grad=True)
    value = loss(fake, torch.zeros(2, 3, 5, 6))
    assert value.shape == ()
    value.backward()
    assert fake.grad is not None
    assert fake.grad.abs().sum() > 0
