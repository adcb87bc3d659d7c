"""Images that stand alone: pictures in files, and radiographs in DICOM, one candidate each."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.files import is_image_name
from medcyclegan.batch.linked import why_not_followed
from medcyclegan.batch.words import why_no_input, why_synthetic
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.find import series_uid
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.radiograph import is_radiograph
from medcyclegan.io.dicom.values import text

# Names of DICOM files, and of folders, have any ending or none.
_MAY_BE_DICOM = ("", ".dcm", ".ima")
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def is_picture_name(name: str) -> bool:
    """Whether a file is a picture by its name's ending."""
    return name.lower().endswith(_PICTURES)


def candidate_of_picture(folder: Path, name: str, modality: str) -> Candidate:
    """Describe the picture ``folder / name``, by its name alone."""
    path = folder / name
    aside = why_no_input(path.stem, modality=modality)
    return Candidate(path, (path,), path.stem, (str(path),), aside=aside)


class RadiographCollector:
    """Takes the headers of DICOM images file by file; each radiograph is a candidate of its own.

    Files that cannot be read are refused one by one, and images of other kinds counted in
    ``passed_over``.
    """

    def __init__(self, root: Path, passed_over: Counter[str]) -> None:
        self._root = root
        self._passed_over = passed_over
        self._found: list[Candidate] = []

    def add(self, path: Path, file: DicomFile) -> None:
        """Add a file; ``path`` is relative to the tree. Raises InputRefused if it is damaged."""
        if file.pixel_offset is None:
            raise InputRefused("it is cut off before its pixel data")
        if not is_radiograph(file):
            modality = text(file.header, "Modality", path) or "no modality"
            self._passed_over[f"DICOM of {modality}, no radiographs"] += 1
            return
        label = text(file.header, "SeriesDescription", path)
        uid = series_uid(file) or str(path)
        aside = why_synthetic(label)
        self._found.append(
            Candidate(path, (path,), label, (str(path),), series_uid=uid, aside=aside)
        )

    def add_damaged(self, path: Path, error: Exception) -> None:
        """Note a file that begins as DICOM and cannot be read."""
        reason = getattr(error, "found", None) or getattr(error, "strerror", "") or "unreadable"
        why = f"it cannot be read as DICOM ({str(reason).rsplit(': ', 1)[-1]})"
        self._found.append(Candidate(path, (path,), "", (str(path),), refused=why))

    def add_links(self, links: list[Path]) -> None:
        """Refuse links that are not followed, where an image may be behind them; count others."""
        for link in links:
            may_be = is_image_name(link.name) or is_picture_name(link.name)
            if may_be or link.suffix.lower() in _MAY_BE_DICOM:
                why = why_not_followed(self._root / link)
                self._found.append(Candidate(link, (), "", (str(link),), refused=why))
            else:
                self._passed_over["links that are no images"] += 1

    def candidates(self) -> list[Candidate]:
        """Return what was added."""
        return self._found
