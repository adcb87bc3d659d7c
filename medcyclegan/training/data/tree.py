"""All images below a folder, told by the endings of names and, for DICOM, by headers."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from medcyclegan.core.task import Modality, fits_modality
from medcyclegan.core.text import path_text
from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.api import (
    DicomFile,
    is_image,
    is_radiograph,
    load_header,
    load_image,
    text,
)
from medcyclegan.io.discover import VOXEL_ENDINGS, ending_of, leads_nowhere, leads_out, walk
from medcyclegan.training.data.inputs import Image, shown

_VOLUMES = {
    ".nii.gz": "NIfTI",
    ".nii": "NIfTI",
    ".hdr": "NIfTI",
    ".hdr.gz": "NIfTI",
    ".mha": "MetaImage",
    ".mhd": "MetaImage",
    ".nrrd": "NRRD",
    ".nhdr": "NRRD",
}
_PLANES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
_READ = {**_VOLUMES, **_PLANES}

NOWHERE = "links that lead nowhere"
OUTSIDE = "links to files outside of the folder are read"


@dataclass(frozen=True, eq=False)
class Candidate:
    """An image at a path below the folder; ``patient_id`` is that of DICOM, else empty."""

    relative: PurePath
    image: Image
    patient_id: str = ""

    @property
    def name(self) -> str:
        """The path without the ending."""
        name = self.relative.as_posix()
        ending = "" if self.image.dicom else image_ending(self.relative.name)
        return path_text(name[: len(name) - len(ending)])

    @property
    def is_volume(self) -> bool:
        """Whether it is a file of a format of volumes."""
        return self.image.format in _VOLUMES.values()


@dataclass(eq=False)
class Tree:
    """What lies below ``root``; ``passed_over`` names files and links by what they are."""

    root: Path
    candidates: list[Candidate] = field(default_factory=list)
    passed_over: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    outside: list[str] = field(default_factory=list)
    refused: list[MedcycleganError] = field(default_factory=list)

    def warnings(self) -> tuple[str, ...]:
        """What was passed over, and which links were followed, each with its count."""
        said = [
            f"{self.root}: {what} passed over: {len(names)}{_named(what, names)}."
            for what, names in sorted(self.passed_over.items())
        ]
        if self.outside:
            said.append(f"{self.root}: {OUTSIDE}: {len(self.outside)} ({shown(self.outside)}).")
        return tuple(path_text(sentence) for sentence in said)


def look_through(root: Path, modality: Modality) -> Tree:
    """Find all images below a folder; of DICOM those of ``modality``.

    Raises
    ------
    InputRefused
        If ``root`` is no folder that can be read.
    """
    if not root.is_dir():
        raise InputRefused(
            f"{root} is no folder",
            rule="the images of a side lie in one, or are listed in a table that ends in .csv",
        )
    tree = Tree(root)
    series: dict[str, list[DicomFile]] = {}
    lost: dict[Path, list[str]] = defaultdict(list)
    for path in _files(tree, lost):
        ending = image_ending(path.name)
        if ending:
            image = Image(_READ[ending], (path,))
            tree.candidates.append(Candidate(path.relative_to(root), image))
        elif not path.name.lower().endswith(VOXEL_ENDINGS):
            _collect_other(path, modality, series, tree)
    for files in series.values():
        missing = [name for folder in {f.path.parent for f in files} for name in lost[folder]]
        if len(files) > 1 and missing:
            tree.refused.append(_partly_lost(files[0].path.parent, missing))
        else:
            tree.candidates.append(series_candidate(root, files))
    tree.candidates.sort(key=lambda found: (found.name, found.image.paths))
    return tree


def image_ending(name: str) -> str:
    """The ending of a name that tells a format which is read, else nothing."""
    return ending_of(name, _READ)


def series_candidate(root: Path, files: list[DicomFile]) -> Candidate:
    """A series is named by the folder that it lies in, a single image by its file."""
    paths = tuple(file.path for file in files)
    where: PurePath = paths[0].relative_to(root).with_suffix("")
    if len(files) > 1:
        where = Path(os.path.commonpath([path.parent for path in paths])).relative_to(root)
    relative = PurePath(root.name) if where == PurePath() else where
    patient_id = text(files[0].header, "PatientID", paths[0])
    return Candidate(relative, Image("DICOM", paths, tuple(files)), patient_id)


def read_one(path: Path) -> Image | None:
    """The image that a path names: a file, or a folder of one DICOM series; None if it is none."""
    ending = image_ending(path.name)
    if ending and path.is_file():
        return Image(_READ[ending], (path,))
    inside = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for part in inside if part.is_file() and (file := load_image(part)) is not None]
    series = {text(file.header, "SeriesInstanceUID", file.path) for file in files}
    if not files or len(series) > 1:
        return None
    return Image("DICOM", tuple(file.path for file in files), tuple(files))


def _named(what: str, names: list[str]) -> str:
    return f" ({shown(names)})" if what.startswith("links") else ""


def _files(tree: Tree, lost: dict[Path, list[str]]) -> Iterator[Path]:
    """All files below the root that are not hidden, in the order of their names.

    Links to folders are not followed, so that no loop can arise; they are counted. Into ``lost`` go
    the names of links that lead nowhere and may have been slices, by their folder.
    """
    for folder in walk(tree.root):
        for name in folder.folders:
            if (folder.path / name).is_symlink():
                tree.passed_over["links to folders"].append(_relative(folder.path / name, tree))
        for name in folder.files:
            path = folder.path / name
            if path.is_file():
                if leads_out(path, tree.root):
                    tree.outside.append(_relative(path, tree))
                yield path
            elif leads_nowhere(path):
                tree.passed_over[NOWHERE].append(_relative(path, tree))
                if not image_ending(name):
                    lost[folder.path].append(name)
            else:
                tree.passed_over["pipes, sockets and devices"].append(_relative(path, tree))


def _relative(path: Path, tree: Tree) -> str:
    return path.relative_to(tree.root).as_posix()


def _partly_lost(folder: Path, names: list[str]) -> InputRefused:
    return InputRefused(
        f"{folder}: a series beside {len(names)} {NOWHERE} ({shown(sorted(names))})",
        rule="a series is read whole",
        remedy="bring back the files that the links stand for, or remove the links",
    )


def _collect_other(
    path: Path, modality: Modality, series: dict[str, list[DicomFile]], tree: Tree
) -> None:
    """Put a file into its series if it is DICOM of the modality asked for."""
    try:
        file = load_header(path)
        if file is None:
            what = f"files ending in {path.suffix or 'nothing'}"
        elif not is_image(file):
            what = "DICOM objects without an image"
        elif not (term := text(file.header, "Modality", path)) and file.pixel_offset is None:
            raise InputRefused(
                f"{path} is DICOM that tells no modality and has no pixel data",
                rule="it might be a slice of a series",
                remedy="the file is truncated: copy or export it again, or take it out",
            )
        elif not fits_modality(term, modality):
            what = f"DICOM images of modality {term or 'none'}"
        else:
            uid = text(file.header, "SeriesInstanceUID", path)
            alone = is_radiograph(file) or not uid
            # UIDs of two patients may be equal where software made them up
            whose = f"{text(file.header, 'PatientID', path)} {uid}"
            series.setdefault(str(path) if alone else whose, []).append(file)
            return
        tree.passed_over[what].append(_relative(path, tree))
    except MedcycleganError as error:
        tree.refused.append(error)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        tree.refused.append(
            InputRefused(f"{path}: cannot be read ({reason})", remedy="check its permissions")
        )
