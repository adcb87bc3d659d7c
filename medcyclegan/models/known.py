"""What a model knows, and how its spread turns into an error: measured, and kept on its card."""

from __future__ import annotations

from itertools import pairwise
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
