"""Inputs of one side of a training: images, masks, and the subjects they show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

from medcyclegan.core.task import Domain
from medcyclegan.core.text import path_text
from medcyclegan.errors import MedcycleganError
from medcyclegan.io.case_names import patient, stem
from medcyclegan.io.dicom.api import DicomFile
from medcyclegan.training.data.config import DataConfig, Side

_BIDS = re.compile(r"(?:^|[/_])(sub-[A-Za-z0-9]+)")


def subject_of_path(relative: PurePath, *, kinds: Collection[str] = ()) -> str:
    """The subject of a file that tells none, from its path below the folder of its side.

    The entity ``sub-XX`` of BIDS where there is one; else the first folder that does not just name
    a kind of image (as ``mr`` or one of ``kinds``), for files in folders; else the part of the
    file's name before the first ``_`` or ``.``: several slices or contrasts of one patient must
    never be told apart.
    """
    found = _BIDS.search(relative.as_posix())
    if found:
        return found.group(1)
    folders = [part for part in relative.parent.parts if patient(part, kinds=kinds)]
    if folders:
        return path_text(folders[0])
    name = relative.name
    start = re.split(r"[_.]", name, maxsplit=1)[0]
    if start and not patient(start, kinds=kinds):  # mr_P01
        start = re.split(r"[_.]", patient(stem(name), kinds=kinds), maxsplit=1)[0]
    return path_text(start or name)


def subject_of_id(patient_id: str) -> str:
    """The subject of a DICOM PatientID, which itself goes nowhere."""
    return f"id-{hashlib.sha256(patient_id.encode()).hexdigest()[:12]}"


def held_back(a: Iterable[str], b: Iterable[str], *, share: float, seed: int) -> frozenset[str]:
    """Choose the subjects for validation: ``share`` of those of both sides, of A and of B alone.

    At least one of each kind where there are two; never all of a kind.
    """
    subjects_a, subjects_b = frozenset(a), frozenset(b)
    kinds = (subjects_a & subjects_b, subjects_a - subjects_b, subjects_b - subjects_a)
    chosen: set[str] = set()
    for kind in kinds:
        count = min(max(1, round(share * len(kind))), len(kind) - 1) if share > 0 else 0
        chosen.update(sorted(kind, key=lambda name: _rank(name, seed))[: max(0, count)])
    return frozenset(chosen)


def _rank(subject: str, seed: int) -> str:
    """A number from subject and seed alone, so that another subject changes no other's place."""
    return hashlib.sha256(f"{seed}/{subject}".encode()).hexdigest()


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
