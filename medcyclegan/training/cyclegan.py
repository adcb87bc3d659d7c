"""The losses of a CycleGAN as functions of networks and batch.

Zhu et al. 2017 (arXiv 1703.10593), with losses that keep anatomy, and an L1 on those items of a
batch that are pairs. A loss of weight 0 is not computed. Slabs are (N, depth, H, W) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from medcyclegan.training.config import LossWeights, TrainConfig
from medcyclegan.training.losses import (
    fooling_loss,
    gradient_consistency_loss,
    l1_loss,
    matched_loss,
    paired_l1_loss,
    telling_loss,
)
from medcyclegan.training.sample import Sample
from medcyclegan.training.structure import structure_loss

Side = Literal["a", "b"]
Direction = Literal["a-to-b", "b-to-a"]
DIRECTIONS: tuple[Direction, Direction] = ("a-to-b", "b-to-a")

Losses = dict[str, Tensor]
Fakes = Mapping[Direction, Tensor]


@dataclass(frozen=True, eq=False)
class Networks:
    """Generators by direction, discriminators by side; what no loss needs is not there."""

    generators: Mapping[Direction, nn.Module]
    discriminators: Mapping[Side, nn.Module]


def source_of(direction: Direction) -> Side:
    """The side that a direction starts from."""
    return "a" if direction == "a-to-b" else "b"


def target_of(direction: Direction) -> Side:
    """The side that a direction leads to."""
    return "b" if direction == "a-to-b" else "a"


def make_fakes(networks: Networks, batch: Sample) -> dict[Direction, Tensor]:
    """Translate the slabs of each side that there is a generator for."""
    return {
        direction: generator(_side(batch, source_of(direction)))
        for direction, generator in networks.generators.items()
    }


def generator_losses(
    networks: Networks, batch: Sample, fakes: Fakes, weights: LossWeights
) -> Losses:
    """The losses of weight above 0, unweighted, each summed over the directions; scalars."""
    terms: dict[str, Callable[[Direction], Tensor]] = {
        "adversarial": lambda way: fooling_loss(
            networks.discriminators[target_of(way)](fakes[way])
        ),
        "cycle": lambda way: l1_loss(
            networks.generators[_back(way)](fakes[way]), _side(batch, source_of(way))
        ),
        "identity": lambda way: _identity_loss(networks.generators[way], batch, way),
        "structure": lambda way: structure_loss(fakes[way], _side(batch, source_of(way))),
        "gradient": lambda way: gradient_consistency_loss(fakes[way], _side(batch, source_of(way))),
        "paired_l1": lambda way: paired_l1_loss(
            fakes[way], _side(batch, target_of(way)), batch.paired
        ),
        "matched": lambda way: matched_loss(
            fakes[way], _side(batch, target_of(way)), batch.matched
        ),
    }
    losses: Losses = {}
    for name, term in terms.items():
        if getattr(weights, name) > 0:
            first, *others = [term(way) for way in fakes]
            losses[name] = sum(others, start=first)
    return losses


def all_losses(networks: Networks, config: TrainConfig) -> list[str]:
    """The names of all losses that any step of a training has, always in the same order."""
    wanted = [name for name in LossWeights.model_fields if config.largest_weight(name) > 0]
    return [*wanted, "generator", *(f"discriminator_{side}" for side in networks.discriminators)]


def weighted_sum(losses: Losses, weights: LossWeights) -> Tensor:
    """What the generators lower, a scalar."""
    first, *others = [getattr(weights, name) * loss for name, loss in losses.items()]
    total: Tensor = sum(others, start=first)
    return total


def discriminator_losses(networks: Networks, batch: Sample, shown: Mapping[Side, Tensor]) -> Losses:
    """The loss of each discriminator on real slabs and the fakes it is ``shown``; scalars."""
    return {
        f"discriminator_{side}": telling_loss(
            discriminator(_side(batch, side)), discriminator(shown[side])
        )
        for side, discriminator in networks.discriminators.items()
    }


def _identity_loss(generator: nn.Module, batch: Sample, way: Direction) -> Tensor:
    """What is of the target's kind already should stay as it is."""
    real = _side(batch, target_of(way))
    return l1_loss(generator(real), real)


def _side(batch: Sample, side: Side) -> Tensor:
    return batch.a if side == "a" else batch.b


def _back(direction: Direction) -> Direction:
    return "b-to-a" if direction == "a-to-b" else "a-to-b"
