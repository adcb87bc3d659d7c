"""The settings of a training on simulated pairs, checked when they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.models.text import Name, Text
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.task import Percentiles, Task
from medcyclegan.training.settings import read_settings

Positive = Annotated[float, Field(gt=0)]
AtLeastOne = Annotated[int, Field(ge=1)]


class PairKind(BaseModel):
    """What is simulated: the image that is given, and the one that is learned from it.

    ``random`` is an MR of any contrast. ``low_dose_ct`` goes to ``ct`` alone, by ``slices`` that
    are projected and reconstructed once, before the training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: Literal["random", "t1", "t2", "ct", "low_dose_ct"] = "random"
    target: Literal["ct", "t1", "t2"] = "ct"
    slices: AtLeastOne = 400

    @property
    def modalities(self) -> tuple[str, str]:
        """Those of source and target, as a task names them."""
        source, target = ("CT" if s.endswith("ct") else "MR" for s in (self.source, self.target))
        return source, target

    @model_validator(mode="after")
    def _can_be_learned(self) -> Self:
        if self.source == self.target or (self.source == "low_dose_ct" and self.target != "ct"):
            raise ValueError(f"there are no pairs from {self.source} to {self.target}")
        return self


class CardText(BaseModel):
    """What the card of the trained model says, beside what the training knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    summary: Text
    method: Text
    anatomy: Text  # what the images were simulated from, and how
    intended_use: Text
    limits: Annotated[tuple[Text, ...], Field(min_length=1)]


class PairsConfig(BaseModel):
    """A run on simulated pairs; units in the names, rates per step."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    card: CardText
    pairs: PairKind = PairKind()
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

    @model_validator(mode="after")
    def _task_fits_pairs(self) -> Self:
        task, (source, target) = self.task, self.pairs.modalities
        if (task.source.modality, task.target.modality) != (source, target):
            raise ValueError(f"pairs are {source} to {target}, the task is another")
        if source == "CT" and isinstance(task.source.scaling, Percentiles):
            raise ValueError("a CT source needs a window in HU")
        if (task.spacing_mm is None) != (self.pairs.source == "low_dose_ct"):
            raise ValueError("spacing_mm is null for low_dose_ct, and only there")
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
