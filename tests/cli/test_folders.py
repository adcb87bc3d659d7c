"""``medcyclegan translate`` on folders: names and sub-folders kept, one failure kept apart."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from medcyclegan.io.read import read_scan
from medcyclegan.workflow.batch.finding import is_one_scan
from tests.cli.conversion_inputs import Run, tree_hash
from tests.radiographs import write_radiograph
from tests.tiny_model import tiny_folder
from tests.tiny_tasks import picture, task_of, write_ct_series, write_input

pytestmark = pytest.mark.usefixtures("in_this_process")


def model_of(folder: Path, task: str, *, depth: int = 1) -> Path:
    return tiny_folder(folder / f"model-{task}", task=task_of(task, depth=depth))


def written(out: Path) -> set[str]:
    """The files under a folder of outputs, but for its record."""
    return {
        path.relative_to(out).as_posix()
        for path in out.rglob("*")
        if path.is_file() and ".medcyclegan" not in str(path.relative_to(out))
    } - {"batch.json", "batch.csv"}


def pictures(folder: Path) -> Path:
    """Pictures of each format, one of them broken, in folders and below."""
    (folder / "sub" / "deep").mkdir(parents=True)
    write_input(folder / "a.png", "image")
    write_input(folder / "b.jpg", "image")
    write_input(folder / "sub" / "a16.png", "image")
    write_input(folder / "sub" / "deep" / "c.tif", "image")
    (folder / "sub" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "notes.txt").write_text("x")
    return folder


def test_pictures_keep_names_folders_and_bits_and_one_failure_stays_alone(
    run: Run, tmp_path: Path
) -> None:
    model = model_of(tmp_path, "image-ct")
    source = pictures(tmp_path / "in")
    before = tree_hash(source)
    code, said, err = run("translate", "--model", model, "--input", source)
    assert code == 8
    assert tree_hash(source) == before
    out = tmp_path / "in_tiny"
    assert written(out) == {"a.png", "b.png", "sub/a16.png", "sub/deep/c.tif"}
    assert "sub/broken.png: refused" in err
    assert "Passed over, no image (.txt): 1" in err
    assert "4 done, 1 refused" in said
    assert "an acquired image" in said.splitlines()[-1]
    for name, dtype in (("a.png", np.uint8), ("sub/a16.png", np.uint16)):
        with Image.open(out / name) as image:
            pixels = np.asarray(image)
        assert (pixels.shape, pixels.dtype) == (picture().shape, dtype)
    with (out / "batch.csv").open(newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    assert {name: row["status"] for name, row in rows.items()} == {
        "a.png": "done", "b.jpg": "done", "sub/a16.png": "done", "sub/deep/c.tif": "done",
        "sub/broken.png": "refused",
    }  # fmt: skip
    assert "body_ml" not in rows["a.png"]  # a picture has no volume
    alone = tmp_path / "alone.png"
    assert run("translate", "--model", model, "--input", source / "a.png", "--out", alone)[0] == 0
    assert np.array_equal(np.asarray(Image.open(alone)), np.asarray(Image.open(out / "a.png")))


def test_run_again_it_does_what_is_missing(run: Run, tmp_path: Path) -> None:
    model = model_of(tmp_path, "image-image")
    source = pictures(tmp_path / "in")
    (source / "sub" / "broken.png").unlink()
    given = ("translate", "--model", model, "--input", source, "--out", tmp_path / "o", "--json")
    code, said, _ = run(*given)
    assert (code, json.loads(said)["counts"]) == (0, {"done": 4})
    (tmp_path / "o" / "b.png").unlink()
    code, said, _ = run(*given)
    facts = json.loads(said)
    assert (code, facts["counts"]) == (0, {"done": 1, "skipped-up-to-date": 3})
    assert len(facts["written"]) == 4
    assert all(Path(path).is_file() for path in facts["written"])


def test_radiographs_one_by_one_also_where_a_series_holds_several(run: Run, tmp_path: Path) -> None:
    model = model_of(tmp_path, "xr-xr")
    (tmp_path / "in").mkdir()
    first = write_radiograph(tmp_path / "in" / "p1")
    ds = dcmread(first)
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "2.25.4711"
    ds.save_as(tmp_path / "in" / "p1" / "IM0002.dcm")  # of the same series
    cut = write_radiograph(tmp_path / "in" / "p2", modality="DX")
    cut.write_bytes(cut.read_bytes()[:500])
    write_input(tmp_path / "in" / "c.png", "XR")
    (tmp_path / "in" / "d.png").symlink_to(tmp_path / "nowhere.png")
    slices = len(write_ct_series(tmp_path / "in" / "ct"))
    code, _, err = run("translate", "--model", model, "--input", tmp_path / "in")
    assert code == 8
    assert "p2/IM0001.dcm: refused" in err
    assert "d.png: refused: a link that leads nowhere" in err
    assert f"Passed over, DICOM of CT, no radiographs: {slices}" in err
    out = tmp_path / "in_tiny"
    names = {name.rsplit("/", 1)[0] for name in written(out)}
    assert names == {"c.png", "p1/IM0001", "p1/IM0002"}
    assert read_scan(out / "p1" / "IM0002").modality == "XR"


def test_volumes_in_files_and_masks_among_them_are_told(run: Run, tmp_path: Path) -> None:
    model = model_of(tmp_path, "mr-mr", depth=3)
    (tmp_path / "in" / "s").mkdir(parents=True)
    write_input(tmp_path / "in" / "p1.nii.gz", "MR")
    write_input(tmp_path / "in" / "p1_mask.nii.gz", "MR")
    write_input(tmp_path / "in" / "s" / "p2.mha", "MR")
    code, _, err = run("translate", "--model", model, "--input", tmp_path / "in")
    assert (code, "p1_mask.nii.gz: set aside: its name says mask" in err) == (0, True)
    out = tmp_path / "in_tiny"
    assert written(out) == {"p1.json", "p1.nii.gz", "s/p2.mha"}
    made, given = read_scan(out / "p1.nii.gz"), read_scan(tmp_path / "in" / "p1.nii.gz")
    assert made.volume.geometry.same_grid(given.volume.geometry)


def test_hu_from_pictures_become_tiff_and_a_shared_warning_is_counted(
    run: Run, tmp_path: Path
) -> None:
    model = model_of(tmp_path, "mr-ct", depth=3)
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        write_input(tmp_path / "in" / name, "MR")
    code, _, err = run("translate", "--model", model, "--input", tmp_path / "in")
    assert code == 0
    assert written(tmp_path / "in_tiny") == {"a.tif", "b.tif", "c.tif"}
    assert err.count("neighbouring slices") == 2
    assert "3 images in all" in err


def test_outputs_below_the_inputs_are_not_taken_for_inputs(run: Run, tmp_path: Path) -> None:
    model = model_of(tmp_path, "image-ct")
    (tmp_path / "in").mkdir()
    write_input(tmp_path / "in" / "a.png", "image")
    given = ("translate", "--model", model, "--input", tmp_path / "in", "--out")
    assert run(*given, tmp_path / "in" / "made")[0] == 0
    code, _, err = run(*given, tmp_path / "other")
    assert (code, "folder of outputs of another run: 1" in err) == (0, True)
    assert written(tmp_path / "other") == {"a.png"}
    # Named itself, such a folder is taken: what was enhanced may be translated.
    again = ("translate", "--model", model, "--input", tmp_path / "other", "--out")
    assert run(*again, tmp_path / "third")[0] == 0
    assert written(tmp_path / "third") == {"a.png"}


def test_names_that_would_be_one_are_told_apart(run: Run, tmp_path: Path) -> None:
    model = model_of(tmp_path, "image-ct")
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.jpg"):
        write_input(tmp_path / "in" / name, "image")
    assert run("translate", "--model", model, "--input", tmp_path / "in")[0] == 0
    names = written(tmp_path / "in_tiny")
    assert len(names) == 2
    assert all(name.startswith("a_") and name.endswith(".png") for name in names)


def test_what_a_folder_stands_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write_radiograph(tmp_path / "one")
    write_input(tmp_path / "series", "MR")
    write_input(tmp_path / "series" / "preview.png", "image")
    assert is_one_scan(tmp_path / "series", modality="MR")
    assert is_one_scan(tmp_path / "one", modality="XR")
    assert is_one_scan(tmp_path / "empty", modality="MR")
    write_input(tmp_path / "one" / "a.png", "XR")
    assert not is_one_scan(tmp_path / "one", modality="XR")
    assert not is_one_scan(tmp_path, modality="XR")
    assert is_one_scan(tmp_path, modality="MR")


def test_what_is_for_one_image_is_refused_for_a_folder(run: Run, tmp_path: Path) -> None:
    model = model_of(tmp_path, "image-ct")
    source = pictures(tmp_path / "in")
    given = ("translate", "--model", model, "--input", source)
    before = tree_hash(tmp_path)
    for code, named, *options in (
        (2, "--mask", "--mask", source / "a.png"),
        (2, "--uncertainty", "--uncertainty"),
        (2, "--deidentify", "--deidentify"),
        (2, "into a folder", "--out", tmp_path / "x.png"),
        (4, "folder of the inputs", "--out", source),
    ):
        found, out, err = run(*given, *options)
        assert (found, out, named in err) == (code, "", True), (options, err)
    assert tree_hash(tmp_path) == before
