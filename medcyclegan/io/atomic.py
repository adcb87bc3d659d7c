"""Writing so that nothing incomplete ever stands under a final name.

A file or a whole folder is made under a temporary name in the same parent folder, flushed to the
disk and renamed at the end. An exception, an interruption from the keyboard included, leaves what
was there before. A killed process leaves a hidden temporary beside the target and never a partial
target; the next run on the same target removes it (``io.leftovers``).
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from medcyclegan.io.leftovers import (
    OLD,
    clear_leftovers,
    flush,
    flush_folder,
    flush_tree,
    held,
    sidecar_path,
    temporary_path,
)
from medcyclegan.io.targets import (
    COMPLETION_RECORD,
    is_our_sidecar,
    refusals_of,
    refuse_existing_file,
    refuse_existing_folder,
    refuse_foreign_sidecar,
    refuse_own_input,
)

# A name is lost only to a run that clears leftovers in the very moment in which it was made.
_ATTEMPTS = 20

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
        clear_leftovers(target)
        refuse_existing_file(target, overwrite=overwrite)
        with _new_temporary(target, folder=False) as (temporary, mode):
            try:
                yield temporary
                temporary.chmod(mode)
                flush(temporary)
                # Again, as another run may have ended in the meantime.
                refuse_existing_file(target, overwrite=overwrite)
                _put_file(temporary, target, overwrite=overwrite)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        flush_folder(target.parent)


@contextmanager
def atomic_image(target: Path, *, overwrite: bool, sidecar: str | None) -> Iterator[Path]:
    """As ``atomic_file``, for an image with the text of its sidecar, if it gets one.

    The sidecar gets its name before its image does, and an older pair is moved away before either
    does: at no moment does an image stand without its own sidecar or beside that of another. An
    exception puts the older pair back; after a kill the next run on the same target does.

    Raises
    ------
    CannotWrite
        As ``atomic_file``, or if there is a sidecar that medcyclegan did not write.
    """
    beside = sidecar_path(target)
    if beside is None or (sidecar is None and not is_our_sidecar(beside)):
        with atomic_file(target, overwrite=overwrite) as temporary:
            yield temporary
        return
    with refusals_of(target):
        clear_leftovers(target)
        refuse_existing_file(target, overwrite=overwrite)
        if sidecar is not None:
            refuse_foreign_sidecar(target, overwrite=overwrite)
        with ExitStack() as stack:
            temporary, mode = stack.enter_context(_new_temporary(target, folder=False))
            stack.callback(temporary.unlink, missing_ok=True)
            yield temporary
            part = _ready_sidecar(beside, sidecar, stack)
            temporary.chmod(mode)
            flush(temporary)
            refuse_existing_file(target, overwrite=overwrite)  # another run may have ended
            with _moved_away(target, beside):
                if part is not None:
                    part.replace(beside)
                _put_file(temporary, target, overwrite=overwrite)
        flush_folder(target.parent)


def _ready_sidecar(beside: Path, text: str | None, stack: ExitStack) -> Path | None:
    """The sidecar under a temporary name, on the disk; None if there is to be none."""
    if text is None:
        return None
    part, mode = stack.enter_context(_new_temporary(beside, folder=False))
    stack.callback(part.unlink, missing_ok=True)
    part.write_text(text, encoding="utf-8")
    part.chmod(mode)
    flush(part)
    return part


@contextmanager
def _moved_away(target: Path, beside: Path) -> Iterator[None]:
    """Move an older image and its sidecar away for the block; back again if it fails."""
    moved: list[tuple[Path, Path]] = []
    had_image, had_sidecar = os.path.lexists(target), os.path.lexists(beside)
    with ExitStack() as stack:
        try:
            for path in (target, beside) if had_image else ():
                if os.path.lexists(path):
                    hidden = temporary_path(path)
                    old = hidden.with_name(f"{hidden.name}{OLD}")
                    stack.enter_context(held(path))
                    path.rename(old)
                    moved.append((old, path))
            yield
        except BaseException:
            if not had_sidecar:
                beside.unlink(missing_ok=True)
            for old, path in moved:
                old.replace(path)
            raise
        for old, _ in moved:
            old.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool, record: bool = True) -> Iterator[Path]:
    """Give the name of a temporary folder, which becomes ``target`` when the block ends well.

    ``COMPLETION_RECORD`` is put into it as the last file if the block did not write it; without
    ``record`` it is not, as for a DICOM series, which tells by its headers whose it is. An older
    folder of ours is moved away before and deleted after the renaming, or put back if that fails.

    Raises
    ------
    CannotWrite
        If ``target`` exists and ``overwrite`` is false, if it is a file or a folder with things
        that medcyclegan did not write, or where the system refuses to write, in the block too.
    """
    with refusals_of(target):
        clear_leftovers(target)
        refuse_existing_folder(target, overwrite=overwrite)
        with _new_temporary(target, folder=True) as (temporary, mode):
            try:
                yield temporary
                if record and not (temporary / COMPLETION_RECORD).exists():
                    text = json.dumps({"written_by": "medcyclegan"}) + "\n"
                    (temporary / COMPLETION_RECORD).write_text(text)
                flush_tree(temporary)
                temporary.chmod(mode)
                refuse_existing_folder(target, overwrite=overwrite)
                _swap_in(temporary, target)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
        flush_folder(target.parent)


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
        clear_leftovers(target)
        # Trying is the only sure way: permissions do not tell of network shares and quotas.
        with _new_temporary(target, folder=False) as (probe, _):
            probe.unlink()
        refuse = refuse_existing_folder if folder else refuse_existing_file
        refuse(target, overwrite=overwrite)
        if not folder:
            refuse_foreign_sidecar(target, overwrite=overwrite)


@contextmanager
def _new_temporary(target: Path, *, folder: bool) -> Iterator[tuple[Path, int]]:
    """Give a private temporary beside ``target``, locked in the block, and the usual mode here."""
    for _ in range(_ATTEMPTS):
        path, mode = _make(temporary_path(target), folder=folder)
        with held(path) as is_ours:
            if is_ours:
                yield path, mode
                return
    raise OSError(errno.EBUSY, "another program removes our temporary files")


def _make(path: Path, *, folder: bool) -> tuple[Path, int]:
    # Made with the usual mode first, as reading the umask itself is not safe with threads.
    if folder:
        path.mkdir()
    else:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o700 if folder else 0o600)
    return path, mode


def _put_file(temporary: Path, target: Path, *, overwrite: bool) -> None:
    """Rename, and unless ``overwrite`` so that not even a file of this very moment is replaced."""
    if not overwrite:
        try:
            os.link(temporary, target)
        except FileExistsError:
            refuse_existing_file(target, overwrite=False)
            raise
        except OSError:
            _log.debug("No hard links beside %s: renaming", target)
        else:
            with suppress(FileNotFoundError):
                temporary.unlink()
            return
    temporary.replace(target)


def _swap_in(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    old = target.with_name(f"{temporary.name}{OLD}")
    with held(target):
        target.rename(old)
        try:
            temporary.rename(target)
        except BaseException:
            old.rename(target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    if old.exists():
        _log.warning("The replaced folder could not be removed wholly: %s", old)
