"""Which image is matched to which, and what is named as without a partner."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.study.plan import Method, StudyRequest, find_images, make_plan

DICOM = b"\0" * 128 + b"DICM"


def touch(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(DICOM if path.suffix == ".dcm" else b"x")
    return root


def request(ref: Path, *preds: Path, **more: Path) -> StudyRequest:
    methods = tuple(Method(path.name, path) for path in preds)
    return StudyRequest(methods, ref, ref.parent / "out", "synthrad2023", **more)  # type: ignore[arg-type]


def test_flat_nested_and_dicom_layouts_give_the_same_patients(tmp_path: Path) -> None:
    flat = touch(tmp_path / "flat", "P1_sct.nii.gz", "P2_sct.mha", "notes.txt", ".P3_sct.nii")
    nested = touch(
        tmp_path / "nested", "P1/ct.nii.gz", "P1/mr.nii.gz", "P1/mask.nii.gz", "P1/labels.nii.gz",
        "P2/ct.nii.gz", "P2/mr.nii.gz",
    )  # fmt: skip
    dicom = touch(tmp_path / "dicom", "P1/ct_dicom/1.dcm", "P1/mr_dicom/1.dcm", "P2/1.dcm")
    assert find_images(flat, role="pred").by_case == {
        "P1": flat / "P1_sct.nii.gz", "P2": flat / "P2_sct.mha",
    }  # fmt: skip
    assert find_images(nested, role="ref").by_case == {
        "P1": nested / "P1" / "ct.nii.gz", "P2": nested / "P2" / "ct.nii.gz",
    }  # fmt: skip
    assert find_images(nested, role="mask").by_case["P1"] == nested / "P1" / "mask.nii.gz"
    assert find_images(dicom, role="ref").by_case == {
        "P1": dicom / "P1" / "ct_dicom", "P2": dicom / "P2",
    }  # fmt: skip
    assert find_images(dicom, role="mr").by_case["P1"] == dicom / "P1" / "mr_dicom"


def test_two_images_that_could_be_it_are_not_guessed_between(tmp_path: Path) -> None:
    root = touch(tmp_path / "a", "P1/ct_1.nii.gz", "P1_ct.nii.gz", "P1_ct.mha", "P2_ct.nii")
    found = find_images(root, role="ref")
    assert "P1_ct.mha, P1_ct.nii.gz" in found.unclear["P1"]
    assert "P1" not in found.by_case
    assert found.by_case["P2"] == root / "P2_ct.nii"


def test_equal_names_in_two_folders_are_two_patients(tmp_path: Path) -> None:
    root = touch(tmp_path / "a", "A/01/ct.nii", "B/01/ct.nii", "B/02/ct.nii")
    assert set(find_images(root, role="ref").by_case) == {"A/01", "B/01", "02"}


def test_what_has_no_partner_is_named_for_each_method(tmp_path: Path) -> None:
    ref = touch(tmp_path / "ct", "P1.nii", "P2.nii", "P3.nii")
    one = touch(tmp_path / "one", "P1_sct.nii", "P2_sct.nii", "P3_sct.nii")
    two = touch(tmp_path / "two", "P1_sct.nii", "P9_sct.nii")
    masks = touch(tmp_path / "mask", "P1.nii", "P2_mask.nii")
    plan = make_plan(request(ref, one, two, mask=masks))
    assert [(p.case, sorted(p.preds)) for p in plan.patients] == [
        ("P1", ["one", "two"]), ("P2", ["one"]),
    ]  # fmt: skip
    assert {(r.case, r.method) for r in plan.refusals} == {
        ("P9", "two"), ("P2", "two"), ("P3", "one"), ("P3", "two"),
    }  # fmt: skip
    reasons = {(r.case, r.method): r.reason for r in plan.refusals}
    assert "no reference" in reasons["P9", "two"]
    assert "no mask" in reasons["P3", "one"]
    assert make_plan(request(ref, one)).refusals == ()


def test_single_images_belong_together_whatever_their_names(tmp_path: Path) -> None:
    root = touch(tmp_path, "x/out.nii.gz", "y/ct.nii.gz", "series/1.dcm")
    plan = make_plan(request(root / "y" / "ct.nii.gz", root / "x" / "out.nii.gz"))
    assert [p.case for p in plan.patients] == ["y"]
    plan = make_plan(request(root / "series", root / "x" / "out.nii.gz"))
    assert plan.patients[0].ref == root / "series"
    assert plan.refusals == ()


def test_one_image_against_a_folder_goes_by_its_name(tmp_path: Path) -> None:
    ref = touch(tmp_path / "ct", "P1.nii", "P2.nii")
    one = touch(tmp_path, "P2_sct.nii") / "P2_sct.nii"
    assert [p.case for p in make_plan(request(ref, one)).patients] == ["P2"]


def test_swapped_folders_and_no_pair_at_all_are_refused(tmp_path: Path) -> None:
    ct, sct = touch(tmp_path / "a", "P1_ct.nii"), touch(tmp_path / "b", "P1_sct.nii")
    with pytest.raises(InputRefused, match="swap the two"):
        make_plan(request(sct, ct))
    assert make_plan(request(ct, sct)).patients
    other = touch(tmp_path / "c", "Q1_sct.nii")
    with pytest.raises(InputRefused, match=r"No patient .*P1.*Q1"):
        make_plan(request(ct, other))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match="holds no images"):
        make_plan(request(ct, tmp_path / "empty"))


def test_methods_need_names_of_their_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="name of its own"):
        request(tmp_path, tmp_path / "a", tmp_path / "b" / "a")
    with pytest.raises(UsageError, match="letters, digits"):
        Method("a$b", tmp_path)
    with pytest.raises(UsageError, match="synthrad2023"):
        StudyRequest((Method("a", tmp_path),), tmp_path, tmp_path, "synthrad2024")  # type: ignore[arg-type]


def test_links_that_are_not_looked_into_are_named(tmp_path: Path) -> None:
    ref = touch(tmp_path / "ct", "P1/ct.nii")
    pred = touch(tmp_path / "sct", "P1/sct.nii")
    assert make_plan(request(ref, pred)).warnings == ()
    store = touch(tmp_path / "store", "P2/ct.nii", "P2/sct.nii")
    for root in (ref, pred):  # seen from neither side, the patient would be lost without a word
        (root / "P2").symlink_to(store / "P2")
        (root / "P3").symlink_to(tmp_path / "gone")
    (warning,) = make_plan(request(ref, pred)).warnings
    assert "P2" in warning
    assert "P3" in warning
    series = touch(tmp_path / "store", "P4/1.dcm") / "P4"
    (ref / "P4").symlink_to(series)  # a series is read through a link
    assert find_images(ref, role="ref").by_case["P4"] == ref / "P4"
