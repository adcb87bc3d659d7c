"""Surface distances of cubes that are known by hand, and beside MONAI's."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.surfaces import body_distance, bone_distance, surface_distance

SHAPE = (30, 28, 26)
SPACING_MM = (0.5, 1.0, 3.0)
GRID = geometry_from_spacing(SHAPE, SPACING_MM)


def cube(shift: tuple[int, int, int] = (0, 0, 0), size: int = 10) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.bool_)
    i, j, k = (8 + s for s in shift)
    mask[i : i + size, j : j + size, k : k + size] = True
    return mask


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plate_moved_along_an_axis_is_as_far_as_its_spacing_says(axis: int) -> None:
    """Of a plate of one voxel every point moves by the same length, and that is the distance."""
    plates = [np.zeros(SHAPE, dtype=np.bool_) for _ in range(2)]
    for plate, place in zip(plates, (10, 14), strict=True):
        np.moveaxis(plate, axis, 0)[place] = True
    found = surface_distance(*plates, GRID)
    assert found.hd95_mm == pytest.approx(4 * SPACING_MM[axis])
    assert found.mean_mm == pytest.approx(4 * SPACING_MM[axis])
    unit = surface_distance(*plates, geometry_from_spacing(SHAPE, (1.0, 1.0, 1.0)))
    assert unit.hd95_mm == pytest.approx(4.0)
    assert (unit.hd95_mm == pytest.approx(found.hd95_mm)) == (axis == 1)


def test_a_cube_moved_along_its_faces_by_hand() -> None:
    """Moved by 2 voxels of 3 mm: its two end faces, 100 of its 488 voxels each, move by 6 mm."""
    found = surface_distance(cube((0, 0, 2)), cube(), GRID)
    same = surface_distance(cube(), cube(), GRID)
    assert (same.hd95_mm, same.mean_mm) == (0.0, 0.0)
    assert found.hd95_mm == pytest.approx(6.0)
    assert 0.0 < found.mean_mm < 6.0


@pytest.mark.filterwarnings("ignore:.*always_return_as_numpy")  # MONAI's own, within itself
@pytest.mark.parametrize("shift", [(0, 0, 2), (3, 0, 0), (2, -1, 1), (0, 5, 0)])
@pytest.mark.parametrize("size", [10, 7])
def test_both_are_monais(shift: tuple[int, int, int], size: int) -> None:
    pred, ref = cube(shift, size), cube()
    found = surface_distance(pred, ref, GRID)
    tensors = [torch.from_numpy(m)[None, None].float() for m in (pred, ref)]
    hd95 = compute_hausdorff_distance(
        *tensors, include_background=True, percentile=95, spacing=SPACING_MM
    )
    mean = compute_average_surface_distance(
        *tensors, include_background=True, symmetric=True, spacing=SPACING_MM
    )
    assert found.hd95_mm == pytest.approx(float(hd95), abs=1e-5)
    assert found.mean_mm == pytest.approx(float(mean), abs=1e-5)


def test_a_turned_and_a_sheared_grid_measure_in_the_patients_space() -> None:
    turn = np.deg2rad(30.0)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    oblique = Geometry(SHAPE, turned @ GRID.affine_ras)
    straight = surface_distance(cube((2, 1, 1)), cube(), GRID)
    assert surface_distance(cube((2, 1, 1)), cube(), oblique).hd95_mm == pytest.approx(
        straight.hd95_mm
    )
    affine = GRID.affine_ras.copy()
    affine[1, 2] = 4.0  # a slice lies 4 mm further back than the one below it
    first, second = (np.zeros(SHAPE, dtype=np.bool_) for _ in range(2))
    first[10, 10, 10], second[10, 10, 11] = True, True
    sheared = surface_distance(first, second, Geometry(SHAPE, affine))
    assert sheared.hd95_mm == pytest.approx(5.0)  # of 3 and 4 mm
    assert surface_distance(first, second, GRID).hd95_mm == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("pred", "ref", "says"),
    [
        (np.zeros(SHAPE, dtype=np.bool_), cube(), "no surface in the synthetic CT"),
        (cube(), np.zeros(SHAPE, dtype=np.bool_), "no surface in the reference CT"),
        (*[np.zeros(SHAPE, dtype=np.bool_)] * 2, "the synthetic CT and the reference CT"),
    ],
)
def test_what_is_not_there_has_no_distance_and_a_reason(
    pred: np.ndarray, ref: np.ndarray, says: str
) -> None:
    found = surface_distance(pred, ref, GRID)
    assert math.isnan(found.hd95_mm)
    assert math.isnan(found.mean_mm)
    assert says in found.reason
    assert not surface_distance(cube(), cube(), GRID).reason


def test_the_end_of_an_image_is_no_surface() -> None:
    """Two slabs that both run out of the image differ at the one face that each has."""
    long, short = (np.zeros(SHAPE, dtype=np.bool_) for _ in range(2))
    long[:, :, :12], short[:, :, :10] = True, True
    found = surface_distance(long, short, GRID)
    assert found.mean_mm == pytest.approx(6.0)
    assert found.hd95_mm == pytest.approx(6.0)


def test_bone_is_sought_in_the_mask_and_the_body_by_one_rule() -> None:
    hu = np.full(SHAPE, -1000.0, dtype=np.float32)
    hu[4:26, 4:24, 3:23] = 40.0
    ref_hu, pred_hu = hu.copy(), hu.copy()
    ref_hu[10:16, 10:16, 10:13] = 900.0
    pred_hu[10:16, 10:16, 11:14] = 900.0
    pred_hu[4:26, 4:24, 23] = 40.0
    ref, pred = (Volume(v, GRID, "HU") for v in (ref_hu, pred_hu))
    inside = hu > -500.0
    bone = bone_distance(pred, ref, inside)
    assert bone.hd95_mm == pytest.approx(3.0)
    nothing = bone_distance(pred, ref, inside & (np.arange(SHAPE[2]) < 5))
    assert math.isnan(nothing.hd95_mm)
    assert nothing.reason.startswith("bone: no surface")
    whole = body_distance(pred, ref_hu > -500.0)
    assert whole.hd95_mm == pytest.approx(3.0)
    air = Volume(np.full(SHAPE, -1000.0, dtype=np.float32), GRID, "HU")
    assert body_distance(air, inside).reason == "no body found in the synthetic CT"
    assert body_distance(pred, None).reason == "no body found in the reference CT"
