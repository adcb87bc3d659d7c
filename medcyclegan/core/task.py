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


_Mm = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
_Word = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z -]*$", max_length=40)]


class BodyPart(BaseModel):
    """The part of the body that is translated, and what is usual of it, so that odd input is told.

    What is not given is not asked of an input. ``name`` and ``plural`` (without it, the name with
    an s) are what messages call it. A body of fewer ``least_litres`` or a series of fewer
    ``least_slices`` does not show enough of it; a synthetic CT with less than
    ``least_bone_share`` of the body above 250 HU, from 0 to 1, lacks its bone. Depths are below
    the surface of the body: what lies deeper than ``deep_mm`` is soft tissue for the greatest
    part; where it is deeper than ``contrast_depth_mm`` and at most ``contrast_height_mm`` below
    the top, MR contrasts are told apart, ``even_tissue`` being the most even part of it.
    """

    model_config = _FROZEN
    name: _Word
    plural: _Word | None = None
    least_litres: Annotated[float, Field(ge=0, le=1000)] = 0.0
    least_slices: Annotated[int, Field(ge=1, le=1000)] = 1
    least_bone_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    deep_mm: _Mm | None = None
    contrast_depth_mm: _Mm | None = None
    contrast_height_mm: _Mm | None = None
    even_tissue: _Word | None = None

    @property
    def one(self) -> str:
        """The name with its article: ``a head``, ``an ankle``."""
        return f"{'an' if self.name[0].lower() in 'aeiou' else 'a'} {self.name}"

    @property
    def several(self) -> str:
        """The name of more than one: ``heads``."""
        return self.plural or f"{self.name}s"


# A head has 2.5 to 5 litres, and a slab of the brain with its skull some 1.5; 10 to 20 % of it are
# bone, and some per cent of a slab above the eyes. Ten slices of the thickest in use (about 10 mm)
# show most of it. Deeper than 30 mm lies brain, or skull base and airways below it; within 100 mm
# below the top there is no airway, and deeper than 20 mm no bone.
HEAD = BodyPart(
    name="head",
    least_litres=0.8,
    least_slices=10,
    least_bone_share=0.01,
    deep_mm=30.0,
    contrast_depth_mm=20.0,
    contrast_height_mm=100.0,
    even_tissue="white matter",
)


class Task(BaseModel):
    """A translation: source and target domain, grid, slab, and part of the body.

    ``spacing_mm`` is the in-plane spacing of the model grid, and the slice spacing where the
    acquisition's slices are thinner; slices of ``thick_slice_mm`` or more keep their own axis
    and spacing. ``spacing_mm`` None keeps every scan's own spacing, where interpolation would
    change what a network is to learn, as noise. ``depth`` is the number of slices of a slab, odd,
    in and out; slabs start ``stride`` slices apart, and overlap by a little less than half if it
    is None: the further apart, the faster, and the fewer results are averaged. ``thick_stride``
    takes its place where slices are thick, and so few that more overlap costs little. ``plane_px``
    is how many pixels plane images (pictures, radiographs) are brought to along their shorter side;
    None keeps their pixels as they are. With ``mirror`` a volume's mirror image, left for right, is
    translated too, and the mean taken: so neither side is favoured. ``body_part`` says what inputs
    show, by default a head, as models of earlier versions do.
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
    thick_stride: Annotated[int, Field(ge=1)] | None = None
    plane_px: Annotated[int, Field(ge=16, le=4096)] | None = None
    mirror: bool = False
    body_part: BodyPart = HEAD

    @model_validator(mode="after")
    def _odd_depth(self) -> Task:
        if self.depth % 2 == 0:
            raise ValueError(f"depth {self.depth} must be odd, so that a slab has a middle slice")
        return self

    @model_validator(mode="after")
    def _no_slice_left_out(self) -> Task:
        for name in ("stride", "thick_stride"):
            stride = getattr(self, name)
            if stride is not None and stride > self.depth:
                raise ValueError(
                    f"{name} {stride} leaves out slices between slabs of depth {self.depth}"
                )
        return self

    @model_validator(mode="after")
    def _target_window(self) -> Task:
        if not isinstance(self.target.scaling, Window):
            raise ValueError("the target needs a fixed window, to turn output into values again")
        return self

    def stride_at(self, slice_mm: float) -> int | None:
        """How many slices apart slabs start where slices are ``slice_mm`` apart; see ``stride``."""
        thick = slice_mm >= self.thick_slice_mm and self.thick_stride is not None
        return self.thick_stride if thick else self.stride

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
