"""All tables of odd inputs, in the order of the page."""

from __future__ import annotations

from tests.odd import dicom_files, dicom_series, itk, nifti_damaged, nifti_read, outside

FAMILIES = (
    nifti_damaged.FAMILY,
    nifti_read.FAMILY,
    dicom_series.FAMILY,
    dicom_files.FAMILY,
    itk.FAMILY,
    outside.FAMILY,
)
