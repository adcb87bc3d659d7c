"""Reference ranges of a model and its curve of uncertainty: measured, and kept on its card."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from medcyclegan.models.text import Sha256, Text

_FROZEN = ConfigDict(frozen=True, extra="forbid")
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

# What is measured of an input and of what was made of it; docs/trust.md says what each one is.
SIGN_NAMES = (
    "body_litres", "width_mm", "length_mm", "height_mm", "fill",
    "pixel_mm", "slice_mm", "slices", "shorter_px", "longer_px",
    "dark", "middle", "bright", "smoothness", "deep_middle", "even_deep",
    "in_air", "in_fat", "in_soft", "in_bone", "noise_hu",
    "bone", "air", "deep_soft", "changed_hu", "out_dark", "out_middle", "out_bright",
    "view_disagreement_hu", "cycle_information",
)  # fmt: skip


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
    """Ranges of signs over the images of ``measured_on``, by the names in ``SIGN_NAMES``.

    A sign without a range is not judged. ``reverse_sha256`` names the weights of the reverse model
    that ``cycle_information`` was measured with; with others it is not judged.
    """

    model_config = _FROZEN
    measured_on: Annotated[tuple[CalibrationData, ...], Field(min_length=1)]
    ranges: dict[str, Range]
    reverse_sha256: Sha256 | None = None

    @field_validator("ranges")
    @classmethod
    def _known_signs(cls, ranges: dict[str, Range]) -> dict[str, Range]:
        if odd := sorted(set(ranges) - set(SIGN_NAMES)):
            raise ValueError(f"{odd[0]} is no sign; signs are {', '.join(SIGN_NAMES)}")
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
            for name in SIGN_NAMES if name in mine or name in theirs
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
