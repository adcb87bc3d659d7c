"""N4 takes a known smooth shading away, and nothing else."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.preprocessing import correct_bias
from tests.tiny_model import head_on

GRID = geometry_from_spacing((30, 32, 34), (5.0, 5.0, 5.0))


def shaded(strength: float) -> tuple[Volume, Volume, np.ndarray]:
    """Two tissues of a little noise under a field that grows along x; mask; and the tissues."""
    _, body = head_on(GRID, radius_mm=65.0)
    _, core = head_on(GRID, radius_mm=40.0)
    rng = np.random.default_rng(0)
    signal = np.where(core.voxels > 0, 900.0, 600.0) + rng.normal(0.0, 8.0, GRID.shape)
    world = GRID.to_world(np.stack(np.indices(GRID.shape), axis=-1).astype(float))
    field = np.exp(strength * world[..., 0] / 65.0)
    voxels = np.where(body.voxels > 0, signal * field, 0.0).astype(np.float32)
    return Volume(voxels, GRID, "a.u."), body, core.voxels > 0


def spread(volume: Volume, tissue: np.ndarray) -> float:
    inside = volume.voxels[tissue]
    return float(inside.std() / inside.mean())


def test_shading_is_taken_away() -> None:
    mr, body, core = shaded(0.4)
    corrected = correct_bias(mr, body)
    assert corrected.geometry is mr.geometry
    assert corrected.unit == "a.u."
    assert spread(mr, core) > 0.1
    assert spread(corrected, core) < 0.4 * spread(mr, core)


def test_an_even_image_stays_as_it_is() -> None:
    mr, body, core = shaded(0.0)
    corrected = correct_bias(mr, body)
    assert spread(corrected, core) < 0.03
    ratio = corrected.voxels[body.voxels > 0] / mr.voxels[body.voxels > 0]
    assert float(np.median(ratio)) == pytest.approx(1.0, abs=0.1)
    assert (corrected.voxels[body.voxels == 0] == 0.0).all()


def test_a_single_slice_can_be_corrected_or_is_refused() -> None:
    mr, body = head_on(geometry_from_spacing((60, 60, 1), (2.0, 2.0, 5.0)), radius_mm=45.0)
    with suppress(InputRefused):
        assert correct_bias(mr, body).geometry is mr.geometry
