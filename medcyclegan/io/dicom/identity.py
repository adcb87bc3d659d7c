"""Whether two DICOM files are one image: by patient and pixels, and never by a UID alone.

UIDs are unique by their definition, and not always in fact: phantoms, anonymisers and hand-made
exports give two patients the same.
"""

from __future__ import annotations

import filecmp

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.frames import views_of
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.pixels import layouts_of, read_voxels, unit_of
from medcyclegan.io.dicom.values import text

_PATIENT = ("PatientID", "PatientName", "PatientBirthDate")
PATIENT_PARTS = len(_PATIENT)
_PLACE = ("ImagePositionPatient", "ImageOrientationPatient")


def patient_of(file: DicomFile) -> tuple[str, ...]:
    """What tells the patient of a file: ID, name and date of birth, in capitals.

    Raises
    ------
    InputRefused
        If one of them cannot be decoded.
    """
    said = (text(file.header, keyword, file.path) for keyword in _PATIENT)
    return tuple(value.upper().rstrip("^= ") for value in said)


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
    return "" if _same_pixels(first, other) else "the pixels"


def _same_pixels(first: DicomFile, other: DicomFile) -> bool:
    try:
        return np.array_equal(_values(first), _values(other))
    except InputRefused:
        return False


def _values(file: DicomFile) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    views = views_of(file)
    modality = text(file.header, "Modality", file.path)
    unit, _ = unit_of(views, modality)
    voxels, _ = read_voxels(views, layouts_of(views), modality=modality, unit=unit)
    return voxels
