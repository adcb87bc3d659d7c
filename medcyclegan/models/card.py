"""What a model folder says of itself; stored as ``card.json`` beside ``weights.safetensors``."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.models.reference_ranges import ReferenceRanges, SpreadCalibration
from medcyclegan.models.text import PRINTABLE, Name, Sha256, Text
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.task import Task

log = logging.getLogger(__name__)


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
    unit: Annotated[str, Field(pattern=PRINTABLE)]
    on: Text


class Card(BaseModel):
    """Task, network, origin, scores and limits of a model; inference needs nothing else.

    ``reverse`` names the model of the way back, by which the cycle is measured.
    ``reference_ranges`` and ``uncertainty`` are measured after the training (``medcyclegan
    calibrate``); a model without them works, and nothing is judged, or told of its uncertainty.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Name
    version: Name
    summary: Text
    task: Task
    generator: GeneratorConfig
    weights_sha256: Sha256
    training: Training
    scores: tuple[Score, ...]
    intended_use: Text
    limits: tuple[Text, ...]
    licence: Text
    reverse: Name | None = None
    reference_ranges: ReferenceRanges | None = None
    uncertainty: SpreadCalibration | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_an_earlier_version(cls, content: Any) -> Any:
        """Take cards of version 0.1.0, whose ranges were of figures that are measured otherwise."""
        if not isinstance(content, dict) or "known" not in content:
            return content
        if content["known"] is not None:
            log.warning(
                "The card of %s holds ranges of version 0.1.0, which are not used: nothing is "
                "judged until medcyclegan calibrate has measured them anew.",
                content.get("name", "a model"),
            )
        return {key: value for key, value in content.items() if key != "known"}
