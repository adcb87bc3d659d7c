"""Translation learned from pairs, simulated or acquired: L1, L2, and a cross-entropy on levels.

The output of a generator with ``levels`` is a weighted mean of fixed values; the cross-entropy of
their weights learns faster than plain regression where bone and air look alike
(``losses.two_hot_cross_entropy``). For CT, a loss on the border and the volume of bone keeps both
in place where values grow denser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.networks.generators import ShuffleUNet
from medcyclegan.networks.layers import LevelHead
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
    mean_losses,
    set_rate,
)
from medcyclegan.training.engines.muon import ConvMuon
from medcyclegan.training.losses import (
    border_losses,
    density_loss,
    mean_of_chosen,
    two_hot_cross_entropy,
)
from medcyclegan.training.parallel import Crew

Weight = Annotated[float, Field(ge=0)]

_ADAMW_WEIGHT_DECAY = 1e-4
# Bone begins here, in HU, and the soft mask of it rises over a few times this width: partial volume
# of a voxel of 1 mm at the surface of compact bone.
BONE_HU, BONE_WIDTH_HU = 250.0, 80.0


class SupervisedSettings(EngineSettings):
    """Weights of the losses in normalised units, and the optimiser with its rate per step.

    ``level_weight`` counts for generators with levels, ``border_weight``, ``volume_weight`` and
    ``density_weight`` for targets in HU: the soft Dice of bone, the difference of its volumes, and
    how far its mean is off.
    """

    kind: Literal["supervised"] = "supervised"
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    optimiser: Literal["muon", "adamw"] = "muon"
    l1_weight: Weight = 1.0
    l2_weight: Weight = 3.0
    level_weight: Weight = 0.3
    border_weight: Weight = 0.0
    volume_weight: Weight = 0.0
    density_weight: Weight = 0.0

    @property
    def base_rate(self) -> float:
        """The rate of the one optimiser."""
        return self.learning_rate

    def refuse_unfit(self, generator: GeneratorConfig, data: DataTraits) -> None:
        """Raise ValueError without pairs, or where Muon does not know first and last layer."""
        if not data.paired:
            raise ValueError("engine supervised needs pairs: data.pairs by-name, or simulated data")
        if self.optimiser == "muon" and generator.kind != "shuffle_unet":
            raise ValueError(
                f"optimiser muon needs generator.kind shuffle_unet, not {generator.kind}"
            )
        if not any((self.l1_weight, self.l2_weight, self.level_weight)):
            raise ValueError("l1_weight, l2_weight and level_weight are all 0: nothing to learn")

    def describe(self, generator: GeneratorConfig) -> str:
        """Losses and optimiser."""
        names = {
            "L1": self.l1_weight, "L2": self.l2_weight,
            "levels": self.level_weight if generator.levels else 0.0,
            "border of bone": self.border_weight, "volume of bone": self.volume_weight,
            "density of bone": self.density_weight,
        }  # fmt: skip
        used = ", ".join(f"{name} {weight:g}" for name, weight in names.items() if weight)
        return f"supervised by pairs; weights of the losses: {used}; optimiser {self.optimiser}"


class Supervised(Engine):
    """One generator from A to B."""

    settings_type = SupervisedSettings

    def __init__(self, settings: SupervisedSettings, setup: Setup) -> None:
        super().__init__(settings, setup)
        self.settings = settings
        task = setup.tasks["a-to-b"]
        self.generator = setup.make_generator("a-to-b")
        self.averages = {"a-to-b": MovingAverage(self.generator, decay=setup.ema_decay)}
        window = task.target_window
        half = (window.upper - window.lower) / 2.0
        self._bone = ((BONE_HU - window.lower) / half - 1.0, BONE_WIDTH_HU / half)
        self._judges_bone = task.target.unit == "HU" and bool(
            settings.border_weight or settings.volume_weight or settings.density_weight
        )
        self._forward: Callable[[Tensor], tuple[Tensor, Tensor | None]] = self._translate
        if setup.compiles:
            self._forward = torch.compile(self._translate)
        self._muon: ConvMuon | None = None
        self._adamw: torch.optim.AdamW | None = None
        if settings.optimiser == "muon":
            assert isinstance(self.generator, ShuffleUNet)  # the settings have seen to it
            ends = (self.generator.stem, self.generator.head)
            self._muon = ConvMuon(self.generator, rate=settings.learning_rate, ends=ends)
        else:
            self._adamw = torch.optim.AdamW(
                self.generator.parameters(),
                lr=settings.learning_rate,
                weight_decay=_ADAMW_WEIGHT_DECAY,
                fused=setup.device.type in ("cpu", "cuda"),
            )

    def generators(self) -> Mapping[Direction, nn.Module]:
        """The one."""
        return {"a-to-b": self.generator}

    def networks(self) -> dict[str, nn.Module]:
        """The one."""
        return {"a-to-b": self.generator}

    def optimisers(self) -> dict[str, Any]:
        """The one."""
        return {self.settings.optimiser: self._muon or self._adamw}

    def loss_names(self) -> list[str]:
        """Those of weight above 0, and their sum."""
        return [*self._weights(), "generator"]

    def step(self, parts: Sequence[Sample], moment: Moment, crew: Crew) -> Losses:
        """One step of the generator."""
        self.generator.zero_grad()
        all_losses = []
        for part in parts:
            # told on the CPU, where nothing has to be waited for
            whole = bool(part.paired.all())
            losses = self._losses(self.place(part), whole=whole)
            (losses["generator"] / len(parts)).backward()
            all_losses.append(losses)
        self.settle_gradients(self.generator.parameters(), crew)
        rate = self.settings.learning_rate * moment.rate_factor
        if self._muon is not None:
            self._muon.step(rate)
        elif self._adamw is not None:
            set_rate(self._adamw, rate)
            self._adamw.step()
        self.averages["a-to-b"].update(self.generator)
        return mean_losses(all_losses)

    def _weights(self) -> dict[str, float]:
        """The weights above 0 of the losses that network and target have, by name."""
        settings = self.settings
        given = {"l1": settings.l1_weight, "l2": settings.l2_weight}
        if self.setup.generator.levels:
            given["levels"] = settings.level_weight
        if self._judges_bone:
            given |= {"border": settings.border_weight, "volume": settings.volume_weight}
            given["density"] = settings.density_weight
        return {name: weight for name, weight in given.items() if weight}

    def _losses(self, part: Sample, *, whole: bool) -> Losses:
        """Unweighted losses and their sum; without ``whole`` items that are no pairs count as 0."""

        def mean(errors: Tensor) -> Tensor:
            return errors.mean() if whole else mean_of_chosen(errors, part.paired)

        fake, logits = self._forward(part.a)
        real, weights, losses = part.b, self._weights(), Losses()
        if not whole:  # other anatomy, or nothing: no number of it may come through
            real = real.where(part.paired[:, None, None, None], fake.detach())
        if "levels" in weights and logits is not None:
            losses["levels"] = mean(two_hot_cross_entropy(logits, real, self._levels()))
        if "l1" in weights:
            losses["l1"] = mean((fake - real).abs())
        if "l2" in weights:
            losses["l2"] = mean((fake - real).square())
        if self._judges_bone:
            threshold, width = self._bone
            border, volume = border_losses(fake, real, threshold=threshold, width=width)
            losses |= {"border": mean(border), "volume": mean(volume)}
            if "density" in weights:
                losses["density"] = mean(density_loss(fake, real, threshold=threshold))
        terms = [weights[name] * losses[name] for name in losses if name in weights]
        total = sum(terms[1:], start=terms[0])
        return {**{name: losses[name] for name in weights}, "generator": total}

    def _translate(self, source: Tensor) -> tuple[Tensor, Tensor | None]:
        """(N, depth, H, W) -> the output, and the logits of its levels if there are such."""
        generator = self.generator
        if not isinstance(generator, ShuffleUNet):
            with self.autocast():
                return generator(source).float(), None
        with self.autocast():
            features = generator.features(source)
        if isinstance(generator.head, LevelHead):
            height, width = source.shape[-2:]
            logits = generator.head.logits(features)[..., :height, :width]
            return generator.head.mean(logits), logits
        return generator.values(features, source), None

    def _levels(self) -> Tensor:
        assert isinstance(self.generator, ShuffleUNet)
        assert isinstance(self.generator.head, LevelHead)
        return self.generator.head.levels
