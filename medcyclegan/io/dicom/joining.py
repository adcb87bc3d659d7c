"""Which patient, study, space and number a derived series has: its source's, as far as there is."""

from __future__ import annotations

from collections.abc import Callable

from pydicom import Dataset

from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.common import blank_identity
from medcyclegan.io.dicom.source import (
    derived_series_number,
    equipment_of,
    identity_of,
    pixel_history_of,
)


def join_source(source: Dataset, geometry: Geometry, new_uid: Callable[[], str]) -> Dataset:
    """Return patient, study, scanner and space of ``source``, a slice of a DICOM series."""
    ds = identity_of(source)
    ds.update(pixel_history_of(source))
    ds.update(equipment_of(source))
    ds.FrameOfReferenceUID = (
        source.get("FrameOfReferenceUID") or geometry.frame_of_reference_uid or new_uid()
    )
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
