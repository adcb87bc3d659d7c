"""What an output may replace, and what is refused before it is touched."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medcyclegan.core.text import MOST_TABLE_BYTES, parse_json, read_text
from medcyclegan.errors import CannotWrite, InputRefused
from medcyclegan.io.dicom.attribute_access import text
from medcyclegan.io.dicom.header import load_header
from medcyclegan.io.leftovers import sidecar_path

# Its presence says that a folder was completed by medcyclegan: only such a folder is replaced. Of a
# DICOM series, in which nothing but DICOM may lie, the headers say so; earlier versions put the
# record there, too.
COMPLETION_RECORD = ".medcyclegan.json"
# Manufacturer in the header of each file that medcyclegan writes.
OUR_MANUFACTURER = "medcyclegan"
# First name under GeneratedBy in the sidecar of each image that medcyclegan writes.
SIDECAR_MAKER = "medcyclegan"

_REMEDIES = {
    errno.ENOSPC: "free some space, or write to another disk",
    errno.EDQUOT: "free some space, or write to another disk",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
    errno.ENOENT: "create its parent folder first",
    errno.ENOTDIR: "choose a path whose parents are folders, not files",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f), or write to another disk",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def refuse_existing_file(target: Path, *, overwrite: bool) -> None:
    """Raise CannotWrite if ``target`` is a folder, or exists and ``overwrite`` is false."""
    if target.is_dir():
        raise CannotWrite(
            f"{target} is a folder", rule="a file is to be written", remedy="name a file"
        )
    if os.path.lexists(target) and not overwrite:
        _refuse_without_overwrite(target)


def refuse_foreign_sidecar(target: Path, *, overwrite: bool) -> None:
    """Raise CannotWrite if the place of an image's sidecar is taken by a file that is not ours."""
    beside = sidecar_path(target)
    if overwrite or beside is None or not os.path.lexists(beside) or is_our_sidecar(beside):
        return
    raise CannotWrite(
        f"{beside} is there",
        rule=f"it is where the sidecar of {target.name} goes, and medcyclegan did not write it",
        remedy="choose another name, or add --overwrite",
    )


def is_our_sidecar(path: Path) -> bool:
    """Whether a file is a sidecar that says medcyclegan made it."""
    try:
        content: Any = parse_json(read_text(path, most_bytes=MOST_TABLE_BYTES))
        return bool(content["GeneratedBy"][0]["Name"] == SIDECAR_MAKER)
    except (ValueError, OSError, KeyError, IndexError, TypeError):
        return False


def refuse_existing_folder(target: Path, *, overwrite: bool) -> None:
    """Raise CannotWrite if ``target`` exists and is neither empty nor, to overwrite, ours."""
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir():
        raise CannotWrite(
            f"{target} is not a folder",
            rule="a DICOM series is written as a folder",
            remedy="name a new folder",
        )
    entries = list(target.iterdir())
    if not entries:
        return
    if not overwrite:
        _refuse_without_overwrite(target)
    if not _is_ours_alone(target, entries):
        raise CannotWrite(
            f"{target} holds files that medcyclegan did not write",
            rule="only a folder that medcyclegan wrote is replaced",
            remedy="name another folder, or empty this one by hand",
        )


def _is_ours_alone(target: Path, entries: list[Path]) -> bool:
    """Whether a folder holds nothing but DICOM of ours, or a record and the files of it."""
    record = target / COMPLETION_RECORD
    if record not in entries:
        return all(_is_our_dicom(entry) for entry in entries)
    listed = _files_listed(record)
    if listed is None:
        others = [entry for entry in entries if entry != record]
        return all(entry.suffix == ".dcm" and not entry.is_dir() for entry in others)
    known = {record, *(target / name for name in listed)}
    return all(path in known for path in target.rglob("*") if not path.is_dir())


def _is_our_dicom(path: Path) -> bool:
    """Whether a file is DICOM that says medcyclegan made it."""
    if path.suffix != ".dcm" or path.is_symlink() or not path.is_file():
        return False
    try:
        file = load_header(path)
        return file is not None and text(file.header, "Manufacturer", path) == OUR_MANUFACTURER
    except (InputRefused, OSError):
        return False


def _files_listed(record: Path) -> list[str] | None:
    """The files that a record names, relative to its folder; None for a DICOM series, or damage."""
    try:
        content = parse_json(read_text(record, most_bytes=MOST_TABLE_BYTES))
    except (ValueError, OSError):
        return None
    names = content.get("files") if isinstance(content, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else None


def _refuse_without_overwrite(target: Path) -> None:
    raise CannotWrite(
        f"{target} exists already",
        rule="nothing is replaced unasked",
        remedy="name another output, or give --overwrite",
    )


def refuse_own_input(target: Path, *, source: Path, folder: bool) -> None:
    """Raise CannotWrite if ``target`` is ``source``, or a folder inside or around it."""
    # Unlike Path.resolve, realpath bears loops of links.
    ours, theirs = Path(os.path.realpath(target)), Path(os.path.realpath(source))
    is_same = ours == theirs
    if not is_same and target.exists() and source.exists():
        is_same = target.samefile(source)  # two hard links to one file
    is_around = folder and ours in theirs.parents
    is_inside = folder and source.is_dir() and theirs in ours.parents
    if is_same or is_around or is_inside:
        where = "is" if is_same else "lies inside" if is_inside else "holds"
        raise CannotWrite(
            f"The output {target} {where} the input {source}",
            rule="the input is never written to",
            remedy="name an output apart from the input",
        )


def make_parents(target: Path) -> None:
    """Make the folders above ``target`` that are missing.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    with refusals_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def refusals_of(target: Path) -> Iterator[None]:
    """Turn what the system refuses into the error of our family."""
    try:
        yield
    except OSError as error:
        reason = _reason(error)
        remedy = _REMEDIES.get(reason.errno or 0, "write to another folder")
        said = reason.strerror or str(error).partition("\n")[0]
        raise CannotWrite(f"Cannot write {target}: {said}", remedy=remedy) from error


def _reason(error: OSError) -> OSError:
    """The system's own refusal; libraries put it into one with more text and without its number."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno is not None:
            return inner
        inner = inner.__cause__ or inner.__context__
    return error
