"""A model's window fills what a picture stores, and whole pictures come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.geometry import geometry_from_spacing
from medcyclegan.io.plane.spread import spread
from medcyclegan.io.scan import ItkPassport, Passport, PlanePassport
from medcyclegan.task import Window
from medcyclegan.volume import Volume

GRID = geometry_from_spacing((3, 1, 1), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("passport", "most"),
    [
        (PlanePassport("uint8", "PNG"), 255),
        (PlanePassport("uint16", "TIFF"), 65535),
        (ItkPassport(), 65535),
    ],
)
def test_the_window_is_spread_over_the_type(passport: Passport, most: int) -> None:
    values = np.array([-1.0, 0.0, 1.0], dtype=np.float32).reshape(3, 1, 1)
    image = Volume(values, GRID, "a.u.")
    found = spread(image, Window(lower=-1.0, upper=1.0), passport=passport).voxels.ravel()
    np.testing.assert_allclose(found, [0.0, most / 2, most], rtol=1e-6)


def test_eight_bits_in_their_own_window_stay() -> None:
    values = np.array([0.0, 17.0, 255.0], dtype=np.float32).reshape(3, 1, 1)
    image = Volume(values, GRID, "a.u.")
    whole = Window(lower=0.0, upper=255.0)
    same = spread(image, whole, passport=PlanePassport("uint8", "PNG"))
    np.testing.assert_allclose(same.voxels, values, atol=1e-4)
    real = spread(image, Window(lower=0.0, upper=1.0), passport=PlanePassport("float32", "TIFF"))
    assert np.array_equal(real.voxels, values)
