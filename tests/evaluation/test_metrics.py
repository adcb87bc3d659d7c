"""Scores of hand-made images with known values, and the inputs that are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.metrics import Scores, score

SHAPE = (16, 16, 16)
GEOMETRY = geometry_from_spacing(SHAPE, (1.0, 1.0, 2.0))


def volume(voxels: np.ndarray | float, unit: Unit = "HU", geometry: Geometry = GEOMETRY) -> Volume:
    return Volume(np.broadcast_to(np.float32(voxels), geometry.shape).copy(), geometry, unit)


def layers() -> np.ndarray:
    """A quarter each of air, soft tissue, bone, and what lies between."""
    ref = np.zeros(SHAPE, dtype=np.float32)
    ref[:4], ref[4:8], ref[8:12], ref[12:] = -1000.0, 40.0, 1000.0, 200.0
    return ref


EVERYWHERE = volume(1.0, "mask")


def test_known_errors_of_each_tissue() -> None:
    ref = layers()
    pred = ref + np.repeat([100.0, 10.0, -200.0, 6.0], 4).reshape(16, 1, 1)
    scores = score(volume(pred), volume(ref), EVERYWHERE, protocol="synthrad2023")
    assert scores.mae_air_hu == pytest.approx(100.0)
    assert scores.mae_soft_hu == pytest.approx(10.0)
    assert scores.mae_bone_hu == pytest.approx(200.0)
    assert scores.mae_hu == pytest.approx(79.0)
    assert scores.dice_bone == 1.0


@pytest.mark.parametrize(
    ("protocol", "data_range"), [("synthrad2023", 4024), ("synthrad2025", 4095)]
)
def test_psnr_uses_the_range_of_its_protocol(protocol, data_range: int) -> None:
    ref = layers()
    scores = score(volume(ref + 10.0), volume(ref), EVERYWHERE, protocol=protocol)
    assert scores.psnr_db == pytest.approx(20.0 * math.log10(data_range / 10.0))
    assert scores.protocol == protocol
    assert (scores.ssim is None) == (protocol == "synthrad2025")
    assert (scores.ms_ssim is None) == (protocol == "synthrad2023")


def test_psnr_is_clipped_and_mae_is_not() -> None:
    ref = np.where(layers() > 500.0, 5000.0, -900.0)
    pred = np.where(layers() > 500.0, 3500.0, -900.0)
    at_3000 = score(volume(pred), volume(ref), EVERYWHERE, protocol="synthrad2023")
    assert at_3000.psnr_db == math.inf
    assert at_3000.mae_hu == pytest.approx(1500.0 / 4.0)
    metal = np.where(layers() > 500.0, 3050.0, -900.0)
    assert (
        score(volume(metal), volume(ref), EVERYWHERE, protocol="synthrad2023").psnr_db == math.inf
    )
    assert score(volume(metal), volume(ref), EVERYWHERE, protocol="synthrad2025").psnr_db < 60.0


def test_dice_of_bone_shifted_by_half() -> None:
    ref, pred = np.full(SHAPE, -50.0), np.full(SHAPE, -50.0)
    ref[4:8], pred[6:10] = 800.0, 800.0
    scores = score(volume(pred), volume(ref), EVERYWHERE, protocol="synthrad2025")
    assert scores.dice_bone == pytest.approx(0.5)


@pytest.mark.parametrize("protocol", ["synthrad2023", "synthrad2025"])
def test_outside_the_mask_nothing_counts(protocol) -> None:
    mask = np.zeros(SHAPE)
    mask[2:14, 2:14, 2:14] = 1.0
    ref = layers()
    spoiled = np.where(mask > 0, ref, 2000.0)
    inside = volume(mask, "mask")
    equal = score(volume(ref), volume(ref), inside, protocol=protocol)
    assert score(volume(spoiled), volume(ref), inside, protocol=protocol) == equal
    assert equal.mae_hu == 0.0
    control = score(volume(spoiled), volume(ref), EVERYWHERE, protocol=protocol)
    assert control.mae_hu > 0.0


def test_a_flip_changes_every_score() -> None:
    ref = layers() + np.random.default_rng(0).normal(0.0, 20.0, SHAPE)
    same = score(volume(ref), volume(ref), EVERYWHERE, protocol="synthrad2023")
    flipped = score(volume(ref[::-1]), volume(ref), EVERYWHERE, protocol="synthrad2023")
    nothing = [0.0] * 11  # the errors by tissue
    assert same == Scores("synthrad2023", 0.0, math.inf, same.ssim, None, 1.0, *nothing)
    assert same.ssim == pytest.approx(1.0)
    assert flipped.mae_hu > 100.0
    assert flipped.psnr_db < 20.0
    assert flipped.ssim is not None
    assert flipped.ssim < 0.5
    assert flipped.dice_bone < 0.5


def test_a_tissue_that_is_not_there_is_nan() -> None:
    scores = score(volume(-20.0), volume(-30.0), EVERYWHERE, protocol="synthrad2023")
    assert math.isnan(scores.mae_air_hu)
    assert math.isnan(scores.mae_bone_hu)
    assert math.isnan(scores.dice_bone)
    assert scores.mae_soft_hu == pytest.approx(10.0)


def test_rounding_of_a_header_is_the_same_grid_and_half_a_voxel_is_not() -> None:
    def moved(offset_mm: float) -> Geometry:
        affine = GEOMETRY.affine_ras.copy()
        affine[0, 3] += offset_mm
        return Geometry(SHAPE, affine)

    ref = layers()
    rounded = volume(ref, geometry=moved(1e-5))
    assert score(rounded, volume(ref), EVERYWHERE, protocol="synthrad2023").mae_hu == 0.0
    with pytest.raises(InputRefused, match=r"0\.5 mm off"):
        score(volume(ref, geometry=moved(0.5)), volume(ref), EVERYWHERE, protocol="synthrad2023")


@pytest.mark.parametrize(
    ("pred", "message"),
    [
        (volume(np.linspace(0, 255, 16).reshape(16, 1, 1)), "8-bit grey levels"),
        (volume(np.linspace(-1, 1, 16).reshape(16, 1, 1)), r"\[-1, 1\]"),
        (volume(layers(), "a.u."), r"is in a\.u\."),
        (volume(-1000.0, geometry=geometry_from_spacing((8, 8, 8), (1, 1, 1))), "8, 8, 8"),
    ],
)
def test_what_is_no_ct_on_the_same_grid_is_refused(pred: Volume, message: str) -> None:
    with pytest.raises(InputRefused, match=message):
        score(pred, volume(layers()), EVERYWHERE, protocol="synthrad2023")
    with pytest.raises(InputRefused):
        score(volume(layers()), pred, EVERYWHERE, protocol="synthrad2023")


def test_an_empty_mask_and_one_in_hu_are_refused() -> None:
    ct = volume(layers())
    with pytest.raises(InputRefused, match="mask is empty"):
        score(ct, ct, volume(0.0, "mask"), protocol="synthrad2023")
    with pytest.raises(InputRefused, match="mask in HU"):
        score(ct, ct, volume(1.0, "HU"), protocol="synthrad2023")


def test_an_unknown_protocol_is_a_usage_error() -> None:
    ct = volume(layers())
    with pytest.raises(UsageError, match="synthrad2023, synthrad2025"):
        score(ct, ct, EVERYWHERE, protocol="synthrad2024")  # type: ignore[arg-type]
