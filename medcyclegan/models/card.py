"""Model cards: task, network, training, reference ranges; stored as ``card.json``."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from medcyclegan.core.task import Task
from medcyclegan.networks.factory import GeneratorConfig

# No control characters but line breaks: cards are printed, and a terminal obeys some of them.
PRINTABLE = r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f]*$"
Text = Annotated[str, Field(min_length=1, pattern=PRINTABLE)]
# Goes into DICOM and names of folders.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._+-]*$", max_length=64)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_FROZEN = ConfigDict(frozen=True, extra="forbid")
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

# What is measured of an input and of what was made of it; docs/trust.md says what each one is.
FEATURE_NAMES = (
    "body_litres", "width_mm", "length_mm", "height_mm", "fill",
    "pixel_mm", "slice_mm", "slices", "shorter_px", "longer_px",
    "dark", "middle", "bright", "smoothness", "deep_middle", "even_deep",
    "in_air", "in_fat", "in_soft", "in_bone", "noise_hu",
    "bone", "air", "deep_soft", "changed_hu", "out_dark", "out_middle", "out_bright",
    "view_disagreement_hu", "cycle_information",
)  # fmt: skip


class Range(BaseModel):
    """The least and the largest value that a feature had over what the model was measured on."""

    model_config = _FROZEN
    low: _Finite
    high: _Finite

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low <= self.high:
            raise ValueError(f"low {self.low} must not be above high {self.high}")
        return self

    def joined(self, other: Range) -> Range:
        """Return the range that holds both."""
        return Range(low=min(self.low, other.low), high=max(self.high, other.high))


class CalibrationData(BaseModel):
    """One set of images that a model was calibrated on.

    ``files`` names them where names tell nothing of patients, and may be empty.
    """

    model_config = _FROZEN
    name: Text
    licence: Text
    images: Annotated[int, Field(ge=1)]
    files: tuple[Text, ...] = ()


class ReferenceRanges(BaseModel):
    """Ranges of features over the images of ``measured_on``, by the names in ``FEATURE_NAMES``.

    A feature without a range is not judged. ``reverse_sha256`` names the weights of the reverse
    model that ``cycle_information`` was measured with; with others it is not judged.
    """

    model_config = _FROZEN
    measured_on: Annotated[tuple[CalibrationData, ...], Field(min_length=1)]
    ranges: dict[str, Range]
    reverse_sha256: Sha256 | None = None

    @field_validator("ranges")
    @classmethod
    def _known_features(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        if odd := sorted(set(ranges) - set(FEATURE_NAMES)):
            raise ValueError(f"{odd[0]} is no feature; features are {', '.join(FEATURE_NAMES)}")
        return ranges

    def extended_by(self, other: ReferenceRanges) -> ReferenceRanges:
        """Return ranges that hold what either of the two holds.

        The way back is that of ``other``: figures measured with two reverse models do not mix.
        """
        mine, theirs = dict(self.ranges), other.ranges
        if self.reverse_sha256 != other.reverse_sha256:
            mine.pop("cycle_information", None)
        joined = {
            name: mine[name].joined(theirs[name]) if name in mine and name in theirs
            else mine.get(name) or theirs[name]
            for name in FEATURE_NAMES if name in mine or name in theirs
        }  # fmt: skip
        return ReferenceRanges(
            measured_on=(*self.measured_on, *other.measured_on),
            ranges=joined,
            reverse_sha256=other.reverse_sha256,
        )


class SpreadCalibration(BaseModel):
    """Mean absolute error that went with a spread, both in the target's unit, at some points.

    Between the points it is a line; beyond them it stays as at the first and the last. ``spread``
    grows from point to point and ``error`` never falls, so that a map keeps the order of a spread.
    """

    model_config = _FROZEN
    spread: Annotated[tuple[_NotNegative, ...], Field(min_length=2, max_length=64)]
    error: Annotated[tuple[_NotNegative, ...], Field(min_length=2, max_length=64)]
    fitted_on: Text

    @model_validator(mode="after")
    def _ordered(self) -> SpreadCalibration:
        if len(self.spread) != len(self.error):
            raise ValueError(f"{len(self.spread)} spreads and {len(self.error)} errors")
        if any(after <= before for before, after in pairwise(self.spread)):
            raise ValueError(f"spread {self.spread} must grow from point to point")
        if any(after < before for before, after in pairwise(self.error)):
            raise ValueError(f"error {self.error} must not fall from point to point")
        return self


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
