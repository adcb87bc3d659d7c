"""The DICOMDIR of a CD or of an export: which files belong to it (PS3.3 F.3, PS3.10 8.6)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import MediaStorageDirectoryStorage

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.values import raw_value, text


def is_directory(file: DicomFile) -> bool:
    """Whether a file is a DICOMDIR, which is no image and no slice of a series."""
    says = text(file.header.file_meta, "MediaStorageSOPClassUID", file.path)
    return says == MediaStorageDirectoryStorage or "DirectoryRecordSequence" in file.header


def listed_files(file: DicomFile) -> tuple[list[Path], int]:
    """Return the files that a DICOMDIR names, in its order, and how many are not there.

    Names that lead out of the DICOMDIR's folder, and links, are counted as not there. Where file
    systems changed the case of names, the file that differs by that alone is taken.

    Raises
    ------
    InputRefused
        If the records cannot be read.
    """
    records = raw_value(file.header, "DirectoryRecordSequence", file.path)
    if not isinstance(records, Sequence):
        raise InputRefused(
            f"{file.path} is a DICOMDIR without records",
            rule="it must name its files",
            remedy="name the folder that the files are in",
        )
    found: dict[Path, None] = {}
    missing = 0
    names: dict[Path, dict[str, Path]] = {}
    for parts in _file_ids(records, file.path):
        path = _resolved(file.path.parent, parts, names)
        if path is None:
            missing += 1
        else:
            found[path] = None
    return list(found), missing


def _file_ids(records: Sequence, path: Path) -> Iterator[tuple[str, ...]]:
    for record in records:
        value = _file_id(record, path)
        if value:
            yield value


def _file_id(record: Dataset, path: Path) -> tuple[str, ...]:
    value = raw_value(record, "ReferencedFileID", path)
    if value is None:
        return ()
    return tuple(str(part) for part in (value if isinstance(value, MultiValue) else [value]))


def _resolved(
    folder: Path, parts: tuple[str, ...], names: dict[Path, dict[str, Path]]
) -> Path | None:
    """Return the regular file of a file ID; ``names`` holds the folders listed so far."""
    here = folder
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\0" in part:
            return None
        if here not in names:
            names[here] = {}
            if here.is_dir():
                names[here] = {child.name.casefold(): child for child in sorted(here.iterdir())}
        exact = here / part
        found = exact if exact.exists() else names[here].get(part.casefold())
        if found is None or found.is_symlink():
            return None
        here = found
    return here if here.is_file() else None
