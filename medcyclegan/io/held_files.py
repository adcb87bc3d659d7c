"""Files whose bytes are read once and held, while several readers look at them.

A scan is looked at by more than one: what format it is, its header, its voxels, its sha256. On the
share of a hospital each opening takes its time, and a file that is still being copied may change
between two of them. Inside ``held_files`` all of them are given the bytes of one reading.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import BinaryIO

_CHUNK_BYTES = 2**20
# Larger files are opened anew by each reader, which may refuse them by their header alone.
MOST_HELD_BYTES = 2**31


class HeldFiles:
    """The bytes of files, read when they are first asked for; made by ``held_files``."""

    def __init__(self) -> None:
        self._bytes: dict[Path, bytes] = {}
        self._sha256: dict[Path, str] = {}
        self._takes_more = True

    def bytes_of(self, path: Path) -> bytes | None:
        """The bytes of a file; None if it is not held. Raises OSError as opening it does."""
        if path not in self._bytes and self._takes_more:
            if path.stat().st_size > MOST_HELD_BYTES:
                return None
            self._bytes[path] = path.read_bytes()
        return self._bytes.get(path)

    def sha256_of(self, path: Path) -> str:
        """The sha256 of a file; it is known still when the bytes have been let go of."""
        if path not in self._sha256:
            self._sha256[path] = _sha256_of_stream(open_file(path))
        return self._sha256[path]

    def let_go(self) -> None:
        """Free the memory: what is opened from now on is read from the disk."""
        self._bytes.clear()
        self._takes_more = False


# Of this thread, or task, alone.
_HELD: ContextVar[HeldFiles | None] = ContextVar("held_files", default=None)


@contextmanager
def held_files() -> Iterator[HeldFiles]:
    """Hold each file that a reader of this package opens inside the block, to the block's end."""
    held = HeldFiles()
    token = _HELD.set(held)
    try:
        yield held
    finally:
        _HELD.reset(token)


def open_file(path: Path) -> BinaryIO:
    """Open a file for reading: what is held of it, or else the file itself."""
    held = _HELD.get()
    content = None if held is None else held.bytes_of(path)
    return path.open("rb") if content is None else io.BytesIO(content)


def sha256_of(paths: Iterable[Path]) -> str:
    """Return the sha256 of a single file; of several that of their sorted sha256, one a line.

    Raises
    ------
    OSError
        If one cannot be read.
    """
    each = sorted(map(sha256_of_file, paths))
    return each[0] if len(each) == 1 else hashlib.sha256("\n".join(each).encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Return the sha256 of a file's bytes. Raises OSError if it cannot be read."""
    held = _HELD.get()
    return _sha256_of_stream(path.open("rb")) if held is None else held.sha256_of(path)


def _sha256_of_stream(stream: BinaryIO) -> str:
    digest = hashlib.sha256()
    with stream as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
