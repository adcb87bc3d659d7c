"""What a scan looks like, in figures: known bodies give known figures, on any grid."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.doubt.figures import Looks, looks_of
from medcyclegan.geometry import Geometry, geometry_from_spacing
from medcyclegan.volume import Volume
from tests.image_factory import all_axis_orders

RNG = np.random.default_rng(1)


def looks_of_box(geometry: Geometry, signal: np.ndarray | None = None) -> Looks:
    """A box of 120 x 160 x 90 mm; left half air, right half bone, but for soft tissue in depth."""
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    inside = (np.abs(world) < (60.0, 80.0, 45.0)).all(axis=-1)
    hu = np.where(world[..., 0] < 0.0, -900.0, 900.0)
    hu[(np.abs(world) < (35.0, 55.0, 20.0)).all(axis=-1)] = 40.0
    given = RNG.uniform(0.0, 100.0, inside.shape) if signal is None else signal
    image = Volume(given.astype(np.float32), geometry, "a.u.")
    body = image.with_voxels(inside.astype(np.float32), unit="mask")
    return looks_of(image, body, image.with_voxels(hu.astype(np.float32), unit="HU"))


def test_lengths_run_along_the_patient_whatever_the_order_of_the_axes() -> None:
    for affine in all_axis_orders()[::5]:
        turned = affine.copy()
        turned[:3, :3] *= 2.0 / np.linalg.norm(affine[:3, :3], axis=0)
        turned[:3, 3] = -turned[:3, :3] @ np.full(3, 49.5)
        looks = looks_of_box(Geometry((100, 100, 100), turned))
        assert looks.width_mm == pytest.approx(120.0, abs=2.1)
        assert looks.length_mm == pytest.approx(160.0, abs=2.1)
        assert looks.height_mm == pytest.approx(90.0, abs=2.1)
        assert looks.body_litres == pytest.approx(1.728, rel=0.05)
        assert looks.fill == pytest.approx(1.0, abs=0.01)


def test_shares_of_the_result_and_of_its_depth() -> None:
    looks = looks_of_box(geometry_from_spacing((70, 90, 60), (2.0, 2.0, 2.0)))
    inner = 70.0 * 110.0 * 40.0 / (120.0 * 160.0 * 90.0)
    assert looks.bone == pytest.approx((1.0 - inner) / 2.0, abs=0.02)
    assert looks.air == pytest.approx((1.0 - inner) / 2.0, abs=0.02)
    assert looks.deep_soft is not None
    assert looks.deep_soft > 0.99


def test_a_thin_body_has_no_depth() -> None:
    image = Volume(np.ones((40, 40, 40), np.float32), geometry_from_spacing((40,) * 3, (1.0,) * 3),
                   "a.u.")  # fmt: skip
    voxels = np.zeros((40, 40, 40), np.float32)
    body = image.with_voxels(voxels, unit="mask")
    voxels[8:32, 8:32, 8:32] = 1.0
    assert looks_of(image, body.with_voxels(voxels), image).deep_soft is None
    everywhere = body.with_voxels(np.ones_like(voxels))
    assert looks_of(image, everywhere, image).deep_soft is None


def test_noise_is_told_from_an_image_and_a_histogram_from_another() -> None:
    geometry = geometry_from_spacing((70, 90, 60), (2.0, 2.0, 2.0))
    ramp = np.indices(geometry.shape)[1].astype(float)
    smooth, noisy = looks_of_box(geometry, ramp), looks_of_box(geometry)
    assert smooth.smoothness > 0.99
    assert abs(noisy.smoothness) < 0.05
    dark = looks_of_box(geometry, ramp**4)
    assert dark.dark > smooth.dark + 0.2
    assert dark.middle < smooth.middle - 0.2
    assert dark.bright < smooth.bright
    # the scale of the signal is arbitrary
    assert looks_of_box(geometry, 7.0 * ramp + 300.0).middle == pytest.approx(smooth.middle)
