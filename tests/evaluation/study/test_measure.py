"""What is kept of a scored image: counts that add up, errors at their place."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.evaluation.study.load import Prediction, Truth
from medcyclegan.evaluation.study.statistics import (
    ERROR_EDGES_HU,
    HEIGHTS_PERCENT,
    JOINT_EDGES_HU,
    Measured,
    Pair,
    measure,
)
from tests.evaluation.study.cohort import head_ct, head_mask


def measured(sct: Volume, ct: Volume, mask: Volume) -> Measured:
    truth = Truth(ct, mask, None, ())
    return measure(Pair("P1", "m"), truth, Prediction(sct, False, 0.0, ()), protocol="synthrad2023")


def shifted(ct: Volume, by_hu: float) -> Volume:
    return ct.with_voxels(ct.voxels + np.float32(by_hu))


def test_every_voxel_of_the_body_is_counted_once_in_its_bin() -> None:
    ct, mask = head_ct(), head_mask(head_ct())
    found = measured(shifted(ct, 125.0), ct, mask)
    voxels = int((mask.voxels > 0).sum())
    assert found.error_counts.sum() == found.joint_counts.sum() == voxels
    assert ERROR_EDGES_HU[found.error_counts.argmax()] == 120.0
    beyond = measured(shifted(ct, 5000.0), ct, mask)
    assert beyond.error_counts[-1] == voxels
    assert measured(ct, ct, mask).error_counts[100] == voxels


def test_the_joint_histogram_has_the_true_hu_first() -> None:
    ct, mask = head_ct(), head_mask(head_ct())
    found = measured(ct.with_voxels(np.full_like(ct.voxels, 300.0)), ct, mask)
    column = int((300.0 - JOINT_EDGES_HU[0]) // 16)
    assert found.joint_counts[:, column].sum() == found.joint_counts.sum()
    assert (found.joint_counts[:, column] > 0).sum() > 10


def test_means_by_region() -> None:
    ct, mask = head_ct(), head_mask(head_ct())
    found = measured(shifted(ct, 20.0), ct, mask)
    for sct_mean, ct_mean in found.region_means_hu:
        assert sct_mean - ct_mean == pytest.approx(20.0, abs=1e-3)
    body, air, soft, bone = (mean for _, mean in found.region_means_hu)
    assert air < soft < body < bone
    no_bone = ct.with_voxels(np.minimum(ct.voxels, 100.0))
    assert np.isnan(measured(ct, no_bone, mask).region_means_hu[3]).all()


@pytest.mark.parametrize(("order", "flip"), [((0, 1, 2), False), ((2, 0, 1), True)])
def test_an_error_at_the_top_of_the_head_is_drawn_at_its_top(order, flip: bool) -> None:
    ct, mask = head_ct(), head_mask(head_ct())
    wrong = ct.voxels.copy()
    wrong[:, :, 20:] -= 200.0
    images = [turned(image, order, flip) for image in (ct.with_voxels(wrong), ct, mask)]
    found = measured(*images)
    assert found.height_mae_hu[-1] == pytest.approx(200.0, abs=1e-3)
    assert found.height_bias_hu[-1] == pytest.approx(-200.0, abs=1e-3)
    assert found.height_mae_hu[HEIGHTS_PERCENT < 50.0].max() == 0.0


def turned(image: Volume, order: tuple[int, ...], flip: bool) -> Volume:
    """Store the same image in the same place with other axes, the last one backwards."""
    voxels, affine = image.voxels, image.geometry.affine_ras.copy()
    if flip:
        affine[:, 3] += affine[:, 2] * (voxels.shape[2] - 1)
        affine[:, 2] *= -1.0
        voxels = voxels[:, :, ::-1]
    voxels = voxels.transpose(order)
    return Volume(voxels, Geometry(voxels.shape, affine[:, [*order, 3]]), image.unit)
