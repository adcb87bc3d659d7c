"""Choice of one series, and of one file where an image is there twice.

Whether two DICOM files are one image: by patient and pixels, and never by a UID alone.
UIDs are unique by their definition, and not always in fact: phantoms, anonymisers and hand-made
exports give two patients the same.
"""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
from pydicom import Dataset

from medcyclegan.core.task import RADIOGRAPHS, fits_modality
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import shown, text, whole
from medcyclegan.io.dicom.find import Found
from medcyclegan.io.dicom.frames import views_of
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.pixels import layouts_of, read_voxels, unit_of

PATIENT = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate")
PATIENT_PARTS = len(PATIENT)
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient")


def patient_of(file: DicomFile) -> tuple[str, ...]:
    """What tells the patient of a file: ID, its issuer, name, birth, as ``patient_named`` has them.

    Raises
    ------
    InputRefused
        If one of them cannot be decoded.
    """
    return patient_named(file.header, file.path)


def patient_named(header: Dataset, path: Path) -> tuple[str, ...]:
    """ID, issuer, name and date of birth of a header, equal for one patient: the one rule for all.

    Two hospitals may give one ID to two patients: its issuer tells them apart. Capitals and empty
    components of a name say nothing (PS3.5 6.2.1): ``Doe^Jane^^^`` is ``DOE^Jane``. An ID counts
    letter for letter.
    """
    number, issuer, name, born = (text(header, keyword, path) for keyword in PATIENT)
    groups = ("^".join(map(str.strip, group.split("^"))).rstrip("^") for group in name.split("="))
    return number, issuer, "=".join(groups).rstrip("=").upper(), born


def difference(first: DicomFile, other: DicomFile) -> str:
    """Return what tells two files of one SOPInstanceUID apart; nothing if they are one image.

    The same image may be stored in two transfer syntaxes, so pixels are compared as values.
    """
    if filecmp.cmp(first.path, other.path, shallow=False):
        return ""
    if patient_of(first) != patient_of(other):
        return "the patient"
    for keyword in _PLACE:
        ours, theirs = (text(file.header, keyword, file.path) for file in (first, other))
        if ours != theirs:
            return "the position"
    try:
        return "" if np.array_equal(_values(first), _values(other)) else "the pixels"
    except InputRefused as error:
        return f"pixels that can be read ({error.found})"


def _values(file: DicomFile) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    views = views_of(file)
    modality = text(file.header, "Modality", file.path)
    unit, _ = unit_of(views, modality)
    voxels, _ = read_voxels(views, layouts_of(views), modality=modality, unit=unit)
    return voxels


# A folder of one study has some ten series; longer lists do not help on a screen.
_MOST_LISTED = 20

Warnings = tuple[str, ...]
Series = dict[str, list[DicomFile]]


def choose_series(
    found: Found, *, series_uid: str | None, modality: str | None, where: str
) -> tuple[list[DicomFile], Warnings]:
    """Pick the files of one series.

    Parameters
    ----------
    found:
        What the folder holds.
    series_uid:
        The SeriesInstanceUID asked for; None if only one series may be there.
    modality:
        The DICOM modality asked for, as ``"MR"``; None for any.
    where:
        The path that messages name.

    Returns
    -------
    (its files, warnings that mention the series passed over)
    """
    fitting = {
        uid: files
        for uid, files in found.series.items()
        if any(fits_modality(term, modality) for term in modalities(files))
    }
    _check_choice(found, fitting, series_uid, modality, where)
    uid = series_uid if series_uid is not None else next(iter(fitting))
    others = len(found.series) - 1
    passed_over = (f"Other series in the folder were passed over: {others}.",) if others else ()
    return found.series[uid], passed_over


def _check_choice(
    found: Found, fitting: Series, series_uid: str | None, modality: str | None, where: str
) -> None:
    if not fitting:
        there = sorted({name for files in found.series.values() for name in modalities(files)})
        raise InputRefused(
            f"{where} holds images of modality {', '.join(map(shown, there))}, none of "
            f"{modality_text(modality)}",
            rule=f"this task takes {modality_text(modality)}",
            remedy=f"give an image of modality {modality_text(modality)}",
        )
    if series_uid is not None and series_uid not in fitting:
        raise InputRefused(
            f"{where} holds no {modality or 'image'} series {series_uid}. It holds:\n"
            + _listing(fitting),
            remedy="name one of these with --series",
        )
    if series_uid is None and _are_slices_apart(fitting):
        raise InputRefused(
            f"{where} holds {len(fitting)} {modality or 'image'} files, each with a "
            "SeriesInstanceUID of its own",
            rule="the slices of a series share their SeriesInstanceUID",
            remedy="export the series again with one, or convert the folder with dcm2niix and give "
            "the NIfTI file",
        )
    if series_uid is None and len(fitting) > 1:
        raise InputRefused(
            f"{where} holds {len(fitting)} {modality or 'image'} series:\n" + _listing(fitting),
            rule="one is translated at a time",
            remedy="name one of them with --series",
        )


def drop_duplicates(files: list[DicomFile]) -> tuple[list[DicomFile], Warnings]:
    """Keep one file of each SOP instance.

    Raises
    ------
    InputRefused
        If two files share a SOPInstanceUID but not patient, position and pixels: one would be
        lost.
    """
    kept: dict[str, DicomFile] = {}
    twice = 0
    for file in files:
        uid = text(file.header, "SOPInstanceUID", file.path) or str(file.path)
        first = kept.setdefault(uid, file)
        if first is file:
            continue
        twice += 1
        if what := difference(first, file):
            raise InputRefused(
                f"{first.path} and {file.path} share a SOPInstanceUID but not {what}",
                rule="a SOPInstanceUID names one image of one patient",
                remedy="take the wrong file out, or give the folder of one series at a time",
            )
    said = (f"Files that repeat a SOP instance were passed over: {twice}.",) if twice else ()
    return list(kept.values()), said


def modalities(files: list[DicomFile]) -> set[str]:
    """The modalities that the files name, empty text for none."""
    return {text(file.header, "Modality", file.path) for file in files}


def modality_text(modality: str | None) -> str:
    """A modality as headers have it: DICOM has no XR, and CR, DX and others for radiographs."""
    return " or ".join(sorted(RADIOGRAPHS)) if modality == "XR" else str(modality)


def _are_slices_apart(series: Series) -> bool:
    """Whether these are slices of one volume whose series was lost: many, and of one file each."""
    several = len(series) > _MOST_LISTED
    return several and all(len(files) == 1 and _frames(files[0]) == 1 for files in series.values())


def _frames(file: DicomFile) -> int:
    return whole(file.header, "NumberOfFrames", file.path, default=1)


def _listing(series: Series) -> str:
    lines = []
    for uid, files in sorted(series.items())[:_MOST_LISTED]:
        first = files[0]
        said = text(first.header, "SeriesDescription", first.path)
        description = shown(said or "no description", is_code=False)
        slices = sum(map(_frames, files))
        lines.append(f"  {shown(uid)} ({description}): {slices} slice{'' if slices == 1 else 's'}")
    if len(series) > _MOST_LISTED:
        lines.append(f"  and {len(series) - _MOST_LISTED} more: name a folder with fewer")
    return "\n".join(lines)
