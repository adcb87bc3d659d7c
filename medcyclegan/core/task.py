"""What is translated into what: pure data, without code that runs on voxels.

A ``Domain`` says how physical values (HU, MR signal) map to [-1, 1]; the transforms do it.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

_FROZEN = ConfigDict(frozen=True, extra="forbid")
# Within float32, differences of two values too: MR signal may have any scale.
_Value = Annotated[float, Field(ge=-1e38, le=1e38, allow_inf_nan=False)]

# XR: radiographs; image: pictures of any kind, whose values are grey values.
Modality = Literal["MR", "CT", "XR", "image"]
MODALITIES: tuple[Modality, ...] = get_args(Modality)
# Projection radiographs in the terms of DICOM (PS3.3 C.7.3.1.1.1): computed, digital, on film.
RADIOGRAPHS = ("CR", "DX", "RG")


def modality_of(term: str) -> str:
    """Return the modality of a DICOM term: ``"XR"`` for every kind of radiograph, else the term."""
    return "XR" if term in RADIOGRAPHS else term


def fits_modality(term: str, wanted: str | None) -> bool:
    """Whether an image with this DICOM term may be taken where ``wanted`` is asked for."""
    return wanted is None or wanted == "image" or modality_of(term) == wanted


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
    """One side of a translation: modality, unit, and how its values map to [-1, 1].

    Only CT has HU; a CT whose values are the grey values of pictures has a.u., as all others.
    ``channels`` names the registered images that make up this side, in their order, as T1w and T2w;
    it is empty for one image that needs no name.
    """

    model_config = _FROZEN
    modality: Modality
    unit: Literal["HU", "a.u."]
    scaling: Annotated[Window | Percentiles, Field(discriminator="kind")]
    channels: tuple[Annotated[str, Field(pattern=r"^\w[\w -]*$")], ...] = ()

    @property
    def channel_count(self) -> int:
        """How many images make up this side; 1 where none is named."""
        return max(1, len(self.channels))

    @model_validator(mode="after")
    def _channels_differ(self) -> Domain:
        if len({name.lower() for name in self.channels}) < len(self.channels):
            raise ValueError(f"channels {', '.join(self.channels)}: each has a name of its own")
        return self

    @model_validator(mode="after")
    def _only_ct_has_hu(self) -> Domain:
        if self.unit == "HU" and self.modality != "CT":
            raise ValueError(f"unit HU with modality {self.modality}: only CT has HU")
        return self


class Task(BaseModel):
    """A translation: source and target domain, grid and slab.

    ``spacing_mm`` is the in-plane spacing of the model grid, and the slice spacing where the
    acquisition's slices are thinner; slices of ``thick_slice_mm`` or more keep their own axis
    and spacing. ``spacing_mm`` None keeps every scan's own spacing, where interpolation would
    change what a network is to learn, as noise. ``depth`` is the number of slices of a slab, odd,
    in and out; slabs start ``stride`` slices apart, and overlap by a little less than half if it
    is None: the further apart, the faster, and the fewer results are averaged. ``plane_px`` is how
    many pixels plane images (pictures, radiographs) are brought to along their shorter side; None
    keeps their pixels as they are. With ``mirror`` a volume's mirror image, left for right, is
    translated too, and the mean taken: so neither side is favoured.
    """

    model_config = _FROZEN
    name: str
    source: Domain
    target: Domain
    # A head at 0.3 mm takes 2 GB; a finer grid is a mistake, or meant to fill the memory.
    spacing_mm: Annotated[float, Field(ge=0.3, le=10)] | None = 1.0
    thick_slice_mm: Annotated[float, Field(gt=0, le=20)] = 2.0
    depth: Annotated[int, Field(ge=1, le=31)] = 5
    stride: Annotated[int, Field(ge=1)] | None = None
    plane_px: Annotated[int, Field(ge=16, le=4096)] | None = None
    mirror: bool = False

    @model_validator(mode="after")
    def _odd_depth(self) -> Task:
        if self.depth % 2 == 0:
            raise ValueError(f"depth {self.depth} must be odd, so that a slab has a middle slice")
        return self

    @model_validator(mode="after")
    def _no_slice_left_out(self) -> Task:
        if self.stride is not None and self.stride > self.depth:
            raise ValueError(
                f"stride {self.stride} leaves out slices between slabs of depth {self.depth}"
            )
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

    @property
    def keeps_values(self) -> bool:
        """Whether values mean the same on both sides: HU in, HU out, as in denoising."""
        return self.source.unit == self.target.unit == "HU"

    @property
    def makes_ct_of_mr(self) -> bool:
        """Whether it makes a synthetic CT in HU from MR."""
        return self.source.modality == "MR" and self.target.unit == "HU"
