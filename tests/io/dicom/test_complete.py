"""Slices that are missing at the ends, of mixed thickness, and positions that are rounded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_enhanced import make_enhanced
from tests.dicom_factory import Change, axial_affine, make_series

SHAPE = (8, 6, 12)
PHILIPS = (0x2001, 0x18, "Philips Imaging DD 001", "SL")
GE = (0x0021, 0x4F, "GEMS_RELA_01", "SS")


def set_all(**values: Any) -> Change:
    def change(ds: Dataset, _: int) -> None:
        for keyword, value in values.items():
            setattr(ds, keyword, value)

    return change


def private_count(where: tuple[int, int, str, str], count: int) -> Change:
    def change(ds: Dataset, _: int) -> None:
        group, element, creator, vr = where
        ds.private_block(group, creator, create=True).add_new(element, vr, count)

    return change


def warnings_of(folder: Path, change: Change, *, lost: slice = slice(0, 0)) -> tuple[str, ...]:
    """Read a series of 12 slices of which some were taken out."""
    for path in make_series(folder, shape=SHAPE, changes=change)[lost]:
        path.unlink()
    return read_dicom(folder).warnings


@pytest.mark.parametrize(
    ("change", "lost", "says"),
    [
        (set_all(ImagesInAcquisition="12"), slice(9, 12), "ImagesInAcquisition is 12"),
        (private_count(PHILIPS, 12), slice(9, 12), "Philips's number of slices is 12"),
        (private_count(GE, 12), slice(11, 12), "GE's locations in the acquisition is 12"),
        (set_all(), slice(0, 3), "numbered (InstanceNumber) from 4: 3 slices may be missing"),
    ],
)
def test_slices_lost_at_an_end_are_told(
    tmp_path: Path, change: Change, lost: slice, says: str
) -> None:
    (warning,) = warnings_of(tmp_path / "lost", change, lost=lost)
    assert says in warning
    assert "may be missing" in warning
    assert warnings_of(tmp_path / "whole", change) == ()


@pytest.mark.parametrize(
    "change",
    [
        set_all(ImagesInAcquisition="24"),  # a second echo, or the phases beside the magnitudes
        lambda ds, k: setattr(ds, "InstanceNumber", str(13 + k)),  # the second time point
        lambda ds, k: setattr(ds, "InstanceNumber", str(2 + 2 * k)),  # two echoes in turn
        lambda ds, k: setattr(ds, "InstanceNumber", str(12 - k)),
        lambda ds, k: setattr(ds, "InstanceNumber", str(k)),  # from 0
        lambda ds, k: setattr(ds, "InstanceNumber", str((5 * k) % 12 + 2)),  # of another order
        lambda ds, _: delattr(ds, "InstanceNumber"),
        set_all(ImagesInAcquisition="0"),
        set_all(ImagesInAcquisition="5"),
        lambda ds, k: ds.update(
            {"ImagesInAcquisition": 40, "AcquisitionNumber": k}
        ),  # acquisitions of one slice each count something else
    ],
)
def test_other_counts_are_no_loss(tmp_path: Path, change: Change) -> None:
    assert warnings_of(tmp_path, change) == ()


def test_a_part_of_an_object_that_was_split_is_told(tmp_path: Path) -> None:
    def split(whole: Dataset, _: list[Dataset]) -> None:
        whole.InConcatenationNumber, whole.InConcatenationTotalNumber = 1, 3

    warnings = read_dicom(make_enhanced(tmp_path, edit=split)).warnings
    assert any("split into 3 files" in text and "1 of them" in text for text in warnings)


def test_slices_of_mixed_thickness_are_told(tmp_path: Path) -> None:
    (warning,) = warnings_of(
        tmp_path, lambda ds, k: setattr(ds, "SliceThickness", "2.5" if k < 6 else "5")
    )
    assert "SliceThickness differs from slice to slice (2.5 to 5 mm)" in warning


def rounded(step_mm: float, direction: tuple[float, float, float] = (0, 0, 1)) -> Change:
    """Positions at even steps along the normal, written with one decimal."""

    def change(ds: Dataset, k: int) -> None:
        place = np.array([-9.1, -14.3, -31.2]) + k * step_mm * np.array(direction)
        ds.ImagePositionPatient = [f"{value:.1f}" for value in place]
        ds.SliceThickness = ds.SpacingBetweenSlices = str(step_mm)

    return change


@pytest.mark.parametrize("step_mm", [0.9375, 1.25, 3.33, 0.46])
def test_positions_rounded_to_a_tenth_are_even_and_said_so(tmp_path: Path, step_mm: float) -> None:
    make_series(tmp_path, shape=SHAPE, changes=rounded(step_mm))
    scan = read_dicom(tmp_path)
    assert any("positions of slices are rounded to 0.1 mm" in text for text in scan.warnings)
    assert scan.volume.geometry.spacing_mm[2] == pytest.approx(step_mm, abs=0.1 / 11)


def test_rounded_positions_of_an_oblique_series_are_no_tilt(tmp_path: Path) -> None:
    angle = np.radians(17.0)
    affine = axial_affine()
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    normal = (0.0, float(np.sin(angle)), float(np.cos(angle)))
    make_series(tmp_path, shape=SHAPE, affine_ras=turn @ affine, changes=rounded(1.37, normal))
    geometry = read_dicom(tmp_path).volume.geometry
    assert not geometry.is_sheared
    assert geometry.spacing_mm[2] == pytest.approx(1.37, abs=0.02)


def test_a_slice_that_is_missing_among_rounded_positions_is_refused(tmp_path: Path) -> None:
    paths = make_series(tmp_path, shape=SHAPE, changes=rounded(0.9375))
    paths[5].unlink()
    paths[6].unlink()
    with pytest.raises(InputRefused, match="2 may be missing"):
        read_dicom(tmp_path)


def test_uneven_slices_that_no_loss_explains_are_not_called_missing(tmp_path: Path) -> None:
    def change(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = ["0.25", "0.25", f"{2.5 * k + (0.61 if k > 7 else 0.0):.3f}"]

    make_series(tmp_path, shape=SHAPE, changes=change)
    with pytest.raises(InputRefused, match="evenly spaced") as refused:
        read_dicom(tmp_path)
    assert "missing" not in str(refused.value)


@pytest.mark.parametrize("decimals", [0, 2])
def test_other_positions_are_held_to_the_fine_rule(tmp_path: Path, decimals: int) -> None:
    def change(ds: Dataset, k: int) -> None:
        place = (0.25, 0.25, 2.5 * k + (0.06 if k == 4 else 0.0))
        ds.ImagePositionPatient = [f"{value:.{decimals}f}" for value in place]

    make_series(tmp_path, shape=SHAPE, changes=change)
    with pytest.raises(InputRefused, match="evenly spaced"):
        read_dicom(tmp_path)
