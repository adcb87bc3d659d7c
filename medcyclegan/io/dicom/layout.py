"""How the pixels of a file are laid out, checked before any memory is taken for them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.values import shown, text, whole

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
