"""Body masks of made heads whose true mask is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


def ellipsoid(geometry: Geometry, radii_mm: tuple[float, float, float], centre_mm: Array) -> Bools:
    index = np.stack(np.indices(geometry.shape), axis=-1).astype(np.float64)
    return np.asarray((((geometry.to_world(index) - centre_mm) / radii_mm) ** 2).sum(-1) < 1.0)


def head(
    spacing_mm: tuple[float, float, float], extent_mm: float = 220.0
) -> tuple[Geometry, dict[str, Bools]]:
    """A head of 150 x 190 x 200 mm: 6 mm scalp, 7 mm skull, brain, a sinus open to the front."""
    shape = tuple(round(extent_mm / s) for s in spacing_mm)
    geometry = geometry_from_spacing((shape[0], shape[1], shape[2]), spacing_mm)
    zero = np.zeros(3)
    skin = ellipsoid(geometry, (75.0, 95.0, 100.0), zero)
    skull = ellipsoid(geometry, (69.0, 89.0, 94.0), zero)
    brain = ellipsoid(geometry, (62.0, 82.0, 87.0), zero)
    world = geometry.to_world(np.stack(np.indices(geometry.shape), axis=-1).astype(np.float64))
    sinus = ellipsoid(geometry, (15.0, 25.0, 15.0), np.array([0.0, 60.0, -30.0]))
    nostril = (np.abs(world[..., 0]) < 3.0) & (np.abs(world[..., 2] + 30.0) < 3.0)
    sinus |= nostril & (world[..., 1] > 60.0)
    return geometry, {"skin": skin, "skull": skull, "brain": brain, "sinus": sinus & skin}


def mr_signal(parts: dict[str, Bools], scalp: float = 300.0) -> Array:
    signal = np.where(parts["skin"], scalp, 0.0)
    signal[parts["skull"]] = 10.0
    signal[parts["brain"]] = 200.0
    signal[parts["sinus"]] = 0.0
    return signal


def ct_values(parts: dict[str, Bools]) -> Array:
    values = np.where(parts["skin"], 0.0, -1000.0)
    values[parts["skull"]] = 1000.0
    values[parts["brain"]] = 35.0
    values[parts["sinus"]] = -1000.0
    return values


def rician(signal: Array, sigma: float) -> Array:
    rng = np.random.default_rng(0)
    return np.hypot(signal + rng.normal(0, sigma, signal.shape), rng.normal(0, sigma, signal.shape))


def dice(mask: Volume, truth: Bools) -> float:
    found = mask.voxels > 0
    return 2.0 * float((found & truth).sum()) / float(found.sum() + truth.sum())


def volume(voxels: Array, geometry: Geometry, unit: Unit) -> Volume:
    return Volume(voxels.astype(np.float32), geometry, unit)


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (1.5, 1.5, 5.0), (5.0, 1.5, 1.5)])
@pytest.mark.parametrize("scalp", [300.0, 60.0])
def test_mr_head_in_noise_and_bias_with_thin_and_thick_slices(
    spacing_mm: tuple[float, float, float], scalp: float
) -> None:
    geometry, parts = head(spacing_mm)
    bias = np.linspace(0.5, 1.6, geometry.shape[2])
    signal = rician(mr_signal(parts, scalp) * bias, sigma=8.0)
    mask = body_mask_mr(volume(signal, geometry, "a.u."))
    assert mask.unit == "mask"
    assert mask.geometry == geometry
    assert dice(mask, parts["skin"]) > 0.97
    threshold_alone = volume(np.where(signal > 60.0, 1.0, 0.0), geometry, "mask")
    assert dice(threshold_alone, parts["skin"]) < 0.97


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0, 2.0), (1.5, 1.5, 5.0)])
def test_ct_head_without_its_couch_and_headrest(spacing_mm: tuple[float, float, float]) -> None:
    geometry, parts = head(spacing_mm)
    values = ct_values(parts)
    back = int(np.flatnonzero(parts["skin"].any(axis=(0, 2)))[0])
    values[:, back - 1] = 150.0
    values += np.random.default_rng(0).normal(0.0, 30.0, values.shape)
    mask = body_mask_ct(volume(values, geometry, "HU"))
    assert dice(mask, parts["skin"]) > 0.98
    assert mask.voxels[:, back - 1].sum() < 0.05 * mask.voxels[:, back - 1].size
    assert (values[:, back - 1] > -400.0).mean() > 0.99


@pytest.mark.parametrize("find", [body_mask_ct, body_mask_mr])
def test_the_air_inside_is_filled(find: Callable[[Volume], Volume]) -> None:
    geometry, parts = head((2.0, 2.0, 2.0))
    ct = find is body_mask_ct
    image = volume(ct_values(parts) if ct else mr_signal(parts), geometry, "HU" if ct else "a.u.")
    found = find(image).voxels > 0
    assert found[parts["sinus"]].mean() > 0.97


@pytest.mark.parametrize("find", [body_mask_ct, body_mask_mr])
def test_a_head_that_the_field_of_view_cuts(find: Callable[[Volume], Volume]) -> None:
    geometry, parts = head((2.0, 2.0, 2.0), extent_mm=140.0)
    ct = find is body_mask_ct
    image = volume(ct_values(parts) if ct else mr_signal(parts), geometry, "HU" if ct else "a.u.")
    assert dice(find(image), parts["skin"]) > 0.98


@pytest.mark.parametrize("find", [body_mask_ct, body_mask_mr])
def test_axis_order_and_obliquity_do_not_matter(find: Callable[[Volume], Volume]) -> None:
    geometry, parts = head((2.5, 2.5, 5.0))
    ct = find is body_mask_ct
    voxels = ct_values(parts) if ct else rician(mr_signal(parts), sigma=8.0)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn @ geometry.affine_ras[:3, :3]
    plain = find(volume(voxels, geometry, "HU" if ct else "a.u."))
    turned = find(volume(voxels, Geometry(geometry.shape, affine), "HU" if ct else "a.u."))
    assert np.array_equal(plain.voxels, turned.voxels)
    for order in itertools.permutations(range(3)):
        columns = geometry.affine_ras[:, [*order, 3]]
        shape = tuple(geometry.shape[a] for a in order)
        moved = Volume(
            voxels.transpose(order).astype(np.float32),
            Geometry((shape[0], shape[1], shape[2]), columns),
            "HU" if ct else "a.u.",
        )
        back = find(moved).voxels.transpose(np.argsort(order))
        assert (back != plain.voxels).mean() < 0.002


def centre_voxels(mask: Array) -> Array:
    return np.array([np.average(indices, weights=mask) for indices in np.indices(mask.shape)])


def test_a_volume_stored_the_other_way_round_has_the_same_surface() -> None:
    geometry, parts = head((0.9, 2.5, 5.0), extent_mm=222.0)  # 0.9 mm: an even box shifted it
    signal = mr_signal(parts).astype(np.float32)
    plain = body_mask_mr(volume(signal, geometry, "a.u.")).voxels
    flipped = body_mask_mr(volume(signal[::-1], geometry, "a.u.")).voxels[::-1]
    tolerance_voxels = 0.02
    assert np.abs(centre_voxels(plain) - centre_voxels(flipped)).max() < tolerance_voxels
    half_a_voxel_off = (plain + np.roll(plain, 1, axis=0)) / 2.0
    assert np.abs(centre_voxels(plain) - centre_voxels(half_a_voxel_off)).max() > tolerance_voxels


@pytest.mark.parametrize("slices", [1, 3, 4])
def test_one_slice_and_a_few_are_volumes_too(slices: int) -> None:
    geometry, parts = head((1.5, 1.5, 5.0))
    chosen = slice(geometry.shape[2] // 2, geometry.shape[2] // 2 + slices)
    slab = Geometry((*geometry.shape[:2], slices), geometry.affine_ras)
    signal = rician(mr_signal(parts), sigma=8.0)[:, :, chosen]
    truth = parts["skin"][:, :, chosen]
    assert dice(body_mask_mr(volume(signal, slab, "a.u.")), truth) > 0.97


def test_scale_and_offset_of_the_signal_do_not_matter() -> None:
    geometry, parts = head((3.0, 3.0, 3.0))
    signal = rician(mr_signal(parts), sigma=8.0)
    plain = body_mask_mr(volume(signal, geometry, "a.u."))
    other = body_mask_mr(volume(0.01 * signal + 5.0, geometry, "a.u."))
    assert (plain.voxels != other.voxels).mean() < 1e-3


def test_volumes_without_a_body_are_refused() -> None:
    geometry = geometry_from_spacing((20, 20, 20), (3.0, 3.0, 3.0))
    with pytest.raises(InputRefused, match="stand out"):
        body_mask_mr(volume(np.zeros(geometry.shape), geometry, "a.u."))
    with pytest.raises(InputRefused, match="No body"):
        body_mask_ct(volume(np.full(geometry.shape, -1000.0), geometry, "HU"))
    with pytest.raises(InputRefused, match="sought in HU"):
        body_mask_ct(volume(np.zeros(geometry.shape), geometry, "a.u."))
