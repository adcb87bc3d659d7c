"""Layout of pixel data, native and encapsulated, checked before memory is taken for it.

How large an image a JPEG, JPEG-LS or JPEG 2000 codestream declares, and of how many bits.
A decoder takes the memory that the codestream asks for, whatever the DICOM header says, so the two
are compared first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
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
from medcyclegan.io.dicom.attribute_access import PYDICOM_ERRORS, quiet, shown, text, whole
from medcyclegan.io.dicom.header import DicomFile, open_at_pixel_data

Stored = NDArray[np.integer]

# 2 GiB as float32: a series of 1024 x 1024 x 512, more than any scanner's head, and little enough
# for a workstation.
MAX_VOXELS = 2**29


@dataclass(frozen=True)
class PixelLayout:
    """The image pixel module of one file (PS3.3 C.7.6.3), grey values only.

    ``precision`` is how many bits a sample has in a codestream, 0 where there is none.
    """

    rows: int
    columns: int
    frames: int
    sample_bytes: int
    bits_stored: int
    high_bit: int
    signed: bool
    inverted: bool
    precision: int = 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of one uncompressed frame."""
        return self.rows * self.columns * self.sample_bytes

    def coded(self, precision: int) -> PixelLayout:
        """Return the layout of words out of a codestream of ``precision`` bits.

        A codestream holds the value alone, from bit 0 on, or whole words with their unused bits.
        """
        if precision > self.bits_stored:
            return replace(self, high_bit=min(self.high_bit, precision - 1), precision=precision)
        return replace(self, bits_stored=precision, high_bit=precision - 1, precision=precision)

    def clean(self, words: Stored) -> Stored:
        """Take the values out of words of any byte order: unused bits may hold overlays."""
        kind, size = "i" if self.signed else "u", words.dtype.itemsize
        native = words.astype(words.dtype.newbyteorder("=")).view(f"{kind}{size}")
        # Up to the top, then down again: the second shift copies the sign of signed values.
        up, unused = 8 * size - 1 - self.high_bit, 8 * size - self.bits_stored
        return np.asarray((native << up) >> unused)

    def invert(self, stored: Stored) -> Stored:
        """Turn MONOCHROME1, where the least value is white, into MONOCHROME2."""
        top = -1 if self.signed else 2**self.bits_stored - 1
        return np.asarray(top - stored.astype(np.int64))


def layout_of(file: DicomFile) -> PixelLayout:
    """Read and check a file's pixel layout.

    Raises
    ------
    InputRefused
        If the image is coloured, has odd bits or no size.
    """
    header, path = file.header, file.path
    samples = whole(header, "SamplesPerPixel", path, default=1)
    colours = text(header, "PhotometricInterpretation", path)
    if not colours and samples == 1:
        raise InputRefused(
            f"{path} has no PhotometricInterpretation",
            rule="it says whether the least value is black (MONOCHROME2) or white (MONOCHROME1)",
            remedy="export the series again, or add the attribute",
        )
    if samples != 1 or colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise InputRefused(
            f"{path} is a colour image ({samples} samples a pixel, {shown(colours)})",
            rule="MONOCHROME1 or MONOCHROME2 with one sample a pixel is needed",
            remedy="give the scanner's grey images",
        )
    allocated, stored, high_bit = _bits(file)
    layout = PixelLayout(
        rows=whole(header, "Rows", path, default=0),
        columns=whole(header, "Columns", path, default=0),
        frames=whole(header, "NumberOfFrames", path, default=1),
        sample_bytes=allocated // 8,
        bits_stored=stored,
        high_bit=high_bit,
        signed=whole(header, "PixelRepresentation", path, default=0) == 1,
        inverted=colours == "MONOCHROME1",
    )
    if min(layout.rows, layout.columns, layout.frames) < 1:
        raise InputRefused(
            f"{path}: {layout.columns} columns, {layout.rows} rows, {layout.frames} frames",
            rule="each must be at least 1",
            remedy="the file is damaged: copy or export it again",
        )
    return layout


def bits_warning(layouts: Mapping[DicomFile, PixelLayout]) -> tuple[str, ...]:
    """Return a sentence if values do not begin at bit 0, as DICOM wants it: the header may lie.

    A codestream tells itself where its values are.
    """
    for file, layout in layouts.items():
        lowest = layout.high_bit + 1 - layout.bits_stored
        if lowest and file.syntax not in GDCM_SYNTAXES:
            return (
                f"HighBit is {layout.high_bit} and BitsStored {layout.bits_stored}: values were "
                f"taken from bit {lowest} up, as the header says; many programs take them from "
                "bit 0, which gives other numbers.",
            )
    return ()


def _bits(file: DicomFile) -> tuple[int, int, int]:
    header, path = file.header, file.path
    allocated = whole(header, "BitsAllocated", path, default=0)
    stored = whole(header, "BitsStored", path, default=allocated)
    high_bit = whole(header, "HighBit", path, default=stored - 1)
    if allocated not in (8, 16, 32) or not 0 < stored <= high_bit + 1 <= allocated:
        raise InputRefused(
            f"{path}: bits allocated, stored, high bit are {allocated}, {stored}, {high_bit}",
            rule="8, 16 or 32 bits are allocated, and hold those stored",
            remedy="export the series again",
        )
    return allocated, stored, high_bit


def check_total(layouts: Iterable[PixelLayout], where: str) -> None:
    """Refuse a series whose voxels would take more memory than ``MAX_VOXELS`` do."""
    total = sum(layout.rows * layout.columns * layout.frames for layout in layouts)
    if total > MAX_VOXELS:
        raise InputRefused(
            f"{where} would have {total} voxels",
            rule=f"at most {MAX_VOXELS} are read",
            remedy="check Rows and Columns; cut or resample the series if they are right",
        )


_JPEG_START = b"\xff\xd8"
_J2K_START = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_PADDING_BYTES = 16
# A JP2 file puts a few small boxes before the codestream.
_JP2_BOXES_BYTES = 1024
# Start-of-frame markers (ITU-T T.81 B.1.1.3, T.87 C.1.1): C4, C8 and CC mean other things.
_JPEG_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


@dataclass(frozen=True)
class Declared:
    """What a codestream's header says: its size, and the bits of a sample."""

    columns: int
    rows: int
    components: int
    precision: int


def read_codestream(data: bytes) -> Declared | None:
    """Return what the codestream's header says, None if no image header is found."""
    if data[:2] == _JPEG_START:
        return _read_jpeg(data)
    at = data.find(_J2K_START, 0, _JP2_BOXES_BYTES)
    return None if at < 0 else _read_j2k(data[at + len(_J2K_START) :])


def is_complete(data: bytes) -> bool:
    """Whether a codestream has its end marker, followed by little padding at most.

    The marker cannot occur inside: JPEG stuffs its bytes, JPEG 2000 has none above FF8F there.
    """
    return _END in data[-_PADDING_BYTES:]


def _read_j2k(siz: bytes) -> Declared | None:
    """Read the SIZ segment (ISO/IEC 15444-1 A.5.1) from its length field on."""
    layout = struct.Struct(">HHIIIIIIIIHB")
    if len(siz) < layout.size:
        return None
    _, _, right, bottom, left, top, _, _, _, _, components, depth = layout.unpack_from(siz)
    # The top bit of the depth says that samples are signed.
    return Declared(right - left, bottom - top, components, (depth & 0x7F) + 1)


def _read_jpeg(data: bytes) -> Declared | None:
    at = 2
    while at + 10 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
            continue
        length, precision, rows, columns, components = struct.unpack_from(">HBHHB", data, at + 2)
        if marker in _JPEG_FRAME_MARKERS:
            return Declared(columns, rows, components, precision)
        at += 2 + length
    return None


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
