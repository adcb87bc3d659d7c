"""What a model folder says of itself; stored as ``card.json`` beside ``weights.safetensors``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.task import Task

# No control characters but line breaks: cards are printed, and a terminal obeys some of them.
_PRINTABLE = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
Text = Annotated[str, Field(min_length=1, pattern=_PRINTABLE)]
# Goes into DICOM and names of folders.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]*$", max_length=64)]


class DataSource(BaseModel):
    """One set of training data."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Text
    licence: Text
    use: Text


class Training(BaseModel):
    """How the weights came about."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    data: tuple[DataSource, ...]
    simulated: bool
    config: Text
    seed: int
    steps: Annotated[int, Field(ge=0)]
    hours: Annotated[float, Field(ge=0)]
    machine: Text
    method: Text


class Score(BaseModel):
    """One measured figure and what it was measured on."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    measure: Text
    value: float
    unit: Annotated[str, Field(pattern=_PRINTABLE)]
    on: Text


class Card(BaseModel):
    """Task, network, origin, scores and limits of a model; inference needs nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    version: Name
    summary: Text
    task: Task
    generator: GeneratorConfig
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    training: Training
    scores: tuple[Score, ...]
    intended_use: Text
    limits: tuple[Text, ...]
    licence: Text
