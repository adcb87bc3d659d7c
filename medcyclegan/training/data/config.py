"""Settings of the data of a training, and its folders."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.core.task import HEAD, BodyPart, Domain, Percentiles, Task, Window
from medcyclegan.errors import UsageError


@dataclass(frozen=True)
class Folders:
    """A folder or CSV table for each side, and for validation either none or both.

    One that is given for both sides holds both.

    Raises
    ------
    UsageError
        If only one folder for validation is given.
    """

    a: Path
    b: Path
    validation_a: Path | None = None
    validation_b: Path | None = None

    def __post_init__(self) -> None:
        if (self.validation_a is None) != (self.validation_b is None):
            given = self.validation_a or self.validation_b
            raise UsageError(
                f"Only one folder for validation is given ({given})",
                rule="both sides have one, or neither",
                remedy="give --validation-a and --validation-b, or leave both out",
            )


@dataclass(frozen=True)
class LabelMaps:
    """A folder of label maps (``.nii.gz``), of which the first ``heads`` by name are trained on.

    To prepare a head takes half a minute; in ``prepared`` they are kept, and found again.
    """

    folder: Path
    heads: int = 12
    prepared: Path | None = None


Side = Literal["a", "b"]
_FROZEN = ConfigDict(frozen=True, extra="forbid")
_Share = Annotated[float, Field(ge=0, le=1)]

# What a target in percentiles is brought to, in a.u.: a network's output knows no percentiles.
OUTPUT_WINDOW = Window(lower=0, upper=1000)


class Augment(BaseModel):
    """Random changes of the slabs of a training; 0 leaves a change out.

    Geometry: ``flip`` is the probability of a left-right mirror image; ``turn_deg``, ``scale`` and
    ``shift_px`` are the greatest in-plane rotation, relative change of size and shift. Intensity,
    where ``intensity`` names a side that is MR: ``gamma`` is the greatest natural logarithm of the
    exponent, ``bias`` the greatest coefficient of the logarithm of a smooth shading. CT,
    radiographs and pictures keep their values, as HU mean something; so does, unless it is named,
    the side that is only translated to, whose contrast is to be learned as it is.
    """

    model_config = _FROZEN
    flip: _Share = 0.5
    turn_deg: Annotated[float, Field(ge=0, le=180)] = 5.0
    scale: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    shift_px: Annotated[float, Field(ge=0, le=64)] = 4.0
    gamma: Annotated[float, Field(ge=0, le=1)] = 0.2
    bias: Annotated[float, Field(ge=0, le=1)] = 0.2
    intensity: frozenset[Side] = frozenset({"a"})


class Sides(BaseModel):
    """Two sides, and the grid that both are brought to; units in the names.

    ``spacing_mm``, ``thick_slice_mm``, ``depth``, ``plane_px`` and ``body_part`` are those of
    ``Task``; ``task_name`` is its name, by default the two modalities.
    """

    model_config = _FROZEN
    task_name: Annotated[str, Field(min_length=1)] | None = None
    a: Domain
    b: Domain
    spacing_mm: Annotated[float, Field(gt=0, le=10)] | None = 1.0
    thick_slice_mm: Annotated[float, Field(gt=0, le=20)] = 2.0
    depth: Annotated[int, Field(ge=1, le=31)] = 5
    plane_px: Annotated[int, Field(ge=16, le=4096)] | None = None
    body_part: BodyPart = HEAD
    size_px: Annotated[int, Field(ge=16, le=1024)] = 128

    @model_validator(mode="after")
    def _tasks_are_valid(self) -> Self:
        self.task("a")
        self.task("b")
        return self

    def domain(self, side: Side) -> Domain:
        """The domain of a side."""
        return self.a if side == "a" else self.b

    def task(self, source: Side) -> Task:
        """The translation from ``source`` to the other side, as a model's card has it.

        A target in percentiles gets ``OUTPUT_WINDOW``.
        """
        start, end = (self.a, self.b) if source == "a" else (self.b, self.a)
        if isinstance(end.scaling, Percentiles):
            end = end.model_copy(update={"scaling": OUTPUT_WINDOW})
        forward = source == "a" and self.task_name is not None
        return Task(
            name=str(self.task_name) if forward else f"{start.modality}-{end.modality}".lower(),
            source=start,
            target=end,
            spacing_mm=self.spacing_mm,
            thick_slice_mm=self.thick_slice_mm,
            depth=self.depth,
            plane_px=self.plane_px,
            body_part=self.body_part,
        )


class DataConfig(Sides):
    """Images in folders: how they are paired, drawn and changed.

    ``size_px`` is the edge of a patch; smaller images are padded with what their side has for air.
    ``pairs`` "by-name": two inputs of the same case, told by their names as ``evaluate`` tells it,
    show the same anatomy, aligned; ``validation_pairs`` says the same of what is given for
    validation. ``masks`` "auto" takes images named as masks for those of the bodies of their cases,
    "none" leaves them out and finds each body.
    ``matched_noise`` is the share of the items that are pairs made from B alone, by the noise that
    A has beyond B; both sides must then have the same unit and scaling.
    ``position_matched`` takes, for volumes that are no pair, slabs from the same relative height,
    and for pictures one of a body of about the same outline; each from the same place in it.
    ``validation_share`` is the share of subjects held back where no folders for validation are
    given. ``subjects`` "name" finds the subject in the file's name or header, "file" takes every
    file for a subject of its own.
    """

    kind: Literal["folders"] = "folders"
    pairs: Literal["none", "by-name"] = "none"
    validation_pairs: Literal["none", "by-name"] = "by-name"
    masks: Literal["auto", "none"] = "auto"
    matched_noise: _Share = 0.0
    position_matched: bool = True
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    subjects: Literal["name", "file"] = "name"
    augment: Augment = Augment()
    cache: Literal["memory", "disk"] = "memory"

    @model_validator(mode="after")
    def _noise_can_be_compared(self) -> DataConfig:
        if self.matched_noise and (self.a.unit, self.a.scaling) != (self.b.unit, self.b.scaling):
            raise ValueError("matched_noise needs the same unit and scaling on both sides")
        if self.matched_noise and max(len(self.a.channels), len(self.b.channels)) > 1:
            raise ValueError("matched_noise needs one channel on either side")
        return self
