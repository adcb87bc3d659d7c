"""Temporaries beside a target: flushed to the disk, in use, or left behind by a killed run.

Temporaries beside a target: which are in use, and which a killed run left behind.
A run holds a lock (flock) on its temporary as long as it writes. The system lets go of the lock
when the process ends, however it ends. So a temporary that can be locked belongs to nobody, and
the next run on the same target removes it. Where locks do not work (Windows, some network file
systems), leftovers stay where they are.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from medcyclegan.io.discover import NIFTI_WRITTEN, without_ending


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


if sys.platform != "win32":
    import fcntl

# File systems allow names of 255 bytes; 60 characters of at most 4 bytes leave room for the rest.
_NAME_CHARACTERS = 60
_TOKEN_BYTES = 6
# What is on its way out, while another takes its place: a folder, or an image and its sidecar.
OLD = ".old"

_log = logging.getLogger(__name__)


def temporary_path(target: Path) -> Path:
    """Return a new name beside ``target``, hidden, with its endings (``.nii.gz``)."""
    start, ending = _parts(target)
    return target.parent / f"{start}{secrets.token_hex(_TOKEN_BYTES)}{ending}"


@contextmanager
def held(path: Path) -> Iterator[bool]:
    """Hold the lock of a file or folder that exists; gives False if another run has it.

    Gives True too where locks do not work, as then nobody can tell a leftover and removes none.
    """
    with ExitStack() as stack:
        try:
            descriptor = _lock(path)
        except BlockingIOError:
            yield False
            return
        except OSError:
            yield path.exists()
            return
        stack.callback(os.close, descriptor)
        # A run that took it for a leftover may have removed it between its making and its lock.
        yield _is_at(descriptor, path)


def clear_leftovers(target: Path) -> None:
    """Remove what a killed run left beside ``target``; put back what it had moved away.

    An image and its sidecar are moved away and put back together.
    """
    beside = sidecar_path(target)
    moved_away = _leftovers(target, only_old=True)
    if beside is not None and moved_away and not os.path.lexists(target):
        # The new sidecar is there already, and its image is not: the old pair comes back.
        with suppress(OSError), ExitStack() as stack:
            for path in moved_away:
                stack.callback(os.close, _lock(path))
            if _leftovers(beside, only_old=True):
                beside.unlink(missing_ok=True)
    for each in filter(None, (beside, target)):
        for path in _leftovers(each):
            with suppress(OSError):
                _clear(path, each)


def sidecar_path(image: Path) -> Path | None:
    """Return where the sidecar of a NIfTI file goes, by the rule of BIDS; None for other files."""
    if not image.name.lower().endswith(NIFTI_WRITTEN):
        return None
    return image.with_name(f"{without_ending(image.name, NIFTI_WRITTEN)}.json")


def _leftovers(target: Path, *, only_old: bool = False) -> list[Path]:
    """Temporaries beside ``target``, or only what was moved away from its place."""
    start, ending = _parts(target)
    digits = 2 * _TOKEN_BYTES
    old = f"({re.escape(OLD)}){'' if only_old else '?'}"
    ours = re.compile(f"{re.escape(start)}[0-9a-f]{{{digits}}}{re.escape(ending)}{old}")
    with suppress(OSError), os.scandir(target.parent) as entries:
        return [Path(entry.path) for entry in entries if ours.fullmatch(entry.name)]
    return []


def _clear(path: Path, target: Path) -> None:
    descriptor = _lock(path)
    try:
        if not _is_at(descriptor, path):
            return
        if path.name.endswith(OLD) and not os.path.lexists(target):
            path.rename(target)
            _log.warning("A killed run had moved %s away: it was put back", target)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    """Return a descriptor that holds the lock; BlockingIOError if another one does."""
    if sys.platform == "win32":
        raise OSError("no flock")
    # No link is followed, and a pipe of that name does not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the path still leads to what the descriptor has open, and to a file or folder."""
    try:
        here, there = os.fstat(descriptor), path.lstat()
    except FileNotFoundError:
        return False
    return os.path.samestat(here, there) and (stat.S_ISREG(here.st_mode) or path.is_dir())


def _parts(target: Path) -> tuple[str, str]:
    """Return how the names of a target's temporaries begin and end."""
    ending = "".join(target.suffixes[-2:]) if target.suffix == ".gz" else target.suffix
    return f".{target.name[:_NAME_CHARACTERS]}.", ending
