"""DICOM files below a folder or in a DICOMDIR, grouped by series; links that were not followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import MediaStorageDirectoryStorage

from medcyclegan.core.task import RADIOGRAPHS
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import PYDICOM_ERRORS, raw_value, text, uid_name, whole
from medcyclegan.io.dicom.header import DICOM_ROOT, DicomFile, dicom_start, load_header
from medcyclegan.io.discover import files_behind, leads_nowhere, leads_out, named, refuse_unreadable
from medcyclegan.io.targets import COMPLETION_RECORD


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


@dataclass(frozen=True, eq=False)
class Found:
    """What a folder holds: images by SeriesInstanceUID, and what was passed over.

    ``links_out`` are links to files or folders out of the folder, ``dead_links`` lead nowhere.
    """

    series: dict[str, list[DicomFile]]
    warnings: tuple[str, ...]
    links_out: tuple[Path, ...] = ()
    dead_links: tuple[Path, ...] = ()


@dataclass
class _Aside:
    """What is not read of a folder: links out, links that lead nowhere, pipes and devices."""

    out: list[Path] = field(default_factory=list)
    dead: list[Path] = field(default_factory=list)
    irregular: list[Path] = field(default_factory=list)

    def takes(self, path: Path, root: Path) -> bool:
        """Put a path aside if it is one of these; whether it was."""
        if leads_nowhere(path):
            self.dead.append(path)
        elif leads_out(path, root):
            self.out.append(path)
        elif not (path.is_file() or path.is_dir()):
            self.irregular.append(path)
        else:
            return False
        return True


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, or a folder holds at least one such file; raises nothing."""
    if path.is_dir():
        return any(_is_dicom_file(file) for file in _walk(path, _Aside()))
    return _is_dicom_file(path)


def find_images(folder: Path) -> Found:
    """Read the headers of all DICOM images in a folder and below it.

    Raises
    ------
    InputRefused
        If a file has the DICOM prefix but cannot be read: it might be a slice of the series.
    """
    aside = _Aside()
    files, not_dicom = _load_all(_walk(folder, aside))
    images = [file for file in files if is_image(file)]
    if not images:
        raise InputRefused(
            f"{folder} holds no DICOM images ({len(files)} other DICOM objects, "
            f"{not_dicom} other files{_links_said(aside)})",
            rule="at least one image is needed",
            remedy="name the folder of an image series",
        )
    return Found(
        _by_series(images),
        _passed_over(not_dicom, len(files) - len(images), aside),
        links_out=tuple(aside.out),
        dead_links=tuple(aside.dead),
    )


def find_siblings(path: Path) -> Found:
    """Read one file's header, and those of the files beside it that share its series.

    A multi-frame file and a radiograph stand alone. A DICOMDIR stands for the files that it names.
    """
    # Pipes and devices would block.
    file = load_header(path) if path.is_file() else None
    if file is None:
        raise InputRefused(
            f"{path} is no DICOM file", rule="it must be one", remedy="name the folder of a series"
        )
    if is_directory(file):
        return _find_listed(file)
    if not is_image(file):
        raise InputRefused(
            f"{path} is a DICOM object without an image ({uid_name(_sop_class(file))})",
            rule="an image is needed",
            remedy="name the folder of an image series",
        )
    uid = series_uid(file)
    if is_multiframe(file) or text(file.header, "Modality", path) in RADIOGRAPHS:
        return Found({uid: [file]}, ())
    aside = _Aside()
    beside = (
        other
        for other in sorted(path.parent.iterdir())
        if other == path or (not aside.takes(other, path.parent) and _is_dicom_file(other))
    )
    files, _ = _load_all(beside)
    alike = [
        other
        for other in files
        if is_image(other) and series_uid(other) == uid and not is_multiframe(other)
    ]
    links_out, dead = tuple(aside.out), tuple(aside.dead)
    return Found({uid: alike}, (), links_out=links_out, dead_links=dead)


def _find_listed(directory: DicomFile) -> Found:
    paths, missing = listed_files(directory)
    files, not_dicom = _load_all(iter(paths))
    images = [file for file in files if is_image(file)]
    if not images:
        raise InputRefused(
            f"{directory.path} names no DICOM image that is there ({missing} of its files are not)",
            rule="at least one image is needed",
            remedy="copy the whole of the medium, or name the folder of an image series",
        )
    said = (
        (f"Files that the DICOMDIR names are not there: {missing}; slices may be missing.",)
        if missing
        else ()
    )
    return Found(
        _by_series(images), said + _passed_over(not_dicom, len(files) - len(images), _Aside())
    )


def series_uid(file: DicomFile) -> str:
    """Return the SeriesInstanceUID, empty if absent."""
    return text(file.header, "SeriesInstanceUID", file.path)


def is_multiframe(file: DicomFile) -> bool:
    """Whether one file holds several frames, or describes its frame as enhanced objects do."""
    if "PerFrameFunctionalGroupsSequence" in file.header:
        return True
    return whole(file.header, "NumberOfFrames", file.path, default=1) > 1


def _load_all(paths: Iterator[Path]) -> tuple[list[DicomFile], int]:
    files, not_dicom = [], 0
    for path in paths:
        file = load_header(path)
        if file is None:
            not_dicom += 1
        else:
            files.append(file)
    return files, not_dicom


def _by_series(images: list[DicomFile]) -> dict[str, list[DicomFile]]:
    series: dict[str, list[DicomFile]] = {}
    for file in images:
        uid = series_uid(file)
        if not uid and file.pixel_offset is None:
            raise InputRefused(
                f"{file.path} tells no series and has no pixel data",
                rule="it might be a slice of the series",
                remedy="the file is truncated: copy or export it again, or take it out",
            )
        series.setdefault(uid, []).append(file)
    return series


def _passed_over(not_dicom: int, no_image: int, aside: _Aside) -> tuple[str, ...]:
    counts = (
        (not_dicom, "that are not DICOM"),
        (no_image, "that are DICOM but no image"),
        (len(aside.out), "that are links out of the folder"),
        (len(aside.dead), "that are links that lead nowhere"),
        (len(aside.irregular), "that are pipes or devices"),
    )
    return tuple(f"Files {what} were passed over: {count}." for count, what in counts if count)


def _links_said(aside: _Aside) -> str:
    counts = ((len(aside.out), "links out of the folder"), (len(aside.dead), "links to nowhere"))
    return "".join(f", {what}: {count}" for count, what in counts if count)


def is_image(file: DicomFile) -> bool:
    """Whether it should hold an image; a file cut off before its pixel data counts, too."""
    kind = _sop_class(file)
    if is_directory(file):
        return False
    if not kind.startswith(DICOM_ROOT):
        return file.pixel_offset is not None
    # Names as in PS3.4 B.5: "MR Image Storage", "Enhanced CT Image Storage", ... Dose, segmentation
    # and parametric map have pixel data but are no images of the patient.
    return "Image Storage" in uid_name(kind)


def _sop_class(file: DicomFile) -> str:
    said = text(file.header, "SOPClassUID", file.path)
    return said or text(file.header.file_meta, "MediaStorageSOPClassUID", file.path)


def _is_dicom_file(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        has_prefix, looks_bare = dicom_start(path)
        return has_prefix or (looks_bare and load_header(path) is not None)
    except (*PYDICOM_ERRORS, InputRefused):
        return False


def _walk(folder: Path, aside: _Aside) -> Iterator[Path]:
    """Yield the regular files below ``folder``, each once, in the order of their names.

    Links to folders are not followed, so that no loop can arise; links to files only if they end
    inside ``folder``. The others are put ``aside``.
    """
    root = folder.resolve()
    seen: set[Path] = set()
    for here, folders, names in os.walk(root, onerror=refuse_unreadable):
        folders.sort()
        for name in folders:
            aside.takes(Path(here, name), root)  # links to folders below are walked as these
        for name in sorted(names):
            if name == COMPLETION_RECORD:
                continue  # of an earlier version, beside the slices of a series that it wrote
            path = Path(here, name)
            if aside.takes(path, root):
                continue
            path = Path(os.path.realpath(path))
            if path not in seen:
                seen.add(path)
                yield path


def refuse_linked(found: Found, files: list[DicomFile], *, where: Path) -> None:
    """Refuse a series of which links out of the folder, or links that lead nowhere, are a part.

    Raises
    ------
    InputRefused
        Naming the links. A link that leads nowhere counts if it is named as the slices are.
    """
    uid, endings = series_uid(files[0]), {ending(file.path) for file in files}
    missing = [path for path in found.dead_links if ending(path) in endings]
    missing += [path for path in found.links_out if uid in series_behind(path)]
    if missing:
        raise InputRefused(
            f"{where}: {len(missing)} of its files may be slices of the series, and are links that "
            f"lead nowhere or out of the folder ({named(missing)})",
            rule="a series is read whole",
            remedy="put the files in place of the links (cp -L), or take the links out",
        )


def load_image(path: Path) -> DicomFile | None:
    """The header of a DICOM image; None for any other file.

    Raises
    ------
    InputRefused
        If it is DICOM, but cannot be read.
    """
    file = load_header(path)
    return file if file is not None and is_image(file) else None


def series_behind(link: Path) -> set[str]:
    """The SeriesInstanceUIDs of the DICOM images that a link leads to."""
    return {series_uid(file) for file in _images(files_behind(link))}


def ending(path: Path) -> str:
    """How the name of a DICOM file ends; nothing where that is a number, as of UIDs."""
    return "" if path.suffix[1:].isdigit() else path.suffix.lower()


def _images(paths: Iterable[Path]) -> Iterable[DicomFile]:
    for path in paths:
        try:
            if (file := load_image(path)) is not None:
                yield file
        except (InputRefused, OSError):
            continue
