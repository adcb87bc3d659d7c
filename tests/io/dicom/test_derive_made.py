"""Laws of the derived data sets: what is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, EnhancedMRImageStorage

from medcyclegan.io.dicom.derive import seeded_uid_maker
from medcyclegan.io.scan import DicomSourceHeader, Scan
from tests.dicom_derived import (
    MODEL_SHA256,
    SHAPE,
    derivation,
    derive,
    read_changed,
    sources,
)

Read = Callable[..., Scan]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return partial(read_changed, tmp_path)


def test_it_says_what_it_is(read: Read) -> None:
    for number, ds in enumerate(derive(read()), start=1):
        assert ds.SOPClassUID == CTImageStorage
        assert ds.Modality == "CT"
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert ds.SyntheticData == "YES"
        assert ds.InstanceNumber == number
        assert ds.SeriesDescription == "sCT (synthetic, not acquired) phantom MR"
        assert (ds.BitsAllocated, ds.BitsStored, ds.HighBit) == (16, 16, 15)
        assert ds.PixelRepresentation == 1
        assert (ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType) == (1, 0, "HU")
        assert (ds.WindowCenter, ds.WindowWidth) == (40, 400)
        assert (ds.Columns, ds.Rows) == SHAPE[:2]
        assert ds.SpacingBetweenSlices == 2.5


def test_its_maker_is_named_and_the_scanner_too(read: Read) -> None:
    (ds, *_) = derive(read())
    assert ds.Manufacturer == "medcyclegan"
    assert ds.ManufacturerModelName == "mr-to-ct head"
    assert list(ds.SoftwareVersions) == ["0.1.0", MODEL_SHA256]
    (scanner,) = ds.ContributingEquipmentSequence
    assert scanner.Manufacturer == "Maker of Tests"
    assert scanner.ManufacturerModelName == "Phantom 3000"
    (purpose,) = scanner.PurposeOfReferenceCodeSequence
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109101", "DCM")
    assert "ContributingEquipmentSequence" not in derive(read(Manufacturer=None))[0]


def test_the_derivation_is_told(read: Read) -> None:
    text = derive(read())[0].DerivationDescription
    for part in ("CycleGAN", "mr-to-ct head", MODEL_SHA256, "0.1.0", "research use"):
        assert part in text
    longest = replace(
        derivation(), method="m" * 512, model_name="n" * 64, software_version="v" * 64
    )
    assert len(longest.description) <= 1024


def test_the_sources_are_referred_to(read: Read) -> None:
    scan = read()
    for source, ds in zip(sources(scan), derive(scan), strict=True):
        (image,) = ds.SourceImageSequence
        assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
        assert image.ReferencedSOPClassUID == source.SOPClassUID
        assert image.SpatialLocationsPreserved == "YES"
        assert image.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
        assert "ReferencedFrameNumber" not in image
        (series,) = ds.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == source.SeriesInstanceUID
        (instance,) = series.ReferencedInstanceSequence
        assert instance.ReferencedSOPInstanceUID == source.SOPInstanceUID


@pytest.mark.parametrize("is_enhanced", [True, False])
def test_frames_are_referred_to_in_multi_frame_objects_only(read: Read, is_enhanced: bool) -> None:
    scan = read()
    slices = sources(scan)
    if is_enhanced:
        for ds in slices:
            ds.SOPClassUID = EnhancedMRImageStorage
    framed = replace(scan, source_header=DicomSourceHeader(slices, frame_numbers=(3, 1, 2)))
    found = [ds.SourceImageSequence[0].get("ReferencedFrameNumber") for ds in derive(framed)]
    assert found == ([3, 1, 2] if is_enhanced else [None, None, None])


def test_uids_are_new_and_times_are_those_of_the_clock(read: Read) -> None:
    scan = read()
    series = derive(scan)
    made = {ds.SOPInstanceUID for ds in series}
    assert len(made) == SHAPE[2]
    assert made.isdisjoint(ds.SOPInstanceUID for ds in sources(scan))
    assert {ds.SeriesInstanceUID for ds in series}.isdisjoint(
        ds.SeriesInstanceUID for ds in sources(scan)
    )
    for ds in series:
        assert {ds.SeriesDate, ds.ContentDate, ds.InstanceCreationDate} == {"20250102"}
        assert {ds.SeriesTime, ds.ContentTime, ds.InstanceCreationTime} == {"030405.000000"}


def test_the_same_seed_gives_the_same_series(read: Read) -> None:
    scan = read()
    assert derive(scan, derivation("a")) == derive(scan, derivation("a"))
    assert derive(scan, derivation("a")) != derive(scan, derivation("b"))
    first, second = seeded_uid_maker("a"), seeded_uid_maker("a")
    assert [first() for _ in range(3)] == [second() for _ in range(3)]
    assert first() != first()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("4", 1004),
        ("0", 1000),
        ("", 1000),
        (str(2**31 - 1001), 2**31 - 1),
        (2**31 - 1, 2**31 - 1001),
    ],
)
def test_the_series_number_is_another_one(read: Read, source: str, expected: int) -> None:
    assert derive(read(SeriesNumber=source))[0].SeriesNumber == expected


@pytest.mark.parametrize("source", ["", "t1 " * 21, "t1\x00\n", "a\\b"])
def test_the_series_description_fits(read: Read, source: str) -> None:
    text = derive(read(SeriesDescription=source))[0].SeriesDescription
    assert text.startswith("sCT")
    assert "not acquired" in text
    assert len(text) <= 64
    assert text == text.rstrip()
    assert text.isprintable()
