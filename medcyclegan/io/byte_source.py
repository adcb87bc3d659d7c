"""The bytes of a plain or gzip file, read once from front to back, never more than asked for.

Whether a file is gzip is told by its first two bytes, not by its name, so that a ``.nii`` that is
in fact compressed is read all the same.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from medcyclegan.errors import InputRefused
from medcyclegan.io.held_files import open_file

_GZIP_MAGIC = b"\x1f\x8b"
# Deflate cannot shrink data further than 1032 : 1 (zlib's technical details), so the size of the
# compressed file bounds what is inside before any of it is unpacked.
_MOST_DEFLATE_RATIO = 1032
_CHUNK_BYTES = 2**20
# More than this after the last voxel is no padding of any known writer.
_MOST_TRAILING_BYTES = 2**26

_SIGNATURES = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"II+\x00", "a BigTIFF image"),
    (b"MM\x00+", "a BigTIFF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x89HDF", "an HDF5 file"),
    (b"NRRD", "an NRRD image"),
    (b"ObjectType", "a MetaImage"),
    (_GZIP_MAGIC, "a gzip file inside another"),
)


class ByteSource:
    """A file open for reading; made by ``open_bytes``.

    ``most_bytes`` is an upper bound of what it can deliver: exact for a plain file.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.position = 0
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        self.is_gzip = file.read(2) == _GZIP_MAGIC
        file.seek(0)
        self.most_bytes = size * _MOST_DEFLATE_RATIO if self.is_gzip else size
        self._stream: BinaryIO | gzip.GzipFile = file
        if self.is_gzip:
            self._stream = gzip.GzipFile(fileobj=file, mode="rb")

    def up_to(self, count: int) -> bytes:
        """Read ``count`` bytes, or fewer at the end of the file."""
        parts = []
        missing = count
        while missing > 0:
            part = self._stream.read(min(missing, _CHUNK_BYTES))
            if not part:
                break
            parts.append(part)
            missing -= len(part)
        self.position += count - missing
        return b"".join(parts)

    def exactly(self, count: int) -> bytes:
        """Read ``count`` bytes; raise ``InputRefused`` if the file ends before."""
        data = self.up_to(count)
        if len(data) < count:
            self.refuse_short(self.position - len(data) + count)
        return data

    def refuse_short(self, needed: int) -> None:
        """Raise ``InputRefused``: the header asks for ``needed`` bytes, and there are fewer."""
        raise InputRefused(
            f"{self.path}: the file is truncated or its header is damaged",
            rule=f"the header asks for {needed} bytes of header and voxels, the file has fewer",
            remedy="copy or export the file again",
        )

    def count_rest(self) -> int:
        """Read to the end, so that a gzip's checksum is tested; return the number of bytes."""
        count = 0
        while part := self._stream.read(_CHUNK_BYTES):
            count += len(part)
            if count > _MOST_TRAILING_BYTES:
                raise InputRefused(
                    f"{self.path}: more than {_MOST_TRAILING_BYTES} bytes follow the last voxel",
                    rule="a file holds the voxels that its header tells of, and little else",
                    remedy="copy or export the file again",
                )
        return count


@contextmanager
def open_bytes(path: Path) -> Iterator[ByteSource]:
    """Open ``path`` for reading, unpacking gzip on the way.

    Raises
    ------
    InputRefused
        If the file is missing, empty or unreadable, or, while it is read, its gzip is damaged.
    """
    try:
        with open_file(path) as file:
            source = ByteSource(path, file)
            if source.most_bytes == 0:
                raise InputRefused(
                    f"{path}: the file is empty", remedy="copy or export the file again"
                )
            yield source
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputRefused(
            f"{path}: the gzip data are truncated or damaged",
            rule="a gzip file must unpack to its end and match its checksum",
            remedy="copy or export the file again",
        ) from error
    except OSError as error:
        raise InputRefused(
            f"{path}: cannot be read ({error.strerror or type(error).__name__})",
            remedy="check the path and its permissions",
        ) from error


def content_name(start: bytes) -> str:
    """Say what the first bytes of a file look like, for a message: ``"a PNG image"``."""
    if start[128:132] == b"DICM":
        return "a DICOM file"
    for signature, name in _SIGNATURES:
        if start.startswith(signature):
            return name
    if start and all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in start[:256]):
        return "text"
    return "an unknown kind of data"
