"""DICOM headers up to the pixel data, read within bounds; texts keep their bytes.

Texts beyond ASCII keep the bytes that they were read with.
Which letters bytes stand for, SpecificCharacterSet tells; it may be absent or wrong, and to decode
and encode again then makes another name. So what a derived series takes over is written from the
bytes.

Read what stands before the pixel data of one DICOM file, within bounds.
pydicom's ``dcmread`` inflates a deflated file without a limit and takes the memory that a damaged
length asks for, so the file is opened here and only its data elements are left to pydicom.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from pydicom import DataElement, Dataset
from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import PYDICOM_ERRORS, quiet
from medcyclegan.io.held_files import open_file

_TEXTS = frozenset({"PN", "LO", "SH", "ST", "LT", "UC", "UT"})
_ESCAPE = b"\x1b"
# Announces GB 2312 (PS3.3 C.12.1.1.2, ISO 2022 IR 58) before each part of a name; pydicom decodes
# what follows and leaves this.
_GB_2312, _GB_2312_ESCAPE = "ISO 2022 IR 58", "\x1b$)A"


class KeptText(DataElement):
    """A text as it was decoded, and its bytes, which are written if the text was not changed.

    ``is_sound`` says that the character set is one that is known, and fits the bytes.
    """

    original: bytes
    decoded: str
    is_sound: bool

    @property
    def is_unchanged(self) -> bool:
        """Whether the value is still that of the bytes."""
        return str(self.value) == self.decoded


def keep_text(header: Dataset) -> None:
    """Turn the texts of a header, as it was read, into such as keep their bytes.

    Plain ASCII is the same in all character sets, and is left as it is.
    """
    for tag in list(header.keys()):
        raw = header.get_item(tag)
        if isinstance(raw, RawDataElement) and _needs_its_bytes(raw):
            assert isinstance(raw.value, bytes)
            kept = _decoded(header, tag, raw.value)
            if kept is not None:
                header[tag] = kept


def with_kept_bytes(ds: Dataset) -> Dataset:
    """Return a data set to write, in explicit VR little endian: kept texts as their bytes.

    The items of sequences too.
    """
    made = Dataset()
    for element in ds:
        if element.VR == "SQ":
            items = [with_kept_bytes(item) for item in element.value]
            made[element.tag] = DataElement(element.tag, "SQ", items)
        elif isinstance(element, KeptText) and element.is_unchanged:
            made[element.tag] = _raw(element)
        else:
            made[element.tag] = element
    # As if read from a file of the encoding that is written: else pydicom decodes the bytes anew.
    made.set_original_encoding(False, True, made._character_set)
    return made


def written_bytes(element: KeptText) -> bytes:
    """Return the value of a kept text as it stands in a file, of even length."""
    return element.original + b" " * (len(element.original) % 2)


def _raw(element: KeptText) -> RawDataElement:
    value = written_bytes(element)
    return RawDataElement(element.tag, element.VR, len(value), value, 0, False, True)


def _needs_its_bytes(raw: RawDataElement) -> bool:
    if not isinstance(raw.value, bytes) or (raw.value.isascii() and _ESCAPE not in raw.value):
        return False
    try:
        return (raw.VR if raw.VR not in (None, "UN") else dictionary_VR(raw.tag)) in _TEXTS
    except KeyError:  # a private attribute
        return False


def _decoded(header: Dataset, tag: BaseTag, original: bytes) -> KeptText | None:
    try:
        with quiet():
            element = header[tag]
            declared = header.get("SpecificCharacterSet") or []
            value = element.value
    except PYDICOM_ERRORS:
        return None
    names = [declared] if isinstance(declared, str) else [str(name) for name in declared]
    if _GB_2312 in names:
        value = str(value).replace(_GB_2312_ESCAPE, "")
    kept = KeptText(element.tag, element.VR, value)
    kept.original, kept.decoded = original, str(kept.value)
    known = bool(names) and all(name in python_encoding for name in names)
    kept.is_sound = known and any(names) and "\ufffd" not in kept.decoded
    return kept


# A deflated file may grow to this: far above any series of deflated slices (2 MiB each) and above
# an enhanced file of 500 frames of 512 x 512, far below what hurts a workstation.
MAX_INFLATED_BYTES = 512 * 2**20
# Reads above this are checked against the file's size first; below it a wrong length costs nothing.
_SMALL_READ_BYTES = 64 * 2**10

_PREFIX_AT = 128
_PREFIX = b"DICM"
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
DICOM_ROOT = "1.2.840.10008."


@dataclass(frozen=True, eq=False)
class DicomFile:
    """One file's header.

    ``header`` holds all elements before the pixel data, and the file meta; ``syntax`` is the
    transfer syntax UID, empty if the file does not tell; ``pixel_offset`` is where the pixel data
    element starts in the (inflated) stream, None if there is none.
    """

    path: Path
    header: Dataset
    syntax: str
    pixel_offset: int | None

    @property
    def implicit(self) -> bool:
        """Whether value representations are left out."""
        return bool(self.header.original_encoding[0])

    @property
    def little_endian(self) -> bool:
        """Whether numbers are little endian."""
        return bool(self.header.original_encoding[1])


class _BoundedReader(io.BufferedReader):
    """A file that refuses to take memory for bytes that it does not hold."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file)  # type: ignore[arg-type]  # of which it needs readinto and seek
        self._path = path
        self._size_bytes = file.seek(0, io.SEEK_END)
        self.seek(0)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _SMALL_READ_BYTES:
            left = self._size_bytes - self.tell()
            if size > left:
                raise InputRefused(
                    f"{self._path}: an element of {size} bytes, but only {left} are left",
                    rule="no element may be longer than the file",
                    remedy="the file is truncated or damaged: copy or export it again",
                )
        return super().read(size)


def load_header(path: Path) -> DicomFile | None:
    """Read one file's header; None if the file is no DICOM.

    Raises
    ------
    InputRefused
        If it is DICOM, but cannot be read.
    """
    try:
        with quiet(), open_stream(path) as stream:
            return _parse(path, stream)
    except PYDICOM_ERRORS as error:
        raise InputRefused(
            f"{path} cannot be read as DICOM ({type(error).__name__})",
            rule="every DICOM file of a series must be readable",
            remedy="copy or export the file again, or take it out of the folder",
        ) from error


def open_stream(path: Path) -> BinaryIO:
    """Open a file for bounded reading."""
    return cast(BinaryIO, _BoundedReader(open_file(path), path))


def dicom_start(path: Path) -> tuple[bool, bool]:
    """Whether a file has the DICOM prefix, and whether it looks like a data set without one."""
    with open_file(path) as stream:
        start = stream.read(_PREFIX_AT + len(_PREFIX))
    return start[_PREFIX_AT:] == _PREFIX, _looks_bare(start)


def _looks_bare(start: bytes) -> bool:
    """Whether these bytes are a data set without a preamble: group 2 or 8, low element."""
    return start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00" and len(start) > 8


def _parse(path: Path, stream: BinaryIO) -> DicomFile | None:
    start = stream.read(_PREFIX_AT + len(_PREFIX))
    has_prefix = start[_PREFIX_AT:] == _PREFIX
    if not has_prefix:
        if not _looks_bare(start):
            return None
        stream.seek(0)
    meta = FileMetaDataset(read_dataset(stream, False, True, stop_when=_not_group_2))
    syntax = str(meta.get("TransferSyntaxUID") or "")
    body, header = _read_body(path, stream, syntax)
    # A DICOMDIR names its class in the file meta alone.
    sop_class = str(header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    if not has_prefix and not sop_class.startswith(DICOM_ROOT):
        return None
    if not has_prefix and not syntax:
        # A bare data set cannot tell; what pydicom found out from its bytes is all there is.
        syntax = ImplicitVRLittleEndian if header.original_encoding[0] else "1.2.840.10008.1.2.1"
        meta.TransferSyntaxUID = UID(syntax)
    header.file_meta = meta
    at = body.tell()
    has_pixels = bool(body.read(4))
    if not sop_class and not has_pixels:
        raise InputRefused(
            f"{path} has the DICOM prefix, but neither a SOP class nor an image",
            rule="both are required",
            remedy="the file is truncated or damaged: copy or export it again",
        )
    return DicomFile(path, header, syntax, at if has_pixels else None)


def _read_body(path: Path, stream: BinaryIO, syntax: str) -> tuple[BinaryIO, Dataset]:
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = io.BytesIO(_inflate(path, stream))
    header = read_dataset(
        stream,
        syntax == ImplicitVRLittleEndian,
        syntax != ExplicitVRBigEndian,
        stop_when=_at_pixel_data,
    )
    list(header.elements())  # pydicom converts some of them here: with its warnings kept back
    keep_text(header)
    return stream, header


def open_at_pixel_data(file: DicomFile) -> BinaryIO:
    """Open a file's (inflated) stream at its pixel data element."""
    stream = open_stream(file.path)
    if file.syntax == DeflatedExplicitVRLittleEndian:
        with stream:
            stream.seek(_PREFIX_AT + len(_PREFIX))
            read_dataset(stream, False, True, stop_when=_not_group_2)
            stream = io.BytesIO(_inflate(file.path, stream))
    stream.seek(file.pixel_offset or 0)
    return stream


def _inflate(path: Path, stream: BinaryIO) -> bytes:
    engine = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = engine.decompress(stream.read(), MAX_INFLATED_BYTES)
    if engine.unconsumed_tail:
        raise InputRefused(
            f"{path} inflates to more than {MAX_INFLATED_BYTES} bytes",
            rule="a deflated file may not grow beyond that",
            remedy="store it uncompressed if it is what it should be",
        )
    if not engine.eof:
        raise InputRefused(
            f"{path}: the deflated data end too early",
            rule="they must be complete",
            remedy="the file is truncated: copy or export it again",
        )
    return inflated


def _not_group_2(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag >> 16 != 2


def _at_pixel_data(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag in _PIXEL_TAGS
