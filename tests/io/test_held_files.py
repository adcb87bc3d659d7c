"""Files that are held: one reading for all who open them, for this thread, to the block's end."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Thread

import pytest

from medcyclegan.io import held_files as module
from medcyclegan.io.held_files import held_files, open_file, sha256_of, sha256_of_file
from medcyclegan.io.read import read_scan
from tests.workflow.batch.trees import small_nifti, small_series

OLD, NEW = b"as it was", b"while it was read"


def read(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a").write_bytes(OLD)
    return tmp_path / "a"


def test_a_file_that_changes_meanwhile_is_one_for_all_readers(path: Path) -> None:
    with held_files():
        assert read(path) == OLD
        path.write_bytes(NEW)
        assert read(path) == OLD
        assert sha256_of_file(path) == hashlib.sha256(OLD).hexdigest()
    assert read(path) == NEW
    assert sha256_of_file(path) == hashlib.sha256(NEW).hexdigest()


def test_what_was_let_go_of_is_read_again_and_its_sha256_is_known_still(path: Path) -> None:
    with held_files() as held:
        before = sha256_of([path])
        path.write_bytes(NEW)
        held.let_go()
        assert read(path) == NEW
        assert sha256_of([path]) == before


def test_a_large_file_is_not_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_HELD_BYTES", len(OLD) - 1)
    with held_files():
        read(path)
        path.write_bytes(NEW)
        assert read(path) == NEW


def test_another_thread_holds_nothing(path: Path) -> None:
    found: list[bytes] = []
    with held_files():
        read(path)
        path.write_bytes(NEW)
        thread = Thread(target=lambda: found.append(read(path)))
        thread.start()
        thread.join()
    assert found == [NEW]


def test_a_file_that_is_missing_is_missing(tmp_path: Path) -> None:
    with held_files(), pytest.raises(FileNotFoundError):
        open_file(tmp_path / "none")


@pytest.mark.parametrize(
    "make", [lambda p: small_nifti(p / "t1.nii.gz"), lambda p: small_series(p / "SE")]
)
def test_a_scan_from_held_files_is_the_same(make, tmp_path: Path) -> None:
    source = make(tmp_path)
    plain = read_scan(source)
    with held_files():
        found = read_scan(source)
    assert (found.volume.voxels == plain.volume.voxels).all()
    assert found.files == plain.files
    assert sha256_of(found.files) == sha256_of(plain.files)
