"""Laws of the written CT series: valid, whole, and where the MR is, for every reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, MedcycleganError
from medcyclegan.io.dicom import write as dicom_write
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct
from medcyclegan.io.scan import Scan
from tests.dicom_derived import NO_DICOM, derivation, write_fake
from tests.dicom_factory import axial_affine, make_series

SHAPE = (20, 24, 10)
HU_SHAPE = (6, 5, 3)


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    make_series(tmp_path / "mr", shape=SHAPE)
    return read_dicom(tmp_path / "mr")


def written(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.glob("*.dcm"))]


def raw(path: Path, keyword: str) -> bytes:
    """The bytes of a value as they stand in the file."""
    element = dcmread(path).get_item(keyword)
    assert element is not None
    assert isinstance(element.value, bytes)
    return element.value


# Files and values


def test_one_file_a_slice_in_order(scan: Scan, tmp_path: Path) -> None:
    expected = write_fake(scan, tmp_path / "ct")
    names = sorted(path.name for path in (tmp_path / "ct").glob("*.dcm"))
    assert names == [f"CT_{n:04d}.dcm" for n in range(1, SHAPE[2] + 1)]
    for number, ds in enumerate(written(tmp_path / "ct"), start=1):
        assert ds.InstanceNumber == number
        assert ds.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
        assert np.array_equal(ds.pixel_array.T, expected[:, :, number - 1])
    assert not np.array_equal(ds.pixel_array.T, expected[:, :, 0])  # the control


@pytest.mark.parametrize(
    ("hu", "stored"),
    [
        (-5000.0, -1024),
        (-1024.4, -1024),
        (-0.6, -1),
        (0.4, 0),
        (40.6, 41),
        (3071.4, 3071),
        (9e9, 3071),
    ],
)
def test_hu_are_rounded_and_clipped(tmp_path: Path, hu: float, stored: int) -> None:
    voxels = np.full(HU_SHAPE, hu, dtype=np.float32)
    volume = Volume(voxels, Geometry(HU_SHAPE, axial_affine()), "HU")
    write_dicom_ct(volume, source_header=NO_DICOM, to=tmp_path / "ct", derivation=derivation())
    assert np.all(written(tmp_path / "ct")[0].pixel_array == stored)


def test_the_same_run_writes_the_same_bytes(scan: Scan, tmp_path: Path) -> None:
    write_fake(scan, tmp_path / "a")
    write_fake(scan, tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_input_is_untouched(scan: Scan, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "mr").iterdir()}
    write_fake(scan, tmp_path / "ct")
    assert {path: path.read_bytes() for path in (tmp_path / "mr").iterdir()} == before


# Characters


@pytest.mark.parametrize(
    ("charset", "name", "text"),
    [
        ("ISO_IR 100", "Müller^Jörg", "Schädel"),
        ("ISO_IR 192", "Łukasz^Ω", "tête 頭"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "頭部"),
        (None, "Plain^Name", "head"),
    ],
)
@pytest.mark.parametrize("keyword", ["PatientName", "StudyDescription"])
def test_texts_keep_their_bytes(
    tmp_path: Path, charset: str | list[str] | None, name: str, text: str, keyword: str
) -> None:
    def change(ds: Dataset, _: int) -> None:
        ds.SpecificCharacterSet = charset
        if charset is None:
            del ds.SpecificCharacterSet
        ds.PatientName, ds.StudyDescription = name, text

    paths = make_series(tmp_path / "mr", shape=HU_SHAPE, changes=change)
    write_fake(read_dicom(tmp_path / "mr"), tmp_path / "ct")
    first = tmp_path / "ct" / "CT_0001.dcm"
    assert raw(first, keyword) == raw(paths[0], keyword)
    assert dcmread(first)[keyword].value == dcmread(paths[0])[keyword].value
    assert dcmread(first).get("SpecificCharacterSet") == charset


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_the_place_keeps_its_bytes(tmp_path: Path, syntax: UID) -> None:
    paths = make_series(tmp_path / "mr", shape=HU_SHAPE, transfer_syntax=syntax)
    write_fake(read_dicom(tmp_path / "mr"), tmp_path / "ct")
    for source, path in zip(paths, sorted((tmp_path / "ct").glob("*.dcm")), strict=True):
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert raw(path, keyword) == raw(source, keyword)


# Faults


def test_what_is_not_hu_is_refused(scan: Scan, tmp_path: Path) -> None:
    with pytest.raises(MedcycleganError, match="HU"):
        write_dicom_ct(
            scan.volume,
            source_header=scan.source_header,
            to=tmp_path / "ct",
            derivation=derivation(),
        )
    assert not (tmp_path / "ct").exists()


def test_an_older_series_of_ours_is_replaced_only_if_asked(scan: Scan, tmp_path: Path) -> None:
    write_fake(scan, tmp_path / "ct")
    with pytest.raises(CannotWrite, match="--overwrite"):
        write_fake(scan, tmp_path / "ct")
    write_fake(scan, tmp_path / "ct", overwrite=True)
    with pytest.raises(CannotWrite, match="did not write"):
        write_fake(scan, tmp_path / "mr", overwrite=True)


@pytest.mark.parametrize("fault", ["pixels", "place"])
def test_a_file_that_reads_back_otherwise_is_not_delivered(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    def misread(path: Path) -> Dataset:
        ds = dcmread(path)
        if path.name == "CT_0003.dcm":
            if fault == "pixels":
                ds.PixelData = ds.PixelData[:-1] + b"\x7f"
            else:
                ds.ImagePositionPatient = [0, 0, 0]
        return ds

    monkeypatch.setattr(dicom_write, "dcmread", misread)
    with pytest.raises(CannotWrite, match=r"CT_0003\.dcm reads back otherwise"):
        write_fake(scan, tmp_path / "ct")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mr"]


def test_a_full_disk_leaves_nothing(
    scan: Scan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(path: Path, ds: Dataset, **_: object) -> None:
        if path.name == "CT_0005.dcm":
            raise OSError(28, "No space left on device")
        ds.save_as(path, enforce_file_format=True)

    monkeypatch.setattr(dicom_write, "dcmwrite", fill)
    with pytest.raises(CannotWrite, match=r"No space left.*free some space"):
        write_fake(scan, tmp_path / "ct")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mr"]
