"""The walk below a folder, links, and the endings of names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.patient import refuse_copy
from medcyclegan.evaluation.study.plan import Search, find_images
from medcyclegan.io.discover import (
    DETACHED_ENDINGS,
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    ending_of,
    walk,
    without_ending,
)
from medcyclegan.simulate.datasets import label_maps_in
from medcyclegan.training.data.tree import look_through
from medcyclegan.workflow.batch.finding import find_candidates

NAMES = (
    "b/2.nii.gz",
    "b/1.nii.gz",
    "a/x.MHA",
    "a/.hidden.nii.gz",
    ".cache/y.nii.gz",
    "c/notes.txt",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in NAMES:
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read")
    return tmp_path / "in"


def test_a_walk_is_sorted_and_tells_what_is_hidden(root: Path) -> None:
    (root / "to_a").symlink_to(root / "a")
    found = {folder.path.relative_to(root).as_posix(): folder for folder in walk(root)}
    assert list(found) == [".", "a", "b", "c"]
    assert found["."].folders == ["a", "b", "c", "to_a"]  # a link is named, and not followed
    assert found["."].hidden == [".cache"]
    assert found["a"].hidden == [".hidden.nii.gz"]
    assert found["b"].files == ["1.nii.gz", "2.nii.gz"]


def test_a_folder_that_is_taken_out_is_not_walked_into(root: Path) -> None:
    seen = []
    for folder in walk(root):
        seen.append(folder.path.name)
        if "b" in folder.folders:
            folder.folders.remove("b")
    assert seen == ["in", "a", "c"]


@pytest.mark.parametrize("name", ["A.NII.GZ", "a.b.hdr.gz", "x.mHd", "p.tif", "none", ".nii"])
def test_an_ending_is_told_in_any_case_and_taken_off(name: str) -> None:
    every = (*VOLUME_ENDINGS, *PICTURE_ENDINGS)
    ending = ending_of(name, every)
    assert without_ending(name, every) + name[len(name) - len(ending) :] == name
    assert (ending == "") == (name == "none")
    assert set(DETACHED_ENDINGS) < set(VOLUME_ENDINGS)


def study(root: Path) -> list[str]:
    return sorted(find_images(root, role="mr", search=Search()).by_case)


def training(root: Path) -> list[str]:
    return [found.name for found in look_through(root, "MR").candidates]


def batch(root: Path) -> list[str]:
    found = find_candidates(root, modality="MR", skip=root / "out").candidates
    return [one.label for one in found if not one.refused]


@pytest.mark.parametrize(
    ("find", "expected"),
    [(study, ["1", "2", "x"]), (training, ["a/x", "b/1", "b/2"]), (batch, ["x", "1", "2"])],
)
def test_a_study_a_training_and_a_batch_pass_over_the_same(
    find: Callable[[Path], list[str]], expected: list[str], root: Path
) -> None:
    assert find(root) == expected


@pytest.fixture
def closed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that may not be opened, whoever runs the tests."""
    real = os.scandir

    def scandir(path: str | Path = ".") -> object:
        if Path(path) == root / "b":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    monkeypatch.setattr(Path, "iterdir", lambda path: (Path(e.path) for e in scandir(path)))
    return root / "b"


@pytest.mark.parametrize("find", [study, training, lambda root: list(walk(root))])
def test_a_folder_that_cannot_be_opened_is_refused_by_name(
    find: Callable[[Path], object], closed: Path
) -> None:
    with pytest.raises(InputRefused, match=r"b cannot be opened \(Permission denied\)"):
        find(closed.parent)


def test_a_batch_goes_on_beside_a_folder_that_cannot_be_opened(closed: Path) -> None:
    assert batch(closed.parent) == ["x"]


def test_label_maps_are_found_by_both_endings_and_hidden_ones_are_not(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.nii", "._b.nii.gz", "c.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in label_maps_in(tmp_path)] == ["a.nii", "b.nii.gz"]
    assert label_maps_in(tmp_path / "none") == []


def test_a_hidden_file_does_not_make_another_series_of_a_copy(tmp_path: Path) -> None:
    for name in ("ct", "sct"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.dcm").write_bytes(b"one and the same slice")
    (tmp_path / "sct" / ".DS_Store").write_bytes(b"of a file manager")
    with pytest.raises(InputRefused, match="is a copy of the reference"):
        refuse_copy(tmp_path / "sct", tmp_path / "ct")
    (tmp_path / "sct" / "1.dcm").write_bytes(b"the same size, another")  # the control
    refuse_copy(tmp_path / "sct", tmp_path / "ct")
