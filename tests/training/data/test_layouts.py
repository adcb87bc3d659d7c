"""Data sets in their usual layouts: sides, subjects, pairs, masks and what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.open import open_data
from medcyclegan.training.data.types import TrainingData
from tests.training.data.data_factory import (
    CT,
    MR,
    config,
    ct_values,
    heads,
    inside,
    mr_values,
    write_picture,
    write_volume,
)
from tests.training.data.layout_factory import (
    LAYOUTS,
    bids,
    mask_values,
    nnunet,
    synthrad,
    table,
    write_rows,
)


def opened(place: Path, **changes: object) -> TrainingData:
    """One place for both sides, pairs by name."""
    return open_data(config(**{"pairs": "by-name", **changes}), Folders(place, place), seed=0)


def names(data: TrainingData) -> list[str]:
    return [case.name for case in data.train.side_a.cases]  # type: ignore[attr-defined]


def subjects(data: TrainingData) -> set[str]:
    return {case.subject for case in data.train.side_a.cases}  # type: ignore[attr-defined]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_pairs_with_their_masks(layout: str, tmp_path: Path) -> None:
    data = opened(LAYOUTS[layout](tmp_path / "set"))
    summary = data.summary
    assert summary.a.layout == summary.b.layout == layout
    held = len(data.validation)
    assert summary.training_pairs + held == (4 if layout == "BIDS" else 3)
    assert summary.a.masks == summary.training_pairs + held
    sample = data.train[0]
    assert sample.paired
    for case in data.train.side_a.cases:  # type: ignore[attr-defined]
        # the mask marks the upper half of the head; the control below has the whole of it
        assert 0.4 < int(case.body().sum()) / inside().sum() < 0.6
    bare = opened(tmp_path / "set" / ("data.csv" if layout == "table" else ""), masks="none")
    assert bare.summary.a.masks == 0
    for case in bare.train.side_a.cases:  # type: ignore[attr-defined]
        assert int(case.body().sum()) / inside().sum() > 0.8


def test_synthrad_cases_are_the_subjects_and_what_lies_beside_is_told(tmp_path: Path) -> None:
    root = synthrad(tmp_path / "Task1", ending=".mha")
    write_picture(root / "brain" / "overview" / "1BA001_train.png", 0)
    write_volume(root / "brain" / "1BA001" / "mr_n4.nii.gz", mr_values(70))
    data = opened(root)
    assert subjects(data) == {"1BA000", "1BA001", "1BA002"}
    said = " ".join(data.summary.warnings)
    assert "files beside mr, cbct, ct and mask left out: 2." in said
    assert data.summary.b.values[0] == -1000.0


def test_visits_of_a_patient_stay_one_subject(tmp_path: Path) -> None:
    for n, name in enumerate(("P1/v1", "P1/v2", "P2/v1", "P3/v3")):
        write_volume(tmp_path / "set" / name / "mr.nii", mr_values(n))
        write_volume(tmp_path / "set" / name / "ct.nii", ct_values(n))
    data = opened(tmp_path / "set")
    assert data.summary.a.layout == "SynthRAD"
    assert data.summary.training_pairs == 4
    assert subjects(data) == {"P1", "P2", "P3"}


def test_names_of_bids_without_its_folders_are_read(tmp_path: Path) -> None:
    for n in range(2):
        write_volume(tmp_path / "a" / f"sub-0{n}_T1w.nii", mr_values(n))
        write_volume(tmp_path / "b" / f"sub-0{n}" / f"sub-0{n}_ct.nii", ct_values(n))
        write_volume(tmp_path / "b" / f"sub-0{n}" / f"sub-0{n}_scan.nii", ct_values(n + 9))
    data = open_data(config(), Folders(tmp_path / "a", tmp_path / "b"), seed=0)
    assert (data.summary.a.training_inputs, data.summary.b.training_inputs) == (2, 4)
    assert (data.summary.a.layout, data.summary.b.layout) == ("folders", "BIDS")


def test_a_cbct_is_chosen_by_name_and_two_cts_are_not_told_apart_else(tmp_path: Path) -> None:
    root = synthrad(tmp_path / "Task2")
    for path in root.rglob("mr.nii.gz"):
        path.unlink()
        write_volume(path.with_name("cbct.nii.gz"), ct_values(int(path.parent.name[3:]) + 50))
    with pytest.raises(UsageError, match=r"data\.a\.channels=\[cbct\]"):
        opened(root, a=CT)
    data = opened(root, a={**CT, "channels": ["cbct"]}, b={**CT, "channels": ["ct"]})
    assert data.summary.training_pairs == 3
    assert all(name.endswith("/cbct") for name in names(data))
    assert data.train[0].a.shape == (3, 20, 20)


def test_nnunet_leaves_out_the_test_and_labels_of_several_classes(tmp_path: Path) -> None:
    root = nnunet(tmp_path / "Dataset001")
    data = opened(root)
    assert "images of imagesTs, which are for a test, left out: 1." in " ".join(
        data.summary.warnings
    )
    assert subjects(data) == {"HEAD_000", "HEAD_001", "HEAD_002"}
    told = (root / "dataset.json").read_text()
    (root / "dataset.json").write_text(told.replace('"body": 1', '"bone": 1, "fat": 2'))
    several = opened(root)
    assert several.summary.a.masks == 0
    assert "labels of several classes, or of none that is known left out: 3." in " ".join(
        several.summary.warnings
    )
    (root / "dataset.json").write_text(told[:-5])
    with pytest.raises(InputRefused, match=r"dataset\.json cannot be read"):
        opened(root)


def test_nnunet_folders_of_images_serve_as_sides_too(tmp_path: Path) -> None:
    mr = nnunet(tmp_path / "mr", channels=["T1"])
    ct = nnunet(tmp_path / "ct", channels=["CT"])
    folders = Folders(mr / "imagesTr", ct)
    data = open_data(config(pairs="by-name"), folders, seed=0)
    assert data.summary.training_pairs == 3
    assert (data.summary.a.masks, data.summary.b.masks) == (0, 3)


def test_bids_takes_anatomy_and_ct_of_every_visit(tmp_path: Path) -> None:
    data = opened(bids(tmp_path / "set"))
    assert subjects(data) == {"sub-01", "sub-02", "sub-03"}
    assert sum(name.startswith("sub-01/") for name in names(data)) == 2
    said = " ".join(data.summary.warnings)
    assert "phase, real and imaginary images left out: 4." in said
    assert "images of neither anatomy nor CT left out: 4." in said
    assert "masks of no body left out: 4." in said
    held = opened(tmp_path / "set", validation_share=0.4)
    trained = subjects(held)
    assert trained
    assert not trained & {case.name.split("/")[0] for case in held.validation}


def test_a_table_says_who_is_held_back_and_who_is_for_a_test(tmp_path: Path) -> None:
    path = table(tmp_path)
    data = opened(path)
    assert [case.name for case in data.validation] == ["scans/x27.nii.gz"]
    assert data.validation[0].paired
    assert subjects(data) == {"P0", "P1"}
    assert "images of A for a test are left out: 1." in " ".join(data.summary.warnings)
    both = Folders(path, path, tmp_path / "scans", tmp_path / "scans")
    with pytest.raises((UsageError, InputRefused)):
        open_data(config(pairs="by-name"), both, seed=0)


@pytest.mark.parametrize(
    ("columns", "rows", "message"),
    [
        (("subject", "path"), [("P0", "m.nii")], "has the columns subject, path"),
        (("subject", "side", "path"), [("P0", "C", "m.nii")], r"line 2 has the side c"),
        (("subject", "side", "path"), [("", "A", "m.nii")], "no subject or no path"),
        (("subject", "side", "path"), [("P0", "A", "none.nii")], r"none\.nii does not exist"),
        (("subject", "side", "path"), [("P0", "A", "t.txt")], r"t\.txt is no image that is read"),
        (
            ("subject", "side", "path"),
            [("P0", "A", "m.nii"), ("P1", "A", "m.nii"), ("P0", "B", "c.nii")],
            r"more than once: .*m\.nii",
        ),
        (
            ("subject", "side", "path", "mask"),
            [("P0", "A", "m.nii", "none.nii")],
            r"none\.nii: there is no such mask",
        ),
        (
            ("subject", "side", "path", "split"),
            [("P0", "A", "m.nii", "fold1")],
            r"m\.nii has the split fold1",
        ),
        (
            ("subject", "side", "path", "split"),
            [("P0", "A", "m.nii", "val"), ("P0", "B", "c.nii", "val")],
            "all are for validation",
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_told(
    columns: tuple[str, ...], rows: list[tuple[str, ...]], message: str, tmp_path: Path
) -> None:
    write_volume(tmp_path / "m.nii", mr_values(0))
    write_volume(tmp_path / "c.nii", ct_values(0))
    (tmp_path / "t.txt").write_text("no image")
    good = write_rows(
        tmp_path / "good.csv", [("P0", "A", "m.nii"), ("P0", "B", "c.nii")],
        ("subject", "side", "path"),
    )  # fmt: skip
    assert opened(good).summary.training_pairs == 1  # the control
    if "B" not in {row[1] for row in rows}:
        rows = [*rows, ("P0", "B", "c.nii")]
    with pytest.raises(InputRefused, match=message):
        opened(write_rows(tmp_path / "data.csv", rows, columns))


def test_sides_of_one_folder_are_told_by_the_names_of_files_or_folders(tmp_path: Path) -> None:
    for n in range(2):
        write_volume(tmp_path / "x" / "MR" / f"p{n}.nii", mr_values(n))
        write_volume(tmp_path / "x" / "CT" / f"p{n}.nii", ct_values(n))
        write_volume(tmp_path / "y" / f"p{n}_t1.nii", mr_values(n))
        write_volume(tmp_path / "y" / f"ct_p{n}.nii", ct_values(n))
    for folder in ("x", "y"):
        data = opened(tmp_path / folder)
        assert data.summary.training_pairs == 2
        assert subjects(data) == {"p0", "p1"}
    with pytest.raises(UsageError, match="given for both sides, which are MR and MR"):
        opened(tmp_path / "y", b=MR)


def test_a_mask_that_is_off_its_image_or_marks_little_is_told(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=2, b=1)
    small = np.zeros_like(mask_values())
    small[10:20, 10:20, 10:15] = 1.0
    write_volume(tmp_path / "a" / "mr00_mask.nii.gz", small)
    data = open_data(config(), folders, seed=0)
    said = " ".join(data.summary.warnings)
    assert "covers less than 50% of what looks like the body" in said
    assert "images without a mask beside others with one: 1" in said
    assert data.summary.a.training_inputs == 2  # the mask is no image to train on
    empty = small * 0.0
    write_volume(tmp_path / "a" / "mr01_mask.nii.gz", empty)
    with pytest.raises(InputRefused, match=r"mr01_mask\.nii\.gz marks nothing of .*mr01_t1"):
        open_data(config(), folders, seed=0)
    open_data(config(masks="none"), folders, seed=0)  # the control


def test_a_mask_may_mark_all(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    write_volume(tmp_path / "a" / "mr00_mask.nii.gz", np.ones_like(mask_values()))
    data = open_data(config(), folders, seed=0)
    case = data.train.side_a.cases[0]  # type: ignore[attr-defined]
    assert int(case.body().sum()) > 0.9 * mask_values().size


def test_percentiles_are_taken_inside_the_mask(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=0, b=1)
    bright = mr_values(0)
    bright[:, :, : bright.shape[2] // 2] *= 4.0  # what the mask leaves out
    write_volume(tmp_path / "a" / "mr00_t1.nii.gz", bright)
    write_volume(tmp_path / "a" / "mr00_mask.nii.gz", mask_values())
    quartiles = []
    for masks in ("auto", "none"):
        data = open_data(config(masks=masks), folders, seed=0)
        case = data.train.side_a.cases[0]  # type: ignore[attr-defined]
        quartiles.append(float(case.values("a")[case.body()].quantile(0.25)))
    assert quartiles[0] > -0.7
    assert quartiles[1] < -0.85  # without it, the bright half takes the range


def test_what_is_named_as_a_label_is_no_image_and_two_masks_are_refused(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    write_volume(tmp_path / "a" / "mr00_seg.nii.gz", mask_values())
    data = open_data(config(), folders, seed=0)
    assert data.summary.a.training_inputs == 1
    assert "named as labels, reports or the like left out: 1" in " ".join(data.summary.warnings)
    for name in ("mr00_mask.nii.gz", "mr00_body_mask.nii.gz", "other_mask.nii.gz"):
        write_volume(tmp_path / "a" / name, mask_values())
    with pytest.raises(InputRefused, match="2 masks could be its"):
        open_data(config(), folders, seed=0)
    (tmp_path / "a" / "mr00_body_mask.nii.gz").unlink()
    said = " ".join(open_data(config(), folders, seed=0).summary.warnings)
    assert "masks without an image: 1 (other)" in said
