"""Consistency of a series: slices of one kind that belong together.

Are the slices of a series images of one kind?
Magnitude and phase, echoes, b-values, the parts of a Dixon, contrast phases, kernels, derived
images beside original ones: scanners put them into one series, each at positions of its own too, so
that their places alone do not tell them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from medcyclegan.core.geometry import FloatArray
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import numbers, private_value, shown, text
from medcyclegan.io.dicom.find import is_multiframe
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.geometry import ORIENTATION_TOLERANCE, orientation, pixel_spacing
from medcyclegan.io.dicom.series import PATIENT, patient_named

# Pixel spacings may differ by this much, relative: 0.03 pixels over a row of 256.
PIXEL_SPACING_TOLERANCE_RELATIVE = 1e-4

# Attributes that must be equal in all slices: keyword, what to call it, whether messages may show
# the value. A patient's may not.
_EQUAL = (
    ("PatientSex", "patient", False),
    ("PatientPosition", "position of the patient", True),
    ("StudyInstanceUID", "study", True),
    ("FrameOfReferenceUID", "frame of reference", True),
    ("Modality", "modality", True),
    ("Rows", "matrix", True),
    ("Columns", "matrix", True),
    ("StackID", "stack", True),
)


def check_alike(views: Sequence[SliceView]) -> None:
    """Check that slices share patient, study, frame of reference, matrix, spacing, orientation.

    The patient's position (head first, feet first, ...) too: where it changes, some of the headers
    were edited, and it is not known which.

    Raises
    ------
    InputRefused
        Naming the first file that differs; never a patient's name or ID.
    """
    _check_one_patient(views)
    for keyword, what, may_show in _EQUAL:
        _check_equal(views, keyword, what, may_show)
    _check_close(views, orientation, "orientation (cosines)", ORIENTATION_TOLERANCE)
    spacing_mm = float(pixel_spacing(views[0]).min())
    allowed_mm = PIXEL_SPACING_TOLERANCE_RELATIVE * spacing_mm
    _check_close(views, pixel_spacing, "pixel spacing (mm)", allowed_mm)


def _check_one_patient(views: Sequence[SliceView]) -> None:
    first = patient_named(views[0].dataset, views[0].path)
    for view in views[1:]:
        other = patient_named(view.dataset, view.path)
        for keyword, ours, theirs in zip(PATIENT, first, other, strict=True):
            if ours != theirs:
                raise _slices_differ(views[0], view, keyword, "patient")


def _check_equal(views: Sequence[SliceView], keyword: str, what: str, may_show: bool) -> None:
    first = text(views[0].dataset, keyword, views[0].path)
    for view in views[1:]:
        other = text(view.dataset, keyword, view.path)
        if other != first:
            values = f": {shown(first)} and {shown(other)}" if may_show else ""
            raise _slices_differ(views[0], view, f"{keyword}{values}", what)


def _slices_differ(one: SliceView, other: SliceView, where: str, what: str) -> InputRefused:
    return InputRefused(
        f"{one.name} and {other.name} differ in {where}",
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


# Numbers may differ by this much, relative, within one kind: some sequences trim echo times, and
# vendors store b-values as measured. A triggered repetition follows the heart.
TOLERANCE_RELATIVE = 0.01
REPETITION_TOLERANCE_RELATIVE = 0.25

# GE: slices added up from thinner ones, among others of the same scan.
_SAME_IMAGE_TYPE = frozenset({"ADD"})
_MOST_SHOWN = 4

KindOf = Callable[[SliceView], str]


@dataclass(frozen=True)
class _Mark:
    """An attribute by which kinds differ: what they are called then, and how it is read.

    ``tolerance`` is for numbers, relative. ``may_count`` says that the attribute may count slices:
    it tells kinds apart only where two slices and more share each value.
    """

    keyword: str
    what: str
    read: KindOf
    modalities: tuple[str, ...] = ()
    tolerance: float | None = None
    may_count: bool = False


def _text(keyword: str) -> KindOf:
    return lambda view: text(view.dataset, keyword, view.path)


def _image_type(keyword: str) -> KindOf:
    """Values 1 and 2 in their order; of those behind, which no order holds for, the set."""

    def read(view: SliceView) -> str:
        values = text(view.dataset, keyword, view.path).split("\\")
        rest = {value.strip() for value in values[2:]} - _SAME_IMAGE_TYPE - {""}
        return "\\".join([value.strip() for value in values[:2]] + sorted(rest))

    return read


def _set(keyword: str) -> KindOf:
    """Values that no order holds for."""
    return lambda view: "\\".join(
        sorted({part.strip() for part in text(view.dataset, keyword, view.path).split("\\")} - {""})
    )


def _number(keyword: str) -> KindOf:
    return lambda view: "\\".join(f"{n:g}" for n in numbers(view.dataset, keyword, view.path))


def _private(group: int, element: int, creator: str) -> KindOf:
    return lambda view: private_value(view.dataset, group, element, creator)


def _ge_b_value(view: SliceView) -> str:
    """GE adds a thousand million to some b-values, and stores other numbers behind."""
    first = private_value(view.dataset, 0x0043, 0x39, "GEMS_PARM_01").split("\\")[0]
    return str(int(first) % 10**9) if first.isascii() and first.isdigit() else first


_GE_COMPONENT = _private(0x0043, 0x2F, "GEMS_PARM_01")  # 0 magnitude, 1 phase, 2 real, 3 imaginary
_NO_MAGNITUDE = frozenset({"P", "PHASE", "PHASE MAP", "REAL", "IMAGINARY"})

_KINDS, _ECHOES, _TIMES = "kinds of image", "echoes", "time points"
_B_VALUES, _CONTRAST, _SEQUENCES = "b-values", "phases of a contrast agent", "sequences"
_MR, _CT = ("MR",), ("CT",)
_MARKS = (
    _Mark("TemporalPositionIdentifier", _TIMES, _text("TemporalPositionIdentifier")),
    _Mark("TemporalPositionIndex", _TIMES, _text("TemporalPositionIndex")),
    _Mark("EchoNumbers", _ECHOES, _text("EchoNumbers")),
    _Mark("EchoTime", _ECHOES, _number("EchoTime"), tolerance=TOLERANCE_RELATIVE),
    _Mark("EffectiveEchoTime", _ECHOES, _number("EffectiveEchoTime"), tolerance=TOLERANCE_RELATIVE),
    _Mark("ImageType", _KINDS, _image_type("ImageType")),
    _Mark("FrameType", _KINDS, _image_type("FrameType")),
    _Mark("ComplexImageComponent", _KINDS, _text("ComplexImageComponent")),
    _Mark("GE's image component", _KINDS, _GE_COMPONENT, _MR),
    _Mark("SOPClassUID", _KINDS, _text("SOPClassUID")),
    _Mark("DiffusionBValue", _B_VALUES, _number("DiffusionBValue"), tolerance=TOLERANCE_RELATIVE),
    _Mark("DiffusionDirectionality", _B_VALUES, _text("DiffusionDirectionality")),
    _Mark("Siemens's b-value", _B_VALUES, _private(0x0019, 0x0C, "SIEMENS MR HEADER"), _MR,
          TOLERANCE_RELATIVE),
    _Mark("GE's b-value", _B_VALUES, _ge_b_value, _MR, TOLERANCE_RELATIVE),
    _Mark("Philips's b-value", _B_VALUES, _private(0x2001, 0x03, "Philips Imaging DD 001"), _MR,
          TOLERANCE_RELATIVE),
    _Mark("ContrastBolusAgent", _CONTRAST, _text("ContrastBolusAgent")),
    _Mark("ContrastBolusAgentPhase", _CONTRAST, _text("ContrastBolusAgentPhase")),
    _Mark("NominalPercentageOfCardiacPhase", "phases of the heart",
          _number("NominalPercentageOfCardiacPhase")),
    _Mark("NominalPercentageOfRespiratoryPhase", "phases of breathing",
          _number("NominalPercentageOfRespiratoryPhase")),
    _Mark("InversionTime", "inversion times", _number("InversionTime"), _MR, TOLERANCE_RELATIVE),
    _Mark("FlipAngle", "flip angles", _number("FlipAngle"), _MR, TOLERANCE_RELATIVE),
    _Mark("RepetitionTime", "repetition times", _number("RepetitionTime"), _MR,
          REPETITION_TOLERANCE_RELATIVE),
    _Mark("ScanningSequence", _SEQUENCES, _set("ScanningSequence"), _MR),
    _Mark("SequenceVariant", _SEQUENCES, _set("SequenceVariant"), _MR),
    _Mark("SequenceName", _SEQUENCES, _text("SequenceName"), _MR),
    _Mark("PulseSequenceName", _SEQUENCES, _text("PulseSequenceName"), _MR),
    _Mark("ScanOptions", "options of the scan", _set("ScanOptions"), _MR),
    _Mark("SpectrallySelectedSuppression", "options of the scan",
          _text("SpectrallySelectedSuppression"), _MR),
    _Mark("AcquisitionNumber", "acquisitions", _text("AcquisitionNumber"), _MR, may_count=True),
    _Mark("KVP", "tube voltages", _number("KVP"), _CT, TOLERANCE_RELATIVE),
    _Mark("ConvolutionKernel", "kernels", _text("ConvolutionKernel"), _CT),
    _Mark("RescaleType", "units", _text("RescaleType"), _CT),
    _Mark("SeriesNumber", "series", _text("SeriesNumber")),
    _Mark("SeriesDescription", "descriptions", _text("SeriesDescription")),
)  # fmt: skip


def check_one_kind(views: Sequence[SliceView]) -> None:
    """Check that all slices are images of one kind.

    Raises
    ------
    InputRefused
        Naming the kinds that are there, and how one is chosen.
    """
    modality = text(views[0].dataset, "Modality", views[0].path)
    for mark in _MARKS:
        if mark.modalities and modality not in mark.modalities:
            continue
        values = [mark.read(view) for view in views]
        if _values_differ(values, mark):
            raise _several(views, values, mark)


def component_warning(view: SliceView) -> tuple[str, ...]:
    """Return a sentence if the slices, all of one kind, are marked as other than a magnitude."""
    said = {text(view.dataset, "ComplexImageComponent", view.path)}
    for keyword in ("ImageType", "FrameType"):
        said |= set(text(view.dataset, keyword, view.path).split("\\")[2:])
    found = sorted({value.strip().upper() for value in said} & _NO_MAGNITUDE)
    if not found and _GE_COMPONENT(view) in ("1", "2", "3"):
        found = [f"GE's component {_GE_COMPONENT(view)}"]
    if not found:
        return ()
    return (
        f"The images are marked as a phase or a part of complex signal ({', '.join(found)}), not "
        "as a magnitude, which models of MR signal need; do not trust the result.",
    )


def _values_differ(values: list[str], mark: _Mark) -> bool:
    distinct = set(values)
    if len(distinct) == 1 or (mark.may_count and 2 * len(distinct) > len(values)):
        return False
    if mark.tolerance is None:
        return True
    known = [_float(value) for value in distinct if value]
    if None in known:
        return True
    found = [number for number in known if number is not None]
    # An absent number says nothing, but a b-value: it is absent where it is 0.
    if mark.what == _B_VALUES and "" in distinct:
        found.append(0.0)
    return max(found) - min(found) > mark.tolerance * max(map(abs, found))


def _float(value: str) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def _several(views: Sequence[SliceView], values: list[str], mark: _Mark) -> InputRefused:
    counts = Counter(values)
    some = [f"{n} of {shown(value, is_code=False)}" for value, n in counts.most_common(_MOST_SHOWN)]
    more = f" and {len(counts) - _MOST_SHOWN} more" if len(counts) > _MOST_SHOWN else ""
    apart = (
        "write the frames of one of them as a series or a file of its own (dcm2niix does)"
        if any(is_multiframe(view.file) for view in views)
        else "put the files of one of them into a folder of their own"
    )
    return InputRefused(
        f"{views[0].path.parent} holds several {mark.what} in one series "
        f"({mark.keyword}: {', '.join(some)}{more})",
        rule="a volume is one kind of image at one time",
        remedy=f"{apart}, and give that",
    )
