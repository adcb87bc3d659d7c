"""Losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from medcyclegan.training.losses import (
    border_losses,
    density_loss,
    discriminator_loss,
    generator_adversarial_loss,
    gradient_consistency_loss,
    gradient_loss,
    l1_loss,
    l2_loss,
    matched_loss,
    paired_l1_loss,
    two_hot_cross_entropy,
)

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


def test_a_generator_lowers_the_squared_distance_of_its_scores_from_1() -> None:
    scores = torch.tensor([[[[1.0, 0.0], [-2.0, 3.0]]]])
    assert float(generator_adversarial_loss(scores)) == pytest.approx((0 + 1 + 9 + 4) / 4)
    assert float(generator_adversarial_loss(torch.ones(1, 1, 2, 2))) == 0.0


def test_a_discriminator_wants_1_for_real_and_0_for_fake() -> None:
    real, fake = torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 2.0]]]])
    assert float(discriminator_loss(real, fake)) == pytest.approx(0.5 * (1 / 2 + 4 / 2))
    half = torch.full((1, 1, 3, 3), 0.5)
    assert float(discriminator_loss(half, half)) == pytest.approx(0.25)  # it cannot tell at all
    assert float(discriminator_loss(torch.ones_like(half), torch.zeros_like(half))) == 0.0
    # negative scores are no better than they look: no leaky ReLU stands between
    assert float(discriminator_loss(torch.ones_like(half), -half)) == pytest.approx(0.125)


def test_only_pairs_count_for_the_paired_l1() -> None:
    real = torch.zeros(4, 1, 2, 2)
    fake = torch.arange(1.0, 5.0).view(4, 1, 1, 1).expand(4, 1, 2, 2)
    paired = torch.tensor([True, False, False, True])
    assert float(paired_l1_loss(fake, real, paired)) == pytest.approx((1 + 4) / 4)
    assert float(paired_l1_loss(fake, real, torch.zeros(4, dtype=torch.bool))) == 0.0
    assert float(paired_l1_loss(fake, real, ~paired)) == pytest.approx((2 + 3) / 4)
    # NaN where there is no pair must not come through: such items hold other anatomy, or nothing
    fake = fake.clone()
    fake[1] = float("nan")
    assert float(paired_l1_loss(fake, real, paired)) == pytest.approx(5 / 4)


def test_only_matched_slabs_count_for_the_matched_loss() -> None:
    real = torch.zeros(3, 1, 1, 2)
    fake = torch.tensor([[1.0, -3.0], [0.5, 0.5], [float("nan"), 9.0]]).view(3, 1, 1, 2)
    matched = torch.tensor([True, True, False])
    by_hand = ((1 + 3 + 2 * (1 + 9)) / 2 + (0.5 + 0.5 + 2 * (0.25 + 0.25)) / 2) / 3
    assert float(matched_loss(fake, real, matched)) == pytest.approx(by_hand)
    assert float(matched_loss(fake, real, torch.zeros(3, dtype=torch.bool))) == 0.0


def test_the_paired_l1_of_a_batch_is_the_mean_of_its_halves() -> None:
    fake, real = torch.rand(2, 4, 3, 5, 5)
    paired = torch.tensor([True, True, True, False])
    halves = [paired_l1_loss(fake[i : i + 2], real[i : i + 2], paired[i : i + 2]) for i in (0, 2)]
    assert float(sum(halves)) / 2 == pytest.approx(float(paired_l1_loss(fake, real, paired)))


def test_gradient_consistency_by_hand() -> None:
    one, other = torch.zeros(1, 1, 2, 4), torch.zeros(1, 1, 2, 4)
    one[..., 1:] = 1.0  # gradient magnitudes 1, 0, 0
    other[..., 2:] = 7.0  # gradient magnitudes 0, 7, 0
    # centred (2, -1, -1)/3 and (-1, 2, -1) 7/3: the correlation is -3 / 6
    assert float(gradient_consistency_loss(one, other)) == pytest.approx(1.5, abs=1e-3)
    assert float(gradient_consistency_loss(one, one)) == pytest.approx(0.0, abs=1e-3)


def test_gradient_consistency_asks_where_edges_are_not_which_way_they_go() -> None:
    image = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    other = torch.randn(2, 3, 9, 9, generator=torch.Generator().manual_seed(2))
    for same in (-image, 0.3 * image + 0.5):
        assert float(gradient_consistency_loss(image, same)) == pytest.approx(0.0, abs=1e-3)
    assert float(gradient_consistency_loss(image, other)) > 0.7
    assert float(gradient_consistency_loss(image, image.roll(1, -1))) > 0.3


def test_air_alone_has_a_gradient_consistency_that_can_be_derived() -> None:
    fake = torch.full((1, 1, 6, 6), -1.0, requires_grad=True)
    gradient_consistency_loss(fake, torch.full((1, 1, 6, 6), -1.0)).backward()
    assert fake.grad is not None
    assert fake.grad.isfinite().all()


LEVELS = torch.tensor([-1.0, 0.0, 1.0])


def by_hand(shares: tuple[float, float, float], p: tuple[float, float, float]) -> float:
    return -sum(share * math.log(x) for share, x in zip(shares, p, strict=True))


def test_two_hot_cross_entropy_shares_a_value_between_its_two_levels() -> None:
    p = (0.2, 0.5, 0.3)
    logits = torch.log(torch.tensor(p)).view(1, 1, 3, 1, 1).expand(1, 1, 3, 1, 5)
    real = torch.tensor([-1.0, -0.75, 0.0, 0.4, 1.7]).view(1, 1, 1, 5)  # the last one is clipped
    shares = [(1.0, 0, 0), (0.75, 0.25, 0), (0, 1.0, 0), (0, 0.6, 0.4), (0, 0, 1.0)]
    wanted = sum(by_hand(share, p) for share in shares) / 5  # type: ignore[arg-type]
    assert float(two_hot_cross_entropy(logits, real, LEVELS).mean()) == pytest.approx(
        wanted, abs=1e-6
    )
    moved = two_hot_cross_entropy(logits, real + 0.1, LEVELS).mean()  # the control
    assert float(moved) != pytest.approx(wanted, abs=1e-3)


def test_two_hot_cross_entropy_is_least_where_the_mean_of_the_levels_is_the_value() -> None:
    real = torch.full((1, 1, 1, 1), -0.25)
    true, false = (torch.log(torch.tensor(p)).view(1, 1, 3, 1, 1)
                   for p in ((0.25, 0.749, 0.001), (0.749, 0.25, 0.001)))  # fmt: skip
    logits = true.clone().requires_grad_(True)
    two_hot_cross_entropy(logits, real, LEVELS).mean().backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().max()) < 2e-3
    right, wrong = (float(two_hot_cross_entropy(x, real, LEVELS)) for x in (true, false))
    assert right < wrong - 0.3


def test_border_losses_are_0_for_equal_bone_and_grow_with_what_is_shifted_or_added() -> None:
    bone = torch.full((2, 1, 16, 16), -1.0)
    bone[..., 4:8] = 1.0
    shifted, more = bone.roll(2, dims=-1), bone.clone()
    more[..., 4:12] = 1.0

    def losses(fake: torch.Tensor) -> list[float]:
        found = border_losses(fake, bone, threshold=0.0, width=0.05)
        assert found.shape == (2, 2)
        return [float(loss) for loss in found[:, 0]]

    assert losses(bone) == [0.0, 0.0]
    # half of each is beside the other: Dice .5, the same volume
    assert losses(shifted) == pytest.approx([0.5, 0.0], abs=1e-4)
    # twice as much: Dice 2 * 4 / (4 + 8), volumes 8 and 4
    assert losses(more) == pytest.approx([1 / 3, 1 / 3], abs=1e-4)
    assert losses(torch.full_like(bone, -1.0)) == pytest.approx([1.0, 1.0], abs=1e-4)


def test_the_density_loss_is_how_far_the_mean_of_true_bone_is_off() -> None:
    bone = torch.full((2, 1, 40, 40), -1.0)
    bone[..., 4:24] = 0.5
    noise = torch.randn(bone.shape, generator=torch.Generator().manual_seed(4))
    noise -= noise[..., 4:24].mean(dim=(1, 2, 3), keepdim=True)

    def loss(fake: torch.Tensor) -> list[float]:
        return [float(one) for one in density_loss(fake, bone, threshold=0.0)]

    assert loss(bone) == [0.0, 0.0]
    assert loss(bone + noise) == pytest.approx([0.0, 0.0], abs=1e-6)
    assert float(noise.abs().mean()) > 0.5  # the control
    for off in (-0.2, 0.3):
        assert loss(bone + noise + off) == pytest.approx([abs(off)] * 2, abs=1e-6)
    beside = bone.clone()
    beside[..., 30:] = 1.0  # false bone is not true bone
    assert loss(beside) == [0.0, 0.0]
    assert float(density_loss(bone, torch.full_like(bone, -1.0), threshold=0.0).sum()) == 0.0


def test_with_the_density_loss_what_may_be_bone_is_not_left_at_the_median() -> None:
    """Two voxels in five are bone, and nothing tells which."""
    real = torch.full((1, 1, 20, 40), -1.0)
    real.view(-1)[::5] = real.view(-1)[1::5] = 1.0

    def learned(weight: float) -> float:
        value = torch.tensor(-0.5, requires_grad=True)
        optimiser = torch.optim.SGD([value], lr=0.01)
        for _ in range(600):
            fake = value.expand(real.shape)
            loss = (fake - real).abs().mean()
            loss = loss + weight * density_loss(fake, real, threshold=0.0).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return float(value.detach())

    assert learned(0.0) == pytest.approx(-1.0, abs=0.05)  # the control
    assert learned(0.5) > 0.9
