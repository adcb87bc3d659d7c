"""Get files and the names of files onto the disk, so that a loss of power takes neither."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def flush_tree(folder: Path) -> None:
    """Flush all files and folders under a folder, and itself."""
    for parent, _, names in os.walk(folder):
        for name in names:
            flush(Path(parent, name))
        flush_folder(Path(parent))


def flush(path: Path) -> None:
    """Flush a file."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Flush the names in a folder."""
    if os.name == "nt":
        return  # Windows has no flush of folders
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush folders; the files themselves are flushed.
        if error.errno not in (errno.EINVAL, errno.EBADF):
            raise
    finally:
        os.close(descriptor)
