"""Scans that a task does not take are refused, whatever they say of themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.task import Domain
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.io.scan import RasterSourceHeader, Scan
from medcyclegan.quality.input_checks import at_usual_scale, check_source, find_body
from tests.tiny_model import head_on, scan_of
from tests.tiny_tasks import CT_LOOK, GREY, GRID, head_of, task_of


def plane(values: np.ndarray, *, modality: str = "") -> Scan:
    """A picture (columns, rows)."""
    grid = geometry_from_spacing((*values.shape, 1), (1.0, 1.0, 1.0))
    volume = Volume(values[:, :, None].astype(np.float32), grid, "a.u.")
    return Scan(volume, RasterSourceHeader("uint8", "PNG"), Path("a.png"), modality)


RAMP = np.add.outer(np.arange(40.0), np.arange(30.0))


@pytest.mark.parametrize("name", ["ct-mr", "ct-ct"])
def test_what_looks_like_no_ct_is_refused(name: str) -> None:
    check_source(scan_of(head_of("CT"), modality="CT"), task_of(name))
    offset = head_of("CT").voxels + 1024.0  # as stored, without the rescale
    wrong = head_of("CT").with_voxels(offset.astype(np.float32))
    with pytest.raises(InputRefused, match="does not look like a CT in HU"):
        check_source(scan_of(wrong, modality="CT"), task_of(name))


def test_values_without_hu_are_refused_where_hu_are_needed() -> None:
    unknown = replace(head_of("CT"), unit="a.u.")
    with pytest.raises(InputRefused, match=r"values in a\.u\.; the model takes CT in HU"):
        check_source(scan_of(unknown, modality="CT"), task_of("ct-mr"))


def test_hu_are_refused_where_grey_values_of_a_fixed_window_are_needed() -> None:
    look = task_of("image-ct", source=Domain(modality="image", unit="a.u.", scaling=GREY))
    with pytest.raises(InputRefused, match="grey values from 0 to 255"):
        check_source(scan_of(head_of("CT"), modality="CT"), look)
    check_source(scan_of(head_of("CT"), modality="CT"), task_of("image-ct"))  # percentiles do


def test_a_picture_of_more_bits_than_the_model_knows_is_refused() -> None:
    task = task_of("image-ct", source=Domain(modality="image", unit="a.u.", scaling=GREY))
    check_source(plane(RAMP), task)
    with pytest.raises(InputRefused, match=r"half of its grey values are \d+ or more.* 0 to 255"):
        check_source(plane(np.rint(257.0 * RAMP)), task)


@pytest.mark.parametrize(("modality", "fits"), [("XR", True), ("", True), ("MR", False)])
def test_modalities_of_radiographs(modality: str, fits: bool) -> None:
    scan = plane(RAMP, modality=modality)
    if fits:
        check_source(scan, task_of("xr-xr"))
        return
    with pytest.raises(InputRefused, match="translates XR; give a radiograph"):
        check_source(scan, task_of("xr-xr"))


def test_noise_is_no_radiograph_but_may_be_a_picture() -> None:
    noise = plane(np.random.default_rng(0).uniform(0, 255, (64, 64)))
    with pytest.raises(InputRefused, match="looks like noise"):
        check_source(noise, task_of("xr-xr"))
    check_source(noise, task_of("image-image"))


def test_all_of_a_picture_is_looked_at_and_the_body_of_a_volume() -> None:
    assert (find_body(plane(RAMP), None).voxels == 1.0).all()
    _, mask = head_on(GRID, radius_mm=30.0)
    with pytest.raises(InputRefused, match="leave out --mask"):
        find_body(plane(RAMP), mask)
    for modality in ("MR", "CT"):
        body = find_body(scan_of(head_of(modality), modality=modality), None)
        truth = head_on(GRID, radius_mm=60.0)[1].voxels > 0
        assert ((body.voxels > 0) == truth).mean() > 0.95


def test_the_unit_decides_which_ct() -> None:
    picture, hounsfield = plane(RAMP, modality="CT"), scan_of(head_of("CT"), modality="CT")
    of_grey = task_of("ct-mr", source=CT_LOOK)
    check_source(picture, of_grey)
    with pytest.raises(InputRefused, match="takes CT in HU"):
        check_source(picture, task_of("ct-mr"))
    check_source(hounsfield, task_of("ct-mr"))
    with pytest.raises(InputRefused, match="values in HU; the model takes grey values"):
        check_source(hounsfield, of_grey)


@pytest.mark.parametrize("factor", [1e-38, 1e-10, 1e-4, 1e4, 1e10, 1e34])
def test_signal_of_any_scale_is_brought_to_some_thousands(factor: float) -> None:
    head = head_of("MR")
    scaled = scan_of(head.with_voxels((head.voxels * np.float64(factor)).astype(np.float32)))
    usual = at_usual_scale(scaled, task_of("mr-ct")).volume.voxels
    assert 1.0 <= np.percentile(usual, 99.5) <= 2.0**17
    ratio = usual[head.voxels > 1] / head.voxels[head.voxels > 1]
    assert ratio == pytest.approx(ratio[0], rel=1e-5)


def test_usual_scales_and_hu_are_left_as_they_are() -> None:
    for name, modality in (("mr-ct", "MR"), ("ct-mr", "CT")):
        scan = scan_of(head_of(modality), modality=modality)
        assert at_usual_scale(scan, task_of(name)) is scan


def test_one_voxel_far_above_all_does_not_overflow() -> None:
    head = head_of("MR").voxels * np.float32(1e-6)
    head[1, 1, 1] = 3e38
    scan = scan_of(head_of("MR").with_voxels(head))
    assert np.isfinite(np.square(at_usual_scale(scan, task_of("mr-ct")).volume.voxels)).all()


def test_an_image_for_a_mask_is_refused_and_labels_are_not() -> None:
    mr, inside = head_on(geometry_from_spacing((20, 20, 20), (8.0, 8.0, 8.0)))
    labels = inside.with_voxels(7.0 * inside.voxels)
    assert find_body(scan_of(mr), labels, mask_name="m.nii").voxels.any()
    ramp = np.arange(mr.voxels.size, dtype=np.float32).reshape(mr.voxels.shape)
    for image in (ramp, ramp % 200.0 - 50.0):  # as the MR itself, or a CT, given for the mask
        with pytest.raises(InputRefused, match=r"The mask m.nii has values from .* an image"):
            find_body(scan_of(mr), mr.with_voxels(image), mask_name="m.nii")


def test_a_mask_beside_the_scan_is_named_and_an_empty_one_too() -> None:
    mr, inside = head_on(geometry_from_spacing((20, 20, 20), (8.0, 8.0, 8.0)))
    assert find_body(scan_of(mr), inside, mask_name="m.nii").voxels.any()  # the control
    affine = inside.geometry.affine_ras.copy()
    affine[0, 3] += 900.0
    away = Volume(inside.voxels, Geometry(inside.geometry.shape, affine), "mask")
    with pytest.raises(InputRefused, match=r"The mask m.nii lies beside the scan") as refused:
        find_body(scan_of(mr), away, mask_name="m.nii")
    assert "position in the mask's header" in refused.value.remedy
    empty = inside.with_voxels(np.zeros_like(inside.voxels))
    with pytest.raises(InputRefused, match=r"The mask m.nii marks no voxel"):
        find_body(scan_of(mr), empty, mask_name="m.nii")
