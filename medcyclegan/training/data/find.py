"""Find the images of one side below a folder, by name and, for DICOM, by header."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.find import is_image
from medcyclegan.io.dicom.header import DicomFile, dicom_start, load_header
from medcyclegan.io.dicom.radiograph import is_radiograph
from medcyclegan.io.dicom.values import text
from medcyclegan.task import Modality, fits_modality
from medcyclegan.training.data.subjects import subject_of_id, subject_of_path

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
# The voxels of a header that is a file of its own.
_PAYLOADS = (".img", ".img.gz", ".raw", ".zraw")


@dataclass(frozen=True, eq=False)
class Input:
    """One image to be read: a file, or the files of a DICOM series.

    ``name`` is its path below the folder of its side without the ending, with ``/``; ``dicom``
    holds the headers of a series and is empty for other formats.
    """

    name: str
    subject: str
    format: str
    paths: tuple[Path, ...]
    dicom: tuple[DicomFile, ...] = ()

    @property
    def source(self) -> Path:
        """What messages name: the file, or the folder of a series of several."""
        return self.paths[0] if len(self.paths) == 1 else self.paths[0].parent


@dataclass(frozen=True, eq=False)
class Found:
    """The inputs of a folder, by name; what was passed over; and what cannot be read at all."""

    inputs: tuple[Input, ...]
    warnings: tuple[str, ...]
    refused: tuple[MedcycleganError, ...]


@dataclass
class _Collected:
    inputs: list[Input] = field(default_factory=list)
    series: dict[str, list[DicomFile]] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)
    refused: list[MedcycleganError] = field(default_factory=list)


def find_inputs(folder: Path, modality: Modality) -> Found:
    """Find all images below ``folder``; only DICOM headers are opened.

    DICOM of another modality than ``modality`` is passed over, as are files of other kinds.

    Raises
    ------
    InputRefused
        If ``folder`` is no folder that can be read.
    """
    if not folder.is_dir():
        raise InputRefused(f"{folder} is no folder", rule="the images of a side lie in one")
    collected = _Collected()
    for path in _files(folder, collected.passed_over):
        relative = path.relative_to(folder)
        ending = _ending(path)
        if ending is not None:
            name = relative.as_posix()[: -len(ending)]
            found = Input(name, subject_of_path(relative), _READ[ending], (path,))
            collected.inputs.append(found)
        elif not path.name.lower().endswith(_PAYLOADS):
            _collect_other(path, modality, collected)
    for files in collected.series.values():
        collected.inputs.append(_series(folder, files))
    inputs = sorted(collected.inputs, key=lambda found: (found.name, found.paths))
    said = tuple(
        f"{folder}: {what} passed over: {count}."
        for what, count in sorted(collected.passed_over.items())
    )
    return Found(tuple(inputs), said, tuple(collected.refused))


def _files(folder: Path, passed_over: Counter[str]) -> Iterator[Path]:
    """All files below ``folder`` that are not hidden, in the order of their names.

    Links to folders are not followed, so that no loop can arise; they are counted.
    """

    def refuse(error: OSError) -> None:
        raise InputRefused(
            f"{error.filename}: cannot be read ({error.strerror})", remedy="check its permissions"
        ) from error

    for here, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = sum(Path(here, name).is_symlink() for name in folders)
        passed_over.update({"links to folders": links} if links else {})
        for name in sorted(names):
            if not name.startswith(".") and Path(here, name).is_file():
                yield Path(here, name)


def _ending(path: Path) -> str | None:
    name = path.name.lower()
    return next((ending for ending in _READ if name.endswith(ending)), None)


def _collect_other(path: Path, modality: Modality, into: _Collected) -> None:
    """Put a file into its series if it is DICOM of the modality asked for."""
    try:
        has_prefix, looks_bare = dicom_start(path)
        file = load_header(path) if has_prefix or looks_bare else None
        if file is None:
            into.passed_over[f"files ending in {path.suffix or 'nothing'}"] += 1
        elif not is_image(file):
            into.passed_over["DICOM objects without an image"] += 1
        elif not fits_modality(term := text(file.header, "Modality", path), modality):
            into.passed_over[f"DICOM images of modality {term or 'none'}"] += 1
        else:
            uid = text(file.header, "SeriesInstanceUID", path)
            alone = is_radiograph(file) or not uid
            into.series.setdefault(str(path) if alone else uid, []).append(file)
    except MedcycleganError as error:
        into.refused.append(error)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        into.refused.append(
            InputRefused(f"{path}: cannot be read ({reason})", remedy="check its permissions")
        )


def _series(folder: Path, files: list[DicomFile]) -> Input:
    """A series is named by the folder that it lies in, a single image by its file."""
    paths = tuple(file.path for file in files)
    relative = paths[0].relative_to(folder)
    where: PurePath = relative.with_suffix("")
    if len(files) > 1:
        common = os.path.commonpath([path.parent for path in paths])
        where = Path(common).relative_to(folder)
    patient = text(files[0].header, "PatientID", paths[0])
    subject = subject_of_id(patient) if patient else subject_of_path(relative)
    name = folder.name if where == PurePath(".") else where.as_posix()
    return Input(name, subject, "DICOM", paths, tuple(files))
