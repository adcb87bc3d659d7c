"""A denoised CT keeps the couch, metal and padding that the network had no part in."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.preprocessing import Prepared, keep_outside_fov
from medcyclegan.workflow.synthesize import Options, synthesize
from tests.tiny_model import HU_WINDOW, head_on, model_of, scan_of
from tests.tiny_tasks import GRID, head_of, task_of

SMALL = geometry_from_spacing((20, 20, 20), (2.0, 2.0, 2.0))


def prepared(geometry: Geometry) -> Prepared:
    return Prepared(torch.zeros(geometry.shape), geometry, HU_WINDOW)


def test_off_the_grid_above_the_window_and_in_padding_the_source_stays() -> None:
    grid = geometry_from_spacing((10, 10, 10), (2.0, 2.0, 2.0))  # the middle of SMALL
    voxels = np.full(SMALL.shape, 40.0, dtype=np.float32)
    voxels[10, 10, 10], voxels[9, 10, 10], voxels[9, 9, 10] = 3000.0, -2000.0, -1100.0
    source = Volume(voxels, SMALL, "HU")
    made = source.with_voxels(np.full(SMALL.shape, 7.0, dtype=np.float32))
    mixed = keep_outside_fov(made, prepared(grid), source).voxels
    assert mixed[10, 10, 10] == 3000.0
    assert mixed[9, 10, 10] == -2000.0
    assert mixed[9, 9, 10] == 7.0  # noise around air is the network's
    assert mixed[0, 0, 0] == 40.0
    assert (mixed == 7.0).sum() == 10**3 - 2


def test_half_a_voxel_on_the_grid_counts_half() -> None:
    grid = geometry_from_spacing((4, 4, 4), (5.0, 5.0, 5.0))
    source = Volume(np.zeros(SMALL.shape, np.float32), SMALL, "HU")
    made = source.with_voxels(np.full(SMALL.shape, 100.0, dtype=np.float32))
    mixed = keep_outside_fov(made, prepared(grid), source).voxels
    assert mixed[10, 10, 10] == 100.0
    assert mixed[0, 10, 10] == 0.0
    assert ((mixed > 0.0) & (mixed < 100.0)).any()


class Blank(nn.Module):
    """Air, whatever is given."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.full_like(x, -1.0)


def test_only_a_task_from_hu_to_hu_keeps_them() -> None:
    ct, (_, mask) = head_of("CT"), head_on(GRID, radius_mm=20.0)
    couch = np.array(ct.voxels)
    couch[:, -2:, :] = 150.0
    scan = scan_of(ct.with_voxels(couch), modality="CT")
    options = Options(device="cpu", mask=mask)
    clean = synthesize(scan, model_of(Blank(), task_of("ct-ct")), options=options).image
    assert (clean.voxels[:, -1] == 150.0).all()
    assert clean.voxels[17, 18, 14] == pytest.approx(-1000.0, abs=0.01)
    # The control: MR signal is another quantity, and nothing of the HU is in it.
    signal = synthesize(scan, model_of(Blank(), task_of("ct-mr")), options=options).image
    np.testing.assert_allclose(signal.voxels, 0.0, atol=0.01)
