"""Volumes in SimpleITK lie where they lay, and moving them keeps to the rule of the product."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.study.load import onto_grid
from medcyclegan.imaging.itk_images import itk_image, itk_rigid, level_of, matrix_of, resampled
from medcyclegan.simulate.head_pairs import rotation

OBLIQUE = geometry_from_spacing((9, 8, 7), (1.5, 2.0, 3.0), rotation(np.array([20.0, -35.0, 50.0])))


def volume_on(geometry: Geometry, seed: int = 0) -> Volume:
    rng = np.random.default_rng(seed)
    return Volume(rng.uniform(-900, 900, geometry.shape).astype(np.float32), geometry, "HU")


def sheared() -> Geometry:
    affine = OBLIQUE.affine_ras.copy()
    affine[:3, 2] += 0.4 * affine[:3, 1]
    return Geometry(OBLIQUE.shape, affine)


@pytest.mark.parametrize("geometry", [OBLIQUE, sheared()], ids=["oblique", "sheared"])
def test_every_voxel_lies_where_it_lay_and_holds_what_it_held(geometry: Geometry) -> None:
    volume = volume_on(geometry)
    image = itk_image(volume)
    for index in ((0, 0, 0), (8, 0, 3), (2, 7, 6)):
        x, y, z = image.TransformIndexToPhysicalPoint(index)
        assert np.allclose((-x, -y, z), geometry.to_world(np.array(index, dtype=float)), atol=1e-9)
        assert image[index] == volume.voxels[index]


def test_a_matrix_comes_back_and_maps_ras_points() -> None:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(np.array([10.0, 20.0, -30.0])), (5.0, -7.0, 11.0)
    transform = itk_rigid(matrix)
    assert np.allclose(matrix_of(transform), matrix, atol=1e-9)
    moved = np.array(transform.TransformPoint((-1.0, -2.0, 3.0))) * (-1, -1, 1)
    assert np.allclose(moved, (matrix @ (1.0, 2.0, 3.0, 1.0))[:3])


def test_moving_by_nothing_keeps_every_voxel() -> None:
    volume = volume_on(OBLIQUE)
    still = sitk.Transform(3, sitk.sitkIdentity)
    moved, seen = resampled(volume, OBLIQUE, still, fill=-1024.0)
    assert np.allclose(moved.voxels, volume.voxels, atol=1e-2)
    assert seen.all()


def test_a_rigid_move_is_that_of_the_header_by_the_rule_for_scores() -> None:
    """What ``evaluate`` makes of a CT whose header was moved, the fill outside among it."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation(np.array([4.0, -3.0, 5.0])), (3.0, 2.0, -4.0)
    volume = volume_on(OBLIQUE)
    wide = geometry_from_spacing((20, 22, 24), (1.4, 1.4, 1.4))
    header = Geometry(OBLIQUE.shape, np.linalg.inv(matrix) @ OBLIQUE.affine_ras)
    expected, _ = onto_grid(Volume(volume.voxels, header, "HU"), wide, fill=-1024.0)
    moved, seen = resampled(volume, wide, itk_rigid(matrix), fill=-1024.0)
    alike = np.isclose(moved.voxels, expected.voxels, atol=0.5)
    assert alike.mean() > 0.999  # a voxel on the very border may fall to either side
    assert (moved.voxels[~seen] == -1024.0).mean() > 0.999
    assert 0.05 < seen.mean() < 0.95
    control, _ = onto_grid(volume, wide, fill=-1024.0)
    assert np.isclose(moved.voxels, control.voxels, atol=0.5).mean() < 0.9


def test_a_couch_is_air_and_coarse_axes_stay() -> None:
    geometry = geometry_from_spacing((30, 30, 8), (1.0, 1.0, 6.0))
    ct = Volume(np.full(geometry.shape, 40.0, np.float32), geometry, "HU")
    body = np.zeros(geometry.shape, np.float32)
    body[5:25, 5:20] = 1.0
    mask = Volume(body, geometry, "mask")
    level = level_of(ct, mask, ct, mask, spacing_mm=2.0)
    assert level.moving.GetSize() == (15, 15, 8)
    values = sitk.GetArrayFromImage(level.moving)
    assert values[:, 13, 7].max() == -1000.0
    assert values[4, 5, 7] == pytest.approx(40.0)
    assert level.rim_mask.sum() > level.body_mask.sum() > 0
