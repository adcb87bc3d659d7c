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

    ``paired_l1`` acts on the pairs of a batch, ``matched`` on slabs of the same place in two
    bodies, all others on every item.
    """

    model_config = _FROZEN
    adversarial: Weight = 1.0
    cycle: Weight = 10.0
    identity: Weight = 5.0
    structure: Weight = 0.0
    gradient: Weight = 0.0
    paired_l1: Weight = 0.0
    matched: Weight = 0.0

    @model_validator(mode="after")
    def _something_to_learn(self) -> Self:
        if not any((self.adversarial, self.cycle, self.identity, self.paired_l1, self.matched)):
            raise ValueError(
                "adversarial, cycle, identity, paired_l1 and matched are all 0: nothing to learn"
            )
        return self


class Start(BaseModel):
    """The first ``steps`` steps of a training, with weights of the losses of their own."""

    model_config = _FROZEN
    steps: AtLeastOne
    losses: LossWeights


class TrainConfig(BaseModel):
    """One training. Counts of steps are optimiser steps; rates are of Adam, per step.

    ``losses`` are those of all steps after ``start``, or of all where there is none.
    ``begin_from`` is a model, by name or folder, whose weights the generator from A to B begins
    with.
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
    begin_from: Annotated[str, Field(min_length=1)] | None = None
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    losses: LossWeights = LossWeights()
    start: Start | None = None
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
        cycle = self.largest_weight("cycle")
        if self.directions == "a-to-b" and cycle:
            raise ValueError(
                f"losses.cycle {cycle:g} needs both directions; set it to 0, or directions to both"
            )
        if self.largest_weight("matched") and not self.data.position_matched:
            raise ValueError("losses.matched needs data.position_matched")
        least = self.discriminator.least_px
        if self.largest_weight("adversarial") and self.data.size_px < least:
            raise ValueError(
                f"data.size_px {self.data.size_px} is below {least}, the least for "
                f"discriminator.layers {self.discriminator.layers}"
            )
        return self

    def losses_at(self, step: int) -> LossWeights:
        """The weights of the losses in the step after ``step`` steps."""
        if self.start is not None and step < self.start.steps:
            return self.start.losses
        return self.losses

    def largest_weight(self, loss: str) -> float:
        """The largest weight that a loss has in the course of the training."""
        weights = [self.losses] if self.start is None else [self.start.losses, self.losses]
        return max(float(getattr(some, loss)) for some in weights)

    def rate_factor(self, step: int) -> float:
        """What the rates are multiplied by in the step after ``step`` steps: 1, then down to 0."""
        if step < self.decay_from_step:
            return 1.0
        return (self.steps - step) / max(1, self.steps - self.decay_from_step)
