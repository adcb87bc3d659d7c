"""Writing so that nothing incomplete ever stands under a final name.

A file or a whole folder is made under a temporary name in the same parent folder, flushed to the
disk and renamed at the end. An exception, an interruption from the keyboard included, leaves what
was there before. A killed process leaves a hidden temporary beside the target, which may be
deleted, and never a partial target.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medcyclegan.io.targets import (
    COMPLETION_RECORD,
    refusals_of,
    refuse_existing_file,
    refuse_existing_folder,
    refuse_own_input,
)

# File systems allow names of 255 bytes; 60 characters of at most 4 bytes leave room for the rest.
_NAME_CHARACTERS = 60

_log = logging.getLogger(__name__)


@contextmanager
def atomic_file(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give the name of an empty temporary file, which becomes ``target`` when the block ends well.

    The temporary keeps the endings of ``target`` (``.nii.gz``), as writers choose the format by
    them. It is private (0600) while it is written and gets the usual mode at the end.

    Raises
    ------
    CannotWrite
        If ``target`` exists and ``overwrite`` is false, if it is a folder, or where the system
        refuses to write, in the block too.
    """
    with refusals_of(target):
        refuse_existing_file(target, overwrite=overwrite)
        temporary, mode = _new_temporary(target, folder=False)
        try:
            yield temporary
            temporary.chmod(mode)
            _flush(temporary)
            # Again, as another run may have ended in the meantime.
            refuse_existing_file(target, overwrite=overwrite)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _flush_folder(target.parent)


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give the name of a temporary folder, which becomes ``target`` when the block ends well.

    ``COMPLETION_RECORD`` is put into it as the last file if the block did not write it. An older
    folder of ours is moved away before and deleted after the renaming, or put back if that fails.

    Raises
    ------
    CannotWrite
        If ``target`` exists and ``overwrite`` is false, if it is a file or a folder with things
        that medcyclegan did not write, or where the system refuses to write, in the block too.
    """
    with refusals_of(target):
        refuse_existing_folder(target, overwrite=overwrite)
        temporary, mode = _new_temporary(target, folder=True)
        try:
            yield temporary
            record = temporary / COMPLETION_RECORD
            if not record.exists():
                record.write_text(json.dumps({"written_by": "medcyclegan"}) + "\n")
            _flush_tree(temporary)
            temporary.chmod(mode)
            refuse_existing_folder(target, overwrite=overwrite)
            _swap_in(temporary, target)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        _flush_folder(target.parent)


def ensure_writable(target: Path, *, source: Path, overwrite: bool, folder: bool = False) -> None:
    """Find out before any computing that ``target`` cannot be written.

    ``folder`` says that a DICOM series is to be written, so that ``target`` becomes a folder.

    Raises
    ------
    CannotWrite
        If the parent folder is missing, a file, or not writable; if ``target`` exists and may not
        be replaced; if it is ``source``; if it is a folder inside or around ``source``.
    """
    with refusals_of(target):
        refuse_own_input(target, source=source, folder=folder)
        # Trying is the only sure way: permissions do not tell of network shares and quotas.
        probe, _ = _new_temporary(target, folder=False)
        probe.unlink()
        refuse = refuse_existing_folder if folder else refuse_existing_file
        refuse(target, overwrite=overwrite)


def _new_temporary(target: Path, *, folder: bool) -> tuple[Path, int]:
    """Make a private temporary beside ``target``; return it and the mode that is usual here."""
    endings = "".join(target.suffixes[-2:]) if target.suffix == ".gz" else target.suffix
    stem = target.name[:_NAME_CHARACTERS]
    path = target.parent / f".{stem}.{secrets.token_hex(6)}{endings}"
    # Made with the usual mode first, as reading the umask itself is not safe with threads.
    if folder:
        path.mkdir()
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o700 if folder else 0o600)
    return path, mode


def _swap_in(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    old = target.with_name(f"{temporary.name}.old")
    target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    if old.exists():
        _log.warning("The replaced folder could not be removed wholly: %s", old)


def _flush_tree(folder: Path) -> None:
    for parent, _, names in os.walk(folder):
        for name in names:
            _flush(Path(parent, name))
        _flush_folder(Path(parent))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_folder(path: Path) -> None:
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
