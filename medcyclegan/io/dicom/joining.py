"""Which patient, study, space and number a derived series has: its source's, as far as there is."""

from __future__ import annotations

from collections.abc import Callable

from pydicom import Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.common import blank_identity
from medcyclegan.io.dicom.copies import copy_required
from medcyclegan.io.dicom.kinds import Kind
from medcyclegan.io.dicom.source import (
    derived_series_number,
    equipment_of,
    identity_of,
    pixel_history_of,
)
from medcyclegan.io.scan import DicomPassport, Passport, PlanePassport


def join_source(source: Dataset, geometry: Geometry, new_uid: Callable[[], str]) -> Dataset:
    """Return patient, study, scanner and space of ``source``, a slice of a DICOM series."""
    ds = identity_of(source)
    ds.update(pixel_history_of(source))
    ds.update(equipment_of(source))
    ds.update(copy_required(source, ("FrameOfReferenceUID",)))
    if not ds.get("FrameOfReferenceUID"):
        ds.FrameOfReferenceUID = geometry.frame_of_reference_uid or new_uid()
    ds.SeriesNumber = derived_series_number(source)
    return ds


def stand_alone(geometry: Geometry, new_uid: Callable[[], str]) -> Dataset:
    """Return blanks for patient and study, and a study and space of one's own."""
    ds = blank_identity()
    ds.StudyInstanceUID = new_uid()
    ds.FrameOfReferenceUID = geometry.frame_of_reference_uid or new_uid()
    ds.update(pixel_history_of(Dataset()))
    ds.Laterality = ""
    ds.SeriesNumber = derived_series_number(Dataset())
    return ds


def has_place(passport: Passport) -> bool:
    """Whether the source lies in space; pictures and radiographs do not."""
    if isinstance(passport, DicomPassport):
        return "ImagePositionPatient" in passport.slices[0]
    return not isinstance(passport, PlanePassport)


def without_place(ds: Dataset, kind: Kind) -> None:
    """Take out of ``ds`` what only images that lie in space have.

    Raises
    ------
    InputRefused
        If ``kind`` needs a place.
    """
    if kind.needs_place:
        raise InputRefused(
            "The source has no place in space, as pictures and radiographs have none",
            rule=f"a DICOM series of {kind.prefix} needs one",
            remedy="write NIfTI, PNG or TIFF",
        )
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"):
        if keyword in ds:
            delattr(ds, keyword)
