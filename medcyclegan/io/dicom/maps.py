"""Images that hold a quantity in place of what their modality means: no MR signal, no HU.

Scanners and workstations store diffusion, perfusion, relaxation and materials as MR and CT series.
"""

from __future__ import annotations

from medcyclegan.io.dicom.attribute_access import text
from medcyclegan.io.dicom.frames import SliceView

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


def _values(view: SliceView, keyword: str) -> list[str]:
    return text(view.dataset, keyword, view.path).split("\\")
