"""What is translated into what: pure data, without code that runs on voxels.

A ``Domain`` says how physical values (HU, MR signal) map to [-1, 1]; the transforms do it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

_FROZEN = ConfigDict(frozen=True, extra="forbid")
# Far beyond any image, far within float32.
_Value = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]


class Window(BaseModel):
    """A fixed range of physical values that maps linearly to [-1, 1], clipped outside."""

    model_config = _FROZEN
    kind: Literal["window"] = "window"
    lower: _Value
    upper: _Value

    @model_validator(mode="after")
    def _ordered(self) -> Window:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} must be below upper {self.upper}")
        return self


class Percentiles(BaseModel):
    """A range set by percentiles of the values inside the head or body, for MR signal.

    ``lower`` maps to -1 and ``upper`` to +1; both in percent.
    """

    model_config = _FROZEN
    kind: Literal["percentiles"] = "percentiles"
    lower: Annotated[float, Field(ge=0, lt=100)]
    upper: Annotated[float, Field(gt=0, le=100)]

    @model_validator(mode="after")
    def _ordered(self) -> Percentiles:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} % must be below upper {self.upper} %")
        return self


class Domain(BaseModel):
    """One side of a translation: modality, unit, and how its values map to [-1, 1]."""

    model_config = _FROZEN
    modality: Literal["MR", "CT"]
    unit: Literal["HU", "a.u."]
    scaling: Annotated[Window | Percentiles, Field(discriminator="kind")]


class Task(BaseModel):
    """A translation: source and target domain, grid and slab.

    ``spacing_mm`` is the in-plane spacing of the model grid, and the slice spacing where the
    acquisition's slices are thinner; slices of ``thick_slice_mm`` or more keep their own axis
    and spacing. ``depth`` is the number of slices of a slab, odd, in and out.
    """

    model_config = _FROZEN
    name: str
    source: Domain
    target: Domain
    # A head at 0.3 mm takes 2 GB; a finer grid is a mistake, or meant to fill the memory.
    spacing_mm: Annotated[float, Field(ge=0.3, le=10)] = 1.0
    thick_slice_mm: Annotated[float, Field(gt=0, le=20)] = 2.0
    depth: Annotated[int, Field(ge=1, le=31)] = 5

    @model_validator(mode="after")
    def _odd_depth(self) -> Task:
        if self.depth % 2 == 0:
            raise ValueError(f"depth {self.depth} must be odd, so that a slab has a middle slice")
        return self

    @model_validator(mode="after")
    def _target_window(self) -> Task:
        if not isinstance(self.target.scaling, Window):
            raise ValueError("the target needs a fixed window, to turn output into values again")
        return self

    @property
    def target_window(self) -> Window:
        """The range of values that the output of the network stands for."""
        assert isinstance(self.target.scaling, Window)  # the validator has seen to it
        return self.target.scaling
