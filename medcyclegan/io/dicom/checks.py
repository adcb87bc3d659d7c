"""Do the slices of a series belong together?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import FloatArray
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.geometry import ORIENTATION_TOLERANCE, orientation, pixel_spacing
from medcyclegan.io.dicom.values import number, shown, text

# Echo times may differ by this much, relative: some sequences trim it slice by slice.
ECHO_TIME_TOLERANCE_RELATIVE = 0.01
# Pixel spacings may differ by this much, relative: 0.03 pixels over a row of 256.
PIXEL_SPACING_TOLERANCE_RELATIVE = 1e-4

# Attributes that must be equal in all slices: keyword, what to call it, whether messages may show
# the value. A patient's may not.
_EQUAL = (
    ("PatientID", "patient", False),
    ("PatientName", "patient", False),
    ("StudyInstanceUID", "study", True),
    ("FrameOfReferenceUID", "frame of reference", True),
    ("Modality", "modality", True),
    ("Rows", "matrix", True),
    ("Columns", "matrix", True),
    ("StackID", "stack", True),
)
_SEVERAL = (
    ("TemporalPositionIdentifier", "time points"),
    ("TemporalPositionIndex", "time points"),
    ("EchoNumbers", "echoes"),
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
    for keyword, what in _SEVERAL:
        _check_single(views, keyword, what)
    _check_echo_time(views, "EchoTime")
    _check_echo_time(views, "EffectiveEchoTime")


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


def _check_single(views: Sequence[SliceView], keyword: str, what: str) -> None:
    values = {text(view.dataset, keyword, view.path) for view in views}
    if len(values) > 1:
        _refuse_several(views[0], what, keyword, sorted(values))


def _check_echo_time(views: Sequence[SliceView], keyword: str) -> None:
    times_ms = [number(view.dataset, keyword, view.path) for view in views]
    known = [time for time in times_ms if time is not None]
    if known and max(known) - min(known) > ECHO_TIME_TOLERANCE_RELATIVE * max(known):
        _refuse_several(views[0], "echoes", keyword, [f"{t:g} ms" for t in sorted(set(known))])


def _refuse_several(view: SliceView, what: str, keyword: str, values: list[str]) -> None:
    some = ", ".join(shown(value) for value in values[:5])
    raise InputRefused(
        f"{view.path.parent} holds several {what} in one series ({keyword}: {some})",
        rule="a volume is one echo at one time",
        remedy="put the files of one of them into a folder of their own",
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
