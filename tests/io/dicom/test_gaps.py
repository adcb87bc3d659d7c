"""Slices that lie farther apart than their header says: evenly, so that no spacing is uneven."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import Dataset

from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_factory import make_series

STEP_MM = 2.5
SHAPE = (8, 6, 6)


def read_warnings(folder: Path, **attributes: str | None) -> tuple[str, ...]:
    """Read a series whose slices lie 2.5 mm apart; an attribute that is None is taken out."""

    def change(ds: Dataset, k: int) -> None:
        for keyword, value in attributes.items():
            if value is None:
                ds.pop(keyword, None)
            else:
                setattr(ds, keyword, value)

    make_series(folder, shape=SHAPE, changes=change)
    return read_dicom(folder).warnings


@pytest.mark.parametrize("modality", ["MR", "CT"])
@pytest.mark.parametrize("taken", [2, 3])
def test_every_second_or_third_slice_alone_is_told(
    tmp_path: Path, modality: str, taken: int
) -> None:
    paths = make_series(tmp_path, shape=(8, 6, 12), modality=modality)
    assert read_dicom(tmp_path).warnings == ()
    for k, path in enumerate(paths):
        if k % taken:
            path.unlink()
    (warning,) = read_dicom(tmp_path).warnings
    assert f"lie {taken * STEP_MM:.4g} mm apart" in warning
    assert "slices may be missing" in warning


def test_a_spacing_in_the_header_below_the_measured_one_is_told(tmp_path: Path) -> None:
    (warning,) = read_warnings(tmp_path, SpacingBetweenSlices="1.25", SliceThickness="2.5")
    assert "lie 2.5 mm apart" in warning
    assert "SpacingBetweenSlices is 1.25 mm" in warning


def test_a_gap_as_wide_as_a_slice_is_told_where_no_spacing_is_given(tmp_path: Path) -> None:
    (warning,) = read_warnings(tmp_path, SpacingBetweenSlices=None, SliceThickness="1.25")
    assert "lie 2.5 mm apart" in warning
    assert "SliceThickness is 1.25 mm" in warning


@pytest.mark.parametrize(
    ("spacing", "thickness"),
    [
        ("2.5", "1"),  # a gap, and the header says so
        ("2.501", "1"),  # rounded
        ("0.5", "2"),  # the gap alone, as some scanners store it
        ("-2.5", "2.5"),  # counted downwards
        (None, "2"),  # a usual gap
        (None, "5"),  # slices that overlap
        (None, None),
        (None, "0"),
        ("0", "0"),
    ],
)
def test_gaps_that_are_known_or_usual_are_not_told(
    tmp_path: Path, spacing: str | None, thickness: str | None
) -> None:
    said = read_warnings(tmp_path, SpacingBetweenSlices=spacing, SliceThickness=thickness)
    assert said == ()
