"""Odd folders of training data: sides swapped, links, names that are no text. Told, no fault."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.open import open_data
from tests.dicom_factory import make_series
from tests.training.data.data_factory import (
    CT,
    config,
    ct_values,
    heads,
    mr_values,
    write_picture,
    write_volume,
)
from tests.training.data.layout_factory import bids
from tests.training.data.test_open import dicom_head


def refusal(folders: Folders, **changes: object) -> str:
    """What is said of data that are refused."""
    with pytest.raises(InputRefused) as caught:
        open_data(config(**changes), folders, seed=0)
    return str(caught.value)


def test_an_mr_is_no_ct_and_a_ct_is_no_mr(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=2, b=2)
    open_data(config(), folders, seed=0)  # the control
    write_volume(tmp_path / "b" / "x.nii", mr_values(7))
    said = refusal(folders)
    assert "1 of 5 inputs cannot be used" in said
    assert "b/x.nii does not look like a CT in HU" in said
    (tmp_path / "b" / "x.nii").unlink()
    write_volume(tmp_path / "a" / "x.nii", ct_values(7))
    assert "a/x.nii looks like a CT in HU" in refusal(folders)


@pytest.mark.parametrize("pairs", ["none", "by-name"])
def test_swapped_sides_are_both_named(tmp_path: Path, pairs: str) -> None:
    for n in range(2):
        write_volume(tmp_path / "a" / f"p{n}.nii", ct_values(n))
        write_volume(tmp_path / "b" / f"p{n}.nii", mr_values(n))
    said = refusal(Folders(tmp_path / "a", tmp_path / "b"), pairs=pairs)
    assert "4 of 4 inputs cannot be used" in said
    for name in ("a/p0.nii looks", "a/p1.nii looks", "b/p0.nii does not", "b/p1.nii does not"):
        assert name in said
    assert "A and B look swapped: give as --data-a what is now --data-b" in said
    right = Folders(tmp_path / "b", tmp_path / "a")
    open_data(config(pairs=pairs), right, seed=0)  # the control


def test_swapped_series_are_both_named(tmp_path: Path) -> None:
    dicom_head(tmp_path / "a" / "p", modality="CT")
    dicom_head(tmp_path / "b" / "p", modality="MR")
    said = refusal(Folders(tmp_path / "a", tmp_path / "b"))
    assert "hold no MR images for side A" in said
    assert "hold no CT images for side B" in said
    assert "DICOM images of modality CT passed over: 24" in said


def test_denoising_of_mr_given_as_ct_is_refused_on_both_sides(tmp_path: Path) -> None:
    for side in ("a", "b"):
        write_volume(tmp_path / side / "p.nii", mr_values(ord(side)))
    said = refusal(Folders(tmp_path / "a", tmp_path / "b"), a=CT, b=CT)
    assert "2 of 2 inputs cannot be used" in said
    assert said.count("does not look like a CT in HU") == 2


def test_one_image_on_both_sides_is_told(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=2, b=2)
    sides = {"a": CT, "b": CT}
    ct = Folders(folders.b, tmp_path / "c")
    write_volume(tmp_path / "c" / "y.nii", ct_values(50))
    control = open_data(config(**sides), ct, seed=0).summary.warnings
    assert not [sentence for sentence in control if "on side A too" in sentence]
    shutil.copy(folders.b / "ct00.nii.gz", tmp_path / "c" / "x.nii.gz")
    said = " ".join(open_data(config(**sides), ct, seed=0).summary.warnings)
    assert "1 images of B are on side A too" in said
    assert "x.nii.gz" in said


def test_links_that_lead_nowhere_are_named_and_counted(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    for name in ("lost1.nii.gz", "lost2.nii.gz"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "annex" / name)
    (tmp_path / "a" / "round.nii.gz").symlink_to(tmp_path / "a" / "round.nii.gz")
    os.mkfifo(tmp_path / "a" / "pipe.nii")
    data = open_data(config(), folders, seed=0)
    said = " ".join(data.summary.warnings)
    assert "links that lead nowhere passed over: 3 (lost1.nii.gz, lost2.nii.gz, round" in said
    assert "pipes, sockets and devices passed over: 1" in said
    (tmp_path / "annex").mkdir()
    for n, name in enumerate(("lost1.nii.gz", "lost2.nii.gz")):
        write_volume(tmp_path / "annex" / name, mr_values(30 + n))
    data = open_data(config(), folders, seed=0)
    said = " ".join(data.summary.warnings)
    assert data.summary.a.training_inputs == 3
    assert "links to files outside of the folder are read: 2 (lost1.nii.gz" in said


def test_a_bids_tree_of_lost_links_is_no_empty_success(tmp_path: Path) -> None:
    root = bids(tmp_path / "set")
    for path in sorted(root.rglob("*_ct.nii.gz"))[1:]:
        path.unlink()
        path.symlink_to("/nowhere/annex/object")
    data = open_data(config(pairs="by-name"), Folders(root, root), seed=0)
    said = " ".join(data.summary.warnings)
    assert "links that lead nowhere passed over: 3" in said
    assert "3 of 4 inputs of A have no partner" in said


def test_a_series_that_is_partly_lost_links_is_refused(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=1)
    slices = dicom_head(tmp_path / "b" / "series")
    open_data(config(), folders, seed=0)  # the control
    for path in slices[-4:]:
        path.unlink()
        path.symlink_to("/nowhere/" + path.name)
    said = refusal(folders)
    assert "b/series: a series beside 4 links that lead nowhere" in said
    assert "a series is read whole" in said


def test_two_patients_with_one_series_uid_are_two(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=1, b=0)
    for name, values in (("one", 5), ("two", 6)):

        def change(ds, k, *, name=name, values=values):  # type: ignore[no-untyped-def]
            ds.PatientID, ds.SeriesInstanceUID = name, "2.25.7"
            ds.PixelData = np.ascontiguousarray(
                (ct_values(values)[:, :, k] + 1024.0).T
            ).astype("<u2").tobytes()  # fmt: skip

        make_series(
            tmp_path / "b" / name, shape=(30, 34, 24), affine_ras=np.diag([-5.0, -5.0, 5.0, 1.0]),
            modality="CT", changes=change,
        )  # fmt: skip
    data = open_data(config(), folders, seed=0)
    assert (data.summary.b.training_inputs, data.summary.b.training_subjects) == (2, 2)


def test_names_that_are_no_text_are_read_and_shown_escaped(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    for n in range(3):
        write_volume(tmp_path / "a" / f"m{n}.nii", mr_values(n))
        write_volume(tmp_path / "b" / f"c{n}.nii", ct_values(n))
        for side, letter in ((b"a", b"m"), (b"b", b"c")):
            old = root + b"/" + side + b"/" + letter + str(n).encode() + b".nii"
            os.rename(old, root + b"/" + side + b"/p\xf6" + str(n).encode() + b".nii")
    (tmp_path / "a" / os.fsdecode(b"lost\xf6.nii")).symlink_to("/nowhere")
    folders = Folders(tmp_path / "a", tmp_path / "b")
    wanted = config(pairs="by-name", validation_share=0.4, cache="disk")
    data = open_data(wanted, folders, seed=0, cache_folder=tmp_path / "cache")
    assert data.summary.training_pairs == 2
    name = data.validation[0].name
    assert name.startswith("p\\xf6")
    json.dumps([name, *data.summary.warnings]).encode()
    "".join(data.summary.warnings).encode()  # no error: it is text
    assert "(lost\\xf6.nii)" in " ".join(data.summary.warnings)
    (tmp_path / "b" / os.fsdecode(b"bad\xf6.nii")).write_bytes(b"")
    assert "bad" in refusal(folders)


def test_a_screenshot_among_volumes_is_told(tmp_path: Path) -> None:
    folders = heads(tmp_path, a=2, b=1)
    control = " ".join(open_data(config(), folders, seed=0).summary.warnings)
    assert "pictures among its volumes" not in control
    write_picture(tmp_path / "a" / "screen.jpg", 0)
    said = " ".join(open_data(config(), folders, seed=0).summary.warnings)
    assert "Side A has pictures among its volumes: 1 (screen)" in said


def test_messages_are_sentences(tmp_path: Path) -> None:
    for n in range(2):
        write_volume(tmp_path / "a" / f"p{n}.nii", mr_values(n))
        write_volume(tmp_path / "b" / f"q{n}.nii", ct_values(n))
    folders = Folders(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").mkdir()
    write_volume(tmp_path / "c" / "x.nii", mr_values(3))
    for said in (
        refusal(folders, pairs="by-name"),
        refusal(Folders(folders.a, tmp_path / "c")),
    ):
        assert ".;" not in said
        assert "; \n" not in said
