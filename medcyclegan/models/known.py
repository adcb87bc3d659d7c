"""What a model knows, and how its spread turns into an error: measured, and kept on its card."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from medcyclegan.models.text import Sha256, Text

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Range(BaseModel):
    """The least and the largest value that a sign had over what the model was measured on."""

    model_config = _FROZEN
    low: _Finite
    high: _Finite

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low <= self.high:
            raise ValueError(f"low {self.low} must not be above high {self.high}")
        return self


class Known(BaseModel):
    """Ranges of the signs that ``doubt.signs.Signs`` holds, by the same names.

    A sign without a range is not judged. ``reverse_sha256`` names the weights of the reverse model
    that ``cycle_information`` was measured with; with others it is not judged.
    """

    model_config = _FROZEN
    measured_on: Text
    body_litres: Range | None = None
    width_mm: Range | None = None
    length_mm: Range | None = None
    height_mm: Range | None = None
    fill: Range | None = None
    dark: Range | None = None
    middle: Range | None = None
    bright: Range | None = None
    smoothness: Range | None = None
    bone: Range | None = None
    air: Range | None = None
    deep_soft: Range | None = None
    view_disagreement_hu: Range | None = None
    cycle_information: Range | None = None
    reverse_sha256: Sha256 | None = None

    def range_of(self, sign: str) -> Range | None:
        """Return the range of a sign by its name; None if it has none."""
        found = getattr(self, sign, None)
        return found if isinstance(found, Range) else None


class SpreadCalibration(BaseModel):
    """Expected absolute error = ``offset`` + ``slope`` times the spread, in the target's unit."""

    model_config = _FROZEN
    offset: _NotNegative
    slope: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    fitted_on: Text
