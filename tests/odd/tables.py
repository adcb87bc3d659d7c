"""All tables of odd inputs, in the order of the page."""

from __future__ import annotations

from tests.odd import nifti_damaged, nifti_read

FAMILIES = (
    nifti_damaged.FAMILY,
    nifti_read.FAMILY,
)
