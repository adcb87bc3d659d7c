"""The HU at a place in the world do not depend on the order in which a file stores its voxels."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.models.store import load_model
from medcyclegan.workflow.synthesize import Options, synthesize
from tests.properties.grids import STORAGES, Storage, rectangular_affines
from tests.tiny_model import head_on, scan_of, tiny_folder

SHAPE = (14, 12, 10)
# float32 sums in another order: a thousandth of a HU, of a range of 3000.
TOLERANCE_HU = 0.05
# Beyond half a right angle another world axis becomes the one that slabs run along.
MOST_TURN_RAD = 0.6


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


def hold_same_hu(volume: Volume, mask: Volume, stored: Storage, folder: Path, flip: bool) -> None:
    """Translate a volume as it is and stored otherwise; compare voxel by voxel."""
    model = load_model(folder)
    grid = stored.grid(volume.geometry)
    voxels = stored.voxels(volume.voxels)
    if flip:
        voxels = voxels[::-1]
    other = Volume(np.ascontiguousarray(voxels), grid, "a.u.")
    moved = Volume(np.ascontiguousarray(stored.voxels(mask.voxels)), grid, "mask")
    # In bfloat16 the last bit of an input can turn a value by 1 part in 256, which hides the law.
    with patch("medcyclegan.inference.sliding_slabs.has_bfloat16", return_value=False):
        expected, found = (
            synthesize(scan_of(image), model, options=Options(device="cpu", mask=body))
            for image, body in ((volume, mask), (other, moved))
        )
    assert found.image.geometry.same_grid(grid)
    assert np.abs(found.image.voxels - stored.voxels(expected.image.voxels)).max() < TOLERANCE_HU


def centred(affine: np.ndarray) -> Geometry:
    """A grid of these axes, 8 mm long each, about the origin."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0) * (8.0, 9.0, 10.0)
    whole = np.eye(4)
    whole[:3, :3] = axes
    whole[:3, 3] = -axes @ ((np.array(SHAPE) - 1) / 2)
    return Geometry(SHAPE, whole)


@settings(max_examples=20)
@given(affine=rectangular_affines(MOST_TURN_RAD), stored=STORAGES)
def test_hu_are_the_same_in_any_order(
    model_folder: Path, affine: np.ndarray, stored: Storage
) -> None:
    volume, mask = head_on(centred(affine), radius_mm=45.0)
    hold_same_hu(volume, mask, stored, model_folder, flip=False)


def test_a_mirrored_volume_is_caught(model_folder: Path) -> None:
    """The control: the same affine on mirrored voxels is another patient."""
    volume, mask = head_on(centred(np.eye(4)), radius_mm=45.0)
    stored = Storage((2, 0, 1), (1, -1, 1))
    hold_same_hu(volume, mask, stored, model_folder, flip=False)
    with pytest.raises(AssertionError):
        hold_same_hu(volume, mask, stored, model_folder, flip=True)
