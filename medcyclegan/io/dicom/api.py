"""Public face of io.dicom: all that packages outside io use of it."""

from __future__ import annotations

from medcyclegan.io.dicom.attribute_access import number, numbers, text, whole
from medcyclegan.io.dicom.deidentify import NO_DATE, Deidentifier
from medcyclegan.io.dicom.derive import Derivation, DerivedSeries, derive_map, derive_series
from medcyclegan.io.dicom.find import ending, is_image, load_image, series_behind, series_uid
from medcyclegan.io.dicom.header import DicomFile, load_header
from medcyclegan.io.dicom.kinds import KindName
from medcyclegan.io.dicom.maps import is_made_by_a_program, is_made_from_an_image
from medcyclegan.io.dicom.parametric_map import (
    MapMaker,
    MapMeaning,
    MapSource,
    ensure_highdicom,
    write_map,
)
from medcyclegan.io.dicom.radiograph import is_radiograph
from medcyclegan.io.dicom.read import is_dicom, read_dicom, read_files, read_headers, read_series
from medcyclegan.io.dicom.series import PATIENT_PARTS, difference, patient_of
from medcyclegan.io.dicom.write import write_dicom_ct, write_dicom_mr

__all__ = [
    "NO_DATE",
    "PATIENT_PARTS",
    "Deidentifier",
    "Derivation",
    "DerivedSeries",
    "DicomFile",
    "KindName",
    "MapMaker",
    "MapMeaning",
    "MapSource",
    "derive_map",
    "derive_series",
    "difference",
    "ending",
    "ensure_highdicom",
    "is_dicom",
    "is_image",
    "is_made_by_a_program",
    "is_made_from_an_image",
    "is_radiograph",
    "load_header",
    "load_image",
    "number",
    "numbers",
    "patient_of",
    "read_dicom",
    "read_files",
    "read_headers",
    "read_series",
    "series_behind",
    "series_uid",
    "text",
    "whole",
    "write_dicom_ct",
    "write_dicom_mr",
    "write_map",
]
