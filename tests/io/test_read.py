"""One door for all formats: the content decides, and what is none of them is refused by name."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from medcyclegan.errors import InputRefused
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import DicomSourceHeader, ItkSourceHeader, NiftiSourceHeader
from tests.dicom_factory import make_series
from tests.image_factory import nifti_bytes, nifti_header, ramp, write_plain


def itk_file(path: Path) -> Path:
    """Write the image of ``ramp`` through SimpleITK."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(ramp().astype("int16").T))
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII", "a", "a.mha", "a.dat"])
def test_nifti_by_content(tmp_path: Path, name: str) -> None:
    content = nifti_bytes(nifti_header(), ramp())
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    for asked in (path, str(path)):
        scan = read_scan(asked)
        assert isinstance(scan.source_header, NiftiSourceHeader)
        assert np.array_equal(scan.volume.voxels, ramp())


@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a", "a.nii.gz"])
def test_itk_by_content(tmp_path: Path, name: str, ending: str) -> None:
    path = itk_file(tmp_path / f"source{ending}").rename(tmp_path / name)
    scan = read_scan(path)
    assert isinstance(scan.source_header, ItkSourceHeader)
    assert np.array_equal(scan.volume.voxels, ramp())


def test_itk_header_with_a_data_file(tmp_path: Path) -> None:
    assert np.array_equal(read_scan(itk_file(tmp_path / "a.mhd")).volume.voxels, ramp())
    assert np.array_equal(read_scan(itk_file(tmp_path / "b.nhdr")).volume.voxels, ramp())


def test_dicom_folder_and_file(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "series")
    for asked in (tmp_path / "series", paths[0]):
        scan = read_scan(asked, modality="MR")
        assert isinstance(scan.source_header, DicomSourceHeader)
        assert scan.modality == "MR"
    odd = paths[0].rename(tmp_path / "series" / "slice.nii.gz")
    assert isinstance(read_scan(odd).source_header, DicomSourceHeader)
    with pytest.raises(InputRefused):
        read_scan(tmp_path / "series", modality="CT")
    with pytest.raises(InputRefused):
        read_scan(tmp_path / "series", series_uid="1.2.3")


def test_modality_is_taken_on_trust_where_the_format_has_none(tmp_path: Path) -> None:
    path = write_plain(tmp_path / "a.nii", nifti_header(), ramp())
    assert (read_scan(path).modality, read_scan(path).volume.unit) == ("", "a.u.")
    mr = read_scan(path, modality="MR")
    assert (mr.modality, mr.volume.unit) == ("MR", "a.u.")
    ct = read_scan(path, modality="CT")
    assert (ct.modality, ct.volume.unit) == ("CT", "HU")
    assert ct.volume.geometry == mr.volume.geometry
    assert ct.source_header == mr.source_header


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7" + bytes(500), "a PDF document"),
        (b"hello\n" * 100, "text"),
        (bytes(900), "an unknown kind of data"),
        (b"", "empty"),
        (gzip.compress(bytes(900)), "an unknown kind of data"),
        (gzip.compress(bytes(9000))[:20], "gzip data are truncated"),
    ],
)
@pytest.mark.parametrize("name", ["scan", "scan.png", "scan.nii.gz", "scan.nrrd", "scan.img"])
def test_what_is_no_image_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    if name == "scan.img":
        message += "|scan.hdr is missing"
    if name == "scan.nrrd" and content[:2] == b"\x1f\x8b":
        message += "|not a MetaImage"
    with pytest.raises(InputRefused, match=rf"{name}.*({message})") as caught:
        read_scan(path)
    if name in ("scan", "scan.png") and len(content) > 500:
        assert ".nii.gz" in str(caught.value)
        assert "DICOM" in str(caught.value)
    assert path.read_bytes() == content
    assert capfd.readouterr() == ("", "")


def test_missing_irregular_and_impossible_paths(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match=r"none\.nii.*No such file"):
        read_scan(tmp_path / "none.nii")
    os.mkfifo(tmp_path / "pipe.nii")
    with pytest.raises(InputRefused, match=r"pipe\.nii: a pipe"):
        read_scan(tmp_path / "pipe.nii")
    with pytest.raises(InputRefused, match="a pipe, socket or device"):
        read_scan("/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputRefused, match="loop"):
        read_scan(tmp_path / "loop")
    with pytest.raises(InputRefused, match="not a valid path"):
        read_scan("a\0b")
    with pytest.raises(InputRefused):
        read_scan("a" * 5000)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputRefused, match="empty"):
        read_scan(tmp_path / "empty")
