"""Each step does what it is for, and nothing to what it should leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.imaging.enhancement import (
    METHODS,
    Bilateral,
    Clahe,
    Edges,
    HistogramEqualisation,
    NonLocalMeans,
    Step,
    TotalVariation,
    Unsharp,
    enhance,
    noise_of,
)

NOISE = 0.03
DENOISERS = (Bilateral(), NonLocalMeans(), TotalVariation())
SHARPENERS = (Unsharp(), Edges())


def step_edge() -> NDArray[np.float64]:
    """Dark left, bright right, 64 x 64."""
    image = np.full((64, 64), 0.3)
    image[:, 32:] = 0.7
    return image


def noisy(image: NDArray[np.float64]) -> NDArray[np.float64]:
    return image + NOISE * np.random.default_rng(0).standard_normal(image.shape)


def ramp_with_detail() -> NDArray[np.float64]:
    """Mostly dark, with a fine pattern in it of little contrast."""
    rows, columns = np.indices((96, 96)) / 95.0
    return np.asarray(0.2 * rows**2 + 0.004 * np.sin(columns * 40.0) + 0.02 + 0.7 * (rows > 0.97))


@pytest.mark.parametrize("name", METHODS)
def test_images_keep_shape_and_range_and_come_out_the_same_again(name: str) -> None:
    step: Step = METHODS[name]()
    image = np.clip(noisy(step_edge()), 0.0, 1.0)
    before = image.copy()
    done = step(image)
    assert done.shape == image.shape
    assert done.dtype == np.float64
    assert done.min() >= 0.0
    assert done.max() <= 1.0
    assert not np.array_equal(done, image)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(step(image), done)


def test_equalised_values_are_evenly_frequent_and_keep_their_order() -> None:
    image = ramp_with_detail()
    equalised = HistogramEqualisation()(image)
    counts, _ = np.histogram(equalised, bins=10, range=(0.0, 1.0))
    assert counts.min() > 0.8 * image.size / 10
    assert np.histogram(image, bins=10, range=(0.0, 1.0))[0].min() == 0  # the control
    order = np.argsort(image.ravel(), kind="stable")
    assert (np.diff(equalised.ravel()[order]) >= -1e-12).all()


def test_clahe_raises_local_contrast_more_the_higher_its_limit() -> None:
    image = ramp_with_detail()

    def local(picture: NDArray[np.float64]) -> float:
        return float((picture - ndimage.gaussian_filter(picture, 6.0))[10:80, 10:80].std())

    low, high = local(Clahe(clip_limit=0.002)(image)), local(Clahe(clip_limit=0.03)(image))
    assert 1.2 * local(image) < low < high


@pytest.mark.parametrize("step", DENOISERS, ids=lambda step: type(step).__name__)
def test_noise_goes_and_edges_stay(step: Step) -> None:
    smoothed = step(noisy(step_edge()))
    flat = smoothed[8:-8, 8:24]
    assert flat.std() < 0.5 * NOISE
    assert flat.mean() == pytest.approx(0.3, abs=0.01)

    def rise(image: NDArray[np.float64]) -> float:
        """The mean jump from column 31 to 32, where the edge is 0.4 high."""
        return float((image[8:-8, 32] - image[8:-8, 31]).mean())

    assert rise(smoothed) > 0.3
    assert rise(ndimage.gaussian_filter(noisy(step_edge()), 1.5)) < 0.2  # the control


@pytest.mark.parametrize("step", SHARPENERS, ids=lambda step: type(step).__name__)
def test_edges_are_raised_and_flat_places_left(step: Step) -> None:
    smooth_edge = ndimage.gaussian_filter(step_edge(), 2.0)
    raised = step(smooth_edge)
    assert np.diff(raised[32]).max() > 1.3 * np.diff(smooth_edge[32]).max()
    np.testing.assert_allclose(raised[:, :12], 0.3, atol=1e-3)
    np.testing.assert_allclose(raised[:, -12:], 0.7, atol=1e-3)
    blurred = ndimage.gaussian_filter(smooth_edge, 2.0)
    assert np.diff(blurred[32]).max() < np.diff(smooth_edge[32]).max()  # the control


def test_noise_is_estimated_beside_edges() -> None:
    assert noise_of(noisy(step_edge())) == pytest.approx(NOISE, rel=0.1)
    assert noise_of(np.full((16, 16), 0.5)) == 0.0
    flat = np.full((16, 16), 0.5)
    for step in (NonLocalMeans(), TotalVariation()):
        np.testing.assert_array_equal(step(flat), flat)


def test_steps_are_chained_in_their_order() -> None:
    image = np.clip(noisy(step_edge()), 0.0, 1.0)
    steps: list[Step] = [TotalVariation(), Unsharp()]
    stages = enhance(image, steps)
    np.testing.assert_array_equal(stages[0], steps[0](image))
    np.testing.assert_array_equal(stages[1], steps[1](steps[0](image)))
    assert not np.allclose(enhance(image, steps[::-1])[1], stages[1])
