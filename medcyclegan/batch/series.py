"""DICOM series, from the headers of their files: what they show, and which are not translated."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.sequence import contrast_of_series, is_derived, why_not
from medcyclegan.batch.words import is_contrast_enhanced
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.find import series_uid
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.values import numbers, text, whole

# Fewer slices than this do not make a head, at the thickest slices in use (about 10 mm).
FEWEST_SLICES = 10
_AXIAL, _SAGITTAL, _CORONAL = 0, 1, 2


@dataclass
class _Series:
    """What the files of one series have in common, and how many slices they are."""

    first: DicomFile
    study: str
    files: list[Path] = field(default_factory=list)
    slices: int = 0
    homes: dict[str, Path] = field(default_factory=dict)  # folders by SOPInstanceUID


class SeriesCollector:
    """Takes the headers of DICOM images file by file, and keeps one a series.

    Parameters
    ----------
    modality:
        The DICOM term of what is translated.
    """

    def __init__(self, modality: str) -> None:
        self._modality = modality
        self._series: dict[str, _Series] = {}
        self._damaged: dict[Path, str] = {}
        self._copies: dict[Path, Path] = {}

    def add(self, path: Path, file: DicomFile) -> None:
        """Add a file; ``path`` is relative to the tree.

        Raises InputRefused if it is cut off before it tells its series.
        """
        uid = series_uid(file)
        if not uid and file.pixel_offset is None:
            raise InputRefused("it tells no series and has no pixel data")
        study = "\\".join(
            (text(file.header, "StudyInstanceUID", path), text(file.header, "PatientID", path))
        )
        frames = whole(file.header, "NumberOfFrames", path, default=1)
        series = self._series.setdefault(uid or str(path), _Series(file, study))
        home = series.homes.setdefault(text(file.header, "SOPInstanceUID", path), path.parent)
        if home != path.parent:
            self._copies.setdefault(path.parent, home)
            return
        series.files.append(path)
        series.slices += frames

    def add_damaged(self, path: Path, error: Exception) -> None:
        """Note a file that may be a slice of any series in its folder."""
        reason = getattr(error, "found", None) or getattr(error, "strerror", "") or "unreadable"
        self._damaged.setdefault(path.parent, f"{path} cannot be read as DICOM ({_short(reason)})")

    def candidates(self) -> list[Candidate]:
        """Return all series, and the folders that hold nothing but damaged files."""
        holders = Counter(folder for s in self._series.values() for folder in _folders(s))
        found = [self._candidate(uid, s, holders) for uid, s in self._series.items()]
        bare = self._damaged.keys() - holders.keys()
        damaged = [
            Candidate(folder, (), "", (str(folder),), refused=self._damaged[folder])
            for folder in bare
        ]
        copies = [
            Candidate(folder, (), "", (str(folder),), aside=f"copies of the images in {home}")
            for folder, home in self._copies.items()
        ]
        return found + damaged + copies

    def _candidate(self, uid: str, series: _Series, holders: Counter[Path]) -> Candidate:
        folders = _folders(series)
        source = Path(os.path.commonpath(folders))
        damaged = [self._damaged[folder] for folder in sorted(folders) if folder in self._damaged]
        refused = damaged[0] + "; it might be a slice of the series" if damaged else ""
        is_alone = len(folders) == 1 and holders[source] == 1
        number = _number_of(series)
        try:
            found = self._described(uid, series, source)
        except InputRefused as error:
            found = Candidate(source, tuple(sorted(series.files)), "", (series.study,))
            refused = refused or _short(error.found)
        values = {**vars(found), "series_uid": uid, "refused": refused}
        return Candidate(**{**values, "series_name": "" if is_alone else f"series{number}"})

    def _described(self, uid: str, series: _Series, source: Path) -> Candidate:
        """Fill in what the first header tells; raises InputRefused where it cannot be decoded."""
        header, path = series.first.header, series.first.path
        label = text(header, "SeriesDescription", path) or text(header, "ProtocolName", path)
        modality = text(header, "Modality", path)
        is_other = modality != self._modality
        aside = f"{modality or 'no modality'}; {self._modality} is asked for" if is_other else ""
        if not is_other:
            aside = why_not(series.first, label)
        if not aside and series.slices < FEWEST_SLICES:
            aside = f"{series.slices} slices; fewer than {FEWEST_SLICES} do not make a head"
        contrast = contrast_of_series(series.first, label) if self._modality == "MR" else "other"
        return Candidate(
            source=source,
            files=tuple(sorted(series.files)),
            label=label,
            group=(series.study,),
            contrast=contrast,
            order=_order(series, label),
            aside=aside,
            aside_unless_named=not is_other,
        )


def _folders(series: _Series) -> set[Path]:
    return {path.parent for path in series.files}


def _number_of(series: _Series) -> int:
    try:
        return whole(series.first.header, "SeriesNumber", series.first.path, default=0)
    except InputRefused:
        return 0


def _order(series: _Series, label: str) -> tuple[float, ...]:
    """Original first, then without contrast agent, 3D, axial, many slices, low series number."""
    header, path = series.first.header, series.first.path
    enhanced = is_contrast_enhanced(label) or bool(text(header, "ContrastBolusAgent", path))
    is_3d = text(header, "MRAcquisitionType", path) == "3D"
    plane = _AXIAL if is_3d else _plane(numbers(header, "ImageOrientationPatient", path))
    derived = is_derived(series.first)
    return (
        float(derived),
        float(enhanced),
        float(not is_3d),
        float(plane),
        -series.slices,
        _number_of(series),
    )


def _plane(cosines: tuple[float, ...]) -> int:
    if len(cosines) != 6:
        return _AXIAL  # an enhanced object has it frame by frame
    normal = np.abs(np.cross(cosines[:3], cosines[3:]))
    return (_SAGITTAL, _CORONAL, _AXIAL)[int(normal.argmax())]


def _short(reason: str) -> str:
    """The reason without the path that it may begin with."""
    return reason.split(": ", 1)[-1] if ": " in reason else reason.rsplit("/", 1)[-1]
