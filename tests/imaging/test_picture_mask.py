"""What a picture shows, found beside the noise of its air."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from medcyclegan.imaging.body_mask import picture_mask

SHAPE = (120, 150)
ROWS, COLUMNS = np.indices(SHAPE)


def disc(row: float, column: float, radius: float) -> NDArray[np.bool_]:
    return np.asarray(np.hypot(ROWS - row, COLUMNS - column) <= radius)


def picture(body: NDArray[np.bool_], *, noise: float) -> NDArray[np.float32]:
    """A body of 0.5 of the range in air, with the noise of a magnitude image; in [-1, 1]."""
    rng = np.random.default_rng(3)
    real, imaginary = rng.normal(0.0, noise, (2, *SHAPE))
    signal = np.hypot(np.where(body, 0.5, 0.0) + real, imaginary)
    return np.asarray(2.0 * np.clip(signal, 0.0, 1.0) - 1.0, dtype=np.float32)


def box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03, 0.06])
def test_noise_of_the_air_is_not_shown(noise: float) -> None:
    body = disc(50, 70, 30)
    values = picture(body, noise=noise)
    found = picture_mask(values)
    assert np.abs(np.subtract(box(found), box(body))).max() <= 1
    assert (found != body).mean() < 0.01
    # The control: a threshold alone takes the noise for a body that fills the picture.
    alone = box(values > -0.9)
    assert (np.abs(np.subtract(alone, box(body))).max() > 10) == (noise > 0.02)


def test_what_is_dark_inside_is_of_the_body() -> None:
    body = disc(60, 75, 40) & ~disc(60, 75, 10)
    assert picture_mask(picture(body, noise=0.02))[60, 75]
    assert not picture_mask(picture(body & (ROWS > 60), noise=0.02))[60, 75]  # open to the air


def test_two_hands_are_both_shown_and_a_speck_is_not() -> None:
    hands, speck = disc(60, 35, 25) | disc(60, 110, 22), disc(10, 75, 3)
    found = picture_mask(picture(hands | speck, noise=0.02))
    assert found[60, 35]
    assert found[60, 110]
    assert not found[10, 75]


def test_a_photograph_that_fills_its_frame_is_shown_whole() -> None:
    rng = np.random.default_rng(5)
    assert picture_mask(rng.uniform(-0.5, 1.0, SHAPE).astype(np.float32)).all()


def test_a_picture_of_nothing_is_drawn_from_all_over() -> None:
    assert picture_mask(np.full(SHAPE, -1.0, dtype=np.float32)).all()


def test_a_body_that_is_cut_off_at_the_frame_is_found() -> None:
    body = disc(110, 75, 50)
    assert np.abs(np.subtract(box(picture_mask(picture(body, noise=0.02))), box(body))).max() <= 1
