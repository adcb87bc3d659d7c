"""Get at the bytes of a file's pixel data, and check compressed ones before a decoder sees them."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.encaps import generate_frames
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.codestream import is_complete, read_codestream
from medcyclegan.io.dicom.header import DicomFile, open_at_pixel_data
from medcyclegan.io.dicom.layout import PixelLayout
from medcyclegan.io.dicom.values import PYDICOM_ERRORS, quiet

GDCM_SYNTAXES = frozenset(
    {
        JPEGBaseline8Bit,
        JPEGExtended12Bit,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSNearLossless,
        JPEG2000Lossless,
        JPEG2000,
    }
)

_PIXEL_DATA = 0x7FE00010


def pixel_bytes(file: DicomFile) -> bytes:
    """Return the value of a file's pixel data element as it stands in the file.

    Raises
    ------
    InputRefused
        If there is none, or it has no end.
    """
    try:
        with quiet(), open_at_pixel_data(file) as stream:
            found = read_dataset(
                stream, file.implicit, file.little_endian, stop_when=_after_pixel_data
            )
    except PYDICOM_ERRORS as error:
        raise truncated(file.path, "they cannot be read") from error
    element = found.get_item(_PIXEL_DATA) if _PIXEL_DATA in found else None
    if element is None or not isinstance(element.value, bytes) or not element.value:
        raise truncated(file.path, "there are none, or they have no end")
    return element.value


def pixel_dataset(file: DicomFile) -> Dataset:
    """Return the attributes that a pydicom decoder needs, and the encapsulated data."""
    groups = (0x0028, 0x7FE0)
    ds = Dataset({e.tag: e for e in file.header.elements() if e.tag.group in groups})
    ds.file_meta = file.header.file_meta
    ds.set_original_encoding(file.implicit, file.little_endian)
    tag, data = BaseTag(_PIXEL_DATA), pixel_bytes(file)
    ds[tag] = RawDataElement(tag, "OB", 0xFFFFFFFF, data, 0, file.implicit, file.little_endian)
    return ds


def check_codestreams(file: DicomFile, layout: PixelLayout) -> PixelLayout:
    """Check each frame's codestream; return how samples are laid out in them.

    It must be complete and of the size that the header says.

    A decoder takes the memory that a codestream asks for, and fills up what is missing.

    Raises
    ------
    InputRefused
        If it is not so.
    """
    expected = (layout.columns, layout.rows, 1)
    count, precision = 0, 0
    for codestream in generate_frames(pixel_bytes(file), number_of_frames=layout.frames):
        says = read_codestream(codestream)
        size = (says.columns, says.rows, says.components) if says else None
        if says is None or size != expected or says.precision < 1:
            raise InputRefused(
                f"{file.path}: the header says {layout.columns} x {layout.rows} pixels, frame "
                f"{count + 1} holds {f'{size[0]} x {size[1]} x {size[2]}' if size else 'no image'}",
                rule="the two must be equal",
                remedy="the file is damaged: copy or export it again",
            )
        if not is_complete(codestream):
            raise truncated(file.path, f"frame {count + 1} has no end")
        count, precision = count + 1, max(precision, says.precision)
    if count != layout.frames:
        raise truncated(file.path, f"{count} of {layout.frames} frames are there")
    return layout.coded(precision)


def truncated(path: Path, what: str) -> InputRefused:
    """Make the error for pixel data that are not all there."""
    return InputRefused(
        f"{path}: the pixel data are truncated or absent ({what})",
        rule="every pixel of every frame must be there",
        remedy="copy or export the file again",
    )


def _after_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
    return int(tag) > _PIXEL_DATA
