"""Names and descriptions as they are written at scanners."""

from __future__ import annotations

import pytest

from medcyclegan.workflow.batch import candidate as words


@pytest.mark.parametrize(
    ("text", "contrast"),
    [
        ("t1_mprage_sag_p2_iso", "T1w"), ("MPRAGE", "T1w"), ("WIPmocoMEMPRAGE 1mm RMS", "T1w"),
        ("Ax T1 FLAIR", "T1w"), ("Sag CUBE T2 FLAIR", "FLAIR"), ("t2_space_dark-fluid", "T2w"),
        ("study1_FLAIR", "FLAIR"), ("t2_tse_tra_512", "T2w"), ("AX PD FSE", "PDw"),
        ("FSPGR BRAVO", "T1w"), ("scan0042", "other"), ("spd_part1", "other"), ("", "other"),
    ],
)  # fmt: skip
def test_contrast(text: str, contrast: str) -> None:
    assert words.contrast_of(text) == contrast


@pytest.mark.parametrize(
    "text",
    ["localizer", "AAHScout", "3 plane loc", "ep2d_diff_ADC", "Perfusion TTP", "SWI mIP", "FA map",
     "TOF 3D", "t2star"],
)  # fmt: skip
def test_no_anatomy(text: str) -> None:
    assert words.why_no_anatomy(text)


@pytest.mark.parametrize("text", ["t1_mprage_sag", "AX T2 FSE", "block 3", "Ax FLAIR fat sat"])
def test_anatomy_is_not_taken_for_a_map(text: str) -> None:
    assert words.why_no_anatomy(text) == ""


def test_files_that_are_no_scans_by_their_names() -> None:
    for name in ("p1_mask", "brainmask", "t1_dseg", "labels", "head_sct", "ct", "p1_pet"):
        assert words.why_no_input(name, modality="MR"), name
    for name in ("p1_t1", "totalsegmentator_mr", "head", "contact", "patient7"):
        assert words.why_no_input(name, modality="MR") == "", name
    assert words.why_no_input("p1_t1", modality="CT")
    assert words.why_no_input("p1_ct", modality="CT") == ""


def test_images_of_one_head_leave_the_same_words() -> None:
    left = {
        words.subject_words(name) for name in ("p1_T1", "p1_t2_tse_tra", "p1-FLAIR", "p1_t1_gd")
    }
    assert left == {"p1"}
    assert words.subject_words("p2_T1") == "p2"
