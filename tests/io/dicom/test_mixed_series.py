"""Slices of one series that differ in what all of them share, or in what their values mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_enhanced import make_enhanced
from tests.dicom_factory import Change, make_series, pattern

SHAPE = (8, 6, 24)
HALF = 12
HU = "[hnsf'U]"


def half(keyword: str, first: Any, second: Any) -> Change:
    return lambda ds, k: setattr(ds, keyword, first if k < HALF else second)


def warnings_of(folder: Path, change: Change | None, *, modality: str = "MR") -> tuple[str, ...]:
    make_series(folder / "s", shape=SHAPE, modality=modality, changes=change)
    scan = read_dicom(folder / "s")
    if modality == "MR":  # values stay those that are displayed
        assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    return scan.warnings


SHARED = {
    "AccessionNumber": ("A1", "B-secret"),
    "StudyDate": ("20240229", "20240301"),
    "StudyTime": ("115900.25", "130000"),
    "StudyID": ("7", "8"),
    "StudyDescription": ("", "Secret"),
    "SeriesDate": ("20240229", "20240301"),
    "PatientAge": ("050Y", "051Y"),
    "PatientWeight": ("80", "81"),
    "ReferringPhysicianName": ("Doctor^Who", "Doctor^Secret"),
    "PatientIdentityRemoved": ("", "YES"),
    "Manufacturer": ("Maker of Tests", "Another"),
    "DeviceSerialNumber": ("1", "2"),
}


@pytest.mark.parametrize("keyword", SHARED)
def test_what_a_series_shares_is_named_where_it_differs(tmp_path: Path, keyword: str) -> None:
    first, second = SHARED[keyword]
    (said,) = warnings_of(tmp_path, half(keyword, first, second))
    assert f"The slices differ in {keyword}, which all slices of a series share" in said
    assert not any(value in said for value in SHARED[keyword] if len(value) > 1)


def test_a_series_without_such_differences_says_nothing(tmp_path: Path) -> None:
    """Among them what differs from slice to slice in every series, and empty for absent."""

    def change(ds: Dataset, k: int) -> None:
        ds.ContentTime, ds.AcquisitionTime = f"1200{k:02d}", f"1200{k:02d}"
        ds.WindowWidth = str(1000 + k)
        if k % 2:
            ds.StudyDescription = ""

    assert warnings_of(tmp_path, change) == ()


@pytest.mark.parametrize("second", ["Hospital B", ""])
def test_one_number_of_two_issuers_is_two_patients(tmp_path: Path, second: str) -> None:
    make_series(
        tmp_path / "s", shape=SHAPE, changes=half("IssuerOfPatientID", "Hospital A", second)
    )
    with pytest.raises(InputRefused, match="differ in IssuerOfPatientID") as refused:
        read_dicom(tmp_path / "s")
    assert "share one patient" in refused.value.rule
    assert "Hospital" not in str(refused.value)


def mapping(slope: float, intercept: float = 0.0, unit: str = "1") -> Dataset:
    units = Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = unit, "UCUM", "a unit"
    item = Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = slope, intercept
    item.MeasurementUnitsCodeSequence = Sequence([units])
    return item


def mapped(first: Dataset | None, second: Dataset | None) -> Change:
    def change(ds: Dataset, k: int) -> None:
        if (item := first if k < HALF else second) is not None:
            ds.RealWorldValueMappingSequence = Sequence([item])

    return change


def philips(first: float, second: float, *, rescale: tuple[float, float] = (1.0, 1.0)) -> Change:
    """ScaleSlope and RescaleSlope of both halves; stored values make up for the latter."""

    def change(ds: Dataset, k: int) -> None:
        part = 0 if k < HALF else 1
        block = ds.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
        block.add_new(0x0E, "FL", (first, second)[part])
        ds.RescaleSlope, ds.RescaleIntercept = str(rescale[part]), "0"
        ds.RescaleType = "normalized"
        stored = np.frombuffer(ds.PixelData, "<u2") / rescale[part]
        ds.PixelData = stored.astype("<u2").tobytes()

    return change


SCALES = {
    "real world values": (mapped(mapping(0.1), mapping(0.2)), "RealWorldValueMapping differs"),
    "an offset": (mapped(mapping(0.1, 0.0), mapping(0.1, 5.0)), "RealWorldValueMapping differs"),
    "units": (mapped(mapping(1.0), mapping(1.0, unit="ms")), "RealWorldValueMapping differs"),
    "half of them mapped": (mapped(mapping(0.1), None), "RealWorldValueMapping differs"),
    "Philips": (philips(0.01, 0.02), "Philips ScaleSlope differs"),
    "types": (half("RescaleType", "US", "normalized"), "RescaleType, the unit of the values"),
}


@pytest.mark.parametrize("name", SCALES)
def test_scales_that_differ_are_named(tmp_path: Path, name: str) -> None:
    change, expected = SCALES[name]
    (said,) = warnings_of(tmp_path, change)
    assert expected in said


def test_scales_that_agree_say_nothing(tmp_path: Path) -> None:
    """Also where they are those of stored values, and the rescale slope makes up for them."""
    assert warnings_of(tmp_path / "a", mapped(mapping(0.1), mapping(0.1000001))) == ()
    assert warnings_of(tmp_path / "b", philips(0.01, 0.01)) == ()
    slopes = "The rescale slope differs from slice to slice; each was applied."
    # stored halves times 0.5 lose the odd ones, so voxels are not compared here
    make_series(tmp_path / "s", shape=SHAPE, changes=philips(0.01, 0.02, rescale=(1.0, 0.5)))
    assert read_dicom(tmp_path / "s").warnings == (slopes,)


def test_frames_whose_scales_differ_are_named(tmp_path: Path) -> None:
    def edit(_: Dataset, frames: list[Dataset]) -> None:
        for number, frame in enumerate(frames):
            scale = frame.PixelValueTransformationSequence[0]
            scale.RescaleSlope, scale.RescaleIntercept = "1", "0"
            frame.RealWorldValueMappingSequence = Sequence([mapping(0.1 if number > 2 else 0.3)])
            inner = Dataset()
            own = inner.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            own.add_new(0x0E, "FL", 0.1 if number > 2 else 0.3)
            block = frame.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
            block.add_new(0x0F, "SQ", Sequence([inner]))

    said = read_dicom(make_enhanced(tmp_path, edit=edit)).warnings
    assert [text.split(" differs")[0] for text in said] == [
        "The RealWorldValueMapping",
        "The Philips ScaleSlope",
    ]


@pytest.mark.parametrize(
    "change",
    [
        mapped(mapping(1.0, -1024.0, HU), mapping(2.0, -1024.0, HU)),
        mapped(mapping(1.0, 0.0, HU), mapping(1.0, 0.0, HU)),
        mapped(mapping(1.0, 0.0, "g/ml"), mapping(2.0, 0.0, "g/ml")),
    ],
    ids=["half of the slices", "all of them", "another quantity"],
)
def test_a_ct_of_two_scales_is_refused(tmp_path: Path, change: Change) -> None:
    make_series(tmp_path / "s", shape=SHAPE, modality="CT", changes=change)
    with pytest.raises(InputRefused, match="RealWorldValueMapping of the CT"):
        read_dicom(tmp_path / "s")


def test_a_ct_whose_mapping_repeats_the_rescale_slope_is_read(tmp_path: Path) -> None:
    change = mapped(mapping(1.0, -1024.0, HU), mapping(1.0, -1024.0, HU))
    assert warnings_of(tmp_path, change, modality="CT") == ()
