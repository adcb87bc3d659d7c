"""Contrastive unpaired translation (CUT, Park et al. 2020, arXiv 2007.15651): one way, no cycle.

A patch of the output should be like the patch of the input at the same place, and unlike those of
other places, as the generator's own features see them (PatchNCE). So one generator and one
discriminator do what a CycleGAN needs two of each for. Slabs are (N, depth, H, W) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from medcyclegan.networks.discriminator import Discriminator, DiscriminatorConfig
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.networks.generators import ShuffleUNet
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import (
    DataTraits,
    Direction,
    Engine,
    EngineSettings,
    Losses,
    Moment,
    MovingAverage,
    Setup,
    gan_adam,
    mean_losses,
    placed,
    weights_of,
)
from medcyclegan.training.losses import discriminator_loss, generator_adversarial_loss, matched_loss
from medcyclegan.training.parallel import Crew

Weight = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0)]

# Width of the two layers that features are projected by (Park et al., appendix C).
_PROJECTED = 256


class ContrastiveSettings(EngineSettings):
    """Weights of the losses, and Adam's rates per step.

    ``patch_nce`` is PatchNCE between input and output, ``identity`` the same between an image of
    B and what the generator makes of it; CUT takes 1 and 1, the faster FastCUT 10 and 0.
    ``matched`` compares with the same place of another body (``data.position_matched``).
    Over the first ``warmup_share`` of a training the discriminator is left out. ``patches`` places
    of each level of features are compared, at the ``temperature`` of the paper.
    """

    kind: Literal["contrastive"] = "contrastive"
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    adversarial: Weight = 1.0
    patch_nce: Weight = 1.0
    identity: Weight = 1.0
    matched: Weight = 0.0
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patches: Annotated[int, Field(ge=2, le=4096)] = 256
    temperature: Annotated[float, Field(gt=0)] = 0.07
    generator_rate: Rate = 2e-4
    discriminator_rate: Rate = 2e-4

    @property
    def base_rate(self) -> float:
        """That of the generator."""
        return self.generator_rate

    def refuse_unfit(self, generator: GeneratorConfig, data: DataTraits) -> None:
        """Raise ValueError for generators without levels of features, or patches too small."""
        if generator.kind != "shuffle_unet":
            raise ValueError(f"contrastive needs generator.kind shuffle_unet, not {generator.kind}")
        if data.channels[0] != data.channels[1]:
            raise ValueError(
                "contrastive compares features of both sides: as many channels of each"
            )
        if not self.patch_nce:
            raise ValueError("engine.patch_nce is 0: nothing keeps the anatomy")
        if self.matched and not data.position_matched:
            raise ValueError("engine.matched needs data.position_matched")
        least = self.discriminator.least_px
        if self.adversarial and data.size_px < least:
            raise ValueError(
                f"data.size_px {data.size_px} is below {least}, the least for "
                f"discriminator.layers {self.discriminator.layers}"
            )

    def weights_at(self, share: float) -> dict[str, float]:
        """The weights above 0 when ``share`` of the training is done, by name of the loss."""
        names = ("adversarial", "patch_nce", "identity", "matched")
        weights = {name: float(getattr(self, name)) for name in names}
        if share < self.warmup_share:
            weights["adversarial"] = 0.0
        return {name: weight for name, weight in weights.items() if weight}

    def describe(self, generator: GeneratorConfig) -> str:
        """Losses and their weights."""
        used = ", ".join(f"{name} {weight:g}" for name, weight in self.weights_at(1.0).items())
        warmup = (
            f"; {self.warmup_share:.0%} of it without discriminator" if self.warmup_share else ""
        )
        return f"contrastive unpaired translation, a to b; weights of the losses: {used}{warmup}"


class Projections(nn.Module):
    """Two layers for each level of features, after which they are compared."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, _PROJECTED), nn.ReLU(), nn.Linear(_PROJECTED, _PROJECTED)
            )
            for width in widths
        )

    def forward(self, features: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """(N, C, H, W) and (P,) by level -> (N, P, 256), each of length 1."""
        found = []
        for level, some, at in zip(self.levels, features, places, strict=True):
            columns = some.flatten(2)[..., at].transpose(1, 2)
            found.append(functional.normalize(level(columns).float(), dim=-1))
        return found


class Contrastive(Engine):
    """A generator from A to B, a discriminator of B, and the projections of features."""

    settings_type = ContrastiveSettings

    def __init__(self, settings: ContrastiveSettings, setup: Setup) -> None:
        super().__init__(settings, setup)
        self.settings = settings
        generator = setup.make_generator("a-to-b")
        assert isinstance(generator, ShuffleUNet)  # the settings have seen to it
        self.generator = generator
        self.projections = Projections(setup.generator.widths).to(setup.device)
        judge = Discriminator(settings.discriminator, depth=setup.slices_of("b"))
        self.judge = placed(judge, setup.device)
        self.averages = {"a-to-b": MovingAverage(self.generator, decay=setup.ema_decay)}
        if setup.compiles:
            self.generator.compile()
            self.judge.compile()
        learners = (self.generator, self.projections)
        self.generator_optimiser = gan_adam(learners, settings.generator_rate)
        self.judge_optimiser = gan_adam((self.judge,), settings.discriminator_rate)
        # where patches are compared; on the CPU, so that nothing waits for a GPU
        self._places = torch.Generator().manual_seed(setup.seed + 1000 * setup.rank)

    def generators(self) -> Mapping[Direction, nn.Module]:
        """The one."""
        return {"a-to-b": self.generator}

    def networks(self) -> dict[str, nn.Module]:
        """Generator, discriminator and projections."""
        return {
            "a-to-b": self.generator,
            "discriminator_b": self.judge,
            "projections": self.projections,
        }

    def optimisers(self) -> dict[str, Any]:
        """One for the generator and the projections, one for the discriminator."""
        return {"generators": self.generator_optimiser, "discriminators": self.judge_optimiser}

    def process_state(self) -> dict[str, Any]:
        """The random numbers of the places."""
        return {"places": self._places.get_state()}

    def load_process_state(self, state: Mapping[str, Any]) -> None:
        """Take them up."""
        self._places.set_state(state["places"].cpu())

    def loss_names(self) -> list[str]:
        """Those of weight above 0 at any time, their sum, and the discriminator's."""
        weights = self.settings.weights_at(1.0)
        judged = ["discriminator_b"] if "adversarial" in weights else []
        return [*weights, "generator", *judged]

    def step(self, parts: Sequence[Sample], moment: Moment, crew: Crew) -> Losses:
        """The generator takes a step, then the discriminator, unless it is left out."""
        weights = self.settings.weights_at(moment.share)
        there = [(self.generator_optimiser, self.settings.generator_rate)]
        if "adversarial" in weights:
            there.append((self.judge_optimiser, self.settings.discriminator_rate))
        for optimiser, _ in there:
            optimiser.zero_grad()
        all_losses = []
        for part in map(self.place, parts):
            losses, fake = self._generator_losses(part, weights)
            # for the generator's weights alone: the discriminator learns from what is detached
            (losses["generator"] / len(parts)).backward(inputs=weights_of(self.generator_optimiser))
            if "adversarial" in weights:
                with self.autocast():
                    losses["discriminator_b"] = discriminator_loss(
                        self.judge(part.b), self.judge(fake)
                    )
                (losses["discriminator_b"] / len(parts)).backward()
            all_losses.append(losses)
        self.take_steps(there, moment, crew)
        self.averages["a-to-b"].update(self.generator)
        return mean_losses(all_losses)

    def _generator_losses(
        self, part: Sample, weights: Mapping[str, float]
    ) -> tuple[Losses, Tensor]:
        """Unweighted losses and their weighted sum; and the fakes, detached."""
        with self.autocast():
            fake = self.generator(part.a)
            losses: Losses = {}
            if "adversarial" in weights:
                losses["adversarial"] = generator_adversarial_loss(self.judge(fake))
            if "patch_nce" in weights:
                losses["patch_nce"] = self._patch_nce(fake, part.a)
            if "identity" in weights:
                losses["identity"] = self._patch_nce(self.generator(part.b), part.b)
            if "matched" in weights:
                losses["matched"] = matched_loss(fake, part.b, part.matched)
        first, *others = [weight * losses[name] for name, weight in weights.items()]
        return {**losses, "generator": sum(others, start=first)}, fake.detach()

    def _patch_nce(self, output: Tensor, given: Tensor) -> Tensor:
        """The contrastive loss of an output and what it was made from, mean over the levels."""
        queries = self.generator.encode(output)
        places = [self._draw_places(some) for some in queries]
        with torch.no_grad():
            keys = self.projections(self.generator.encode(given), places)
        pairs = zip(self.projections(queries, places), keys, strict=True)
        levels = [patch_nce_loss(q, k, temperature=self.settings.temperature) for q, k in pairs]
        return torch.stack(levels).mean()

    def _draw_places(self, features: Tensor) -> Tensor:
        """Some pixels of a level, by their number; as many as there are, or as asked for."""
        pixels = features.shape[-2] * features.shape[-1]
        drawn = torch.randperm(pixels, generator=self._places)[: self.settings.patches]
        return drawn.to(features.device, non_blocking=True)


def patch_nce_loss(queries: Tensor, keys: Tensor, *, temperature: float) -> Tensor:
    """InfoNCE over the places of each item, a scalar; (N, P, C) each of length 1.

    The key at a query's place is what is to be told from those at all other places.
    """
    similar = torch.einsum("npc,nqc->npq", queries, keys) / temperature
    same = torch.arange(similar.shape[1], device=similar.device).expand(similar.shape[0], -1)
    return functional.cross_entropy(similar.flatten(0, 1), same.flatten())
