"""Laws of what killed runs leave: the next run removes it, and nothing of a run that is at work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medcyclegan.errors import CannotWrite
from medcyclegan.io import atomic
from medcyclegan.io.atomic import atomic_file, atomic_folder, ensure_writable
from medcyclegan.io.leftovers import clear_leftovers, held, temporary_path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def leave(target: Path, *, folder: bool) -> Path:
    """What a killed run would leave: a temporary that nobody holds."""
    path = temporary_path(target)
    if folder:
        path.mkdir(mode=0o700)
        (path / "CT_0001.dcm").write_text("half")
    else:
        path.write_text("half")
    return path


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("name", ["a.nii.gz", "série", "x" * 200, "1.2.840", "a[1].nii"])
def test_a_leftover_goes_away_and_nothing_else(tmp_path: Path, name: str, folder: bool) -> None:
    target = tmp_path / name
    left = leave(target, folder=folder)
    others = [".a.nii.gz.0123.nii.gz", f".other{left.name}", f"{left.name[1:]}", ".a.nii.gz"]
    for other in others:
        (tmp_path / other).write_text("mine")
    (tmp_path / temporary_path(target).name).symlink_to("elsewhere")
    before = names(tmp_path)
    clear_leftovers(target)
    assert names(tmp_path) == before - {left.name}


@pytest.mark.parametrize("make", [atomic_file, atomic_folder])
def test_every_way_of_writing_clears(tmp_path: Path, make: object) -> None:
    target = tmp_path / "out"
    leave(target, folder=True)
    ensure_writable(target, source=tmp_path / "in", overwrite=False)
    assert names(tmp_path) == set()
    leave(target, folder=False)
    with make(target, overwrite=False):  # type: ignore[operator]
        pass
    assert names(tmp_path) == {"out"}


@pytest.mark.parametrize("make", [atomic_file, atomic_folder])
def test_what_another_run_holds_is_left_alone(tmp_path: Path, make: object) -> None:
    target = tmp_path / "out"
    with make(target, overwrite=False) as temporary:  # type: ignore[operator]
        program = "import sys; from pathlib import Path\n"
        program += "from medcyclegan.io.leftovers import clear_leftovers\n"
        program += "clear_leftovers(Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", program, target], check=True)
        assert temporary.exists()
    control = leave(target, folder=False)
    subprocess.run([sys.executable, "-c", program, target], check=True)
    assert not control.exists()


def test_the_lock_is_held_by_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("")
    with held(path) as first, held(path) as second:
        assert (first, second) == (True, False)
    with held(path) as again:
        assert again
    with held(tmp_path / "none") as nothing:
        assert not nothing


def test_a_folder_that_was_moved_away_is_put_back(tmp_path: Path) -> None:
    target = tmp_path / "series"
    left = leave(target, folder=True)
    old = left.rename(left.with_name(f"{left.name}.old"))
    leave(target, folder=True)
    clear_leftovers(target)
    assert names(tmp_path) == {"series"}
    assert (target / "CT_0001.dcm").read_text() == "half"
    # The control: where the new folder is in its place, the old one goes.
    target.rename(old)
    leave(target, folder=True).rename(target)
    clear_leftovers(target)
    assert names(tmp_path) == {"series"}


def test_an_output_of_the_very_moment_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, check = tmp_path / "a.nii", atomic.refuse_existing_file
    checks = []

    def overtaken(path: Path, *, overwrite: bool) -> None:
        check(path, overwrite=overwrite)
        checks.append(path)
        if len(checks) == 2:
            target.write_text("first")

    monkeypatch.setattr(atomic, "refuse_existing_file", overtaken)
    with pytest.raises(CannotWrite, match="exists already"), atomic_file(target, overwrite=False):
        pass
    assert target.read_text() == "first"
    assert names(tmp_path) == {"a.nii"}


def test_without_hard_links_files_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    with atomic_file(tmp_path / "a.nii", overwrite=False) as temporary:
        temporary.write_text("new")
    assert (tmp_path / "a.nii").read_text() == "new"
    assert names(tmp_path) == {"a.nii"}
