"""Laws of the written CT series for other readers and the validators."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from pydicom import Dataset, dcmread

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct
from medcyclegan.io.scan import Scan
from tests.dicom_derived import NO_DICOM, dciodvfy_errors, derivation, run, write_fake
from tests.dicom_factory import axial_affine, make_series, pattern

SHAPE = (20, 24, 10)
HU_SHAPE = (6, 5, 3)
REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom"
REAL_SERIES = (
    "positions/HFP",
    "vendors/ge/anatomical/001",
    "vendors/generic/compressed_jpegls/001",
    "vendors/hitachi/anatomical/001_implicit",
    "vendors/hyperfine/anatomical/001",
    "vendors/philips_enhanced/anatomical/001",
    "vendors/siemens/anatomical/001",
    "vendors/siemens_multiframe/anatomical/001",
)
# float32 headers of NIfTI and the digits that dcm2niix keeps, at lengths of some 100 mm.
NIFTI_TOLERANCE_MM = 1e-3


@pytest.fixture
def scan(tmp_path: Path) -> Scan:
    make_series(tmp_path / "mr", shape=SHAPE)
    return read_dicom(tmp_path / "mr")


# Other readers and the validators


def test_our_reader_gives_back_values_and_grid(scan: Scan, tmp_path: Path) -> None:
    expected = write_fake(scan, tmp_path / "ct")
    back = read_dicom(tmp_path / "ct")
    assert back.modality == "CT"
    assert back.volume.unit == "HU"
    assert np.array_equal(back.volume.voxels, expected)
    assert back.volume.geometry == scan.volume.geometry


def test_simpleitk_gives_back_values_and_grid(scan: Scan, tmp_path: Path) -> None:
    expected = write_fake(scan, tmp_path / "ct")
    mr, ct = (read_with_simpleitk(tmp_path / name) for name in ("mr", "ct"))
    assert np.array_equal(SimpleITK.GetArrayFromImage(ct).transpose(2, 1, 0), expected)
    assert ct.GetOrigin() == mr.GetOrigin()
    assert ct.GetDirection() == mr.GetDirection()
    assert ct.GetSpacing() == mr.GetSpacing()


def read_with_simpleitk(folder: Path) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def test_dcm2niix_gives_back_values_and_grid(scan: Scan, tmp_path: Path) -> None:
    expected = write_fake(scan, tmp_path / "ct")
    image = convert_with_dcm2niix(tmp_path / "ct", tmp_path / "nifti")
    wanted = nib.Nifti1Image(expected, scan.volume.geometry.affine_ras)
    found, wanted = nib.as_closest_canonical(image), nib.as_closest_canonical(wanted)
    assert np.array_equal(np.asarray(found.dataobj), np.asarray(wanted.dataobj))
    assert np.allclose(found.affine, wanted.affine, rtol=0, atol=NIFTI_TOLERANCE_MM)


def convert_with_dcm2niix(folder: Path, to: Path) -> nib.Nifti1Image:
    to.mkdir()
    run("dcm2niix", "-b", "n", "-z", "n", "-f", "image", "-o", to, folder)
    (path,) = to.glob("*.nii")
    return nib.load(path)


def test_dciodvfy_finds_no_error(scan: Scan, tmp_path: Path) -> None:
    write_fake(scan, tmp_path / "ct")
    assert dciodvfy_errors(tmp_path / "ct") == []
    path = tmp_path / "ct" / "CT_0001.dcm"
    ds = dcmread(path)
    del ds.KVP
    ds.save_as(path)
    assert len(dciodvfy_errors(tmp_path / "ct")) == 1  # the control


def test_dciodvfy_finds_no_error_without_dicom(tmp_path: Path) -> None:
    volume = Volume(pattern(HU_SHAPE).astype("f4"), Geometry(HU_SHAPE, axial_affine()), "HU")
    write_dicom_ct(volume, source_header=NO_DICOM, to=tmp_path / "ct", derivation=derivation())
    assert dciodvfy_errors(tmp_path / "ct") == []


def test_dcentvfy_finds_one_patient_and_study(tmp_path: Path) -> None:
    def change(ds: Dataset, _: int) -> None:
        ds.EthnicGroup, ds.PatientComments, ds.Occupation = "none", "quiet", "tester"
        ds.ClinicalTrialSubjectID = "S1"

    sources = make_series(tmp_path / "mr", shape=HU_SHAPE, changes=change)
    write_fake(read_dicom(tmp_path / "mr"), tmp_path / "ct")
    paths = sorted((tmp_path / "ct").glob("*.dcm"))
    assert run("dcentvfy", *sources, *paths).strip() == ""
    ds = dcmread(paths[0])
    del ds.PatientAge
    ds.save_as(paths[0])
    assert "PatientAge" in run("dcentvfy", *sources, *paths)  # the control


@pytest.mark.parametrize("name", REAL_SERIES)
def test_real_series(tmp_path: Path, name: str) -> None:
    if not (REAL / name).is_dir():
        pytest.skip(f"no {name} beside the repository")
    scan = read_dicom(REAL / name)
    expected = write_fake(scan, tmp_path / "ct")
    back = read_dicom(tmp_path / "ct")
    assert np.array_equal(back.volume.voxels, expected)
    assert back.volume.geometry.same_grid(scan.volume.geometry)
    assert dciodvfy_errors(tmp_path / "ct") == []
    sources = [path for path in (REAL / name).iterdir() if path.suffix != ".json"]
    report = run("dcentvfy", *sources, *(tmp_path / "ct").glob("*.dcm"))
    # What the source lacks must be present, if empty; what it has wrong is left out.
    assert set(re.findall(r"Element=<(\w+)>", report)) <= {
        "PatientAge",
        "PatientBirthDate",
        "PatientSex",
        "ReferringPhysicianName",
    }


# Oblique grids without DICOM


def oblique(handed: int) -> Geometry:
    angle = 0.4
    turn = np.array(
        [[np.cos(angle), 0, -np.sin(angle)], [0, handed, 0], [np.sin(angle), 0, np.cos(angle)]]
    )
    affine = np.eye(4)
    affine[:3, :3] = turn * (0.7, 0.8, 2.1)
    affine[:3, 3] = (3.3, -4.4, 5.5)
    return Geometry(HU_SHAPE, affine)


@pytest.mark.parametrize("handed", [1, -1])
def test_a_grid_without_dicom_comes_back(tmp_path: Path, handed: int) -> None:
    geometry = oblique(handed)
    voxels = pattern(HU_SHAPE).astype(np.float32) - 1000
    write_dicom_ct(
        Volume(voxels, geometry, "HU"),
        source_header=NO_DICOM,
        to=tmp_path / "ct",
        derivation=derivation(),
    )
    back = read_dicom(tmp_path / "ct").volume
    if handed < 0:  # the slices run along the normal, so k is turned round
        voxels = voxels[:, :, ::-1]
        turned = np.array(geometry.affine_ras)
        turned[:3, 3] += turned[:3, 2] * (HU_SHAPE[2] - 1)
        turned[:3, 2] *= -1
        geometry = Geometry(HU_SHAPE, turned)
    assert np.array_equal(back.voxels, voxels)
    assert np.allclose(back.geometry.affine_ras, geometry.affine_ras, rtol=0, atol=1e-9)
