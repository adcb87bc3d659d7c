"""The settings of a training, checked when they are read. Units are in the names or beside them."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.networks.discriminator import DiscriminatorConfig
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.data.config import DataConfig

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

Weight = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]

Precision = Literal["auto", "float32", "bfloat16"]


class LossWeights(BaseModel):
    """How much each loss counts; with 0 it is not computed, and neither is what it alone needs.

    ``paired_l1`` acts on the pairs of a batch, all others on every item.
    """

    model_config = _FROZEN
    adversarial: Weight = 1.0
    cycle: Weight = 10.0
    identity: Weight = 5.0
    structure: Weight = 0.0
    gradient: Weight = 0.0
    paired_l1: Weight = 0.0

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not any((self.adversarial, self.cycle, self.identity, self.paired_l1)):
            raise ValueError(
                "adversarial, cycle, identity and paired_l1 are all 0: nothing to learn"
            )
        return self


class TrainConfig(BaseModel):
    """One training. Counts of steps are optimiser steps; rates are of Adam, per step.

    ``directions`` "a-to-b" trains one generator, which leaves no cycle to close.
    ``batch_size`` is the number of items of a step over all processes; a process works through
    its share in ``accumulate`` parts, which takes less memory and gives the same step.
    ``decay_from_step``: from here on the rates fall linearly to 0.
    ``pool_size`` fakes are kept for the discriminators (Shrivastava et al. 2017), 0 for none.
    ``precision`` "auto" is bfloat16 where the hardware multiplies it, else float32.
    ``vanished_below``: a discriminator whose loss stays below it for ``vanished_steps`` steps
    tells all fakes apart and teaches no more; the run is stopped. 0 turns that off.
    ``validation_cases`` is how many cases of each kind, pair or single, a validation takes at most.
    ``panel_steps`` are steps with a panel of samples besides every ``panel_every``-th.
    ``workers`` are processes that load data; 0 loads in the training process.
    """

    model_config = _FROZEN
    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.-]+$")]
    summary: Annotated[str, Field(min_length=1)]
    data: DataConfig
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    losses: LossWeights = LossWeights()
    directions: Literal["both", "a-to-b"] = "both"
    steps: AtLeastOne
    decay_from_step: Annotated[int, Field(ge=0)]
    batch_size: AtLeastOne = 1
    accumulate: AtLeastOne = 1
    generator_rate: Positive = 2e-4
    discriminator_rate: Positive = 2e-4
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    clip_norm: Positive = 1.0
    pool_size: Annotated[int, Field(ge=0, le=10_000)] = 50
    vanished_below: Annotated[float, Field(ge=0, lt=0.25)] = 1e-4
    vanished_steps: AtLeastOne = 1000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Precision = "auto"
    compile: bool = False
    workers: Annotated[int, Field(ge=0, le=64)] = 1
    log_every: AtLeastOne = 25
    validate_every: AtLeastOne = 1000
    validation_cases: AtLeastOne = 4
    checkpoint_every: AtLeastOne = 500
    panel_every: AtLeastOne = 1000
    panel_steps: tuple[AtLeastOne, ...] = (1,)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.decay_from_step > self.steps:
            raise ValueError(f"decay_from_step {self.decay_from_step} is after steps {self.steps}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"batch_size {self.batch_size} cannot be worked through in accumulate "
                f"{self.accumulate} equal parts"
            )
        if self.directions == "a-to-b" and self.losses.cycle:
            raise ValueError(
                f"losses.cycle {self.losses.cycle:g} needs both directions; set it to 0, or "
                "directions to both"
            )
        least = self.discriminator.least_px
        if self.losses.adversarial and self.data.size_px < least:
            raise ValueError(
                f"data.size_px {self.data.size_px} is below {least}, the least for "
                f"discriminator.layers {self.discriminator.layers}"
            )
        return self

    def rate_factor(self, step: int) -> float:
        """What the rates are multiplied by in the step after ``step`` steps: 1, then down to 0."""
        if step < self.decay_from_step:
            return 1.0
        return (self.steps - step) / max(1, self.steps - self.decay_from_step)
