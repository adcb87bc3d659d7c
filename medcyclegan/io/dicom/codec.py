"""Decode the pixel data of files to stored values, with the decoders the package depends on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.encapsulated import (
    GDCM_SYNTAXES,
    check_codestreams,
    pixel_bytes,
    pixel_dataset,
    truncated,
)
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.layout import PixelLayout, Stored
from medcyclegan.io.dicom.values import PYDICOM_ERRORS, quiet, uid_name
from medcyclegan.io.dicom.worker import decode_apart

_NATIVE = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    }
)
# Two bytes of run-length code give 128 bytes at most (PS3.5 G.3.1).
_RLE_GROWTH = 64


def check_syntax(file: DicomFile) -> None:
    """Refuse a missing, private or unknown transfer syntax."""
    if file.syntax in _NATIVE or file.syntax in GDCM_SYNTAXES or file.syntax == RLELossless:
        return
    raise InputRefused(
        f"{file.path}: the transfer syntax is {uid_name(file.syntax)}",
        rule="it must be one of the uncompressed, deflated, RLE, JPEG, JPEG-LS or JPEG 2000 ones",
        remedy="export the series as explicit VR little endian",
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame of a file, counted from 0.

    ``words`` is (rows, columns), unsigned, with all bits that were stored or coded; ``layout``
    says which of them are the value.
    """

    file: DicomFile
    index: int
    words: Stored
    layout: PixelLayout

    @property
    def stored(self) -> Stored:
        """The stored values, (rows, columns)."""
        return self.layout.clean(self.words)


def decoded_frames(layouts: Mapping[DicomFile, PixelLayout]) -> Iterator[Frame]:
    """Yield all frames of all files.

    Raises
    ------
    InputRefused
        If the data are truncated, damaged or of another size than the header says; this is found
        before memory is taken for an image.
    """
    apart = {file: layout for file, layout in layouts.items() if file.syntax in GDCM_SYNTAXES}
    for file, layout in layouts.items():
        if file not in apart:
            frames = _rle_frames if file.syntax == RLELossless else _native_frames
            for index, words in enumerate(frames(file, layout)):
                yield Frame(file, index, words, layout)
    if apart:
        yield from _gdcm_frames(apart)


def _native_frames(file: DicomFile, layout: PixelLayout) -> Iterator[Stored]:
    data = pixel_bytes(file)
    expected = layout.frames * layout.frame_bytes
    if expected > len(data):
        raise truncated(file.path, f"{expected} bytes are expected, {len(data)} are there")
    dtype = np.dtype(f"{'<' if file.little_endian else '>'}u{layout.sample_bytes}")
    for index in range(layout.frames):
        frame = np.frombuffer(
            data, dtype, count=layout.rows * layout.columns, offset=index * layout.frame_bytes
        )
        yield frame.reshape(layout.rows, layout.columns)


def _rle_frames(file: DicomFile, layout: PixelLayout) -> Iterator[Stored]:
    try:
        with quiet():
            source = pixel_dataset(file)
            if layout.frames * layout.frame_bytes > _RLE_GROWTH * len(pixel_bytes(file)):
                raise truncated(file.path, "they cannot hold that many pixels")
            decoder = get_decoder(RLELossless)
            decoded = list(
                decoder.iter_array(
                    source, raw=True, decoding_plugin="pydicom", correct_unused_bits=False
                )
            )
    except PYDICOM_ERRORS as error:
        raise _undecodable(file) from error
    yield from (frame for frame, _ in decoded)


def _gdcm_frames(layouts: Mapping[DicomFile, PixelLayout]) -> Iterator[Frame]:
    file = next(iter(layouts))
    coded: dict[DicomFile, PixelLayout] = {}
    try:
        with quiet():
            for file, layout in layouts.items():
                coded[file] = check_codestreams(file, layout)
        frames = decode_apart(coded)
        for file, layout in coded.items():
            for index in range(layout.frames):
                yield Frame(file, index, next(frames)[1], layout)
    except PYDICOM_ERRORS as error:
        raise _undecodable(file) from error


def _undecodable(file: DicomFile) -> InputRefused:
    return InputRefused(
        f"{file.path}: the {uid_name(file.syntax)} pixel data cannot be decoded",
        rule="they must be complete and of a kind that the decoder knows",
        remedy="export the series as explicit VR little endian",
    )
