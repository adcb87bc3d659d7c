"""Whether slices of a series are links that were not followed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.find import Found, is_image, series_uid
from medcyclegan.io.dicom.header import DicomFile, dicom_start, load_header
from medcyclegan.io.links import files_behind, named


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


def series_behind(link: Path) -> set[str]:
    """The SeriesInstanceUIDs of the DICOM images that a link leads to."""
    return {series_uid(file) for file in _images(files_behind(link))}


def ending(path: Path) -> str:
    """How the name of a DICOM file ends; nothing where that is a number, as of UIDs."""
    return "" if path.suffix[1:].isdigit() else path.suffix.lower()


def _images(paths: Iterable[Path]) -> Iterable[DicomFile]:
    for path in paths:
        try:
            has_prefix, looks_bare = dicom_start(path)
            file = load_header(path) if has_prefix or looks_bare else None
            if file is not None and is_image(file):
                yield file
        except (InputRefused, OSError):
            continue
