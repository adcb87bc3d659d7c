"""What an MR sequence shows, by the attributes of its header."""

from __future__ import annotations

from medcyclegan.batch.words import Contrast, contrast_of, why_no_anatomy
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.values import number, text

# Words of ImageType (PS3.3 C.8.3.1.1.1 and what vendors add) for anything but a plain image.
_LOCALIZERS = {"LOCALIZER", "SCOUT"}
_MAPS = {
    "ADC", "FA", "TRACEW", "DIFFUSION", "PHASE", "PHASE MAP", "PHASE_MAP", "P",
    "PROJECTION IMAGE",
    "MIP", "MIN IP", "SUBTRACTION", "PERFUSION", "RCBV", "CBF", "CBV", "MTT", "TTP",
    "CSA REPORT", "T1 MAP",
    "T2 MAP", "T2_STAR MAP", "VELOCITY", "FIELD_MAP", "FMRI", "ASL", "MOSAIC",
}  # fmt: skip
# Timing in ms that parts the usual contrasts, as textbooks give them for 1.5 and 3 T.
_LONG_TE_MS, _SHORT_TE_MS = 60.0, 30.0
_LONG_TR_MS, _FLAIR_TI_MS = 1500.0, 1600.0


def why_not(file: DicomFile, label: str) -> str:
    """Why a series is set aside: localizer, map, echo-planar; empty if nothing speaks against it.

    Raises
    ------
    InputRefused
        If an attribute cannot be decoded.
    """
    kind = text(file.header, "ImageType", file.path).upper().split("\\")
    if _LOCALIZERS & set(kind):
        return "a localizer, by ImageType"
    if _MAPS & set(kind):
        return f"a derived map or functional series, by ImageType ({sorted(_MAPS & set(kind))[0]})"
    if "EP" in text(file.header, "ScanningSequence", file.path).split("\\"):
        return "echo-planar, by ScanningSequence"
    return why_no_anatomy(label)


def is_derived(file: DicomFile) -> bool:
    """Whether the images were computed from others, reformatted as a rule, by ImageType."""
    return text(file.header, "ImageType", file.path).upper().startswith("DERIVED")


def contrast_of_series(file: DicomFile, label: str) -> Contrast:
    """The contrast by description, or else by the times of echo, repetition and inversion."""
    told = contrast_of(label)
    if told != "other":
        return told
    echo_ms = number(file.header, "EchoTime", file.path)
    repetition_ms = number(file.header, "RepetitionTime", file.path)
    inversion_ms = number(file.header, "InversionTime", file.path) or 0.0
    if echo_ms is None or repetition_ms is None:
        return "other"
    if echo_ms >= _LONG_TE_MS:
        return "FLAIR" if inversion_ms >= _FLAIR_TI_MS else "T2w"
    if echo_ms > _SHORT_TE_MS:
        return "other"
    return "T1w" if repetition_ms < _LONG_TR_MS or inversion_ms > 0.0 else "PDw"
