"""The figures of the benchmarks: right where the answer is known, and worse where it must be."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from benchmarks.score_ct_denoise import figures as denoise_figures
from benchmarks.score_head_mr_ct import labelled_model
from benchmarks.score_t1_t2 import Case, another_person_next, figures, matched, resampled, rows_of
from benchmarks.thresholding import thresholded_ct
from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.metrics import score
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from tests.tiny_model import tiny_folder


@pytest.fixture(scope="module")
def subject():  # type: ignore[no-untyped-def]
    return make_phantom(default_geometry(4.0), contrast="t1", seed=3)


def test_thresholding_finds_bone_that_bulk_density_has_not(subject) -> None:  # type: ignore[no-untyped-def]
    body = body_mask_mr(subject.mr)
    made = thresholded_ct(subject.mr, body)
    inside = body_mask_ct(subject.ct)
    bulk = made.with_voxels(np.minimum(made.voxels, 0.0))
    ours, theirs = (score(ct, subject.ct, inside, protocol="synthrad2023") for ct in (made, bulk))
    assert set(np.unique(made.voxels)) == {-1000.0, 0.0, 800.0}
    assert (made.voxels[body.voxels == 0] == -1000.0).all()
    assert ours.dice_bone > 0.3
    assert theirs.dice_bone == 0.0
    assert ours.mae_bone_hu < theirs.mae_bone_hu


def test_figures_of_contrasts_count_neither_unit_nor_brightness(subject) -> None:  # type: ignore[no-untyped-def]
    true = subject.mr
    inside = body_mask_mr(true).voxels > 0
    noise = np.random.default_rng(0).normal(0.0, 60.0, true.geometry.shape).astype(np.float32)
    noisy = true.with_voxels(np.maximum(true.voxels + noise, 0.0))
    psnr, similarity = figures(noisy, true, inside)
    assert 10.0 < psnr < 40.0
    assert similarity < 1.0
    other_unit = noisy.with_voxels(noisy.voxels * 7.0 + 30.0)
    assert figures(other_unit, true, inside) == pytest.approx((psnr, similarity), abs=1e-3)
    inverted = true.with_voxels(2000.0 - true.voxels)
    assert figures(inverted, true, inside)[0] < psnr - 3.0


def test_matching_gives_the_other_histogram_in_the_same_order(subject) -> None:  # type: ignore[no-untyped-def]
    other = subject.mr.with_voxels(np.square(subject.mr.voxels / 30.0))
    made = matched(subject.mr, body_mask_mr(subject.mr), other)
    inside = body_mask_mr(subject.mr).voxels > 0
    order = np.argsort(subject.mr.voxels[inside], kind="stable")
    assert (np.diff(made.voxels[inside][order]) >= -1e-2).all()
    assert np.median(made.voxels[inside]) == pytest.approx(
        np.median(other.voxels[body_mask_mr(other).voxels > 0]), rel=0.05
    )


def test_a_pair_is_brought_onto_one_grid_by_its_transforms() -> None:
    geometry = geometry_from_spacing((24, 24, 24), (2.0, 2.0, 2.0))
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))

    def blob(centre_mm: tuple[float, float, float]) -> Volume:
        squares = ((world - np.asarray(centre_mm)) ** 2).sum(axis=-1)
        return Volume(np.exp(-squares / 50.0).astype(np.float32), geometry, "a.u.")

    middle = world.reshape(-1, 3).mean(axis=0)
    images = {"t1": blob(tuple(middle)), "t2": blob(tuple(middle + np.array((6.0, 0.0, -4.0))))}
    # from FLAIR's points, which are those of T1 moved by 2 mm, to the points of each; LPS
    to_flair = {
        "t1": sitk.TranslationTransform(3, (2.0, 0.0, 0.0)),
        "t2": sitk.TranslationTransform(3, (2.0 - 6.0, 0.0, -4.0)),
    }
    moved = resampled(images, to_flair, of="t2", onto="t1")
    core = np.linalg.norm(world - middle, axis=-1) < 10.0
    np.testing.assert_allclose(moved.voxels[core], images["t1"].voxels[core], atol=0.02)
    assert np.abs(images["t2"].voxels - images["t1"].voxels)[core].max() > 0.3


def test_the_style_is_of_another_person() -> None:
    cases = [Case(f"patient0{n} study{m}", {}, {}) for n in (1, 3) for m in (1, 2)]
    ordered = [case.name.split()[0] for case in another_person_next(cases)]
    assert all(a != b for a, b in zip(ordered, [*ordered[1:], ordered[0]], strict=True))


def test_rows_without_a_model_are_those_of_the_baseline(subject) -> None:  # type: ignore[no-untyped-def]
    case = Case("one", {"t1": subject.mr, "t2": subject.mr}, {"t1": subject.mr, "t2": subject.mr})
    rows = list(rows_of([case], "t1", None))
    assert [row[:2] for row in rows] == [("one", "histogram matching")]
    assert float(rows[0][2]) > 40.0  # matched to itself


def test_denoising_is_told_from_blur_and_shift(subject) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)

    def noisy(sd: float) -> Volume:
        noise = rng.normal(0.0, sd, subject.ct.geometry.shape).astype(np.float32)
        return subject.ct.with_voxels(subject.ct.voxels + noise)

    low, full = noisy(40.0), noisy(10.0)
    psnr_in, psnr_out, gain, *_, bias_in, bias_out, sd_in, sd_out, sd_full = denoise_figures(
        low, subject.ct, full
    )
    assert gain == pytest.approx(psnr_out - psnr_in)
    assert 8.0 < gain < 15.0
    assert abs(bias_in) < 2.0
    assert abs(bias_out) < 1.0
    assert sd_out < sd_full < sd_in
    shifted = subject.ct.with_voxels(subject.ct.voxels + 12.0)
    assert denoise_figures(low, shifted, full)[6] == pytest.approx(12.0 + bias_out, abs=0.01)


def test_a_reference_has_the_label_that_it_is_given(tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = tiny_folder(tmp_path / "tiny")
    assert labelled_model(f"CycleGAN, 2D={folder}")[0] == "CycleGAN, 2D"
    assert labelled_model(str(folder))[0] == "tiny"
