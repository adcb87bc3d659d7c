"""The settings of a training on simulated pairs, checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.task import Task
from medcyclegan.training.settings import read_settings

Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class PairsConfig(BaseModel):
    """A run on simulated pairs; units in the names, rates per step."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    task: Task
    generator: GeneratorConfig
    seed: int = 0
    size_px: Annotated[int, Field(ge=32, le=512)] = 160
    items_a_step: AtLeastOne = 5
    steps: AtLeastOne
    decay_from_step: AtLeastOne
    learning_rate: Positive = 5e-4
    l2_weight: Annotated[float, Field(ge=0)] = 3.0
    level_weight: Annotated[float, Field(ge=0)] = 0.3
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    checkpoint_every: AtLeastOne = 500
    workers: Annotated[int, Field(ge=0)] = 2

    @model_validator(mode="after")
    def _has_features(self) -> Self:
        if self.generator.kind != "shuffle_unet":
            raise ValueError(f"generator.kind {self.generator.kind}: it must be shuffle_unet here")
        return self

    def rate_at(self, step: int) -> float:
        """Constant, then linear to a hundredth at the end."""
        if step < self.decay_from_step:
            return self.learning_rate
        left = (self.steps - step) / max(1, self.steps - self.decay_from_step)
        return self.learning_rate * max(0.01, left)


def read_config(path: Path) -> PairsConfig:
    """Read a YAML file.

    Raises
    ------
    UsageError
        If it cannot be read or breaks a rule; names the key, the value and the rule.
    """
    return read_settings(path, PairsConfig)
