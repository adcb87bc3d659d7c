"""Quality without a true image: hand-made cases, and faults that they must show."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import no_reference

GRID = geometry_from_spacing((20, 22, 12), (1.0, 1.0, 3.0))
RNG = np.random.default_rng(3)
NOISE = RNG.standard_normal(GRID.shape).astype(np.float32)


def volume(voxels: np.ndarray) -> Volume:
    return Volume(voxels.astype(np.float32), GRID, "HU")


BODY = volume(np.ones(GRID.shape))


def test_information_is_two_of_a_copy_and_near_one_of_noise() -> None:
    source = volume(np.round(NOISE * 3.0))
    assert no_reference(source, volume(-5.0 * source.voxels), BODY).mutual_information == (
        pytest.approx(2.0, abs=1e-6)
    )
    shuffled = volume(RNG.permutation(source.voxels.ravel()).reshape(GRID.shape))
    assert no_reference(source, shuffled, BODY).mutual_information < 1.1


def test_continuity_is_one_of_noise_and_shows_stripes() -> None:
    assert no_reference(BODY, volume(NOISE), BODY).continuity == pytest.approx(1.0, abs=0.05)
    striped = NOISE.copy()
    striped[:, :, ::2] += 6.0
    assert no_reference(BODY, volume(striped), BODY).continuity > 3.0


def test_steps_of_two_and_three_by_hand() -> None:
    i, j, k = np.indices(GRID.shape)
    assert no_reference(BODY, volume(2 * i + 2 * j + 3 * k), BODY).continuity == 1.5


def test_what_lies_outside_the_mask_does_not_count() -> None:
    wild = NOISE.copy()
    wild[:10] *= 1000.0
    half = volume((np.indices(GRID.shape)[0] >= 10).astype(float))
    inside = no_reference(volume(NOISE), volume(wild), half)
    assert inside == no_reference(volume(NOISE), volume(NOISE), half)
    assert inside != no_reference(volume(NOISE), volume(wild), BODY)


def test_nothing_to_compare_gives_nan_and_other_grids_are_refused() -> None:
    empty = no_reference(BODY, BODY, volume(np.zeros(GRID.shape)))
    assert np.isnan([empty.mutual_information, empty.continuity]).all()
    other = Volume(BODY.voxels, geometry_from_spacing(GRID.shape, (1.0, 1.0, 2.0)), "HU")
    with pytest.raises(InputRefused, match="grid"):
        no_reference(BODY, other, BODY)
