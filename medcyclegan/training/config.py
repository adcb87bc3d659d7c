"""The settings of a training run, checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from medcyclegan.errors import UsageError
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.task import Task

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
    gradient_weight: Annotated[float, Field(ge=0)] = 0.5
    l2_weight: Annotated[float, Field(ge=0)] = 1.0
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.999
    checkpoint_every: AtLeastOne = 500
    workers: Annotated[int, Field(ge=0)] = 2

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
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return PairsConfig.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{path} cannot be read as YAML ({reason})", remedy="correct the file"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(
            f"{path}: {key} = {first['input']!r}", rule=first["msg"], remedy="correct the file"
        ) from error
