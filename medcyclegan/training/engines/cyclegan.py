"""Unpaired translation by cycle consistency (Zhu et al. 2017, arXiv 1703.10593).

With losses that keep anatomy, and an L1 on those items of a batch that are pairs. A loss of weight
0 is not computed, and what it alone needs is not built. Slabs are (N, depth, H, W) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor, nn

from medcyclegan.networks.discriminator import Discriminator, DiscriminatorConfig
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import (
    DIRECTIONS,
    DataTraits,
    Direction,
    Engine,
    EngineSettings,
    Losses,
    Moment,
    MovingAverage,
    Setup,
    Side,
    gan_adam,
    mean_losses,
    placed,
    target_of,
    weights_of,
)
from medcyclegan.training.engines.image_pool import FakePool
from medcyclegan.training.losses import (
    LossWeights,
    Warmup,
    describe_weights,
    discriminator_loss,
    generator_adversarial_loss,
    gradient_consistency_loss,
    l1_loss,
    matched_loss,
    paired_l1_loss,
    structure_loss,
    weighted_sum,
)
from medcyclegan.training.parallel import Crew

Rate = Annotated[float, Field(gt=0)]
Fakes = Mapping[Direction, Tensor]


class CycleGANSettings(EngineSettings):
    """``losses`` are those of all steps after the warm-up, or of all where there is none.

    ``directions`` "a-to-b" trains one generator, which leaves no cycle to close. Rates are of Adam,
    per step. ``pool_size`` fakes are kept for the discriminators (Shrivastava et al. 2017), 0 for
    none.
    """

    kind: Literal["cyclegan"] = "cyclegan"
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    losses: LossWeights = LossWeights()
    warmup: Warmup | None = None
    directions: Literal["both", "a-to-b"] = "both"
    generator_rate: Rate = 2e-4
    discriminator_rate: Rate = 2e-4
    pool_size: Annotated[int, Field(ge=0, le=10_000)] = 50

    @property
    def base_rate(self) -> float:
        """That of the generators."""
        return self.generator_rate

    @property
    def ways(self) -> tuple[Direction, ...]:
        """The directions that are trained."""
        return DIRECTIONS if self.directions == "both" else DIRECTIONS[:1]

    def refuse_unfit(self, generator: GeneratorConfig, data: DataTraits) -> None:
        """Raise ValueError for losses that the data cannot have, or patches too small to judge."""
        cycle = self.largest_weight("cycle")
        if self.directions == "a-to-b" and cycle:
            raise ValueError(
                f"losses.cycle {cycle:g} needs both directions; set it to 0, or directions to both"
            )
        for name in ("identity", "structure", "gradient"):
            if data.channels[0] != data.channels[1] and self.largest_weight(name):
                raise ValueError(f"losses.{name} compares both sides: 0 where A has other channels")
        if self.largest_weight("matched") and not data.position_matched:
            raise ValueError("losses.matched needs data.position_matched")
        least = self.discriminator.least_px
        if self.largest_weight("adversarial") and data.size_px < least:
            raise ValueError(
                f"data.size_px {data.size_px} is below {least}, the least for "
                f"discriminator.layers {self.discriminator.layers}"
            )

    def warnings(self) -> tuple[str, ...]:
        """Whether the warm-up leaves nothing for the losses after it."""
        if self.warmup is None or self.warmup.share < 1:
            return ()
        return ("all of the training is the warm-up: engine.losses never come to be",)

    def losses_at(self, share: float) -> LossWeights:
        """The weights of the losses when ``share`` of the training is done."""
        if self.warmup is not None and share < self.warmup.share:
            return self.warmup.losses
        return self.losses

    def largest_weight(self, loss: str) -> float:
        """The largest weight that a loss has in the course of the training."""
        weights = [self.losses] if self.warmup is None else [self.warmup.losses, self.losses]
        return max(float(getattr(some, loss)) for some in weights)

    def describe(self, generator: GeneratorConfig) -> str:
        """Losses and directions."""
        used = describe_weights(self.losses)
        if self.warmup is not None:
            before = describe_weights(self.warmup.losses)
            used += f"; in the first {self.warmup.share:.0%} of the steps {before}"
        both = "both directions" if self.directions == "both" else "a to b"
        kind = "CycleGAN" if self.losses.adversarial and self.losses.cycle else "training"
        return f"{kind}, {both}; weights of the losses: {used}"


class CycleGAN(Engine):
    """A generator for each direction, and a discriminator for each side that one leads to."""

    settings_type = CycleGANSettings

    def __init__(self, settings: CycleGANSettings, setup: Setup) -> None:
        super().__init__(settings, setup)
        self.settings = settings
        self._generators: dict[Direction, nn.Module] = {
            way: setup.make_generator(way) for way in settings.ways
        }
        adversarial = settings.largest_weight("adversarial") > 0
        sides: list[Side] = [target_of(way) for way in settings.ways] if adversarial else []
        self.discriminators: dict[Side, nn.Module] = {
            side: placed(
                Discriminator(settings.discriminator, depth=setup.slices_of(side)), setup.device
            )
            for side in sides
        }
        self.averages = {
            way: MovingAverage(network, decay=setup.ema_decay)
            for way, network in self._generators.items()
        }
        if setup.compiles:
            for network in self.networks().values():
                network.compile()
        self.generator_optimiser = gan_adam(self._generators.values(), settings.generator_rate)
        self.discriminator_optimiser = (
            gan_adam(self.discriminators.values(), settings.discriminator_rate) if sides else None
        )
        self.pools = {
            side: FakePool(size=settings.pool_size, seed=setup.seed + 1000 * setup.rank + number)
            for number, side in enumerate(sides)
        }

    def generators(self) -> Mapping[Direction, nn.Module]:
        """By direction."""
        return self._generators

    def networks(self) -> dict[str, nn.Module]:
        """Generators, then discriminators."""
        judges = {f"discriminator_{side}": some for side, some in self.discriminators.items()}
        return {**dict(self._generators.items()), **judges}

    def optimisers(self) -> dict[str, Any]:
        """One for the generators, one for the discriminators."""
        both = {"generators": self.generator_optimiser}
        if self.discriminator_optimiser is not None:
            both["discriminators"] = self.discriminator_optimiser
        return both

    def process_state(self) -> dict[str, Any]:
        """The pools of fakes."""
        return {"pools": {side: pool.state() for side, pool in self.pools.items()}}

    def load_process_state(self, state: Mapping[str, Any]) -> None:
        """Take up the pools."""
        for side, pool in self.pools.items():
            pool.restore(state["pools"][side], self.setup.device)

    def loss_names(self) -> list[str]:
        """Those of weight above 0 at any time, their sum, and the discriminators'."""
        wanted = [name for name in LossWeights.model_fields if self.settings.largest_weight(name)]
        return [*wanted, "generator", *(f"discriminator_{side}" for side in self.discriminators)]

    def step(self, parts: Sequence[Sample], moment: Moment, crew: Crew) -> Losses:
        """Generators and discriminators each take a step, the latter unless nothing asks them."""
        batch = [self.place(part) for part in parts]
        weights = self.settings.losses_at(moment.share)
        there = [(self.generator_optimiser, self.settings.generator_rate)]
        if self.discriminator_optimiser is not None and weights.adversarial > 0:
            there.append((self.discriminator_optimiser, self.settings.discriminator_rate))
        for optimiser, _ in there:
            optimiser.zero_grad()
        losses, fakes = self._generator_gradients(batch, weights)
        if len(there) > 1:
            losses |= self._discriminator_gradients(batch, fakes)
        self.take_steps(there, moment, crew)
        for way, average in self.averages.items():
            average.update(self._generators[way])
        return losses

    def _generator_gradients(
        self, batch: Sequence[Sample], weights: LossWeights
    ) -> tuple[Losses, list[dict[Direction, Tensor]]]:
        """Add up the generators' gradients; returns the mean losses, and the fakes of each part."""
        own = weights_of(self.generator_optimiser)
        all_losses, all_fakes = [], []
        for part in batch:
            with self.autocast():
                sources = {"a-to-b": part.a, "b-to-a": part.b}
                fakes = {way: net(sources[way]) for way, net in self._generators.items()}
                losses = generator_losses(
                    self._generators, self.discriminators, part, fakes, weights
                )
            total = weighted_sum(losses, weights)
            # for the generators' weights alone: the discriminators learn from the pool
            (total / len(batch)).backward(inputs=own)
            all_losses.append({**losses, "generator": total})
            all_fakes.append({way: fake.detach() for way, fake in fakes.items()})
        return mean_losses(all_losses), all_fakes

    def _discriminator_gradients(self, batch: Sequence[Sample], fakes: Iterable[Fakes]) -> Losses:
        """Add up the discriminators' gradients on real slabs and the pools'; the mean losses."""
        all_losses = []
        for part, made in zip(batch, fakes, strict=True):
            shown = {
                target_of(way): self.pools[target_of(way)].exchange(fake)
                for way, fake in made.items()
            }
            with self.autocast():
                losses = discriminator_losses(self.discriminators, part, shown)
            (sum(losses.values(), start=part.a.new_zeros(())) / len(batch)).backward()
            all_losses.append(losses)
        return mean_losses(all_losses)


def generator_losses(
    generators: Mapping[Direction, nn.Module],
    discriminators: Mapping[Side, nn.Module],
    batch: Sample,
    fakes: Fakes,
    weights: LossWeights,
) -> Losses:
    """The losses of weight above 0, unweighted, each summed over the directions; scalars."""
    source = {"a-to-b": batch.a, "b-to-a": batch.b}
    target = {"a-to-b": batch.b, "b-to-a": batch.a}

    def cycle(way: Direction) -> Tensor:
        back: Direction = "b-to-a" if way == "a-to-b" else "a-to-b"
        return l1_loss(generators[back](fakes[way]), source[way])

    by_name: dict[str, Callable[[Direction], Tensor]] = {
        "adversarial": lambda way: generator_adversarial_loss(
            discriminators[target_of(way)](fakes[way])
        ),
        "cycle": cycle,
        # what is of the target's kind already should stay
        "identity": lambda way: l1_loss(generators[way](target[way]), target[way]),
        "structure": lambda way: structure_loss(fakes[way], source[way]),
        "gradient": lambda way: gradient_consistency_loss(fakes[way], source[way]),
        "paired_l1": lambda way: paired_l1_loss(fakes[way], target[way], batch.paired),
        "matched": lambda way: matched_loss(fakes[way], target[way], batch.matched),
    }
    losses: Losses = {}
    for name, term in by_name.items():
        if getattr(weights, name) > 0:
            first, *others = [term(way) for way in fakes]
            losses[name] = sum(others, start=first)
    return losses


def discriminator_losses(
    discriminators: Mapping[Side, nn.Module], batch: Sample, shown: Mapping[Side, Tensor]
) -> Losses:
    """The loss of each discriminator on real slabs and the fakes it is ``shown``; scalars."""
    return {
        f"discriminator_{side}": discriminator_loss(judge(getattr(batch, side)), judge(shown[side]))
        for side, judge in discriminators.items()
    }
