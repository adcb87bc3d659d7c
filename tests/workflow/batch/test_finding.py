"""What is found in a tree, which of it is taken, and why the rest is not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import RLELossless

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.workflow.batch.candidate import Candidate
from medcyclegan.workflow.batch.finding import Catalogue, find_candidates
from medcyclegan.workflow.batch.plan import parse_rule, set_aside
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
    taken, reasons = chosen(tmp_path)
    assert taken == {"a/t1.nii.gz"}
    assert "leads nowhere" in reasons["a/self.nii.gz"]
    assert "out of the folder" in reasons["a/out_of_tree.nii.gz"]
    assert look(tmp_path).passed_over == {"links to folders": 1}


def test_a_data_set_of_links_to_nowhere_has_a_row_for_each(tmp_path: Path) -> None:
    touch(tmp_path, "ds/sub-01/anat/sub-01_T1w.nii.gz", "store/x")
    for subject in ("sub-02", "sub-03"):
        anat = tmp_path / "ds" / subject / "anat"
        anat.mkdir(parents=True)
        (anat / f"{subject}_T1w.nii.gz").symlink_to("../../../.git/annex/objects/gone")
        (anat / f"{subject}_T1w.json").symlink_to("../../../.git/annex/objects/gone")
    (tmp_path / "ds" / "sub-04").symlink_to("/data/not/mounted")
    (tmp_path / "ds" / "sub-05").symlink_to(tmp_path / "store")
    taken, reasons = chosen(tmp_path / "ds")
    assert taken == {"sub-01/anat/sub-01_T1w.nii.gz"}
    assert set(reasons) == {
        "sub-02/anat/sub-02_T1w.nii.gz", "sub-03/anat/sub-03_T1w.nii.gz", "sub-05", ".",
    }  # fmt: skip
    assert "(sub-04)" in reasons["."]
    assert "to a folder" in reasons["sub-05"]
    assert look(tmp_path / "ds").passed_over == {"links that lead nowhere and are no images": 2}


@pytest.mark.parametrize("target", ["gone", "out", "in the tree", "hidden beside"])
def test_a_series_that_is_partly_links_is_refused_or_read_whole(
    tmp_path: Path, target: str
) -> None:
    paths = make_series(tmp_path / "in" / "p" / "s", shape=(8, 8, 14))
    store = tmp_path / "store" if target == "out" else tmp_path / "in" / "zz"
    if target == "hidden beside":
        store = paths[0].parent
    store.mkdir(exist_ok=True)
    for path in paths[-4:]:
        kept = store / f".{path.name}" if target == "hidden beside" else store / path.name
        path.rename(kept)
        path.symlink_to(kept)
        if target == "gone":
            kept.unlink()
    if target == "gone":
        store.rmdir()
    taken, reasons = chosen(tmp_path / "in")
    if target in ("gone", "out"):
        assert taken == set()
        assert "4" in reasons["p/s"]
        assert "IM0010.dcm" in reasons["p/s"]
        return
    assert taken == {"p/s"}
    (whole,) = (c for c in look(tmp_path / "in").candidates if not c.aside)
    assert len(whole.files) == 14


def test_a_folder_of_slices_that_are_all_links_is_named(tmp_path: Path) -> None:
    outside = make_series(tmp_path / "store" / "s", shape=(8, 8, 12))
    for folder in ("in/away", "in/gone"):
        (tmp_path / folder).mkdir(parents=True)
    for path in outside:
        (tmp_path / "in" / "away" / path.name).symlink_to(path)
        (tmp_path / "in" / "gone" / path.name).symlink_to(path.with_suffix(".gone"))
    taken, reasons = chosen(tmp_path / "in")
    assert (taken, set(reasons)) == (set(), {"away", "gone"})
    assert "links out of the folder of the inputs: 12" in reasons["away"]
    assert "links in it that lead nowhere: 12" in reasons["gone"]


def test_two_patients_with_the_same_uids_are_refused_by_name_and_none_is_lost(
    tmp_path: Path,
) -> None:
    make_series(tmp_path / "a" / "s", shape=(8, 8, 12))
    make_series(tmp_path / "b" / "s", shape=(8, 8, 12), changes=_of_another)
    make_series(tmp_path / "c" / "s3", shape=(8, 8, 12))
    taken, reasons = chosen(tmp_path, "all")
    assert taken == {"c/s3"}
    assert "a/s" in reasons["b/s"]
    assert "b/s" in reasons["a/s"]
    assert "another patient" in reasons["a/s"]
    assert "Someone" not in "".join(reasons.values())


def test_a_series_of_two_patients_is_told_as_that_and_not_as_too_few_slices(
    tmp_path: Path,
) -> None:
    def born_on_two_days(ds: Dataset, k: int) -> None:
        ds.PatientBirthDate = "19700101" if k % 2 else "19800202"

    make_series(tmp_path / "mixed" / "s", shape=(8, 8, 12), changes=born_on_two_days)
    make_series(tmp_path / "short" / "s", shape=(8, 8, 6))  # the control
    taken, reasons = chosen(tmp_path / "mixed", "all")
    assert taken == set()
    assert "another patient" in reasons["s"]
    assert "fewer than" not in reasons["s"]
    assert "fewer than" in chosen(tmp_path / "short", "all")[1]["s"]


def _of_another(ds: Dataset, k: int) -> None:
    ds.PatientID, ds.PatientName = "ID-2", "Someone^Else"


def test_the_same_series_uid_without_a_shared_image_is_no_single_series(tmp_path: Path) -> None:
    make_series(tmp_path / "a" / "s", shape=(8, 8, 12))

    def change(ds: Dataset, k: int) -> None:
        _of_another(ds, k)
        ds.SOPInstanceUID = f"2.25.{k + 1}"

    make_series(tmp_path / "b" / "s", shape=(8, 8, 12), changes=change)
    assert chosen(tmp_path, "all")[0] == set()
    assert set(chosen(tmp_path, "all")[1]) == {"a/s", "b/s"}


@pytest.mark.parametrize("changed", ["pixels", "place", "scale"])
def test_images_of_one_uid_and_patient_are_copies_only_if_they_are_the_same(
    tmp_path: Path, changed: str
) -> None:
    def change(ds: Dataset, k: int) -> None:
        if changed == "pixels":
            ds.PixelData = ds.PixelData[::-1]
        elif changed == "place":
            ds.ImagePositionPatient = [0, 0, 2 * k]
        else:
            ds.RescaleSlope, ds.RescaleIntercept = "2", "0"

    make_series(tmp_path / "a" / "s", shape=(8, 8, 12))
    make_series(tmp_path / "b" / "s", shape=(8, 8, 12), changes=change)
    taken, reasons = chosen(tmp_path, "all")
    assert (taken, set(reasons)) == (set(), {"a/s", "b/s"})
    assert "other pixels" in reasons["b/s"]


def test_a_copy_in_another_transfer_syntax_is_a_copy(tmp_path: Path) -> None:
    make_series(tmp_path / "a" / "s", shape=(8, 8, 12))
    make_series(tmp_path / "b" / "s", shape=(8, 8, 12), transfer_syntax=RLELossless)
    taken, reasons = chosen(tmp_path, "all")
    assert taken == {"a/s"}
    assert "copies of the images in a/s (12" in reasons["b/s"]


def test_candidates_are_those_of_the_modality_asked_for(tmp_path: Path) -> None:
    make_series(tmp_path / "ct", modality="CT", shape=(8, 8, 12))
    candidate: Candidate = look(tmp_path, "CT").candidates[0]
    assert candidate.aside == ""
    assert look(tmp_path, "MR").candidates[0].aside


def test_a_synthetic_series_is_set_aside_whatever_it_is_called(tmp_path: Path) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.SeriesDescription, ds.SyntheticData = "t1 ax", "YES"
        ds.SeriesInstanceUID, ds.SOPInstanceUID = "2.25.4711", f"2.25.4711{k}"

    make_series(tmp_path / "a" / "acquired")
    make_series(tmp_path / "a" / "made", changes=change)
    taken, reasons = chosen(tmp_path, "all")
    assert taken == {"a/acquired"}
    assert reasons["a/made"] == "synthetic, by SyntheticData"
