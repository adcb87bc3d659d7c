"""Laws of what may be written to, found before any computing."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from medcyclegan.errors import CannotWrite
from medcyclegan.io.atomic import atomic_file, atomic_folder, ensure_writable
from medcyclegan.io.targets import COMPLETION_RECORD, refusals_of
from tests.dicom_factory import make_series
from tests.workflow.batch.trees import small_series


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_file(target: Path, text: str, *, overwrite: bool = False) -> None:
    with atomic_file(target, overwrite=overwrite) as temporary:
        temporary.write_text(text)


def write_folder(target: Path, text: str, *, overwrite: bool = False) -> None:
    with atomic_folder(target, overwrite=overwrite) as temporary:
        (temporary / "CT_0001.dcm").write_text(text)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "input"
    folder.mkdir()
    (folder / "mr.nii").write_text("mr")
    return folder / "mr.nii"


def test_a_good_target_passes_without_a_trace(tmp_path: Path, source: Path) -> None:
    before = names(tmp_path)
    ensure_writable(tmp_path / "sct.nii", source=source, overwrite=False)
    ensure_writable(tmp_path / "sct", source=source, overwrite=False, folder=True)
    ensure_writable(source.parent / "sct.nii", source=source.parent, overwrite=False)
    assert names(tmp_path) == before
    assert names(source.parent) == {"mr.nii"}


def test_a_bad_parent_is_found(tmp_path: Path, source: Path) -> None:
    with pytest.raises(CannotWrite, match=r"No such file.*parent folder first"):
        ensure_writable(tmp_path / "none" / "sct.nii", source=source, overwrite=False)
    with pytest.raises(CannotWrite, match="Not a directory"):
        ensure_writable(source / "sct.nii", source=tmp_path, overwrite=False)
    too_long = tmp_path / ("n" * 300)
    with pytest.raises(CannotWrite, match=r"too long.*shorter name"):
        ensure_writable(too_long, source=source, overwrite=False)
    with pytest.raises(CannotWrite, match=r"too long.*shorter name"):
        write_file(too_long, "a")


def test_a_loop_of_links_is_found(tmp_path: Path, source: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(CannotWrite, match="symbolic links"):
        ensure_writable(tmp_path / "loop" / "sct.nii", source=source, overwrite=False)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_without_permission_is_found(tmp_path: Path, source: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(CannotWrite, match="Permission denied"):
        ensure_writable(locked / "sct.nii", source=source, overwrite=False)


def test_permission_refused_by_the_system(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CannotWrite, match=r"Permission denied.*may write to"):
        ensure_writable(tmp_path / "sct.nii", source=source, overwrite=False)


def test_an_existing_target_is_found(tmp_path: Path, source: Path) -> None:
    write_file(tmp_path / "sct.nii", "old")
    write_folder(tmp_path / "sct", "old")
    with pytest.raises(CannotWrite, match="exists already"):
        ensure_writable(tmp_path / "sct.nii", source=source, overwrite=False)
    with pytest.raises(CannotWrite, match="exists already"):
        ensure_writable(tmp_path / "sct", source=source, overwrite=False, folder=True)
    ensure_writable(tmp_path / "sct.nii", source=source, overwrite=True)
    ensure_writable(tmp_path / "sct", source=source, overwrite=True, folder=True)


def test_the_input_is_never_the_output(tmp_path: Path, source: Path) -> None:
    link = tmp_path / "hard.nii"
    link.hardlink_to(source)
    for target in (source, link, source.parent / ".." / "input" / "mr.nii"):
        with pytest.raises(CannotWrite, match="is the input"):
            ensure_writable(target, source=source, overwrite=True)


@pytest.mark.parametrize(
    ("target", "word"), [("input", "is"), ("input/out", "lies inside"), (".", "holds")]
)
def test_a_series_apart_from_the_input_folder(
    tmp_path: Path, source: Path, target: str, word: str
) -> None:
    with pytest.raises(CannotWrite, match=word + " the input"):
        ensure_writable(tmp_path / target, source=source.parent, overwrite=True, folder=True)
    # The control: a neighbour whose name begins like the input's.
    ensure_writable(tmp_path / "input_sct", source=source.parent, overwrite=True, folder=True)


# Replacing


@pytest.mark.parametrize("kept", ["notes.txt", "MR_0001.dcm", "sub"])
def test_a_folder_of_the_user_is_never_deleted(tmp_path: Path, kept: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    if kept == "sub":
        (folder / "sub").mkdir()
    else:
        (folder / kept).write_text("precious")
    with pytest.raises(CannotWrite, match="did not write"):
        write_folder(folder, "new", overwrite=True)
    assert names(folder) == {kept}


def test_our_folder_with_a_note_of_the_user_is_kept(tmp_path: Path) -> None:
    write_folder(tmp_path / "series", "old")
    (tmp_path / "series" / "notes.txt").write_text("precious")
    with pytest.raises(CannotWrite, match="did not write"):
        write_folder(tmp_path / "series", "new", overwrite=True)
    assert (tmp_path / "series" / "CT_0001.dcm").read_text() == "old"


def test_file_and_folder_are_not_mixed_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotWrite, match="is not a folder"):
        write_folder(tmp_path / "file", "new", overwrite=True)
    with pytest.raises(CannotWrite, match="is a folder"):
        write_file(tmp_path / "folder", "new", overwrite=True)
    assert (tmp_path / "file").read_text() == "a"


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    with pytest.raises(CannotWrite, match="exists already"):
        write_file(tmp_path / "link", "new")
    write_file(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "link").read_text() == "new"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "series").mkdir()
    write_folder(tmp_path / "series", "new")
    assert (tmp_path / "series" / "CT_0001.dcm").read_text() == "new"


def test_a_folder_with_a_full_list_of_its_files_is_replaced_and_a_fuller_one_is_not(
    tmp_path: Path,
) -> None:
    def write(text: str) -> None:
        with atomic_folder(tmp_path / "out", overwrite=True) as folder:
            (folder / "inner").mkdir()
            (folder / "inner" / "table.csv").write_text(text)
            record = {"written_by": "medcyclegan", "files": ["inner/table.csv"]}
            (folder / COMPLETION_RECORD).write_text(json.dumps(record))

    write("a")
    write("b")
    table = tmp_path / "out" / "inner" / "table.csv"
    assert table.read_text() == "b"
    mine = tmp_path / "out" / "inner" / "mine.csv"
    mine.write_text("mine")
    with pytest.raises(CannotWrite, match="did not write"):
        write("c")
    assert (table.read_text(), mine.read_text()) == ("b", "mine")
    mine.unlink()
    (tmp_path / "out" / COMPLETION_RECORD).write_text("[]")
    with pytest.raises(CannotWrite, match="did not write"):
        write("c")


def test_a_series_of_ours_is_known_by_its_headers_and_a_foreign_slice_is_kept(
    tmp_path: Path,
) -> None:
    folder = small_series(tmp_path / "series")
    assert all(path.suffix == ".dcm" for path in folder.iterdir())
    write_folder(folder, "new", overwrite=True)  # the control
    assert (folder / "CT_0001.dcm").read_text() == "new"
    folder = small_series(tmp_path / "other")
    (foreign, *_) = make_series(tmp_path / "foreign")
    foreign.rename(folder / "mine.dcm")
    with pytest.raises(CannotWrite, match="did not write"):
        write_folder(folder, "new", overwrite=True)
    (folder / "mine.dcm").unlink()
    (folder / "no_dicom.dcm").write_text("mine")
    with pytest.raises(CannotWrite, match="did not write"):
        write_folder(folder, "new", overwrite=True)


def test_a_series_with_the_record_of_an_earlier_version_is_known(tmp_path: Path) -> None:
    folder = small_series(tmp_path / "series")
    (folder / COMPLETION_RECORD).write_text('{"written_by": "medcyclegan"}')
    write_folder(folder, "new", overwrite=True)
    assert (folder / "CT_0001.dcm").read_text() == "new"


def wrapped(number: int | None) -> OSError:
    """An error of the system as pydicom raises it: with a traceback in its text, and no number."""
    try:
        try:
            raise OSError(number, os.strerror(number)) if number else OSError("inner")
        except OSError as inner:
            raise OSError(f"With tag got exception: {inner}\nTraceback (most recent ...") from inner
    except OSError as outer:
        return outer


def test_the_reason_inside_an_error_of_a_library_is_told_without_its_traceback() -> None:
    with pytest.raises(CannotWrite) as refused, refusals_of(Path("out")):
        raise wrapped(errno.ENOSPC)
    assert "out: No space left on device; free some space" in str(refused.value)
    with pytest.raises(CannotWrite) as refused, refusals_of(Path("out")):
        raise wrapped(None)
    assert "Traceback" not in str(refused.value)
    assert "\n" not in str(refused.value)
