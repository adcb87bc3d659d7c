"""DICOM series of a batch: what they show, and which are not translated."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medcyclegan.core.task import BodyPart
from medcyclegan.core.text import counted
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.api import (
    PATIENT_PARTS,
    DicomFile,
    difference,
    ending,
    is_made_from_an_image,
    load_header,
    number,
    numbers,
    patient_of,
    series_uid,
    text,
    whole,
)
from medcyclegan.io.discover import named
from medcyclegan.workflow.batch.candidate import (
    SYNTHETIC_BY_HEADER,
    Candidate,
    Contrast,
    contrast_of,
    is_contrast_enhanced,
    why_no_anatomy,
)
from medcyclegan.workflow.batch.visits import Visitor, lacks_uids, told_apart, visitor_of

# Words of ImageType (PS3.3 C.8.3.1.1.1 and what vendors add) for anything but a plain image.
_LOCALIZERS = {"LOCALIZER", "SCOUT"}
_MAPS = {
    "ADC", "FA", "TRACEW", "DIFFUSION", "PHASE", "PHASE MAP", "PHASE_MAP", "P",
    "PROJECTION IMAGE",
    "MIP", "MIN IP", "SUBTRACTION", "PERFUSION", "RCBV", "CBF", "CBV", "MTT", "TTP",
    "CSA REPORT", "T1 MAP",
    "T2 MAP", "T2_STAR MAP", "VELOCITY", "FIELD_MAP", "FMRI", "ASL", "MOSAIC",
}  # fmt: skip
# Timing in ms that parts the usual contrasts, as textbooks give them for 1.5 and 3 T.
_LONG_TE_MS, _SHORT_TE_MS = 60.0, 30.0
_LONG_TR_MS, _FLAIR_TI_MS = 1500.0, 1600.0


def why_not(file: DicomFile, label: str, types: set[str]) -> str:
    """Why a series is set aside: localizer, map, echo-planar; empty if nothing speaks against it.

    ``types`` are the values of ImageType in all of its files. A localizer or map among the slices
    of a volume makes it a mixture, which is refused by name.

    Raises
    ------
    InputRefused
        If an attribute cannot be decoded.
    """
    if is_made_from_an_image(file):
        return SYNTHETIC_BY_HEADER
    by_type = [_why_not_type(values) for values in sorted(types)]
    if all(by_type):
        return by_type[0]
    if "EP" in text(file.header, "ScanningSequence", file.path).split("\\"):
        return "echo-planar, by ScanningSequence"
    return why_no_anatomy(label)


def _why_not_type(image_type: str) -> str:
    values = set(image_type.upper().split("\\"))
    if _LOCALIZERS & values:
        return "a localizer, by ImageType"
    if _MAPS & values:
        return f"a derived map or functional series, by ImageType ({sorted(_MAPS & values)[0]})"
    return ""


def is_derived(file: DicomFile) -> bool:
    """Whether the images were computed from others, reformatted as a rule, by ImageType."""
    return text(file.header, "ImageType", file.path).upper().startswith("DERIVED")


def contrast_of_series(file: DicomFile, label: str) -> Contrast:
    """The contrast by description, or else by the times of echo, repetition and inversion."""
    told = contrast_of(label)
    if told != "other":
        return told
    echo_ms = number(file.header, "EchoTime", file.path)
    repetition_ms = number(file.header, "RepetitionTime", file.path)
    inversion_ms = number(file.header, "InversionTime", file.path) or 0.0
    if echo_ms is None or repetition_ms is None:
        return "other"
    if echo_ms >= _LONG_TE_MS:
        return "FLAIR" if inversion_ms >= _FLAIR_TI_MS else "T2w"
    if echo_ms > _SHORT_TE_MS:
        return "other"
    return "T1w" if repetition_ms < _LONG_TR_MS or inversion_ms > 0.0 else "PDw"


_AXIAL, _SAGITTAL, _CORONAL = 0, 1, 2


# A series: its UID and whose it is, as two patients may have the same UID; and the folder, of a
# second series of both that holds other images.
_Key = tuple[str, ...]


@dataclass
class _Series:
    """What the files of one series have in common, and how many slices they are.

    ``images`` has the first file of each SOPInstanceUID, relative to the tree; ``modalities`` and
    ``types`` (ImageType) are those of all files.
    """

    first: DicomFile
    visitor: Visitor
    uid: str
    files: list[Path] = field(default_factory=list)
    slices: int = 0
    images: dict[str, Path] = field(default_factory=dict)
    modalities: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)


class SeriesCollector:
    """Takes the headers of DICOM images file by file, and keeps one a series.

    Parameters
    ----------
    root:
        The tree.
    modality:
        The DICOM term of what is translated.
    part:
        What a series is to show, in enough slices.
    """

    def __init__(self, root: Path, modality: str, part: BodyPart) -> None:
        self._root = root
        self._modality = modality
        self._part = part
        self._series: dict[_Key, _Series] = {}
        self._damaged: dict[Path, str] = {}
        self._copies: dict[Path, tuple[Path, int]] = {}
        self._linked: dict[str, list[Path]] = {}
        self._nameless: dict[tuple[Path, str], int] = {}

    def add(self, path: Path, file: DicomFile) -> None:
        """Add a file; ``path`` is relative to the tree.

        Raises InputRefused if it is cut off before it tells its series.
        """
        uid = series_uid(file)
        if not uid and file.pixel_offset is None:
            raise InputRefused("it tells no series and has no pixel data")
        if not uid:  # nothing says which of these files make up a series
            place = (path.parent, text(file.header, "Modality", path))
            self._nameless[place] = self._nameless.get(place, 0) + 1
            return
        key = (uid, *patient_of(file))
        series = self._of(key, path, file)
        image = text(file.header, "SOPInstanceUID", path)
        first = series.images.setdefault(image, path)
        if first.parent != path.parent:
            if self._is_copy(first, file):
                home, count = self._copies.get(path.parent, (first.parent, 0))
                self._copies[path.parent] = (home, count + 1)
                return
            series = self._of((*key, str(path.parent)), path, file)
        series.files.append(path)
        series.modalities.add(text(file.header, "Modality", path))
        series.types.add(text(file.header, "ImageType", path))
        series.slices += whole(file.header, "NumberOfFrames", path, default=1)

    def _of(self, key: _Key, path: Path, file: DicomFile) -> _Series:
        if key not in self._series:
            self._series[key] = _Series(file, visitor_of(file), key[0])
        return self._series[key]

    def _is_copy(self, first: Path, file: DicomFile) -> bool:
        """Whether a file holds the image of another with its UID: of one patient, pixel by pixel.

        A first file that can no longer be read has no copies.
        """
        before = load_header(self._root / first)
        return before is not None and not difference(before, file)

    def add_damaged(self, path: Path, error: Exception) -> None:
        """Note a file that may be a slice of any series in its folder."""
        reason = getattr(error, "found", None) or getattr(error, "strerror", "") or "unreadable"
        self._damaged.setdefault(path.parent, f"{path} cannot be read as DICOM ({_short(reason)})")

    def add_linked(self, link: Path, uids: set[str]) -> None:
        """Note a link out of the tree behind which there are images of these series."""
        for uid in uids:
            self._linked.setdefault(uid, []).append(link)

    def add_dead_links(self, folder: Path, links: list[Path]) -> list[Path]:
        """Note links that lead nowhere, which may be slices; return those that cannot be.

        A slice is named as the others of its folder are.
        """
        beside = [p for s in self._series.values() for p in s.files if p.parent == folder]
        endings = {ending(path) for path in beside}
        slices = [link for link in links if ending(link) in endings]
        if slices:
            said = f"{len(slices)} files of {folder} are links that lead nowhere ({named(slices)})"
            self._damaged.setdefault(folder, said)
        return [link for link in links if link not in slices]

    def candidates(self) -> list[Candidate]:
        """Return all series, and the folders that hold nothing but damaged files."""
        holders = Counter(folder for s in self._series.values() for folder in _folders(s))
        found = told_apart(
            [(self._candidate(key, s, holders), s.visitor) for key, s in self._series.items()]
        )
        bare = self._damaged.keys() - holders.keys()
        damaged = [
            Candidate(folder, (), "", (str(folder),), refused=self._damaged[folder])
            for folder in bare
        ]
        copies = [
            Candidate(folder, (), "", (str(folder),), aside=_copies_said(home, count))
            for folder, (home, count) in self._copies.items()
        ]
        known = {series.uid for series in self._series.values()}
        links = [_of_links(links) for uid, links in self._linked.items() if uid not in known]
        return found + damaged + copies + links + self._without_uid()

    def _without_uid(self) -> list[Candidate]:
        """The files without a SeriesInstanceUID, all of a folder and modality as one."""
        return [
            Candidate(
                folder,
                (),
                "",
                (str(folder), "no UID", modality),
                aside=self._other_said(modality) if modality != self._modality else "",
                refused=_nameless_said(count),
            )
            for (folder, modality), count in self._nameless.items()
        ]

    def _other_said(self, modality: str) -> str:
        return f"{modality or 'no modality'}; {self._modality} is asked for"

    def _candidate(self, key: _Key, series: _Series, holders: Counter[Path]) -> Candidate:
        folders = _folders(series)
        source = Path(os.path.commonpath(folders))
        shared = self._uid_of_two(key, series)
        refused = shared or self._why_refused(series)
        is_alone = len(folders) == 1 and holders[source] == 1
        number = _number_of(series)
        try:
            # half of a mixed series is too few slices by that alone: the mixture is what to tell
            found = self._described(series, source, may_be_short=bool(shared))
        except InputRefused as error:
            found = Candidate(source, tuple(sorted(series.files)), "", series.visitor.study)
            refused = refused or _short(error.found)
        told = {"series_uid": series.uid, "refused": refused, "no_dicom": lacks_uids(series.first)}
        values = {**vars(found), **told}
        return Candidate(**{**values, "series_name": "" if is_alone else f"series{number}"})

    def _uid_of_two(self, key: _Key, series: _Series) -> str:
        """Why a UID names no series: images of another patient, or other images, have it too."""
        others = [
            (other, s) for other, s in self._series.items() if s.uid == series.uid and other != key
        ]
        if not others:
            return ""
        other, twin = others[0]
        is_same = other[: 1 + PATIENT_PARTS] == key[: 1 + PATIENT_PARTS]
        whose = "the same patient with other pixels" if is_same else "another patient"
        return (
            f"its SeriesInstanceUID is that of {os.path.commonpath(_folders(twin))} too, of "
            f"{whose}; a UID names one series: export one of them again, or convert them apart"
        )

    def _why_refused(self, series: _Series) -> str:
        """Why a series cannot be vouched for: slices that are links, damage."""
        links = self._linked.get(series.uid)
        if links:
            return (
                f"{len(links)} of its files are links out of the folder of the inputs "
                f"({named(links)}); put the files in their place (cp -L)"
            )
        if len(series.modalities) > 1 and self._modality in series.modalities:
            found = " and ".join(sorted(name or "no modality" for name in series.modalities))
            return (
                f"its images are of several modalities ({found}); put those of one into a folder "
                "of their own"
            )
        damaged = [self._damaged[f] for f in sorted(_folders(series)) if f in self._damaged]
        return damaged[0] + "; it might be a slice of the series" if damaged else ""

    def _described(self, series: _Series, source: Path, *, may_be_short: bool) -> Candidate:
        """Fill in what the first header tells; raises InputRefused where it cannot be decoded."""
        header, path = series.first.header, series.first.path
        label = text(header, "SeriesDescription", path) or text(header, "ProtocolName", path)
        modality = text(header, "Modality", path)
        is_other = self._modality not in series.modalities
        aside = self._other_said(modality) if is_other else ""
        if not is_other and len(series.modalities) == 1:
            aside = why_not(series.first, label, series.types)
        part = self._part
        if not aside and not may_be_short and series.slices < part.least_slices:
            found = counted(series.slices, "slice")
            aside = f"{found}; fewer than {part.least_slices} do not make {part.one}"
        contrast = contrast_of_series(series.first, label) if self._modality == "MR" else "other"
        return Candidate(
            source=source,
            files=tuple(sorted(series.files)),
            label=label,
            group=series.visitor.study,
            contrast=contrast,
            order=_order(series, label),
            aside=aside,
            aside_unless_named=not is_other,
        )


def _nameless_said(count: int) -> str:
    return (
        f"{counted(count, 'file')} without SeriesInstanceUID, so that nothing says which of them "
        "make up a series; export them again with one, or convert them with dcm2niix and give NIfTI"
    )


def _copies_said(home: Path, count: int) -> str:
    return f"copies of the images in {home} ({count}, of the same patient and pixels)"


def _of_links(links: list[Path]) -> Candidate:
    """A series all of whose files are links out of the tree."""
    folder = links[0].parent
    why = f"links out of the folder of the inputs: {len(links)} ({named(links)}); give that folder"
    return Candidate(folder, (), "", (str(folder),), refused=why)


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
