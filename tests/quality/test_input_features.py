"""Figures of a scan and its result: known bodies give known figures, on any grid."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.models.card import FEATURE_NAMES
from medcyclegan.quality.input_features import Figures, figures_of
from tests.image_factory import all_axis_orders
from tests.tiny_model import tiny_task
from tests.tiny_tasks import TASKS, task_of

RNG = np.random.default_rng(1)


def figures_of_box(geometry: Geometry, signal: np.ndarray | None = None) -> Figures:
    """A box of 120 x 160 x 90 mm; left half air, right half bone, but for soft tissue in depth."""
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float))
    inside = (np.abs(world) < (60.0, 80.0, 45.0)).all(axis=-1)
    hu = np.where(world[..., 0] < 0.0, -900.0, 900.0)
    hu[(np.abs(world) < (35.0, 55.0, 20.0)).all(axis=-1)] = 40.0
    given = RNG.uniform(0.0, 100.0, inside.shape) if signal is None else signal
    image = Volume(given.astype(np.float32), geometry, "a.u.")
    body = image.with_voxels(inside.astype(np.float32), unit="mask")
    made = image.with_voxels(hu.astype(np.float32), unit="HU")
    return figures_of(image, body, made, tiny_task(), is_plane=False)


def test_lengths_run_along_the_patient_whatever_the_order_of_the_axes() -> None:
    for affine in all_axis_orders()[::5]:
        turned = affine.copy()
        turned[:3, :3] *= 2.0 / np.linalg.norm(affine[:3, :3], axis=0)
        turned[:3, 3] = -turned[:3, :3] @ np.full(3, 49.5)
        found = figures_of_box(Geometry((100, 100, 100), turned))
        assert found["width_mm"] == pytest.approx(120.0, abs=2.1)
        assert found["length_mm"] == pytest.approx(160.0, abs=2.1)
        assert found["height_mm"] == pytest.approx(90.0, abs=2.1)
        assert found["body_litres"] == pytest.approx(1.728, rel=0.05)
        assert found["fill"] == pytest.approx(1.0, abs=0.01)


def test_shares_of_the_result_and_of_its_depth() -> None:
    found = figures_of_box(geometry_from_spacing((70, 90, 60), (2.0, 2.0, 2.0)))
    inner = 70.0 * 110.0 * 40.0 / (120.0 * 160.0 * 90.0)
    assert found["bone"] == pytest.approx((1.0 - inner) / 2.0, abs=0.02)
    assert found["air"] == pytest.approx((1.0 - inner) / 2.0, abs=0.02)
    assert found["deep_soft"] > 0.99


def test_how_the_scan_was_sampled() -> None:
    found = figures_of_box(geometry_from_spacing((70, 90, 40), (2.0, 2.0, 3.0)))
    assert (found["pixel_mm"], found["slice_mm"], found["slices"]) == (2.0, 3.0, 40.0)


def test_a_thin_body_has_no_depth_and_an_empty_mask_no_figures() -> None:
    image = Volume(
        np.ones((40, 40, 40), np.float32), geometry_from_spacing((40,) * 3, (1.0,) * 3), "a.u."
    )
    voxels = np.zeros((40, 40, 40), np.float32)
    voxels[8:32, 8:32, 8:32] = 1.0
    for mask in (voxels, np.ones_like(voxels)):  # thin; no surface in view
        body = image.with_voxels(mask, unit="mask")
        found = figures_of(image, body, image, task_of("mr-mr"), is_plane=False)
        assert not {"deep_soft", "even_deep", "deep_middle"} & set(found)
    empty = image.with_voxels(np.zeros_like(voxels), unit="mask")
    assert figures_of(image, empty, image, task_of("mr-mr"), is_plane=False) == {}


def test_noise_is_told_from_an_image_and_a_histogram_from_another() -> None:
    geometry = geometry_from_spacing((70, 90, 60), (2.0, 2.0, 2.0))
    ramp = np.indices(geometry.shape)[1].astype(float)
    smooth, noisy = figures_of_box(geometry, ramp), figures_of_box(geometry)
    assert smooth["smoothness"] > 0.99
    assert abs(noisy["smoothness"]) < 0.05
    dark = figures_of_box(geometry, ramp**4)
    assert dark["dark"] > smooth["dark"] + 0.2
    assert dark["middle"] < smooth["middle"] - 0.2
    assert dark["bright"] < smooth["bright"]
    # the scale of the signal is arbitrary
    scaled = figures_of_box(geometry, 7.0 * ramp + 300.0)
    assert scaled["middle"] == pytest.approx(smooth["middle"])


def brain(matter: float, cortex: float, fluid: float) -> Figures:
    """A head's depth: fluid in the middle, white matter around it, then a folded cortex."""
    geometry = geometry_from_spacing((48, 56, 44), (4.0, 4.0, 4.0))
    x, y, z = np.moveaxis(
        geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(float)), -1, 0
    )
    radius = np.sqrt(x**2 + y**2 + z**2)
    signal = np.where(radius < 80.0, 100.0, 0.0)  # scalp
    folds = radius < 55.0 + 6.0 * np.sin(x / 4.0) * np.cos(y / 4.0) * np.sin(z / 4.0)
    signal[radius < 70.0] = cortex
    signal[folds] = matter
    signal[radius < 22.0] = fluid
    image = Volume(signal.astype(np.float32), geometry, "a.u.")
    body = image.with_voxels((radius < 80.0).astype(np.float32), unit="mask")
    return figures_of(image, body, image, task_of("mr-mr"), is_plane=False)


def test_contrasts_of_one_anatomy_are_told_apart_and_scales_are_not() -> None:
    t1, flair, t2 = brain(80.0, 55.0, 15.0), brain(60.0, 75.0, 15.0), brain(35.0, 50.0, 100.0)
    assert t1["even_deep"] > 1.15 * flair["even_deep"]
    assert flair["even_deep"] > t2["even_deep"]
    assert t1["deep_middle"] > 1.3 * t2["deep_middle"]
    again = brain(800.0, 550.0, 150.0)
    assert again["even_deep"] == pytest.approx(t1["even_deep"])
    assert again["deep_middle"] == pytest.approx(t1["deep_middle"], rel=1e-4)


def test_tissues_of_a_ct_its_noise_and_what_was_changed() -> None:
    geometry = geometry_from_spacing((60, 60, 60), (2.0, 2.0, 2.0))
    hu = np.full(geometry.shape, 40.0)
    hu[:12], hu[12:24], hu[24:30] = -90.0, 900.0, -900.0  # shares of 0.2, 0.2, 0.1
    noisy = hu + RNG.normal(0.0, 8.0, hu.shape)
    ct = Volume(noisy.astype(np.float32), geometry, "HU")
    body = ct.with_voxels(np.ones_like(ct.voxels), unit="mask")
    made = ct.with_voxels(ct.voxels + 5.0)
    found = figures_of(ct, body, made, task_of("ct-ct"), is_plane=False)
    shares = [found[name] for name in ("in_fat", "in_bone", "in_air", "in_soft")]
    assert shares == pytest.approx([0.2, 0.2, 0.1, 0.5], abs=0.01)
    assert found["noise_hu"] == pytest.approx(8.0, rel=0.05)
    assert found["changed_hu"] == pytest.approx(5.0, abs=0.01)
    assert "dark" not in found
    without_noise = figures_of(
        ct.with_voxels(hu.astype(np.float32)), body, made, task_of("ct-ct"), is_plane=False
    )
    assert without_noise["noise_hu"] == pytest.approx(0.0, abs=1e-3)


def test_a_picture_has_pixels_and_no_millimetres() -> None:
    geometry = geometry_from_spacing((44, 50, 1), (1.0, 1.0, 1.0))
    grey = Volume(RNG.uniform(0.0, 255.0, geometry.shape).astype(np.float32), geometry, "a.u.")
    everything = grey.with_voxels(np.ones_like(grey.voxels), unit="mask")
    found = figures_of(grey, everything, grey, task_of("image-image"), is_plane=True)
    assert (found["shorter_px"], found["longer_px"]) == (44.0, 50.0)
    assert found["out_middle"] == pytest.approx(0.5, abs=0.05)  # of a window of 0 to 255
    assert not any(name.endswith("_mm") for name in found)
    assert "body_litres" not in found


@pytest.mark.parametrize("name", TASKS)
def test_every_figure_of_every_kind_of_task_has_a_name_for_cards(name: str) -> None:
    task = task_of(name)
    geometry = geometry_from_spacing((30, 32, 30), (4.0, 4.0, 4.0))
    values = RNG.uniform(0.0, 200.0, geometry.shape).astype(np.float32)
    source = Volume(values, geometry, task.source.unit)
    mask = np.zeros_like(values)
    mask[1:-1, 1:-1, 1:-1] = 1.0
    body, made = source.with_voxels(mask, unit="mask"), Volume(values, geometry, task.target.unit)
    for is_plane in (False, True):
        assert set(figures_of(source, body, made, task, is_plane=is_plane)) <= set(FEATURE_NAMES)
