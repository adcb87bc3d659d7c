"""``medcyclegan calibrate``: a user's own model, from its images to exit code 9."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.store import read_card, shipped_models
from tests.cli.conversion_inputs import Run, tree_hash
from tests.tiny_model import head_on, known, tiny_folder
from tests.tiny_tasks import task_of, write_input

GRID = geometry_from_spacing((44, 44, 40), (4.0, 4.0, 4.0))


def write(volume: Volume, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(volume, source_header=ItkSourceHeader(), to=path)
    return path


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    """Three heads of 55 to 62 mm radius, and one beside the folder that is far larger."""
    for number, radius_mm in enumerate((55.0, 58.0, 62.0), start=1):
        mr, _ = head_on(GRID, radius_mm=radius_mm)
        write(mr, tmp_path / "mr" / f"p{number}_t1.nii.gz")
    write(head_on(GRID, radius_mm=84.0)[0], tmp_path / "large.nii.gz")
    return tmp_path / "mr"


def test_a_model_of_ones_own_from_its_images_to_exit_code_9(
    run: Run, heads: Path, tmp_path: Path
) -> None:
    model = tiny_folder(tmp_path / "tiny")
    large, known_head = tmp_path / "large.nii.gz", heads / "p2_t1.nii.gz"
    convert = ("translate", "--model", model, "--device", "cpu", "--input")
    assert run(*convert, large, "--out", tmp_path / "a.nii.gz")[0] == 0
    code, out, err = run("calibrate", model, "--images", heads, "--licence", "CC0-1.0")
    assert code == 0
    assert "3 images of 3 people" in out
    assert "The ranges are of 3 people: expect them to flag others" in err
    ranges = read_card(model).reference_ranges
    assert ranges is not None
    assert (ranges.measured_on[0].name, ranges.measured_on[0].licence) == ("mr", "CC0-1.0")
    assert ranges.measured_on[0].files == ()  # names may tell of patients
    assert run(*convert, known_head, "--out", tmp_path / "b.nii.gz")[0] == 0
    code, _, err = run(*convert, large, "--out", tmp_path / "c.nii.gz")
    assert code == 9
    assert "litres; the model's reference range is" in err


def test_pairs_by_name_make_the_curve_and_json_tells(run: Run, heads: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "tiny")
    for number in (1, 2):
        mr = read_scan(heads / f"p{number}_t1.nii.gz").volume
        hu = np.where(mr.voxels > 0, 40.0, -1000.0).astype(np.float32)
        write(mr.with_voxels(hu, unit="HU"), tmp_path / "ct" / f"p{number}_ct.nii.gz")
    code, out, _ = run(
        "calibrate", model, "--images", heads, "--pairs", tmp_path / "ct", "--json", "--list-files"
    )
    facts = json.loads(out)
    assert code == 0
    assert (facts["images"], facts["people"], facts["pairs"]) == (3, 3, 2)
    card = read_card(model)
    assert card.uncertainty is not None
    assert card.reference_ranges is not None
    assert facts["ranges"]["body_litres"] == [
        card.reference_ranges.ranges["body_litres"].low,
        card.reference_ranges.ranges["body_litres"].high,
    ]
    assert card.reference_ranges.measured_on[0].files == ("p1_t1", "p2_t1", "p3_t1")


def test_true_images_that_belong_to_none_or_to_two_are_refused(
    run: Run, heads: Path, tmp_path: Path
) -> None:
    model = tiny_folder(tmp_path / "tiny")
    before = tree_hash(model)
    stranger = write(head_on(GRID)[0], tmp_path / "ct" / "p9_ct.nii.gz")
    asked = ("calibrate", model, "--images", heads, "--pairs", tmp_path / "ct")
    code, _, err = run(*asked)
    assert code == 3
    assert "1 of 1 true images belong to no image: p9_ct" in err
    stranger.rename(stranger.with_name("p1_ct.nii.gz"))
    write(head_on(GRID)[0], heads / "p1_t2.nii.gz")
    code, _, err = run(*asked)
    assert code == 3
    assert "and not to it alone" in err
    assert tree_hash(model) == before


def test_a_shipped_model_is_copied_and_its_own_card_is_left_alone(
    run: Run, heads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = run("calibrate", "head-mr-ct", "--images", heads)
    assert code == 2
    assert "add --out DIR for a copy" in err
    monkeypatch.setattr("medcyclegan.models.store.is_checkout", lambda: False)
    assert run("calibrate", "head-mr-ct", "--images", heads, "--in-place")[0] == 2
    tiny = tiny_folder(tmp_path / "tiny")
    monkeypatch.setattr("medcyclegan.models.store.is_shipped", lambda folder: True)
    before = tree_hash(tiny)
    assert run("calibrate", tiny, "--images", heads, "--out", tmp_path / "copy")[0] == 0
    assert tree_hash(tiny) == before
    assert read_card(tmp_path / "copy").reference_ranges is not None
    assert run("calibrate", tiny, "--images", heads, "--out", tmp_path / "copy")[0] == 4
    monkeypatch.setattr("medcyclegan.models.store.is_checkout", lambda: True)
    assert run("calibrate", tiny, "--images", heads, "--in-place")[0] == 0
    assert tree_hash(tiny) != before
    assert len(shipped_models()) >= 1


def test_options_that_do_not_go_together(run: Run, heads: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "tiny", task=task_of("mr-mr"))
    asked = ("calibrate", model, "--images", heads)
    assert run(*asked, "--in-place", "--out", tmp_path / "copy")[0] == 2
    code, _, err = run(*asked, "--reverse", "head-ct-mr")
    assert code == 2
    assert "makes no CT of MR" in err
    empty = tmp_path / "empty"
    empty.mkdir()
    code, _, err = run("calibrate", model, "--images", empty)
    assert code == 3
    assert "hold no MR images" in err


def test_extend_widens_what_is_there(run: Run, heads: Path, tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "tiny", reference_ranges=known(body_litres=(0.01, 9.0)))
    assert run("calibrate", model, "--images", heads, "--extend", "--name", "ours")[0] == 0
    ranges = read_card(model).reference_ranges
    assert ranges is not None
    assert ranges.ranges["body_litres"].high == 9.0
    assert [data.name for data in ranges.measured_on] == ["tests", "ours"]


@pytest.mark.parametrize(("task", "ending"), [("image-image", ".png"), ("ct-ct", ".nii.gz")])
def test_models_of_pictures_and_of_ct_can_be_calibrated(
    run: Run, tmp_path: Path, task: str, ending: str
) -> None:
    model = tiny_folder(tmp_path / "tiny", task=task_of(task))
    folder = tmp_path / "in"
    folder.mkdir()
    write_input(folder / f"one{ending}", task_of(task).source.modality)
    code, out, _ = run("calibrate", model, "--images", folder)
    assert code == 0
    assert ("shorter_px" in out) == (ending == ".png")
    again = ("translate", "--model", model, "--input", folder / f"one{ending}", "--device", "cpu")
    assert run(*again, "--out", tmp_path / f"made{ending}")[0] == 0
