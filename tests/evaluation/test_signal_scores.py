"""Scores of signal within a named range, by hand and beside scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.signal_scores import IntensityRange, score_signal

SHAPE = (14, 15, 16)
EACH, REFERENCE = IntensityRange("each"), IntensityRange("reference")


def image(values: np.ndarray, unit: Unit = "a.u.") -> Volume:
    return Volume(values.astype(np.float32), geometry_from_spacing(values.shape, (1, 1, 1)), unit)


def signal(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.0, 400.0, shape)


def everywhere(shape: tuple[int, ...] = SHAPE) -> Volume:
    return image(np.ones(shape), "mask")


def test_psnr_and_error_by_hand_in_a_fixed_range() -> None:
    ref, pred = np.full(SHAPE, 100.0), np.full(SHAPE, 125.0)
    ref[0], pred[0] = 0.0, 300.0  # clipped to 255
    found = score_signal(
        image(pred), image(ref), everywhere(), intensities=IntensityRange("fixed", 0.0, 255.0)
    )
    square = (13 * 25.0**2 + 255.0**2) / 14.0
    assert found.psnr_db == pytest.approx(10.0 * math.log10(255.0**2 / square))
    assert found.mae_percent == pytest.approx(100.0 * (13 * 25.0 + 255.0) / 14.0 / 255.0)
    assert (found.ref_high, found.pred_high) == (255.0, 255.0)
    assert found.protocol == "range-0-to-255"


def test_the_range_of_the_reference_is_its_percentile_in_the_mask() -> None:
    ref = signal()
    mask = np.zeros(SHAPE)
    mask[3:11, 3:11, 3:11] = 1.0
    ref[0] = 9000.0  # outside of it
    found = score_signal(image(ref * 0.5), image(ref), image(mask, "mask"), intensities=REFERENCE)
    high = float(np.percentile(ref[mask > 0].astype(np.float32), 99.5))
    assert found.ref_high == found.pred_high == pytest.approx(high)
    assert found.mae_percent == pytest.approx(
        100.0 * np.mean(np.clip(ref[mask > 0] / high, 0, 1) - ref[mask > 0] / high / 2), rel=1e-4
    )


def test_scale_is_nothing_by_each_and_all_by_the_reference() -> None:
    ref = signal()
    other = image(ref * 7.5)
    each = score_signal(other, image(ref), everywhere(), intensities=EACH)
    assert each.psnr_db > 100.0
    assert each.ssim == pytest.approx(1.0, abs=1e-5)
    assert each.nmi == pytest.approx(2.0, abs=1e-6)
    assert each.pred_high == pytest.approx(7.5 * each.ref_high, rel=1e-5)
    control = score_signal(other, image(ref), everywhere(), intensities=REFERENCE)
    assert control.psnr_db < 10.0


def test_independent_images_share_no_information_and_no_structure() -> None:
    shape = (40, 40, 40)
    found = score_signal(
        image(signal(1, shape)), image(signal(2, shape)), everywhere(shape), intensities=EACH
    )
    assert found.nmi == pytest.approx(1.0, abs=0.02)
    assert abs(found.ssim) < 0.2


def test_similarity_of_a_picture_is_that_of_its_plane() -> None:
    shape = (30, 25, 1)
    ref, pred = signal(1, shape), np.clip(signal(1, shape) + signal(2, shape) / 4, 0, 255)
    ref = np.clip(ref, 0, 255)
    found = score_signal(
        image(pred), image(ref), everywhere(shape), intensities=IntensityRange("fixed", 0.0, 255.0)
    )
    _, similar = structural_similarity(
        pred[:, :, 0] / 255, ref[:, :, 0] / 255, win_size=7, data_range=1.0, full=True
    )
    assert found.ssim == pytest.approx(float(similar[3:-3, 3:-3].mean()), abs=1e-5)
    thin = score_signal(image(pred[:5]), image(ref[:5]), everywhere((5, 25, 1)), intensities=EACH)
    assert math.isnan(thin.ssim)  # no whole window: not a number, and not 0
    assert math.isfinite(thin.psnr_db)


def test_what_is_constant_has_no_mutual_information() -> None:
    found = score_signal(
        image(np.full(SHAPE, 9.0)), image(signal()), everywhere(), intensities=REFERENCE
    )
    assert math.isnan(found.nmi)


@pytest.mark.parametrize(
    ("pred", "ref", "mask", "says"),
    [
        (image(signal(), "HU"), image(signal()), everywhere(), "translated image is in HU"),
        (image(signal()), image(signal(), "HU"), everywhere(), "reference is in HU"),
        (image(signal()), image(signal()), image(np.zeros(SHAPE), "mask"), "mask is empty"),
        (image(signal()), image(np.zeros(SHAPE)), everywhere(), "reference has no signal"),
        (image(-signal()), image(signal()), everywhere(), "translated image has no signal"),
        (image(signal(0, (4, 4, 4))), image(signal()), everywhere(), "has (4, 4, 4) voxels"),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(
    pred: Volume, ref: Volume, mask: Volume, says: str
) -> None:
    with pytest.raises(InputRefused) as refused:
        score_signal(pred, ref, mask, intensities=EACH)
    assert says in str(refused.value)


def test_ranges_have_names_and_an_order() -> None:
    assert EACH.name == "range-each-p99.5"
    assert "of each image, its own" in EACH.text
    assert "of the true image" in REFERENCE.text
    for low, high in ((5.0, 5.0), (9.0, 1.0), (0.0, math.nan)):
        with pytest.raises(UsageError, match="first number is below"):
            IntensityRange("fixed", low, high)
