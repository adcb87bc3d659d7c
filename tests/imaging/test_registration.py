"""Moved pairs are brought back, and pairs that do not belong together are told."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr
from medcyclegan.imaging.itk_images import Level, itk_rigid, level_of
from medcyclegan.imaging.registration import (
    Rigid,
    folded_share,
    inverse_consistency_mm,
    register_deformable,
    register_rigid,
)
from medcyclegan.imaging.registration_fit import (
    LIMITS,
    Fit,
    broken_limits,
    local_shifts_mm,
    measure_fit,
    refitted,
)
from tests.moved_pairs import error_mm, mirrored, moved_pair

SITS = Fit(
    nmi_before=1.02, nmi_after=1.15, nmi_apart=1.03, body_dice=0.97, seen_share=1.0,
    spread_mm=0.2, local_mm=0.8, local_p90_mm=1.5, blocks=60, mirror_ratio=0.85,
)  # fmt: skip


def level(mr: Volume, ct: Volume) -> Level:
    return level_of(mr, body_mask_mr(mr), ct, body_mask_ct(ct), spacing_mm=2.0)


@pytest.fixture(scope="module")
def right() -> tuple[Level, Rigid]:
    pair = moved_pair()
    found = level(pair.mr, pair.ct)
    return found, register_rigid(found)


def fit_of(mr: Volume, ct: Volume) -> Fit:
    found = level(mr, ct)
    rigid = register_rigid(found)
    return measure_fit(found, rigid, itk_rigid(rigid.matrix_ras))


def test_a_known_move_is_found_below_a_millimetre(right: tuple[Level, Rigid]) -> None:
    truth = moved_pair().truth_ras
    assert error_mm(truth, np.eye(4)) > 30.0  # the control: before
    assert error_mm(truth, right[1].matrix_ras) < 1.0
    turn = right[1].matrix_ras[:3, :3]
    assert np.allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_a_right_pair_sits_and_says_so_in_millimetres(right: tuple[Level, Rigid]) -> None:
    fit = measure_fit(right[0], right[1], itk_rigid(right[1].matrix_ras))
    assert broken_limits(fit) == ()
    assert fit.nmi_after > fit.nmi_before
    assert fit.spread_mm < 1.0
    assert fit.mirror_ratio < 1.0


def test_parts_of_a_body_want_back_what_they_were_moved(right: tuple[Level, Rigid]) -> None:
    """The figure that a verdict rests on most: 6 mm to the left of the best place is told so."""
    off = np.eye(4)
    off[0, 3] = 6.0
    shifts = local_shifts_mm(right[0], itk_rigid(right[1].matrix_ras @ off))
    best = local_shifts_mm(right[0], itk_rigid(right[1].matrix_ras))
    assert len(shifts) >= 20
    assert np.median(np.linalg.norm(shifts, axis=1)) == pytest.approx(6.0, abs=1.5)
    assert np.median(np.linalg.norm(best, axis=1)) < 2.0


def test_a_ct_with_left_and_right_swapped_is_told() -> None:
    pair = moved_pair()
    broken = broken_limits(fit_of(pair.mr, mirrored(pair.ct)))
    assert any("mirrored left to right" in text for text in broken), broken


def test_a_ct_that_shows_next_to_nothing_of_the_body_is_refused() -> None:
    pair = moved_pair()
    few = pair.ct.voxels[:, :, :6]
    slab = Volume(few, Geometry(few.shape, pair.ct.geometry.affine_ras), "HU")
    with pytest.raises(InputRefused, match="covers 30% of the body"):
        register_rigid(level(pair.mr, slab))


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.figure)
def test_each_limit_alone_refuses(limit) -> None:  # type: ignore[no-untyped-def]
    assert broken_limits(SITS) == ()
    beyond = limit.bound * (0.9 if limit.least else 1.1)
    if limit.figure == "gain":
        changed = {"nmi_after": 1.0 + beyond * (SITS.nmi_apart - 1.0)}
    else:
        changed = {limit.figure: type(getattr(SITS, limit.figure))(beyond)}
    broken = broken_limits(Fit(**{**vars(SITS), **changed}))
    assert len(broken) == 1
    assert limit.figure in broken[0]


def test_a_spline_takes_back_a_bend_and_does_not_fold(right: tuple[Level, Rigid]) -> None:
    coarse = right[0].coarser(4.0)
    stiff = itk_rigid(right[1].matrix_ras)
    bent = Level(_bent(coarse.fixed), coarse.moving, _bent(coarse.body), coarse.moving_body)
    before = np.linalg.norm(local_shifts_mm(bent, stiff), axis=1)
    total = register_deformable(bent, stiff)
    after = np.linalg.norm(local_shifts_mm(bent, total), axis=1)
    assert np.percentile(after, 75) < 0.7 * np.percentile(before, 75)
    stiff_fit, total_fit = (refitted(bent, SITS, transform) for transform in (stiff, total))
    assert total_fit.is_better_than(stiff_fit)
    assert not stiff_fit.is_better_than(total_fit)
    assert not stiff_fit.is_better_than(stiff_fit)
    assert folded_share(bent, total) == 0.0
    points = bent.points_lps_mm(200)
    assert inverse_consistency_mm(stiff, stiff.GetInverse(), points) < 1e-6
    back = register_deformable(bent.swapped(), stiff.GetInverse())
    assert inverse_consistency_mm(total, back, points) < 3.0


def _bent(image: sitk.Image) -> sitk.Image:
    """Bow the upper part of the head by up to 8 mm to the left."""
    z = np.arange(image.GetSize()[2])
    field = np.zeros((*image.GetSize(), 3))
    field[..., 0] = 8.0 * np.sin(np.pi * z / z.max()) ** 2
    vectors = sitk.GetImageFromArray(field.transpose(2, 1, 0, 3), isVector=True)
    vectors.CopyInformation(image)
    return sitk.Resample(image, sitk.DisplacementFieldTransform(vectors))


def test_a_transform_that_folds_is_counted(right: tuple[Level, Rigid]) -> None:
    image = right[0].fixed
    x = np.arange(image.GetSize()[0])
    field = np.zeros((*image.GetSize(), 3))
    field[..., 0] = (-2.0 * image.GetSpacing()[0] * x)[:, None, None]  # order reversed
    vectors = sitk.GetImageFromArray(field.transpose(2, 1, 0, 3), isVector=True)
    vectors.CopyInformation(image)
    vectors.SetDirection(np.eye(3).ravel().tolist())
    flat = sitk.Image(image)
    flat.SetDirection(np.eye(3).ravel().tolist())
    straight = Level(flat, right[0].moving, right[0].body, right[0].moving_body)
    assert folded_share(straight, sitk.DisplacementFieldTransform(vectors)) > 0.9
    assert folded_share(straight, sitk.Transform(3, sitk.sitkIdentity)) == 0.0
