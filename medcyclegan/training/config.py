"""The settings of a training, checked when they are read. Units are in the names or beside them."""

from __future__ import annotations

import os
from typing import Annotated, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.core.task import Task
from medcyclegan.models.card import Name, Text
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.data.config import DataConfig
from medcyclegan.training.data.simulated import SimulatedData
from medcyclegan.training.engines.base import (
    DIRECTIONS,
    DataTraits,
    Direction,
    EngineSettings,
    Precision,
    Setup,
    source_of,
)
from medcyclegan.training.engines.registry import OfAnyEngine
from medcyclegan.training.parallel import Crew

_FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class Late(BaseModel):
    """Larger patches, and batches of another size, from a share of the training on."""

    model_config = _FROZEN
    from_share: Share
    size_px: Annotated[int, Field(ge=16, le=1024)]
    batch_size: AtLeastOne


class CardText(BaseModel):
    """What the card of the trained model says, beside what the training knows of itself."""

    model_config = _FROZEN
    name: Name
    summary: Text
    anatomy: Text | None = None  # what the images were simulated from
    intended_use: Text
    limits: Annotated[tuple[Text, ...], Field(min_length=1)]


class Inference(BaseModel):
    """How the trained model is to be run; see ``Task``."""

    model_config = _FROZEN
    stride: AtLeastOne | None = None
    thick_stride: AtLeastOne | None = None
    mirror: bool = False


class TrainConfig(BaseModel):
    """One training. Counts of steps are optimiser steps; shares are of the whole training.

    ``engine`` says what is learned by which losses, ``data`` where the images come from.
    ``init_from`` is a model, by name or folder, whose weights the generator from A to B begins
    with.
    ``minutes`` limits a training by time in place of ``steps``: shares are then of that time.
    ``rate_warmup``: over this share the learning rates rise from 0; ``decay_from``: from here on
    they fall linearly, not below ``least_rate``, all as shares.
    ``batch_size`` is the number of items of a step over all processes; a process works through
    its share in ``accumulate`` parts, which takes less memory and gives the same step.
    ``replay`` earlier slabs come again beside each fresh one, out of the last ``replay_slabs``, for
    GPUs that are faster than the data; a resumed training is exact with 0 alone.
    ``precision`` "auto" is bfloat16 where the hardware multiplies it, else float32.
    ``compile`` compiles networks on a GPU; on CPUs it has no effect, as it makes them slower.
    ``vanished_below``: a discriminator whose loss stays below it for ``vanished_steps`` steps
    tells all fakes apart and teaches no more; the run is stopped. 0 turns that off.
    ``validation_cases`` is how many cases of each kind, pair or single, a validation takes at most.
    ``patience`` ends a training after so many validations in a row without a lower error.
    ``panel_steps`` are steps with a panel of samples besides every ``panel_every``-th.
    ``workers`` are processes that load data, "auto" as many as cores can be spared; 0 loads in the
    training process.
    """

    model_config = _FROZEN
    name: Annotated[str, Field(min_length=1, pattern=r"^[\w.-]+$")]
    summary: Annotated[str, Field(min_length=1)]
    card: CardText | None = None
    engine: Annotated[EngineSettings, OfAnyEngine()]
    data: Annotated[DataConfig | SimulatedData, Field(discriminator="kind")]
    generator: GeneratorConfig = GeneratorConfig()
    inference: Inference = Inference()
    init_from: Annotated[str, Field(min_length=1)] | None = None
    steps: AtLeastOne
    minutes: Positive | None = None
    rate_warmup: Share = 0.0
    decay_from: Share = 0.5
    least_rate: Share = 0.0
    batch_size: AtLeastOne = 1
    accumulate: AtLeastOne = 1
    late: Late | None = None
    replay: Annotated[int, Field(ge=0, le=64)] = 0
    replay_slabs: AtLeastOne = 8192
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    clip_norm: Positive = 1.0
    vanished_below: Annotated[float, Field(ge=0, lt=0.25)] = 1e-4
    vanished_steps: AtLeastOne = 1000
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    precision: Precision = "auto"
    compile: bool = False
    workers: Literal["auto"] | Annotated[int, Field(ge=0, le=64)] = 1
    log_every: AtLeastOne = 25
    validate_every: AtLeastOne = 1000
    validation_cases: AtLeastOne = 4
    patience: AtLeastOne | None = None
    checkpoint_every: AtLeastOne = 500
    panel_every: AtLeastOne = 1000
    panel_steps: tuple[AtLeastOne, ...] = (1,)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.rate_warmup > self.decay_from:
            raise ValueError(
                f"rate_warmup {self.rate_warmup:g} ends after decay_from {self.decay_from:g}"
            )
        sizes = [self.batch_size] + ([self.late.batch_size] if self.late else [])
        for size in sizes:
            if size % self.accumulate:
                raise ValueError(
                    f"batch_size {size} cannot be worked through in accumulate {self.accumulate} "
                    "equal parts"
                )
        if self.late is not None and self.data.kind != "simulated":
            raise ValueError("late needs data.kind simulated: patches of folders have one size")
        self.engine.refuse_unfit(self.generator, self.traits)
        several = self.traits.channels != (1, 1)
        if several and (self.generator.kind != "shuffle_unet" or self.generator.residual):
            raise ValueError("several channels need generator.kind shuffle_unet, not residual")
        self.task("a-to-b")
        return self

    @property
    def traits(self) -> DataTraits:
        """What engines must know of the data."""
        data = self.data
        channels = data.a.channel_count, data.b.channel_count
        if isinstance(data, SimulatedData):
            return DataTraits(data.size_px, paired=True, position_matched=False, channels=channels)
        # noise that is added to B makes pairs too
        paired = data.pairs != "none" or data.matched_noise == 1.0
        return DataTraits(data.size_px, paired, data.position_matched, channels)

    def task(self, direction: Direction) -> Task:
        """The translation of a direction, as a model's card has it."""
        task = self.data.task(source_of(direction))
        # validated anew: model_copy would not
        return Task.model_validate({**task.model_dump(), **self.inference.model_dump()})

    def setup(self, device: torch.device, crew: Crew) -> Setup:
        """What the engine is built from."""
        return Setup(
            generator=self.generator,
            tasks={way: self.task(way) for way in DIRECTIONS},
            device=device,
            seed=self.seed,
            rank=crew.rank,
            precision=self.precision,
            compile=self.compile,
            ema_decay=self.ema_decay,
            clip_norm=self.clip_norm,
        )

    def rate_factor(self, share: float) -> float:
        """What the rates are multiplied by when ``share`` is done: up to 1, then down."""
        if share < self.rate_warmup:
            return share / self.rate_warmup
        if share < self.decay_from or self.decay_from == 1.0:
            return 1.0
        return max(self.least_rate, (1.0 - share) / (1.0 - self.decay_from))

    def worker_count(self, device: torch.device) -> int:
        """Processes that load data: all cores but one beside a GPU, else half of the cores."""
        if self.workers != "auto":
            return self.workers
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        spare = (cores or 1) - 1 if device.type == "cuda" else (cores or 1) // 2
        return min(64, max(1, spare))
