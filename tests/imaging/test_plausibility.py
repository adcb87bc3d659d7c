"""CT and noise given as MR are told from MR; a result without bone is warned of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import HEAD
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.plausibility import (
    bone_warning,
    coarse_warning,
    neighbour_correlation,
    refuse_ct,
    refuse_no_ct,
    refuse_noise,
    size_warning,
    slices_warning,
)
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from tests.tiny_model import head_on

SOURCE = Path("scan.nii.gz")
GRID = geometry_from_spacing((32, 30, 6), (1.0, 1.0, 5.0))
WIDE = geometry_from_spacing((32, 30, 26), (4.0, 4.0, 5.0))


def test_noise_is_refused_and_a_noisy_head_is_not() -> None:
    rng = np.random.default_rng(0)
    noise = Volume(rng.uniform(0, 254, GRID.shape).astype(np.float32), GRID, "a.u.")
    assert abs(neighbour_correlation(noise)) < 0.1
    with pytest.raises(InputRefused, match=r"scan\.nii\.gz looks like noise"):
        refuse_noise(noise, source=SOURCE)
    head = make_phantom(default_geometry(6.0), contrast="t1", seed=3).mr
    grainy = head.voxels + rng.normal(0, 0.2 * head.voxels.std(), head.voxels.shape)
    refuse_noise(head.with_voxels(grainy.astype(np.float32)), source=SOURCE)


def test_one_slice_and_one_voxel_have_a_correlation() -> None:
    ramp = np.arange(40.0, dtype=np.float32).reshape(8, 5, 1)
    flat = Volume(ramp, geometry_from_spacing((8, 5, 1), (1.0, 1.0, 1.0)), "a.u.")
    assert neighbour_correlation(flat) > 0.9
    one = geometry_from_spacing((1, 1, 1), (1.0, 1.0, 1.0))
    assert neighbour_correlation(Volume(np.ones((1, 1, 1), np.float32), one, "a.u.")) == 1.0


def test_a_ct_is_refused_and_its_mr_is_not() -> None:
    subject = make_phantom(default_geometry(6.0), contrast="t2", seed=1)
    with pytest.raises(InputRefused, match="looks like a CT in HU"):
        refuse_ct(subject.ct, source=SOURCE)
    refuse_ct(subject.mr, source=SOURCE)


def test_a_head_without_bone_is_warned_of() -> None:
    subject = make_phantom(default_geometry(6.0), contrast="t1", seed=1)
    assert bone_warning(subject.ct, subject.body_mask, HEAD) == ()
    soft = subject.ct.with_voxels(np.minimum(subject.ct.voxels, 100.0))
    (sentence,) = bone_warning(soft, subject.body_mask, HEAD)
    assert sentence == (
        "Only 0.0% of the body came out as bone (above 250 HU): this may be no head, or a contrast "
        "that the model was not trained on; do not trust the result."
    )


def test_a_body_smaller_than_a_head_is_warned_of() -> None:
    subject = make_phantom(default_geometry(6.0), contrast="t1", seed=1)
    assert size_warning(subject.body_mask, HEAD) == ()
    part = np.array(subject.body_mask.voxels)
    part[:, :, 4:] = 0.0
    (sentence,) = size_warning(subject.body_mask.with_voxels(part), HEAD)
    assert sentence.endswith(
        "litres, much less than a head: the model is for heads only, and needs to see most of one."
    )


def test_an_mr_is_no_ct_and_its_ct_is_one() -> None:
    subject = make_phantom(default_geometry(6.0), contrast="t1", seed=1)
    refuse_no_ct(subject.ct, source=SOURCE)
    with pytest.raises(InputRefused, match=r"does not look like a CT in HU: 0\.00%"):
        refuse_no_ct(subject.mr, source=SOURCE)


def test_too_few_slices_and_coarse_pixels_are_warned_of() -> None:
    image = Volume(np.ones(GRID.shape, np.float32), GRID, "HU")  # 6 slices, pixels of 1 mm
    assert slices_warning(image, depth=5) == ()
    assert "there are 6" in slices_warning(image, depth=7)[0]
    assert coarse_warning(image, spacing_mm=1.04) == ()
    assert "1.5 mm and the image has 1 mm" in coarse_warning(image, spacing_mm=1.5)[0]


def test_one_voxel_of_a_hundred_times_the_signal_is_no_noise() -> None:
    head, _ = head_on(WIDE)
    hot = head.voxels.copy()
    hot[3, 4, 5] = 1e5
    assert np.corrcoef(hot[:-1].ravel(), hot[1:].ravel())[0, 1] < 0.25  # the control
    refuse_noise(head.with_voxels(hot), source=SOURCE)
    hot[5, 5, 2:4] = -1e5
    refuse_noise(head.with_voxels(hot), source=SOURCE)


def test_noise_in_the_air_alone_is_judged_inside_the_mask() -> None:
    head, mask = head_on(WIDE, radius_mm=40.0)
    rng = np.random.default_rng(5)
    noise = rng.uniform(0, 4095, WIDE.shape).astype(np.float32)
    quotient = head.with_voxels(np.where(mask.voxels > 0, head.voxels, noise))
    with pytest.raises(InputRefused, match="looks like noise") as refused:
        refuse_noise(quotient, source=SOURCE)
    assert "--mask" in refused.value.remedy
    refuse_noise(quotient, source=SOURCE, mask=mask)
    with pytest.raises(InputRefused, match="in the mask") as refused:  # the control
        refuse_noise(head.with_voxels(noise), source=SOURCE, mask=mask)
    assert "--mask" not in refused.value.remedy
