"""Radiographs: what a detector makes of line integrals, and the slice that goes with them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from medcyclegan.errors import UsageError
from medcyclegan.simulate.pictures import Detector, Radiographs, expose

PLAIN = Detector(photons=1e9, scatter=0.0, blur_px=0.0)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def flat(line_integral: float) -> np.ndarray:
    return np.full((80, 80), line_integral, dtype=np.float32)


def test_without_scatter_the_grey_value_is_the_line_integral() -> None:
    for line_integral in (0.5, 2.0, 5.0):
        grey = expose(flat(line_integral), 1.0, PLAIN, rng())
        assert grey.mean() / 65535.0 * 8.0 == pytest.approx(line_integral, abs=1e-3)
    scattered = expose(flat(5.0), 1.0, Detector(1e9, scatter=0.5, blur_px=0.0), rng())
    assert scattered.mean() / 65535.0 * 8.0 == pytest.approx(5.0, abs=1e-3)  # flat: all alike
    half = flat(0.0)
    half[40:] = 5.0
    veiled = expose(half, 2.0, Detector(1e9, scatter=0.5, blur_px=0.0), rng())
    assert veiled[45].mean() / 65535.0 * 8.0 < 3.0  # light from beside veils what is dense


def test_noise_is_that_of_the_photons_counted() -> None:
    detector = Detector(photons=1e4, scatter=0.0, blur_px=0.0)
    line_integral = expose(flat(2.0), 1.0, detector, rng()) / 65535.0 * 8.0
    assert line_integral.std() == pytest.approx(np.sqrt(np.exp(2.0) / 1e4), rel=0.05)


def test_intensity_is_dark_behind_bone_and_inversion_turns_it_round() -> None:
    step = flat(0.5)
    step[40:] = 4.0
    photons = replace(PLAIN, signal="intensity")
    log, intensity, inverted = (
        expose(step, 1.0, detector, rng())
        for detector in (PLAIN, photons, replace(PLAIN, inverted=True))
    )
    assert log[60].mean() > log[20].mean()
    assert intensity[60].mean() < intensity[20].mean()
    assert intensity[20].mean() / 65535.0 == pytest.approx(np.exp(-0.5), rel=1e-3)
    np.testing.assert_allclose(inverted, 65535.0 - log, atol=1.0)


@pytest.mark.parametrize("view", ["frontal", "lateral"])
def test_a_radiograph_and_its_slice_show_one_head_upright(view: str) -> None:
    recipe = Radiographs((48, 48), 6.0, PLAIN, view)
    pair = recipe.pair(seed=1, subject=1)
    assert pair.a.voxels.shape == pair.b.voxels.shape == (48, 48, 1)
    shadow, tissue = pair.a.voxels[:, :, 0] > 2000.0, pair.b.voxels[:, :, 0] > 60.0
    # all that the slice shows throws a shadow
    assert (tissue & ~shadow).sum() < 0.02 * tissue.sum()
    assert (tissue[:, ::-1] & ~shadow).sum() > 0.02 * tissue.sum()  # the control: upside down
    # the cranium, above, takes away more than the neck, below; rows run downwards
    rows = np.flatnonzero(shadow.any(axis=0))
    upper, lower = np.array_split(pair.a.voxels[:, rows, 0], 2, axis=1)
    assert upper.sum() > lower.sum()
    assert not shadow[:, : rows[0]].any()
    assert ndimage.label(shadow)[1] == 1
    assert recipe.pair(seed=1, subject=1).a.voxels.tobytes() == pair.a.voxels.tobytes()


def test_the_nose_points_to_the_left_in_a_lateral_view() -> None:
    # 90 columns of 3 mm: the face's profile reaches out left of the forehead
    shadow = Radiographs((90, 90), 3.0, PLAIN, "lateral").pair(1, 1).a.voxels[:, :, 0] > 1500.0
    first = np.array([np.argmax(column) if column.any() else 90 for column in shadow.T])
    rows = np.flatnonzero(shadow.any(axis=0))
    forehead = first[rows[0] + len(rows) // 4]
    assert first[rows].min() < forehead
    mirrored = np.array([np.argmax(c) if c.any() else 90 for c in shadow[::-1].T])
    nose = rows[np.argmin(first[rows])]
    assert len(rows) * 0.35 < nose - rows[0] < len(rows) * 0.85
    assert mirrored[rows].argmin() < len(rows) * 0.4  # the back of the head is high up


def test_settings_that_cannot_be_are_refused() -> None:
    for bad in ({"signal": "film"}, {"photons": 0.0}, {"scatter": -1.0}):
        with pytest.raises(UsageError):
            Detector(**bad)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="frontal, lateral, random"):
        Radiographs((48, 48), 6.0, PLAIN, "oblique")
