"""Public face of io.dicom: all that packages outside io use of it."""

from __future__ import annotations

from medcyclegan.io.dicom.attribute_access import number, numbers, quiet, text, whole
from medcyclegan.io.dicom.deidentify import NO_DATE, Deidentifier
from medcyclegan.io.dicom.derive import (
    Derivation,
    DerivedSeries,
    derive_map,
    derive_series,
    join_source,
)
from medcyclegan.io.dicom.derived_attributes import PLANE
from medcyclegan.io.dicom.find import ending, is_image, series_behind, series_uid
from medcyclegan.io.dicom.header import DicomFile, dicom_start, load_header
from medcyclegan.io.dicom.kinds import KindName
from medcyclegan.io.dicom.radiograph import is_radiograph
from medcyclegan.io.dicom.read import is_dicom, read_dicom, read_files, read_series
from medcyclegan.io.dicom.series import PATIENT_PARTS, difference, patient_of
from medcyclegan.io.dicom.vr_validation import LONG_STRING, copy_required, refuse_invalid
from medcyclegan.io.dicom.write import write_dicom_ct, write_dicom_mr

__all__ = [
    "LONG_STRING",
    "NO_DATE",
    "PATIENT_PARTS",
    "PLANE",
    "Deidentifier",
    "Derivation",
    "DerivedSeries",
    "DicomFile",
    "KindName",
    "copy_required",
    "derive_map",
    "derive_series",
    "dicom_start",
    "difference",
    "ending",
    "is_dicom",
    "is_image",
    "is_radiograph",
    "join_source",
    "load_header",
    "number",
    "numbers",
    "patient_of",
    "quiet",
    "read_dicom",
    "read_files",
    "read_series",
    "refuse_invalid",
    "series_behind",
    "series_uid",
    "text",
    "whole",
    "write_dicom_ct",
    "write_dicom_mr",
]
