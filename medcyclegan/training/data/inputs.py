"""What is read for one side of a training: images with their body masks, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medcyclegan.errors import MedcycleganError
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.task import Domain
from medcyclegan.training.data.config import DataConfig, Side

# What a table says an input is for; "" where nothing is said of it.
Part = Literal["", "train", "validation"]

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Image:
    """A file, or the files of a DICOM series, that hold one image.

    ``dicom`` holds the headers of a series and is empty for other formats.
    """

    format: str
    paths: tuple[Path, ...]
    dicom: tuple[DicomFile, ...] = ()

    @property
    def source(self) -> Path:
        """What messages name: the file, or the folder of a series of several."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent


@dataclass(frozen=True, eq=False)
class Input:
    """One side's image of a subject at one moment, or its registered images, one a channel.

    ``name`` is unique on its side: the path below the folder without the ending, with ``/``.
    ``case`` is what partners, channels and masks are told by (``io.case_names``). ``mask`` is a
    file that is above 0 in the body.
    """

    name: str
    case: str
    subject: str
    images: tuple[Image, ...]
    mask: Path | None = None
    part: Part = ""

    @property
    def format(self) -> str:
        """The format of the first image."""
        return self.images[0].format

    @property
    def source(self) -> Path:
        """What messages name: the first image."""
        return self.images[0].source


@dataclass(frozen=True, eq=False)
class Found:
    """The inputs of one place, by name; what was passed over; and what cannot be read at all.

    ``place`` is the folder or table, ``layout`` how it is laid out, in words.
    """

    place: Path
    inputs: tuple[Input, ...]
    warnings: tuple[str, ...]
    refused: tuple[MedcycleganError, ...]
    layout: str = "folders"


@dataclass(frozen=True)
class Wanted:
    """What one side asks of a place.

    ``shared`` says that the place holds both sides, which are then told by their names.
    """

    side: Side
    domain: Domain
    shared: bool = False
    masks: bool = True

    @property
    def channels(self) -> tuple[str, ...]:
        """The names of the images of this side; empty if it is one that needs no name."""
        return self.domain.channels


def wanted_of(config: DataConfig, side: Side, *, shared: bool) -> Wanted:
    """What a configuration asks for on a side."""
    return Wanted(side, config.domain(side), shared, config.masks == "auto")


def shown(names: Sequence[object], *, most: int = _SHOWN) -> str:
    """The first of some names, with commas."""
    return ", ".join(str(name) for name in names[:most]) + (", ..." if len(names) > most else "")
