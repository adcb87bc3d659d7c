"""Laws of writing: a target is whole, or it is as it was before."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from medcyclegan.errors import CannotWrite
from medcyclegan.io.atomic import atomic_file, atomic_folder
from medcyclegan.io.targets import COMPLETION_RECORD


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def write_file(target: Path, text: str, *, overwrite: bool = False) -> None:
    with atomic_file(target, overwrite=overwrite) as temporary:
        temporary.write_text(text)


def write_folder(target: Path, text: str, *, overwrite: bool = False) -> None:
    with atomic_folder(target, overwrite=overwrite) as temporary:
        (temporary / "CT_0001.dcm").write_text(text)


def test_file_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "sct.nii.gz"
    with atomic_file(target, overwrite=False) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".sct.nii.gz.")
        assert temporary.name.endswith(".nii.gz")
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert names(tmp_path) == {"sct.nii.gz"}


def test_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "series"
    with atomic_folder(target, overwrite=False) as temporary:
        (temporary / "CT_0001.dcm").write_text("a")
        assert not target.exists()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
    assert names(tmp_path) == {"series"}
    assert names(target) == {"CT_0001.dcm", COMPLETION_RECORD}


def test_final_modes_are_the_usual_ones(tmp_path: Path) -> None:
    plain_file, plain_folder = tmp_path / "plain", tmp_path / "plain_folder"
    plain_file.write_text("a")
    plain_folder.mkdir()
    write_file(tmp_path / "ours", "a")
    write_folder(tmp_path / "our_folder", "a")
    for ours, plain in (("ours", plain_file), ("our_folder", plain_folder)):
        assert (tmp_path / ours).stat().st_mode == plain.stat().st_mode


def test_a_record_of_the_caller_is_kept(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "series", overwrite=False) as temporary:
        (temporary / COMPLETION_RECORD).write_text("mine")
    assert (tmp_path / "series" / COMPLETION_RECORD).read_text() == "mine"


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_fault_leaves_what_was_there(tmp_path: Path, fault: type[BaseException]) -> None:
    write_file(tmp_path / "a.nii", "old")
    write_folder(tmp_path / "series", "old")

    def fail_in_file() -> None:
        with atomic_file(tmp_path / "a.nii", overwrite=True) as temporary:
            temporary.write_text("new")
            raise fault

    def fail_in_folder() -> None:
        with atomic_folder(tmp_path / "series", overwrite=True) as temporary:
            (temporary / "CT_0001.dcm").write_text("new")
            raise fault

    for fail in (fail_in_file, fail_in_folder):
        with pytest.raises(fault):
            fail()
    assert names(tmp_path) == {"a.nii", "series"}
    assert (tmp_path / "a.nii").read_text() == "old"
    assert (tmp_path / "series" / "CT_0001.dcm").read_text() == "old"


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    write_file(tmp_path / "a.nii", "old")
    write_folder(tmp_path / "series", "old")
    with pytest.raises(CannotWrite, match=r"a\.nii exists already.*--overwrite"):
        write_file(tmp_path / "a.nii", "new")
    with pytest.raises(CannotWrite, match=r"series exists already.*--overwrite"):
        write_folder(tmp_path / "series", "new")
    # The control: asked, both are replaced.
    write_file(tmp_path / "a.nii", "new", overwrite=True)
    write_folder(tmp_path / "series", "new", overwrite=True)
    assert (tmp_path / "a.nii").read_text() == "new"
    assert (tmp_path / "series" / "CT_0001.dcm").read_text() == "new"
    assert names(tmp_path) == {"a.nii", "series"}


def test_an_output_that_came_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.nii"

    def be_overtaken() -> None:
        with atomic_file(target, overwrite=False) as temporary:
            temporary.write_text("second")
            target.write_text("first")

    def be_overtaken_with_a_folder() -> None:
        with atomic_folder(tmp_path / "series", overwrite=False) as temporary:
            (temporary / "CT_0001.dcm").write_text("second")
            write_folder(tmp_path / "series", "first")

    for overtaken in (be_overtaken, be_overtaken_with_a_folder):
        with pytest.raises(CannotWrite, match="exists already"):
            overtaken()
    assert target.read_text() == "first"
    assert (tmp_path / "series" / "CT_0001.dcm").read_text() == "first"
    assert names(tmp_path) == {"a.nii", "series"}


def test_the_old_folder_comes_back_if_the_swap_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "series"
    write_folder(target, "old")
    rename = Path.rename

    def fail_for_the_new(self: Path, other: Path) -> Path:
        if other == target and not self.name.endswith(".old"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with pytest.raises(CannotWrite, match="No space left"):
        write_folder(target, "new", overwrite=True)
    assert (target / "CT_0001.dcm").read_text() == "old"
    assert names(tmp_path) == {"series"}


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "may write to"), (errno.EIO, "another")],
)
def test_what_the_system_refuses_becomes_our_error(tmp_path: Path, code: int, remedy: str) -> None:
    target = tmp_path / "a.nii"
    with (
        pytest.raises(CannotWrite, match=remedy) as caught,
        atomic_file(target, overwrite=False),
    ):
        raise OSError(code, os.strerror(code))
    assert str(target) in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert names(tmp_path) == set()


def test_the_disk_full_device_is_refused_by_name(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with (
        pytest.raises(CannotWrite, match="No space left"),
        atomic_file(tmp_path / "a.nii", overwrite=False),
        Path("/dev/full").open("w") as full,
    ):
        full.write("x" * 100_000)


def test_a_killed_process_leaves_no_partial_target(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from medcyclegan.io.atomic import atomic_file, atomic_folder
with atomic_file(Path(sys.argv[1]), overwrite=True) as one:
    with atomic_folder(Path(sys.argv[2]), overwrite=True) as many:
        one.write_text("half")
        (many / "CT_0001.dcm").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""
    one, many = tmp_path / "a.nii", tmp_path / "series"
    write_file(one, "old")
    done = subprocess.run([sys.executable, "-c", program, one, many], check=False)
    assert done.returncode == -signal.SIGKILL
    assert one.read_text() == "old"
    assert not many.exists()
    write_file(one, "new", overwrite=True)
    write_folder(many, "new")
    assert (many / "CT_0001.dcm").read_text() == "new"
