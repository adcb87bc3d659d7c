"""Do the slices of a series belong together?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import FloatArray
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.geometry import ORIENTATION_TOLERANCE, orientation, pixel_spacing
from medcyclegan.io.dicom.values import shown, text

# Pixel spacings may differ by this much, relative: 0.03 pixels over a row of 256.
PIXEL_SPACING_TOLERANCE_RELATIVE = 1e-4

# Attributes that must be equal in all slices: keyword, what to call it, whether messages may show
# the value. A patient's may not.
_EQUAL = (
    ("PatientID", "patient", False),
    ("PatientName", "patient", False),
    ("PatientBirthDate", "patient", False),
    ("StudyInstanceUID", "study", True),
    ("FrameOfReferenceUID", "frame of reference", True),
    ("Modality", "modality", True),
    ("Rows", "matrix", True),
    ("Columns", "matrix", True),
    ("StackID", "stack", True),
)


def check_alike(views: Sequence[SliceView]) -> None:
    """Check that slices share patient, study, frame of reference, matrix, spacing, orientation.

    Raises
    ------
    InputRefused
        Naming the first file that differs; never a patient's name or ID.
    """
    for keyword, what, may_show in _EQUAL:
        _check_equal(views, keyword, what, may_show)
    _check_close(views, orientation, "orientation (cosines)", ORIENTATION_TOLERANCE)
    spacing_mm = float(pixel_spacing(views[0]).min())
    allowed_mm = PIXEL_SPACING_TOLERANCE_RELATIVE * spacing_mm
    _check_close(views, pixel_spacing, "pixel spacing (mm)", allowed_mm)


def _check_equal(views: Sequence[SliceView], keyword: str, what: str, may_show: bool) -> None:
    first = text(views[0].dataset, keyword, views[0].path)
    for view in views[1:]:
        other = text(view.dataset, keyword, view.path)
        if other != first:
            values = f": {shown(first)} and {shown(other)}" if may_show else ""
            raise InputRefused(
                f"{views[0].name} and {view.name} differ in {keyword}{values}",
                rule=f"all slices of a volume share one {what}",
                remedy="sort the files by series into folders of their own",
            )


def _check_close(
    views: Sequence[SliceView],
    values_of: Callable[[SliceView], FloatArray],
    what: str,
    tolerance: float,
) -> None:
    first = values_of(views[0])
    for view in views[1:]:
        other = values_of(view)
        if np.abs(other - first).max() > tolerance:
            raise InputRefused(
                f"{views[0].name} and {view.name} differ in {what}: "
                f"{first.tolist()} and {other.tolist()}",
                rule=f"all slices of a volume share it within {tolerance:.2g}",
                remedy="give a series of parallel slices of one kind (no localizer)",
            )
