"""All that a training changes as it goes on, made fresh from its settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from medcyclegan.networks.discriminator import Discriminator
from medcyclegan.networks.factory import make_generator
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.cyclegan import DIRECTIONS, Direction, Networks, Side, target_of
from medcyclegan.training.pool import FakePool

Some = tuple[Tensor, ...] | list[Tensor]

# Adam's decay of the mean gradient for GANs, after Radford et al. 2016 (arXiv 1511.06434).
BETAS = (0.5, 0.999)


@dataclass(eq=False)
class Window:
    """Counts and sums of the losses since the last row of the log."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, losses: Mapping[str, float]) -> None:
        """Take up the losses of a step; not every step has all of them."""
        for name, value in losses.items():
            self.counts[name] = self.counts.get(name, 0) + 1
            self.sums[name] = self.sums.get(name, 0.0) + value

    def means(self) -> dict[str, float]:
        """Mean losses, by name, each over the steps that had it."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}


@dataclass(eq=False)
class TrainState:
    """``step`` steps were done, in ``seconds``.

    ``averages`` are moving averages of the generators, which are what is validated and exported.
    ``quiet_steps`` counts for each discriminator for how long its loss has been about 0.
    ``best`` is the lowest figure of a validation so far.
    """

    networks: Networks
    averages: dict[Direction, AveragedModel]
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer | None
    pools: dict[Side, FakePool]
    step: int = 0
    seconds: float = 0.0
    window: Window = field(default_factory=Window)
    quiet_steps: dict[str, int] = field(default_factory=dict)
    best: float | None = None


def fresh_state(config: TrainConfig, device: torch.device, *, rank: int = 0) -> TrainState:
    """Draw the first weights from the seed; each rank has pools with random numbers of its own."""
    torch.manual_seed(config.seed)
    ways = DIRECTIONS if config.directions == "both" else DIRECTIONS[:1]
    depth = config.data.depth
    generators: dict[Direction, nn.Module] = {
        way: _placed(make_generator(config.generator, depth=depth), device) for way in ways
    }
    sides: list[Side] = (
        [target_of(way) for way in ways] if config.largest_weight("adversarial") else []
    )
    discriminators: dict[Side, nn.Module] = {
        side: _placed(Discriminator(config.discriminator, depth=depth), device) for side in sides
    }
    averages = {way: make_average(network, config) for way, network in generators.items()}
    networks = Networks(generators, discriminators)
    if config.compile:
        for network in all_networks(networks):
            network.compile()
    return TrainState(
        networks=networks,
        averages=averages,
        generator_optimiser=_adam(generators, config.generator_rate),
        discriminator_optimiser=(
            _adam(discriminators, config.discriminator_rate) if discriminators else None
        ),
        pools={
            side: FakePool(size=config.pool_size, seed=config.seed + 1000 * rank + number)
            for number, side in enumerate(sides)
        },
    )


def make_average(generator: nn.Module, config: TrainConfig) -> AveragedModel:
    """Start a moving average of a generator's weights.

    Over the first steps it forgets faster than ``ema_decay``, or it would keep the random weights
    that all began with: after n steps the decay is at most (1 + n) / (10 + n).
    """

    def update(averaged: Some, current: Some, count: Tensor | int) -> None:
        done = int(count)
        decay = min(config.ema_decay, (1 + done) / (10 + done))
        with torch.no_grad():
            torch._foreach_lerp_(averaged, current, 1.0 - decay)

    average = AveragedModel(generator, multi_avg_fn=update)
    average.requires_grad_(False)
    return average


def all_networks(networks: Networks) -> Iterator[nn.Module]:
    """Generators, then discriminators, always in the same order."""
    yield from networks.generators.values()
    yield from networks.discriminators.values()


def weights_of(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All weights that an optimiser changes."""
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _adam(
    networks: Mapping[Direction, nn.Module] | Mapping[Side, nn.Module], rate: float
) -> torch.optim.Adam:
    weights = [weight for network in networks.values() for weight in network.parameters()]
    fused = weights[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(weights, lr=rate, betas=BETAS, fused=fused)
