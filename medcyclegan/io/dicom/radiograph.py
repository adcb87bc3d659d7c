"""Projection radiographs (CR, DX): one image, without a place in space (PS3.3 C.8.11, C.8.1.1)."""

from __future__ import annotations

from collections.abc import Sequence

from medcyclegan.core.geometry import PIXEL_MM, Geometry, plane_geometry
from medcyclegan.core.task import RADIOGRAPHS
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import numbers, text, whole
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.header import DicomFile

# In the body, if the image was calibrated; else at the detector, where all is magnified.
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing")


def is_radiograph(file: DicomFile) -> bool:
    """Whether a file's modality is that of a projection radiograph."""
    return text(file.header, "Modality", file.path) in RADIOGRAPHS


def radiograph_geometry(views: Sequence[SliceView]) -> tuple[Geometry, tuple[str, ...]]:
    """The grid of one radiograph, columns to the left and rows to the back, and warnings.

    Raises
    ------
    InputRefused
        If there are several.
    """
    if len(views) > 1:
        raise InputRefused(
            f"{views[0].path.parent} holds {len(views)} radiographs in one series",
            rule="one is read at a time",
            remedy="name the file of one of them",
        )
    view = views[0]
    columns = whole(view.dataset, "Columns", view.path, default=0)
    rows = whole(view.dataset, "Rows", view.path, default=0)
    for keyword in _SPACINGS:
        spacing = numbers(view.dataset, keyword, view.path)
        if len(spacing) != 2 or min(spacing) <= 0.0:
            continue  # scanned films were seen to say 0
        return plane_geometry(columns, rows, (spacing[1], spacing[0])), ()
    return plane_geometry(columns, rows), (
        f"The radiograph tells no pixel spacing; {PIXEL_MM:g} mm was assumed.",
    )
