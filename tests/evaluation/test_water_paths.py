"""Physics of water-equivalent paths: phantoms whose paths are known by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.water_paths import (
    GANTRY_DEG,
    BeamErrors,
    WaterPathOptions,
    beam_axes,
    path_errors,
    statistics_of,
    true_paths,
)
from medcyclegan.imaging.hu_curves import proton_stopping_power, through
from medcyclegan.simulate.head_pairs import rotation

WATER = through("a curve by hand", (-1000.0, 0.0, 1000.0), (0.0, 1.0, 1.6))
GRID = geometry_from_spacing((80, 70, 40), (1.0, 1.0, 1.5))
# The box lies from -30 to 30 mm and from -20 to 20 mm, in height from -22.5 to 22.5 mm.
BOX_MM = (60.0, 40.0, 45.0)


def places(geometry: Geometry) -> np.ndarray:
    return geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1).astype(np.float64))


def box(geometry: Geometry = GRID, size_mm: tuple[float, ...] = BOX_MM) -> np.ndarray:
    return (np.abs(places(geometry)) < np.array(size_mm) / 2.0).all(axis=-1)


def phantom(hu: np.ndarray, geometry: Geometry = GRID) -> Volume:
    return Volume(hu.astype(np.float32), geometry, "HU")


def water(geometry: Geometry = GRID) -> tuple[Volume, Volume]:
    inside = box(geometry)
    ct = phantom(np.where(inside, 0.0, -1000.0), geometry)
    return ct, ct.with_voxels(inside.astype(np.float32), unit="mask")


def along(errors: tuple[BeamErrors, ...], gantry_deg: float) -> BeamErrors:
    return next(one for one in errors if one.gantry_deg == gantry_deg)


def options(*gantry_deg: float) -> WaterPathOptions:
    return WaterPathOptions(WATER, gantry_deg or GANTRY_DEG)


def test_axes_are_those_of_a_patient_on_the_back() -> None:
    assert np.allclose(beam_axes(0.0)[2], (0.0, -1.0, 0.0))  # from the front to the back
    assert np.allclose(beam_axes(90.0)[2], (1.0, 0.0, 0.0))  # from the left to the right
    for angle in GANTRY_DEG:
        axes = beam_axes(angle)
        assert np.allclose(axes @ axes.T, np.eye(3))


def test_water_has_its_geometric_path() -> None:
    ct, mask = water()
    errors = path_errors(ct, true_paths(ct, mask, options(0.0, 90.0, 180.0)))
    for angle, size_mm in ((0.0, 40.0), (180.0, 40.0), (90.0, 60.0)):
        inner = np.sort(along(errors, angle).ct_mm)[len(along(errors, angle).ct_mm) // 2 :]
        assert np.allclose(inner, size_mm, atol=0.01)
    assert all(np.allclose(one.wepl_mm, 0.0, atol=1e-9) for one in errors)


def test_an_oblique_beam_has_the_chord_of_the_box() -> None:
    """At 30 degrees a ray that meets front and back of the box has 40 mm / cos 30."""
    ct, mask = water()
    (found,) = path_errors(ct, true_paths(ct, mask, options(30.0)))
    assert np.isclose(found.ct_mm.max(), 40.0 / np.cos(np.deg2rad(30.0)), atol=0.2)
    assert not np.isclose(found.ct_mm.max(), 40.0, atol=2.0)


@pytest.mark.parametrize("thickness_mm", [4.0, 8.0, 12.0])
def test_a_slab_of_bone_is_its_thickness_times_its_stopping_power(thickness_mm: float) -> None:
    ct, mask = water()
    front = box() & (places(GRID)[..., 1] > 20.0 - thickness_mm)
    hu = np.where(front, 1000.0, ct.voxels)
    (found,) = path_errors(phantom(hu), true_paths(ct, mask, options(0.0)))
    expected = thickness_mm * (float(WATER.at(1000.0)) - 1.0)
    assert np.median(found.wepl_mm) == pytest.approx(expected, abs=0.02)
    assert expected == pytest.approx(0.6 * thickness_mm)
    (flat,) = path_errors(ct, true_paths(ct, mask, options(0.0)))
    assert np.median(flat.wepl_mm) == 0.0  # the control: without the slab there is no error


def test_the_published_curve_gives_its_own_values() -> None:
    curve = proton_stopping_power()
    ct, mask = water()
    bone = box() & (places(GRID)[..., 1] > 10.0)
    hu = np.where(bone, 1000.0, ct.voxels)
    paths = true_paths(ct, mask, WaterPathOptions(curve, (0.0,)))
    (found,) = path_errors(phantom(hu), paths)
    tissue, dense = float(curve.at(0.0)), float(curve.at(1000.0))
    assert np.median(found.ct_mm) == pytest.approx(40.0 * tissue, abs=0.02)
    assert np.median(found.wepl_mm) == pytest.approx(10.0 * (dense - tissue), abs=0.02)


def _lopsided() -> tuple[Volume, Volume]:
    """A body without any symmetry, of bone and soft tissue, on a turned grid."""
    grid = geometry_from_spacing(
        (60, 56, 24), (1.5, 1.5, 2.5), rotation(np.array([4.0, -3.0, 7.0]))
    )
    place = places(grid)
    inside = np.linalg.norm((place - (3.0, -2.0, 1.0)) / (34.0, 28.0, 24.0), axis=-1) < 1.0
    inside |= np.linalg.norm((place - (20.0, 14.0, 5.0)) / (17.0, 12.0, 13.0), axis=-1) < 1.0
    hu = np.where(inside, 30.0, -1000.0)
    hu[np.linalg.norm(place - (-10.0, 8.0, -3.0), axis=-1) < 9.0] = 900.0
    ct = phantom(hu, grid)
    return ct, ct.with_voxels(inside.astype(np.float32), unit="mask")


@pytest.mark.parametrize("make", [water, _lopsided])
@pytest.mark.parametrize("angle", [0.0, 30.0, 60.0, 90.0, 120.0, 150.0])
def test_opposite_beams_have_the_same_rays_mirrored(
    make: Callable[[], tuple[Volume, Volume]], angle: float
) -> None:
    ct, body = make()
    paths = true_paths(ct, body, options(angle, angle + 180.0))
    first, second = paths.beams
    assert first.rays.shape == second.rays.shape
    here, there = (np.full(beam.counts.shape, np.nan) for beam in paths.beams)
    here[first.counts], there[second.counts] = first.ct_mm, second.ct_mm
    assert np.allclose(here, there[::-1], rtol=0.0, atol=1e-3, equal_nan=True)


def test_anisotropic_turned_and_flipped_grids_have_the_same_path() -> None:
    thick = geometry_from_spacing((80, 36, 18), (1.0, 2.0, 3.0))
    affine = GRID.affine_ras[:, [2, 0, 1, 3]].copy()
    affine[:3, 0] *= -1.0
    shape = (GRID.shape[2], GRID.shape[0], GRID.shape[1])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape) - 1) / 2.0)
    for geometry in (thick, Geometry(shape, affine)):
        ct, mask = water(geometry)
        errors = path_errors(ct, true_paths(ct, mask, options(0.0, 90.0)))
        assert np.median(along(errors, 0.0).ct_mm) == pytest.approx(40.0, abs=0.05)
        assert np.median(along(errors, 90.0).ct_mm) == pytest.approx(60.0, abs=0.05)


def test_rays_end_behind_the_target_and_the_range_error_is_in_mm_of_the_patient() -> None:
    """8 mm of bone before a target that ends 10 mm behind the middle: 4.8 mm of water too much."""
    ct, mask = water()
    target = mask.with_voxels(box(size_mm=(20.0, 20.0, 20.0)).astype(np.float32))
    front = box() & (places(GRID)[..., 1] > 12.0)
    hu = np.where(front, 1000.0, ct.voxels)
    (found,) = path_errors(phantom(hu), true_paths(ct, mask, options(0.0), target=target))
    assert np.median(found.ct_mm) == pytest.approx(30.0, abs=0.05)
    assert np.median(found.wepl_mm) == pytest.approx(4.8, abs=0.05)
    assert np.median(found.range_mm) == pytest.approx(4.8, abs=0.05)  # through water
    dense = np.where(box() & (places(GRID)[..., 1] < -10.0), 1000.0, ct.voxels)
    paths = true_paths(phantom(dense), mask, options(0.0), target=target)
    (behind,) = path_errors(phantom(np.where(front, 1000.0, dense)), paths)
    assert np.median(behind.range_mm) == pytest.approx(4.8 / 1.6, abs=0.1)  # through bone
    assert np.median(behind.wepl_mm) == pytest.approx(4.8, abs=0.05)


def test_bone_behind_the_target_is_no_error_and_through_the_body_it_is() -> None:
    ct, mask = water()
    target = mask.with_voxels(box(size_mm=(20.0, 20.0, 20.0)).astype(np.float32))
    back = box() & (places(GRID)[..., 1] < -12.0)
    sct = phantom(np.where(back, 1000.0, ct.voxels))
    (to_target,) = path_errors(sct, true_paths(ct, mask, options(0.0), target=target))
    assert np.abs(to_target.wepl_mm).max() < 1e-6
    (through_all,) = path_errors(sct, true_paths(ct, mask, options(0.0)))
    assert np.median(through_all.wepl_mm) == pytest.approx(4.8, abs=0.05)
    (other_side,) = path_errors(sct, true_paths(ct, mask, options(180.0), target=target))
    assert np.median(other_side.wepl_mm) == pytest.approx(4.8, abs=0.05)


def test_a_proton_that_leaves_the_body_has_no_range_error() -> None:
    ct, mask = water()
    target = mask.with_voxels(box(size_mm=(20.0, 36.0, 20.0)).astype(np.float32))
    sct = phantom(np.where(box(), 500.0, -1000.0))
    (found,) = path_errors(sct, true_paths(ct, mask, options(0.0), target=target))
    inner = np.isclose(found.ct_mm, 38.0, atol=0.1)
    assert inner.any()
    assert np.isnan(found.range_mm[inner]).all()
    assert np.isfinite(found.wepl_mm).all()


def test_rays_that_leave_the_image_in_the_body_are_left_out_and_counted() -> None:
    cropped = Geometry((80, 30, 40), GRID.affine_ras)  # its last row lies inside the box
    ct, mask = water(cropped)
    errors = path_errors(ct, true_paths(ct, mask, options(0.0, 90.0)))
    assert along(errors, 0.0).ct_mm.size == 0
    assert along(errors, 0.0).cut > 0
    assert np.median(along(errors, 90.0).ct_mm) == pytest.approx(60.0, abs=0.05)
    ct, mask = water()
    whole = path_errors(ct, true_paths(ct, mask, options(0.0)))
    assert whole[0].cut == 0
    ct, mask = water(cropped)
    with pytest.raises(InputRefused, match="No ray runs through the body"):
        true_paths(ct, mask, options(0.0, 180.0))


def test_only_the_body_counts() -> None:
    ct, mask = water()
    couch = np.where(places(GRID)[..., 1] < -25.0, 500.0, ct.voxels)
    (found,) = path_errors(phantom(couch), true_paths(ct, mask, options(0.0)))
    assert np.abs(found.wepl_mm).max() < 1e-9


def test_a_map_is_seen_from_the_source_with_the_head_up() -> None:
    """Bone high at the patient's left: from the front it is at the right, above."""
    ct, mask = water()
    place = places(GRID)
    high_left = box() & (place[..., 0] < -10.0) & (place[..., 2] > 8.0)
    sct = phantom(np.where(high_left, 1000.0, ct.voxels))
    (found,) = path_errors(sct, true_paths(ct, mask, options(0.0)))
    rows, columns = np.nonzero(np.nan_to_num(found.map_mm()) > 1.0)
    height, width = found.map_mm().shape
    assert rows.mean() < height / 2.0
    assert columns.mean() > width / 2.0


def test_statistics_by_hand() -> None:
    found = statistics_of(np.array([1.0, -3.0, 2.0, np.nan]))
    assert (found.n, found.mean_mm) == (3, 0.0)
    assert found.sd_mm == pytest.approx(np.sqrt(7.0))
    assert found.p95_abs_mm == pytest.approx(2.9)
    assert statistics_of(np.array([])).n == 0
    assert np.isnan(statistics_of(np.array([])).mean_mm)


def test_options_are_checked() -> None:
    with pytest.raises(UsageError, match="Gantry angles"):
        WaterPathOptions(WATER, (0.0, 400.0))
    with pytest.raises(UsageError, match="Gantry angles"):
        WaterPathOptions(WATER, ())
    with pytest.raises(UsageError, match="twice"):
        WaterPathOptions(WATER, (30.0, 30.0))


def test_a_target_outside_of_the_body_is_refused() -> None:
    ct, mask = water()
    nowhere = mask.with_voxels(np.zeros(GRID.shape, dtype=np.float32))
    with pytest.raises(InputRefused, match="The target marks no voxel"):
        true_paths(ct, mask, options(), target=nowhere)
