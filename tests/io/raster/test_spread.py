"""A model's window fills what a picture stores, and whole pictures come back as they were."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import Window
from medcyclegan.core.volume import Volume
from medcyclegan.io.raster.image import spread
from medcyclegan.io.scan import ItkSourceHeader, RasterSourceHeader, SourceHeader

GRID = geometry_from_spacing((3, 1, 1), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("source_header", "most"),
    [
        (RasterSourceHeader("uint8", "PNG"), 255),
        (RasterSourceHeader("uint16", "TIFF"), 65535),
        (ItkSourceHeader(), 65535),
    ],
)
def test_the_window_is_spread_over_the_type(source_header: SourceHeader, most: int) -> None:
    values = np.array([-1.0, 0.0, 1.0], dtype=np.float32).reshape(3, 1, 1)
    image = Volume(values, GRID, "a.u.")
    found = spread(image, Window(lower=-1.0, upper=1.0), source_header=source_header).voxels.ravel()
    np.testing.assert_allclose(found, [0.0, most / 2, most], rtol=1e-6)


def test_eight_bits_in_their_own_window_stay() -> None:
    values = np.array([0.0, 17.0, 255.0], dtype=np.float32).reshape(3, 1, 1)
    image = Volume(values, GRID, "a.u.")
    whole = Window(lower=0.0, upper=255.0)
    same = spread(image, whole, source_header=RasterSourceHeader("uint8", "PNG"))
    np.testing.assert_allclose(same.voxels, values, atol=1e-4)
    real = spread(
        image, Window(lower=0.0, upper=1.0), source_header=RasterSourceHeader("float32", "TIFF")
    )
    assert np.array_equal(real.voxels, values)
