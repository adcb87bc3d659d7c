"""An image and its sidecar come and go together, whatever happens; names of BIDS are valid."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from medcyclegan.errors import CannotWrite
from medcyclegan.io import atomic
from medcyclegan.io.atomic import atomic_image, ensure_writable
from medcyclegan.io.bids import derivative_name, derivative_path, describe, is_dataset
from medcyclegan.io.leftovers import clear_leftovers, sidecar_path


def told(text: str) -> str:
    """A sidecar of ours."""
    return json.dumps({"GeneratedBy": [{"Name": "medcyclegan"}], "of": text})


def put(target: Path, content: str, *, sidecar: str | None = "", overwrite: bool = False) -> None:
    """Write an image with its sidecar, which names the content if none is given."""
    text = told(content) if sidecar == "" else sidecar
    with atomic_image(target, overwrite=overwrite, sidecar=text) as part:
        part.write_text(content)


def pair(folder: Path) -> tuple[str | None, str | None]:
    """What the visible image holds, and of which image its sidecar tells."""
    image, sidecar = folder / "a.nii.gz", folder / "a.json"
    return (
        image.read_text() if image.exists() else None,
        json.loads(sidecar.read_text())["of"] if sidecar.exists() else None,
    )


def test_a_pair_is_written_and_replaced(tmp_path: Path) -> None:
    put(tmp_path / "a.nii.gz", "old")
    assert pair(tmp_path) == ("old", "old")
    with pytest.raises(CannotWrite, match="exists"):
        put(tmp_path / "a.nii.gz", "new")
    put(tmp_path / "a.nii.gz", "new", overwrite=True)
    assert pair(tmp_path) == ("new", "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.nii.gz"]


def test_an_image_without_a_sidecar_takes_the_older_one_away(tmp_path: Path) -> None:
    put(tmp_path / "a.nii.gz", "old")
    put(tmp_path / "a.nii.gz", "new", sidecar=None, overwrite=True)
    assert pair(tmp_path) == ("new", None)


def test_a_json_that_is_not_ours_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"of": "me"}')
    for write in (
        lambda: put(tmp_path / "a.nii.gz", "new"),
        lambda: ensure_writable(
            tmp_path / "a.nii.gz", source=tmp_path / "b.nii.gz", overwrite=False
        ),
    ):
        with pytest.raises(CannotWrite, match=r"a\.json is there"):
            write()
    assert pair(tmp_path) == (None, "me")
    put(tmp_path / "a.nii.gz", "new", sidecar=None)  # of an image that gets none it is no matter
    assert pair(tmp_path) == ("new", "me")
    put(tmp_path / "a.nii.gz", "newer", overwrite=True)
    assert pair(tmp_path) == ("newer", "newer")


@pytest.mark.parametrize("has_older", [False, True])
def test_an_exception_leaves_what_was_there(
    has_older: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if has_older:
        put(tmp_path / "a.nii.gz", "old")
    before = pair(tmp_path)

    def full(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic, "_put_file", full)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path / "a.nii.gz", "new", overwrite=True)
    assert pair(tmp_path) == before
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


# A process that writes a new pair over an old one and dies at its n-th renaming, link or removal.
VICTIM = """
import os, sys
from pathlib import Path
from medcyclegan.io.atomic import atomic_image
left = int(sys.argv[2])
def dying(name):
    plain = getattr(os, name)
    def call(*args, **kwargs):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return plain(*args, **kwargs)
    setattr(os, name, call)
for name in ("rename", "replace", "link", "unlink"):
    dying(name)
with atomic_image(Path(sys.argv[1]), overwrite=True, sidecar=sys.argv[3]) as part:
    part.write_text("new")
"""


def states_after_kills(folder: Path, *, has_older: bool) -> Iterator[tuple[Any, Any]]:
    """What a kill at each step leaves, and what the next run on the target makes of it."""
    for step in range(20):
        here = folder / f"{has_older}{step}"
        here.mkdir()
        if has_older:
            put(here / "a.nii.gz", "old")
        command = [sys.executable, "-c", VICTIM, str(here / "a.nii.gz"), str(step), told("new")]
        code = subprocess.run(command, check=False).returncode
        left = pair(here)
        clear_leftovers(here / "a.nii.gz")
        yield left, pair(here)
        put(here / "a.nii.gz", "newest", overwrite=True)
        assert pair(here) == ("newest", "newest")
        assert len(list(here.iterdir())) == 2
        if code == 0:
            return
    raise AssertionError("the victim never came to its end")


@pytest.mark.skipif(sys.platform == "win32", reason="leftovers stay on Windows")
@pytest.mark.parametrize("has_older", [False, True])
def test_no_image_is_without_its_own_sidecar_wherever_it_is_killed(
    has_older: bool, tmp_path: Path
) -> None:
    states = list(states_after_kills(tmp_path, has_older=has_older))
    for left, cleared in states:
        for image, sidecar in (left, cleared):
            assert image is None or image == sidecar, states
        if has_older:  # the older pair is not lost
            assert cleared in (("old", "old"), ("new", "new")), states
    # The control: it was killed in between.
    assert len(states) >= (6 if has_older else 3)
    assert any(left[0] is None for left, _ in states)


def test_only_nifti_has_a_sidecar() -> None:
    assert sidecar_path(Path("a/b.c.nii.gz")) == Path("a/b.c.json")
    assert sidecar_path(Path("b.NII")) == Path("b.json")
    assert sidecar_path(Path("b.mha")) is None


@pytest.mark.parametrize(
    ("name", "suffix", "made"),
    [
        ("sub-01_T1w.nii.gz", "_sct", "sub-01_desc-sct_T1w.nii.gz"),
        ("sub-01_ses-2_acq-mprage_T1w.nii", "_sct", "sub-01_ses-2_acq-mprage_desc-sct_T1w.nii"),
        ("sub-01_T1w.nii.gz", "_head-t1-t2", "sub-01_desc-headT1T2_T1w.nii.gz"),
        ("sub-01_desc-sct_T1w.nii.gz", "_rsp", "sub-01_desc-sctRsp_T1w.nii.gz"),
        ("head.nii.gz", "_sct", None),
        ("sub-01_T1w.nii.gz", "", None),
        ("sub-01_T1w.mha", "_sct", None),
    ],
)
def test_names_of_derivatives(name: str, suffix: str, made: str | None) -> None:
    assert derivative_name(name, suffix) == made


def test_derivatives_go_into_a_folder_of_their_own(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    source = raw / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    source.parent.mkdir(parents=True)
    assert derivative_path(source, "_sct") is None
    (raw / "dataset_description.json").write_text('{"Name": "heads", "BIDSVersion": "1.9.0"}')
    made = raw / "derivatives" / "medcyclegan" / "sub-01" / "anat" / "sub-01_desc-sct_T1w.nii.gz"
    assert derivative_path(source, "_sct") == made
    assert derivative_path(raw / "sourcedata" / "sub-01_T1w.nii.gz", "_sct") is None
    describe(made.parents[2], raw=raw, version="1")
    assert is_dataset(made.parents[2])
    # What is made of a derivative goes beside it.
    assert derivative_path(made, "_rsp") == made.with_name("sub-01_desc-sctRsp_T1w.nii.gz")


@contextmanager
def _unchanged(path: Path) -> Iterator[None]:
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    yield
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_a_description_that_is_there_is_kept(tmp_path: Path) -> None:
    described = tmp_path / "dataset_description.json"
    described.write_text('{"Name": "mine", "BIDSVersion": "1.9.0"}')
    with _unchanged(described):
        describe(tmp_path, raw=tmp_path, version="1")
