"""Images that hold a quantity in place of what their modality means: no MR signal, no HU.

And those that a program made, and no scanner.

Scanners and workstations store diffusion, perfusion, relaxation and materials as MR and CT series.
"""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset

from medcyclegan.io.dicom.attribute_access import text
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.targets import OUR_MANUFACTURER

# Words of ImageType and FrameType, of the standard (PS3.3 C.8.13, C.8.15, C.8.16) and of makers.
_QUANTITIES = frozenset(
    {
        "ADC", "FA", "FRACTIONAL_ANISO", "RELATIVE_ANISO",
        "CBF", "CBV", "RCBF", "RCBV", "MTT", "RMTT", "TTP", "TMAX", "PBV",
        "SUBTRACTION", "DIVISION", "STD_DEVIATION",
        "MAT_SPECIFIC", "MAT_FRACTIONAL", "MAT_VALUE_BASED", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY",
        "T1 MAP", "T2 MAP", "T2_STAR MAP", "R1 MAP", "R2 MAP", "R2_STAR MAP", "FIELD_MAP",
        "VELOCITY", "METABOLITE",
    }
)  # fmt: skip


def quantity_of(view: SliceView) -> str:
    """Return what a slice is marked to hold in place of signal or HU; nothing if nothing is."""
    for keyword in ("ImageType", "FrameType"):
        values = {part.strip().upper() for part in _values(view, keyword)[2:]}
        if found := sorted(values & _QUANTITIES):
            return f"{found[0]} ({keyword})"
    # Some values stand for colours of a palette, those of a map laid over the image.
    if text(view.dataset, "PixelPresentation", view.path).upper() == "COLOR":
        return "a map in colours (PixelPresentation)"
    return ""


def quantity_warning(view: SliceView) -> tuple[str, ...]:
    """Return a sentence if an MR is marked as a map, not as signal."""
    quantity = quantity_of(view)
    if not quantity or text(view.dataset, "Modality", view.path) != "MR":
        return ()
    return (
        f"The images are marked as {quantity}, and not as MR signal, which models of MR need; do "
        "not trust the result.",
    )


def is_made_from_an_image(file: DicomFile) -> bool:
    """Whether the header of a file says that the image is synthetic, whatever it is called."""
    return is_made_by_a_program(file.header, file.path)


def is_made_by_a_program(header: Dataset, path: Path) -> bool:
    """Whether a header says that the image is synthetic.

    Our phantoms, which no model made, stand for acquired images in trials.
    """
    is_phantom = text(header, "Manufacturer", path) == OUR_MANUFACTURER and not text(
        header, "ManufacturerModelName", path
    )
    return text(header, "SyntheticData", path).upper() == "YES" and not is_phantom


def synthetic_warning(file: DicomFile) -> tuple[str, ...]:
    """Return a sentence if the images are synthetic, and no phantom."""
    if not is_made_from_an_image(file):
        return ()
    return (
        "The images are marked as synthetic (SyntheticData): a program made them, and no scanner "
        "acquired them; do not trust the result.",
    )


def _values(view: SliceView, keyword: str) -> list[str]:
    return text(view.dataset, keyword, view.path).split("\\")
