"""What is found in a tree, which of it is taken, and why the rest is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import Dataset

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.finding import Catalogue, find_candidates
from medcyclegan.batch.select import parse_rule, set_aside
from medcyclegan.errors import InputRefused, UsageError
from tests.dicom_factory import make_series


def look(root: Path, modality: str = "MR") -> Catalogue:
    """The catalogue of a tree."""
    return find_candidates(root, modality=modality, skip=root / "out")


def chosen(root: Path, rule: str = "auto") -> tuple[set[str], dict[str, str]]:
    """Paths of what is taken, and the reasons for the rest, by path."""
    reasons = set_aside(look(root).candidates, parse_rule(rule))
    taken = {c.source.as_posix() for c, reason in reasons.items() if not reason and not c.refused}
    return taken, {
        c.source.as_posix(): r or c.refused for c, r in reasons.items() if r or c.refused
    }


def touch(root: Path, *names: str) -> None:
    """Make empty files: names are all that is looked at."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")


def test_bids_takes_one_image_a_session(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "ds/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "ds/sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz",
        "ds/sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz",
        "ds/sub-01/ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz",
        "ds/sub-02/anat/sub-02_ce-gd_T1w.nii.gz",
        "ds/sub-02/anat/sub-02_T1w.nii.gz",
        "ds/derivatives/x/sub-02/anat/sub-02_T1w.nii.gz",
    )
    taken, reasons = chosen(tmp_path)
    assert taken == {
        "ds/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "ds/sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz",
        "ds/sub-02/anat/sub-02_T1w.nii.gz",
    }
    assert "T1w of this visit" in reasons["ds/sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz"]
    assert "bold" in reasons["ds/sub-01/ses-1/func/sub-01_ses-1_task-rest_bold.nii.gz"]
    assert "derivatives" in reasons["ds/derivatives/x/sub-02/anat/sub-02_T1w.nii.gz"]
    only_t2, _ = chosen(tmp_path, "T2w")
    assert only_t2 == {"ds/sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz"}


def test_what_bids_keeps_beside_images_of_subjects_is_no_work(tmp_path: Path) -> None:
    head = "sub-01/anat/sub-01"
    aside = {
        f"{head}_part-phase_T1w.nii.gz": "no magnitude",
        f"{head}_part-real_T1w.nii.gz": "no magnitude",
        f"{head}_echo-1_part-imag_T1w.nii.gz": "no magnitude",
        "plain/p7_t1_phase.nii.gz": "no magnitude",
        "plain/phase.mha": "no magnitude",
        "sourcedata/sub-01/t1.nii.gz": "source data",
        "code/templates/t1.nii.gz": "code/",
        "ds/code/t1.nii.gz": "code/",
        "stimuli/t1.nii.gz": "stimuli/",
        "derivatives/x/sub-01_T1w.nii.gz": "derivatives",
    }
    work = {f"{head}_part-mag_T1w.nii.gz", f"{head}_T2w.nii.gz", "plain/p8_inphase_t1.nii.gz"}
    touch(tmp_path, *aside, *work)
    make_series(tmp_path / "sourcedata" / "dicom" / "mr", shape=(4, 5, 12))
    aside["sourcedata/dicom/mr"] = "source data"
    for rule in ("all", "auto"):
        taken, reasons = chosen(tmp_path, rule)
        assert taken <= work
        for name, why in aside.items():
            assert why in reasons[name], name
    assert chosen(tmp_path, "all")[0] == work
    # The control: what lies in the folder that is given is looked at, whatever its name.
    assert chosen(tmp_path / "sourcedata" / "sub-01", "all")[0] == {"t1.nii.gz"}


def test_plain_files(tmp_path: Path) -> None:
    touch(tmp_path, "a/t1.nii.gz", "a/t2.nii.gz", "b/t1.nii.gz", "flat/x1.mha", "flat/x2.nrrd",
          "a/t1_mask.nii.gz", "a/t1_sct.nii.gz", "a/._t1.nii.gz", "a/notes.txt", "c/p.hdr",
          "c/p.img", "out/old.nii.gz")  # fmt: skip
    taken, reasons = chosen(tmp_path)
    assert taken == {"a/t1.nii.gz", "b/t1.nii.gz", "flat/x1.mha", "flat/x2.nrrd", "c/p.hdr"}
    assert set(reasons) == {"a/t2.nii.gz", "a/t1_mask.nii.gz", "a/t1_sct.nii.gz"}
    found = look(tmp_path)
    assert found.passed_over == {"hidden": 1, "no image (.txt)": 1}
    pair = next(c for c in found.candidates if c.source.name == "p.hdr")
    assert [path.name for path in pair.files] == ["p.hdr", "p.img"]
    assert chosen(tmp_path, "all")[0] == taken | {"a/t2.nii.gz"}
    assert chosen(tmp_path, "description~^x")[0] == {"flat/x1.mha", "flat/x2.nrrd"}


def described(text: str, **attributes: object) -> object:
    """A change that gives every slice a description, and other attributes."""

    def change(ds: Dataset, k: int) -> None:
        ds.SeriesDescription = text
        for name, value in attributes.items():
            setattr(ds, name, value)

    return change


def test_a_study_gives_one_series(tmp_path: Path) -> None:
    study = tmp_path / "export" / "ST0"
    for name, change in {
        "SE1": described("localizer"),
        "SE2": described("t1_mprage"),
        "SE3": described("t1_mprage gd"),
        "SE4": described("t2_tse_tra"),
        "SE5": described("ep2d_diff", ImageType=["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]),
        "SE6": described("no words", ImageType=["DERIVED", "SECONDARY"], SeriesNumber="1"),
    }.items():
        make_series(study / name, changes=change, shape=(8, 8, 12))  # type: ignore[arg-type]
    make_series(study / "SE7", shape=(8, 8, 4))
    make_series(study / "CT1", modality="CT", shape=(8, 8, 12))
    taken, reasons = chosen(tmp_path)
    assert taken == {"export/ST0/SE2"}
    told = {Path(path).name: reason for path, reason in reasons.items()}
    assert "localizer" in told["SE1"]
    assert "another T1w" in told["SE3"]
    assert "T1w of this visit is preferred" in told["SE4"]
    assert "ADC" in told["SE5"]
    assert "another T1w" in told["SE6"]
    assert "4 slices" in told["SE7"]
    assert told["CT1"].startswith("CT")
    assert chosen(tmp_path, "T2w,T1w")[0] == {"export/ST0/SE4"}
    for name in ("SE2", "SE3"):  # without an original, the derived one is taken
        shutil.rmtree(study / name)
    assert chosen(tmp_path, "T1w")[0] == {"export/ST0/SE6"}
    # What is named is taken although it would be set aside; another modality never is.
    assert chosen(tmp_path, "description~no words|phantom")[0] == {
        "export/ST0/SE6", "export/ST0/SE7",
    }  # fmt: skip


def test_series_mixed_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    paths = [
        *make_series(tmp_path / "a", shape=(8, 8, 12), changes=described("t1")),  # type: ignore[arg-type]
        *make_series(tmp_path / "b", shape=(8, 8, 12), changes=described("t2")),  # type: ignore[arg-type]
    ]
    flat = tmp_path / "flat"
    flat.mkdir()
    for n, path in enumerate(paths):
        path.rename(flat / f"IM{n:03d}")
    found = [c for c in look(tmp_path).candidates if c.source.name == "flat"]
    assert sorted(c.contrast for c in found) == ["T1w", "T2w"]
    assert [len(c.files) for c in found] == [12, 12]
    assert all(c.series_name for c in found)


def test_copies_of_a_series_are_set_aside(tmp_path: Path) -> None:
    first = make_series(tmp_path / "a" / "s", shape=(8, 8, 12))
    copy = tmp_path / "b" / "s_copy"
    copy.mkdir(parents=True)
    for path in first:
        (copy / path.name).write_bytes(path.read_bytes())
    taken, reasons = chosen(tmp_path)
    assert taken == {"a/s"}
    assert "copies" in reasons["b/s_copy"]


def test_a_damaged_slice_refuses_its_folder(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "a" / "s", shape=(8, 8, 12))
    make_series(tmp_path / "b" / "s2", shape=(8, 8, 12))
    assert chosen(tmp_path, "all")[0] == {"a/s", "b/s2"}
    paths[3].write_bytes(paths[3].read_bytes()[:140])
    taken, reasons = chosen(tmp_path, "all")
    assert taken == {"b/s2"}
    assert "IM0003" in reasons["a/s"]
    assert "Secret" not in "".join(reasons.values())


def test_no_folder_and_no_rule(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no folder"):
        look(tmp_path / "none")
    for text in ("best", "T1w,best", "description~[", "description~"):
        with pytest.raises(UsageError, match="--select"):
            parse_rule(text)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    touch(tmp_path, "a/t1.nii.gz")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "self.nii.gz").symlink_to("self.nii.gz")
    (tmp_path / "a" / "out_of_tree.nii.gz").symlink_to("/etc/hostname")
    assert [c.source.as_posix() for c in look(tmp_path).candidates] == ["a/t1.nii.gz"]


def test_candidates_are_those_of_the_modality_asked_for(tmp_path: Path) -> None:
    make_series(tmp_path / "ct", modality="CT", shape=(8, 8, 12))
    candidate: Candidate = look(tmp_path, "CT").candidates[0]
    assert candidate.aside == ""
    assert look(tmp_path, "MR").candidates[0].aside
