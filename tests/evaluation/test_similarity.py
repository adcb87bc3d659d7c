"""SSIM and MS-SSIM against literal implementations of the published definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter
from scipy.signal import fftconvolve
from skimage.metrics import structural_similarity

from medcyclegan.evaluation.similarity import (
    LEVEL_WEIGHTS,
    MARGIN,
    ms_ssim,
    plane_ssim,
    psnr_db,
    ssim,
)

Array = NDArray[np.float64]
RANGE = 4095.0


def images(shape: tuple[int, int, int], seed: int) -> tuple[Array, Array, NDArray[np.bool_]]:
    """A smooth structure over the full range with air around it, a noisy copy, and its mask."""
    rng = np.random.default_rng(seed)
    structure = gaussian_filter(rng.normal(size=shape), 2.0)
    ref = np.clip(1024.0 + 800.0 * structure / structure.std(), 0.0, RANGE)
    pred = np.clip(1.1 * ref - 60.0 + rng.normal(0.0, 700.0, shape), 0.0, RANGE)
    grid = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2.0
    radii = np.array(shape).reshape(3, 1, 1, 1) / 2.2
    mask = ((grid / radii) ** 2).sum(axis=0) < 1.0
    return np.where(mask, pred, 0.0), np.where(mask, ref, 0.0), mask


def inner(array: Array) -> Array:
    return array[3:-3, 3:-3, 3:-3]


def literal_level(x: Array, y: Array, mask: Array, weight: float) -> float:
    c1, c2 = (0.01 * RANGE) ** 2, (0.03 * RANGE) ** 2
    n = 343.0 / 342.0
    ux, uy = uniform_filter(x, 7), uniform_filter(y, 7)
    vx = n * (uniform_filter(x * x, 7) - ux * ux)
    vy = n * (uniform_filter(y * y, 7) - uy * uy)
    vxy = n * (uniform_filter(x * y, 7) - ux * uy)
    sx, sy = np.sqrt(vx.clip(0.0)), np.sqrt(vy.clip(0.0))
    lum = ((2 * ux * uy + c1) / (ux**2 + uy**2 + c1)).clip(0.0)
    con = ((2 * sx * sy + c2) / (vx + vy + c2)).clip(0.0)
    struct = ((vxy + c2 / 2) / (sx * sy + c2 / 2)).clip(0.0)
    return float(inner(lum**weight * con**weight * struct**weight)[inner(mask) > 0].mean())


def literal_ms_ssim(pred: Array, ref: Array, mask: Array) -> float:
    widths = [((97 - n) // 2, 97 - n - (97 - n) // 2) if n < 97 else (0, 0) for n in ref.shape]
    x, y, m = (np.pad(a, widths, mode="edge") for a in (pred, ref, mask))
    product = 1.0
    for weight in LEVEL_WEIGHTS:
        product *= float(np.clip(literal_level(x, y, m, weight), 0.0, 1.0))
        box = np.ones((2, 2, 2)) / 8.0
        x, y = (fftconvolve(a, box, mode="same")[::2, ::2, ::2] for a in (x, y))
        m = m[::2, ::2, ::2]
    return product


@pytest.mark.parametrize("seed", [0, 1])
def test_ssim_equals_scikit_image_in_float64(seed: int) -> None:
    pred, ref, mask = images((31, 40, 26), seed)
    _, full = structural_similarity(ref, pred, data_range=RANGE, full=True)
    expected = inner(full)[inner(mask)].mean()
    assert ssim(pred, ref, mask, data_range=RANGE) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(60, 50, 40), (110, 98, 30)])
def test_ms_ssim_equals_the_literal_definition(shape: tuple[int, int, int]) -> None:
    pred, ref, mask = images(shape, seed=2)
    expected = literal_ms_ssim(pred, ref, mask.astype(np.float64))
    assert ms_ssim(pred, ref, mask, data_range=RANGE) == pytest.approx(expected, rel=1e-6)
    assert 0.1 < expected < 0.99


@pytest.mark.parametrize("measure", [ssim, ms_ssim])
def test_equal_images_score_one_and_a_flip_scores_less(measure) -> None:
    _, ref, mask = images((40, 36, 30), seed=3)
    assert measure(ref, ref, mask, data_range=RANGE) == pytest.approx(1.0, abs=1e-9)
    assert measure(ref[::-1], ref, mask, data_range=RANGE) < 0.9


def test_what_lies_far_outside_the_mask_does_not_count() -> None:
    pred, ref, _ = images((40, 40, 40), seed=4)
    mask = np.zeros(ref.shape, dtype=np.bool_)
    mask[15:20, 15:20, 15:20] = True
    elsewhere, near = pred.copy(), pred.copy()
    elsewhere[30:] = RANGE
    near[22] = RANGE
    expected = ssim(pred, ref, mask, data_range=RANGE)
    assert ssim(elsewhere, ref, mask, data_range=RANGE) == expected
    assert ssim(near, ref, mask, data_range=RANGE) != expected


@pytest.mark.parametrize("shape", [(6, 30, 30), (30, 30, 1)])
def test_no_window_fits_gives_nan(shape: tuple[int, int, int]) -> None:
    image = np.full(shape, 1000.0)
    assert math.isnan(ssim(image, image, np.ones(shape, dtype=np.bool_), data_range=RANGE))


def test_psnr_by_hand() -> None:
    x, y = np.zeros(4, np.float32), np.full(4, 0.5, np.float32)
    assert psnr_db(x, y, data_range=5.0) == pytest.approx(20.0)
    assert psnr_db(x, x, data_range=5.0) == math.inf


@pytest.mark.parametrize("data_range", [1.0, 4024.0])
def test_psnr_is_ten_logarithms_of_peak_square_by_mean_square(data_range: float) -> None:
    pred, ref = data_range * np.random.default_rng(6).random((2, 5000))
    found = psnr_db(pred, ref, data_range=data_range)
    square = sum((x - y) ** 2 for x, y in zip(pred.tolist(), ref.tolist(), strict=True)) / 5000
    assert found == pytest.approx(-10.0 * math.log10(square / data_range**2), rel=1e-12)
    # The control: in float32 the mean square is another.
    assert psnr_db(pred.astype(np.float32), ref, data_range=data_range) != found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ssim_of_planes_is_the_mean_of_their_maps_inside_the_mask(dtype: type) -> None:
    x, y = np.random.default_rng(1).random((2, 3, 20, 21)).astype(dtype)
    mask = np.random.default_rng(2).random(x.shape) < 0.4
    mask[2] = False
    pairs = zip(x, y, strict=True)
    maps = np.stack([structural_similarity(a, b, data_range=2.0, full=True)[1] for a, b in pairs])
    found = plane_ssim(x, y, mask, data_range=2.0)
    assert found == pytest.approx(float(maps[mask].mean()), rel=1e-6)
    inner = (slice(None), slice(3, -3), slice(3, -3))
    whole = plane_ssim(x, y, mask, data_range=2.0, margin_px=MARGIN)
    assert whole == pytest.approx(float(maps[inner][mask[inner]].mean()), rel=1e-6)
    assert whole != pytest.approx(found, rel=1e-3)


def test_ssim_of_planes_without_a_window_or_a_mask_is_not_defined() -> None:
    small = np.ones((3, 6, 6))
    assert math.isnan(plane_ssim(small, small, small > 0, data_range=2.0))
    plane = np.ones((1, 20, 20))
    assert math.isnan(plane_ssim(plane, plane, plane > 1, data_range=2.0))
    border = np.zeros(plane.shape, dtype=np.bool_)
    border[:, :2] = True
    assert math.isnan(plane_ssim(plane, plane, border, data_range=2.0, margin_px=MARGIN))
    assert plane_ssim(plane, plane, border, data_range=2.0) == pytest.approx(1.0)
