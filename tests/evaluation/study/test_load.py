"""What is read of a patient, what is refused, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.load import Truth, load_prediction, load_truth
from medcyclegan.evaluation.study.patient import Patient
from tests.evaluation.study.cohort import GRID, filled, head_ct, head_mask, save


def patient(tmp_path: Path, **paths: Path) -> Patient:
    ref = save(head_ct(), tmp_path / "ct.nii.gz")
    return Patient("P1", ref, {}, **paths)  # type: ignore[arg-type]


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return load_truth(patient(tmp_path))


def moved(volume: Volume, *, by_mm: float) -> Volume:
    affine = volume.geometry.affine_ras.copy()
    affine[0, 3] += by_mm
    return Volume(volume.voxels, Geometry(volume.geometry.shape, affine), volume.unit)


def test_the_body_is_found_or_given(tmp_path: Path, truth: Truth) -> None:
    shape = head_mask(head_ct()).voxels > 0
    found = truth.mask.voxels > 0
    assert (found & shape).sum() / (found | shape).sum() > 0.85
    given = save(head_mask(head_ct()), tmp_path / "mask.nii.gz")
    other = tmp_path / "b"
    assert np.array_equal(load_truth(patient(other, mask=given)).mask.voxels > 0, shape)


def test_a_mask_on_another_grid_is_brought_over_and_an_empty_one_refused(tmp_path: Path) -> None:
    fine = Geometry((52, 60, 56), GRID.affine_ras @ np.diag([0.5, 0.5, 0.5, 1.0]))
    given = save(head_mask(head_ct(geometry=fine)), tmp_path / "mask.nii.gz")
    truth = load_truth(patient(tmp_path, mask=given))
    shape = head_mask(head_ct()).voxels > 0
    found = truth.mask.voxels > 0
    assert (found & shape).sum() / (found | shape).sum() > 0.9
    assert "resampled" in truth.notes[0]
    far = save(moved(head_mask(head_ct()), by_mm=900.0), tmp_path / "far.nii.gz")
    with pytest.raises(InputRefused, match="marks no voxel"):
        load_truth(patient(tmp_path / "c", mask=far))


def test_a_mask_that_marks_the_air_or_an_organ_is_told(tmp_path: Path) -> None:
    body = head_mask(head_ct())
    whole = load_truth(patient(tmp_path / "a", mask=save(body, tmp_path / "body.nii.gz")))
    assert whole.warnings == ()
    air = body.with_voxels(1.0 - body.voxels)
    marked = load_truth(patient(tmp_path / "b", mask=save(air, tmp_path / "air.nii.gz")))
    (said,) = marked.warnings
    assert "most of it lies outside" in said
    organ = body.voxels.copy()
    organ[:, :, :14] = 0.0
    organ[:13] = 0.0
    part = save(body.with_voxels(organ), tmp_path / "organ.nii.gz")
    (said,) = load_truth(patient(tmp_path / "c", mask=part)).warnings
    assert "less than half of the body" in said


def test_a_broken_mr_is_a_note_and_no_refusal(tmp_path: Path) -> None:
    (tmp_path / "mr.nii.gz").write_bytes(b"no image")
    truth = load_truth(patient(tmp_path, mr=tmp_path / "mr.nii.gz"))
    assert truth.mr is None
    assert "the MR is not shown" in truth.warnings[0]


def test_one_grid_is_kept_as_it_is_and_another_resampled(tmp_path: Path, truth: Truth) -> None:
    same = load_prediction(save(head_ct(), tmp_path / "a.nii.gz"), truth)
    assert not same.resampled
    assert np.array_equal(same.sct.voxels, truth.ct.voxels)
    shifted = load_prediction(save(moved(head_ct(), by_mm=3.0), tmp_path / "b.nii.gz"), truth)
    assert shifted.resampled
    assert "was resampled from" in shifted.notes[0]
    assert shifted.sct.geometry.same_grid(truth.ct.geometry)
    halves = 0.5 * (truth.ct.voxels[:-1] + truth.ct.voxels[1:])
    assert np.allclose(shifted.sct.voxels[1:], halves, atol=0.01)


def test_a_grid_that_is_flipped_or_moved_by_whole_voxels_is_copied_and_not_called_resampled(
    tmp_path: Path, truth: Truth
) -> None:
    affine = truth.ct.geometry.affine_ras.copy()
    affine[:3, 3] += affine[:3, 0] * (truth.ct.geometry.shape[0] - 1)
    affine[:3, 0] *= -1.0
    turned = Volume(head_ct().voxels[::-1], Geometry(truth.ct.geometry.shape, affine), "HU")
    found = load_prediction(save(turned, tmp_path / "flipped.nii.gz"), truth)
    assert not found.resampled
    assert np.array_equal(found.sct.voxels, truth.ct.voxels)
    assert "turned or cut, voxel by voxel" in found.notes[0]
    cut = Volume(head_ct().voxels[1:], _from(1), "HU")
    found = load_prediction(save(cut, tmp_path / "cut.nii.gz"), truth)
    assert not found.resampled
    assert np.array_equal(found.sct.voxels[1:], truth.ct.voxels[1:])
    half = moved(head_ct(), by_mm=0.25 * truth.ct.geometry.spacing_mm[0])  # the control
    assert load_prediction(save(half, tmp_path / "off.nii.gz"), truth).resampled


def test_a_body_that_is_seen_in_part_counts_as_air_beyond_and_one_not_seen_is_refused(
    tmp_path: Path, truth: Truth
) -> None:
    half = Volume(head_ct().voxels[13:], _from(13), "HU")
    found = load_prediction(save(half, tmp_path / "half.nii.gz"), truth)
    assert found.outside_fov_share == pytest.approx(0.5, abs=0.05)
    assert "counts as air" in found.warnings[0]
    assert (found.sct.voxels[:13] == -1024.0).all()
    away = save(moved(head_ct(), by_mm=600.0), tmp_path / "away.nii.gz")
    with pytest.raises(InputRefused, match="all of that is outside of it"):
        load_prediction(away, truth)
    edge = Volume(head_ct().voxels[20:], _from(20), "HU")
    with pytest.raises(InputRefused, match=r"lies beside the body .* % of that is outside"):
        load_prediction(save(edge, tmp_path / "edge.nii.gz"), truth)


def test_a_prediction_that_does_not_say_where_it_lies_is_not_resampled(
    tmp_path: Path, truth: Truth
) -> None:
    path = save(moved(head_ct(), by_mm=3.0), tmp_path / "moved.nii.gz")
    assert load_prediction(path, truth).resampled
    without_codes(path)
    with pytest.raises(InputRefused, match="does not say where the patient lies"):
        load_prediction(path, truth)
    mask = save(moved(head_mask(head_ct()), by_mm=3.0), tmp_path / "mask.nii.gz")
    without_codes(mask)
    with pytest.raises(InputRefused, match="does not say where the patient lies"):
        load_truth(patient(tmp_path / "b", mask=mask))


def test_without_codes_the_reference_s_own_grid_is_no_question(tmp_path: Path) -> None:
    reference = save(head_ct(), tmp_path / "ct.nii.gz")
    other = save(head_ct(), tmp_path / "sct.nii.gz")
    without_codes(reference)
    without_codes(other)
    found = load_prediction(other, load_truth(Patient("P1", reference, {})))
    assert not found.resampled
    assert "does not say where the patient lies" in found.warnings[0]


def without_codes(path: Path) -> None:
    image = nibabel.load(path)
    header = image.header.copy()
    header["sform_code"] = header["qform_code"] = 0
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), None, header), path)


def _from(first: int) -> Geometry:
    affine = GRID.affine_ras.copy()
    affine[:3, 3] += affine[:3, 0] * first
    return Geometry((GRID.shape[0] - first, *GRID.shape[1:]), affine)


GREY = np.clip(head_ct().voxels * 0.1 + 100.0, 0.0, 255.0)
WRONG = [
    (GREY, "8-bit grey levels"),
    (head_ct().voxels / 3000.0 + 0.4, r"\[-1, 1\]"),
    (np.maximum(head_ct().voxels + 1000.0, 0.0), "may be an MR, which --kind mr scores"),
    (head_ct().voxels / 100.0, "no air and no fat"),
]


@pytest.mark.parametrize(("voxels", "message"), WRONG)
def test_what_is_no_ct_in_hu_is_refused_on_both_sides(
    tmp_path: Path, truth: Truth, voxels: np.ndarray, message: str
) -> None:
    path = save(head_ct().with_voxels(voxels.astype(np.float32)), tmp_path / "x.nii.gz")
    with pytest.raises(InputRefused, match=message) as refused:
        load_prediction(path, truth)
    assert str(path) in str(refused.value)
    with pytest.raises(InputRefused, match="The reference CT"):
        load_truth(Patient("P1", path, {}))


def test_a_constant_image_is_refused(tmp_path: Path, truth: Truth) -> None:
    for value in (0.0, -1000.0):
        path = tmp_path / f"{value}.nii.gz"
        with pytest.raises(InputRefused):
            load_prediction(save(filled(value), path), truth)
