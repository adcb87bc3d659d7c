"""``medcyclegan enhance-xray``: files, folders, chains, a model after it, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from tests.cli.conversion_inputs import Run, tree_hash
from tests.dicom_derived import dciodvfy_errors
from tests.radiographs import write_radiograph
from tests.tiny_model import tiny_folder
from tests.tiny_tasks import task_of, write_input


def test_a_picture_and_its_contact_sheet(run: Run, tmp_path: Path) -> None:
    source = write_input(tmp_path / "a16.png", "XR")
    given = ("enhance-xray", "--image", source, "--method", "clahe", "--method", "unsharp")
    code, out, err = run(*given, "--contact-sheet", "--json")
    assert (code, err) == (0, "")
    said = json.loads(out)
    expected = [tmp_path / "a16_enhanced.png", tmp_path / "a16_enhanced_sheet.png"]
    assert [Path(path) for path in said["written"]] == expected
    assert said["methods"] == ["clahe", "unsharp"]
    assert said["refused"] == []
    with Image.open(expected[1]) as sheet:
        assert sheet.width > 2 * sheet.height  # three columns of a portrait picture
    before = tree_hash(tmp_path)
    code, out, err = run(*given)
    assert (code, out) == (4, "")
    assert tree_hash(tmp_path) == before
    assert run(*given, "--overwrite", "-q")[:2] == (0, "")


def test_the_order_of_methods_counts(run: Run, tmp_path: Path) -> None:
    source = write_input(tmp_path / "a8.png", "XR")
    made = []
    for name, methods in (("one", ("hist-eq", "edges")), ("two", ("edges", "hist-eq"))):
        options = [word for method in methods for word in ("--method", method)]
        out = tmp_path / f"{name}.png"
        assert run("enhance-xray", "--image", source, *options, "--out", out)[0] == 0
        made.append(np.asarray(Image.open(out)))
    assert not np.array_equal(*made)


@pytest.mark.usefixtures("in_this_process")
def test_of_a_folder_all_that_can_be_is_done(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_radiograph(folder)
    write_input(folder / "b.jpg", "XR")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    out = tmp_path / "out"
    options = ("--method", "denoise-tv", "--contact-sheet", "--out", out)
    code, said, err = run("enhance-xray", "--image", folder, *options)
    assert code == 8
    assert "broken.png" in err
    assert sorted(path.name for path in out.iterdir()) == [
        ".medcyclegan", "IM0001_enhanced", "b_enhanced.png", "batch.csv", "batch.json",
        "contact_sheet.png",
    ]  # fmt: skip
    assert "contact_sheet.png" in said
    (folder / "broken.png").unlink()
    code, said, _ = run("enhance-xray", "--image", folder, *options, "--json")
    facts = json.loads(said)
    assert (code, facts["counts"]) == (0, {"skipped-up-to-date": 2})
    assert facts["written"] == [str(out / "IM0001_enhanced"), str(out / "b_enhanced.png")]
    assert (facts["refused"], facts["methods"]) == ([], ["denoise-tv"])
    assert run("enhance-xray", "--image", folder, *options, "--overwrite")[0] == 0


@pytest.mark.usefixtures("in_this_process")
def test_a_folder_keeps_its_subfolders_and_a_model_follows(run: Run, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "model", task=task_of("xr-ct", depth=1))
    (tmp_path / "in" / "p1").mkdir(parents=True)
    write_radiograph(tmp_path / "in" / "p2")
    write_input(tmp_path / "in" / "p1" / "a.png", "XR")
    options = ("--method", "clahe", "--model", model, "--contact-sheet")
    code, _, err = run("enhance-xray", "--image", tmp_path / "in", *options)
    assert (code, err) == (0, "")
    out = tmp_path / "in_enhanced_tiny"
    assert (out / "p1" / "a_enhanced_tiny.png").is_file()
    (series,) = (out / "p2" / "IM0001_enhanced_tiny").glob("*.dcm")
    assert dcmread(series).DerivationDescription.startswith("Grey values enhanced by clahe.")
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.width > 2 * sheet.height / 2  # a row each, three columns


@pytest.mark.usefixtures("in_this_process")
def test_a_foreign_sheet_is_found_before_any_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_input(tmp_path / "in" / "a.png", "XR")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "contact_sheet.png").write_bytes(b"precious")
    options = ("--method", "clahe", "--contact-sheet", "--out", tmp_path / "out")
    code, _, err = run("enhance-xray", "--image", tmp_path / "in", *options)
    assert (code, "contact_sheet.png exists already" in err) == (4, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["contact_sheet.png"]


def test_a_model_translates_the_enhanced_image(run: Run, tmp_path: Path) -> None:
    task = task_of("xr-ct", depth=1)
    model = tiny_folder(tmp_path / "model", task=task)
    source = write_input(tmp_path / "a8.png", "XR")
    options = ("--image", source, "--model", model)
    made = []
    for method in ("hist-eq", "denoise-tv"):
        out = tmp_path / f"{method}.png"
        code, _, err = run("enhance-xray", *options, "--method", method, "--out", out)
        assert (code, err) == (0, "")
        made.append(np.asarray(Image.open(out)))
    assert not np.array_equal(*made)  # the model saw what was enhanced
    translated = tmp_path / "plain.png"
    assert run("translate", "--model", model, "--input", source, "--out", translated)[0] == 0
    assert not np.array_equal(made[0], np.asarray(Image.open(translated)))
    dicom = write_radiograph(tmp_path / "in")
    options = ("--image", dicom, "--model", model, "--method", "clahe", "--contact-sheet")
    assert run("enhance-xray", *options, "--out", tmp_path / "series")[0] == 0
    (path,) = (tmp_path / "series").glob("*.dcm")
    ds = dcmread(path)
    assert ds.DerivationDescription.startswith("Grey values enhanced by clahe. Synthetic")
    assert ds.SyntheticData == "YES"
    assert (tmp_path / "series_sheet.png").is_file()
    assert dciodvfy_errors(tmp_path / "series") == []


def test_what_cannot_be_is_refused(run: Run, tmp_path: Path) -> None:
    source = write_input(tmp_path / "a8.png", "XR")
    for code, *options in (
        (2, "--image", source),
        (2, "--image", source, "--method", "sharpen"),
        (2, "--image", source, "--method", "clahe:clip_limit=7"),
        (3, "--image", tmp_path / "none.png", "--method", "clahe"),
        (4, "--image", source, "--method", "clahe", "--out", source),
        (5, "--image", source, "--method", "clahe", "--model", "no-such-model"),
    ):
        found, out, err = run("enhance-xray", *options)
        assert (found, out) == (code, ""), options
        assert err
    assert [path.name for path in tmp_path.iterdir()] == ["a8.png"]
