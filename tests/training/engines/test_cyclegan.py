"""The losses of a batch by hand, with generators and discriminators that are known functions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import Direction, Losses, Side
from medcyclegan.training.engines.cyclegan import discriminator_losses, generator_losses
from medcyclegan.training.losses import LossWeights, weighted_sum

OFF = {"adversarial": 0.0, "cycle": 0.0, "identity": 0.0}


class Plus(nn.Module):
    """x + step, and how often it was asked."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = step
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x + self.step


def batch(*, paired: tuple[bool, ...] = (False, False)) -> Sample:
    """Side a is 0 everywhere, side b is 1."""
    shape = (len(paired), 3, 16, 16)
    return Sample(torch.zeros(shape), torch.ones(shape), torch.tensor(paired))


@dataclass(frozen=True)
class Networks:
    generators: dict[Direction, Plus]
    discriminators: dict[Side, Plus]

    def losses(self, given: Sample, weights: LossWeights) -> Losses:
        sources = {"a-to-b": given.a, "b-to-a": given.b}
        fakes = {way: net(sources[way]) for way, net in self.generators.items()}
        return generator_losses(self.generators, self.discriminators, given, fakes, weights)


def networks() -> Networks:
    """A to b adds 0.5, b to a takes 0.25; discriminators give the value itself as the score."""
    return Networks({"a-to-b": Plus(0.5), "b-to-a": Plus(-0.25)}, {"a": Plus(0.0), "b": Plus(0.0)})


def losses_of(
    weights: LossWeights, *, paired: tuple[bool, ...] = (False, False)
) -> dict[str, float]:
    found = networks().losses(batch(paired=paired), weights)
    return {name: float(value) for name, value in found.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("adversarial", (0.5 - 1) ** 2 + (0.75 - 1) ** 2),
        ("cycle", 0.25 + 0.25),  # there and back adds 0.25, from both sides
        ("identity", 0.5 + 0.25),
    ],
)
def test_each_loss_by_hand_and_alone(name: str, expected: float) -> None:
    found = losses_of(LossWeights.model_validate({**OFF, name: 3.0}))
    assert found == {name: pytest.approx(expected)}


def test_only_pairs_count_in_the_paired_loss() -> None:
    weights = LossWeights.model_validate({**OFF, "paired_l1": 1.0})
    both = 0.5 + 0.75  # fakes 0.5 and 0.75 against 1 and 0
    assert losses_of(weights, paired=(True, True))["paired_l1"] == pytest.approx(both)
    assert losses_of(weights, paired=(True, False))["paired_l1"] == pytest.approx(both / 2)
    assert losses_of(weights)["paired_l1"] == 0.0


def test_the_whole_is_the_weighted_sum() -> None:
    weights = LossWeights(cycle=10.0, identity=2.0, structure=0.5, gradient=0.25, paired_l1=4.0)
    parts = losses_of(weights, paired=(True, False))
    assert set(parts) == {
        "adversarial", "cycle", "identity", "structure", "gradient", "paired_l1",
    }  # fmt: skip
    expected = (
        parts["adversarial"] + 10 * parts["cycle"] + 2 * parts["identity"]
        + 0.5 * parts["structure"] + 0.25 * parts["gradient"] + 4 * parts["paired_l1"]
    )  # fmt: skip
    as_tensors = {name: torch.tensor(value) for name, value in parts.items()}
    assert float(weighted_sum(as_tensors, weights)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "calls"),
    [
        ({"adversarial": 1.0}, 1),
        ({"cycle": 1.0}, 2),
        ({"identity": 1.0}, 2),
        ({"paired_l1": 1.0}, 1),
        ({"cycle": 1.0, "identity": 1.0}, 3),
    ],
)
def test_what_no_loss_needs_is_not_computed(weights: dict[str, float], calls: int) -> None:
    ours = networks()
    made = LossWeights.model_validate({**OFF, **weights})
    ours.losses(batch(), made)
    assert [g.calls for g in ours.generators.values()] == [calls, calls]
    asked = [d.calls for d in ours.discriminators.values()]
    assert asked == ([1, 1] if made.adversarial else [0, 0])


def test_one_direction_alone() -> None:
    ours = Networks({"a-to-b": Plus(0.5)}, {"b": Plus(0.0)})
    weights = LossWeights(cycle=0.0, identity=1.0, paired_l1=1.0)
    found = ours.losses(batch(paired=(True, True)), weights)
    assert {name: float(value) for name, value in found.items()} == {
        "adversarial": 0.25, "identity": 0.5, "paired_l1": 0.5,
    }  # fmt: skip


def test_discriminators_see_real_slabs_and_what_they_are_shown() -> None:
    shown = {"a": torch.full((2, 3, 16, 16), 0.5), "b": torch.full((2, 3, 16, 16), 0.25)}
    found = discriminator_losses(networks().discriminators, batch(), shown)  # type: ignore[arg-type]
    assert {name: float(value) for name, value in found.items()} == {
        "discriminator_a": pytest.approx(0.5 * (1.0 + 0.25)),  # real scores are 0
        "discriminator_b": pytest.approx(0.5 * (0.0 + 0.0625)),  # real scores are 1
    }
