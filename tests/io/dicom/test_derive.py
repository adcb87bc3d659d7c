"""Laws of the derived data sets: what is taken over from the source, and what is dropped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, JPEGLSLossless, JPEGLSNearLossless
from pydicom.valuerep import format_number_as_ds

from medcyclegan.io.dicom.deidentify import Deidentifier
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.scan import DicomSourceHeader, Scan
from tests.dicom_derived import (
    dciodvfy_errors,
    derivation,
    derive,
    read_changed,
    sources,
    texts,
    write_fake,
)
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME, make_series

Read = Callable[..., Scan]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return partial(read_changed, tmp_path)


@pytest.mark.parametrize(
    "keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"]
)
def test_the_place_is_copied_character_by_character(read: Read, keyword: str) -> None:
    scan = read()
    for source, ds in zip(sources(scan), derive(scan), strict=True):
        assert texts(ds, keyword) == texts(source, keyword)
    # The control: numbers formatted anew would not be these characters.
    first = sources(scan)[0]
    assert texts(first, keyword) != [format_number_as_ds(float(v)) for v in first[keyword].value]


def test_patient_study_and_frame_are_the_sources(read: Read) -> None:
    scan = read(StudyDescription="head", EthnicGroup="none", PatientComments="quiet")
    source = sources(scan)[0]
    kept = [
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "PatientAge",
        "PatientSize",
        "PatientWeight",
        "StudyInstanceUID",
        "StudyID",
        "StudyDate",
        "StudyTime",
        "StudyDescription",
        "AccessionNumber",
        "ReferringPhysicianName",
        "FrameOfReferenceUID",
        "BodyPartExamined",
        "PatientPosition",
        "EthnicGroup",
        "PatientComments",
        "SpecificCharacterSet",
        "SliceThickness",
    ]
    for ds in derive(scan):
        assert {name: ds[name].value for name in kept} == {n: source[n].value for n in kept}
        assert ds.PatientName == PATIENT_NAME
        assert ds.PatientID == PATIENT_ID


def test_required_attributes_are_present_even_if_the_source_has_none(read: Read) -> None:
    absent = ("AccessionNumber", "StudyID", "PatientBirthDate", "PatientSex", "PatientPosition")
    (ds, *_) = derive(read(**dict.fromkeys(absent), SliceThickness=None))
    for keyword in (*absent, "AcquisitionNumber", "KVP", "PositionReferenceIndicator"):
        assert ds[keyword].is_empty
    assert ds["SliceThickness"].is_empty
    assert "PatientAge" in ds


def test_optional_attributes_are_not_invented(read: Read) -> None:
    (ds, *_) = derive(read(PatientAge=None, PatientWeight=None, SpecificCharacterSet=None))
    assert "PatientAge" not in ds
    assert "PatientWeight" not in ds
    assert "SpecificCharacterSet" not in ds


def test_laterality_stands_for_an_unknown_body_part(read: Read) -> None:
    (known, *_) = derive(read())
    (unknown, *_) = derive(read(BodyPartExamined=None))
    (sided, *_) = derive(read(BodyPartExamined=None, Laterality="L"))
    assert "Laterality" not in known
    assert unknown["Laterality"].is_empty
    assert sided.Laterality == "L"


def test_deidentification_is_told(read: Read) -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator = "113100", "DCM"
    code.CodeMeaning = "Basic Application Confidentiality Profile"
    code.add_new(0x00090010, "LO", "PRIVATE")
    (ds, *_) = derive(
        read(
            PatientIdentityRemoved="YES",
            DeidentificationMethod="by hand",
            DeidentificationMethodCodeSequence=[code],
        )
    )
    assert (ds.PatientIdentityRemoved, ds.DeidentificationMethod) == ("YES", "by hand")
    (item,) = ds.DeidentificationMethodCodeSequence
    assert item.CodeValue == "113100"
    assert 0x00090010 not in item
    assert "PatientIdentityRemoved" not in derive(read())[0]


def test_lossy_compression_is_never_forgotten(read: Read) -> None:
    lossy = read(
        LossyImageCompression="01",
        LossyImageCompressionRatio="7.5",
        LossyImageCompressionMethod="ISO_10918_1",
    )
    (ds, *_) = derive(lossy)
    assert ds.LossyImageCompression == "01"
    assert str(ds.LossyImageCompressionRatio) == "7.5"
    assert ds.LossyImageCompressionMethod == "ISO_10918_1"
    (clean, *_) = derive(read())
    assert clean.LossyImageCompression == "00"
    assert "LossyImageCompressionRatio" not in clean


@pytest.mark.parametrize(("source", "expected"), [("YES", "YES"), ("NO", "NO"), (None, "NO")])
def test_burned_in_text(read: Read, source: str | None, expected: str) -> None:
    scan = read(**({} if source is None else {"BurnedInAnnotation": source}))
    assert derive(scan)[0].BurnedInAnnotation == expected


@pytest.mark.parametrize("k", [0, 2])
def test_what_one_slice_went_through_is_told_of_all(read: Read, k: int) -> None:
    scan = read()
    sources(scan)[k].LossyImageCompression = "01"
    sources(scan)[k].LossyImageCompressionMethod = "ISO_10918_1"
    sources(scan)[k].BurnedInAnnotation = "YES"
    for ds in derive(scan):
        assert ds.LossyImageCompression == "01"
        assert ds.LossyImageCompressionMethod == "ISO_10918_1"
        assert ds.BurnedInAnnotation == "YES"


@pytest.mark.parametrize(
    ("syntax", "expected"),
    [(JPEGLSNearLossless, "01"), (JPEGLSLossless, "00")],
    ids=["near lossless", "lossless"],
)
def test_a_lossy_transfer_syntax_is_told_where_the_header_is_silent(
    tmp_path: Path, syntax: UID, expected: str
) -> None:
    for path in make_series(tmp_path, transfer_syntax=JPEGLSLossless):
        ds = dcmread(path)
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(path)
    scan = read_dicom(tmp_path)
    header = Deidentifier(b"k" * 16).source_header(scan.source_header)
    for told in (scan, replace(scan, source_header=header)):
        assert {ds.LossyImageCompression for ds in derive(told)} == {expected}


@pytest.mark.parametrize("is_synthetic", [True, False])
def test_changed_grey_values_of_a_synthetic_image_stay_synthetic(
    read: Read, is_synthetic: bool
) -> None:
    scan = read(SyntheticData="YES" if is_synthetic else "NO")
    header = Deidentifier(b"k" * 16).source_header(scan.source_header)
    for told in (scan, replace(scan, source_header=header)):
        (ds, *_) = derive(told, replace(derivation(), synthetic=False))
        assert ("SyntheticData" in ds) is is_synthetic


def test_only_what_is_on_the_list_is_in_the_output(read: Read) -> None:
    private = Dataset()
    private.add_new(0x00090010, "LO", "MAKER")
    scan = read(
        ContrastBolusAgent="Gadolinium",
        SmallestImagePixelValue=0,
        LargestImagePixelValue=4095,
        InstitutionAddress="Street 1",
        OperatorsName="Someone",
        ProtocolName="t1",
        RequestAttributesSequence=[private],
    )
    for source in sources(scan):
        source.add_new(0x00090010, "LO", "MAKER")
        source.add_new(0x00091001, "LO", "secret")
    foreign = [
        "ContrastBolusAgent",
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "EchoTime",
        "RepetitionTime",
        "FlipAngle",
        "MagneticFieldStrength",
        "ScanningSequence",
        "InstitutionAddress",
        "OperatorsName",
        "ProtocolName",
        "RequestAttributesSequence",
        "InversionTime",
    ]
    for source, ds in zip(sources(scan), derive(scan), strict=True):
        assert all(keyword in source for keyword in foreign)  # the control
        assert [keyword for keyword in foreign if keyword in ds] == []
        assert [e.tag for e in ds.iterall() if e.tag.is_private] == []


@pytest.mark.parametrize("thickness", ["0", "0.0", "-2.5"])
def test_a_thickness_that_dicom_does_not_allow_becomes_the_measured_step(
    tmp_path: Path, read: Read, thickness: str
) -> None:
    scan = read(SliceThickness=thickness)
    (ds, *_) = derive(scan)
    step_mm = scan.volume.geometry.spacing_mm[2]
    assert float(ds.SliceThickness) == pytest.approx(step_mm)
    assert isinstance(scan.source_header, DicomSourceHeader)
    assert scan.source_header.slices[0].SliceThickness == float(
        thickness
    )  # the source is untouched
    write_fake(scan, tmp_path / "ct")
    assert dciodvfy_errors(tmp_path / "ct") == []


def test_a_single_slice_without_a_thickness_has_an_empty_one(tmp_path: Path) -> None:
    def change(ds: Dataset, _: int) -> None:
        ds.SliceThickness = "0"

    make_series(tmp_path / "one", shape=(6, 5, 1), changes=change)
    (ds,) = derive(read_dicom(tmp_path / "one"))
    assert ds["SliceThickness"].is_empty
