"""A tilted gantry is corrected by the shear that the positions of the slices give."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.scan import DicomSourceHeader, Scan
from tests.dicom_derived import dciodvfy_errors, run, write_fake
from tests.dicom_factory import axial_affine, make_series

SHAPE = (24, 26, 9)
SPACING_MM = (1.5, 1.25, 3.0)
REAL = Path(__file__).parents[4] / "shared" / "data" / "dicom"


def tilted_affine(degrees: float, *, sideways_mm: float = 0.0) -> np.ndarray:
    """Axial slices in planes turned about the x axis, stacked along z."""
    affine = axial_affine(SPACING_MM)
    angle = np.deg2rad(degrees)
    affine[:3, 1] = SPACING_MM[1] * np.array([0.0, -np.cos(angle), -np.sin(angle)])
    affine[:3, 2] = (sideways_mm, 0.0, SPACING_MM[2])
    return affine


def field(points_ras: np.ndarray) -> np.ndarray:
    """HU that are linear in space, so that linear interpolation is exact."""
    return np.asarray(200.0 + points_ras @ np.array([3.0, 4.0, 5.0]))


def tilted_series(folder: Path, affine: np.ndarray, *, modality: str = "CT") -> list[Path]:
    index = np.moveaxis(np.indices(SHAPE), 0, -1)
    hu = field(index @ affine[:3, :3].T + affine[:3, 3])

    def change(ds: Dataset, k: int) -> None:
        # Sixteenths of HU, so that rounding stays far below what a wrong shift would make.
        ds.PixelData = np.rint(16.0 * (hu[:, :, k].T + 1024.0)).astype("<u2").tobytes()
        ds.BitsStored, ds.HighBit = 16, 15
        ds.RescaleSlope, ds.RescaleIntercept = "0.0625", "-1024"
        ds.GantryDetectorTilt = "-14"

    return make_series(folder, shape=SHAPE, affine_ras=affine, modality=modality, changes=change)


def scanned(scan: Scan) -> tuple[np.ndarray, np.ndarray]:
    """Values and places (RAS) of the voxels into which no added air was blended."""
    voxels = scan.volume.voxels
    whole = voxels > -1000.0
    for axis in (0, 1):
        for step in (-1, 1):
            whole = whole & np.roll(whole, step, axis)
    return voxels[whole], scan.volume.geometry.to_world(np.argwhere(whole).astype(np.float64))


@pytest.mark.parametrize("degrees", [-20.0, -3.0, 14.0, 30.0])
@pytest.mark.parametrize("sideways_mm", [0.0, 0.7, -0.7])
def test_every_voxel_has_the_value_of_its_place(
    tmp_path: Path, degrees: float, sideways_mm: float
) -> None:
    tilted_series(tmp_path / "ct", tilted_affine(degrees, sideways_mm=sideways_mm))
    scan = read_dicom(tmp_path / "ct", modality="CT", untilt=True)
    assert not scan.volume.geometry.is_sheared
    values, places = scanned(scan)
    assert len(values) > 0.7 * np.prod(SHAPE)
    assert np.abs(values - field(places)).max() < 0.1
    # The control: the same values at the places of slices that were not moved.
    shifted = places + (places[:, 2:] - places[0, 2]) * np.array([0.0, np.tan(np.deg2rad(3.0)), 0])
    assert np.abs(values - field(shifted)).max() > 2.0


def test_nothing_is_cut_off_and_air_is_added(tmp_path: Path) -> None:
    affine = tilted_affine(14.0)
    tilted_series(tmp_path / "ct", affine)
    scan = read_dicom(tmp_path / "ct", untilt=True)
    columns, rows, slices = scan.volume.geometry.shape
    moves_px = np.tan(np.deg2rad(14.0)) * (SHAPE[2] - 1) * SPACING_MM[2] * np.cos(
        np.deg2rad(14.0)
    ) / SPACING_MM[1]  # fmt: skip
    assert (columns, rows, slices) == (SHAPE[0], SHAPE[1] + int(np.ceil(moves_px)), SHAPE[2])
    assert scan.volume.voxels.min() == -1024
    assert scan.volume.geometry.spacing_mm == pytest.approx(
        (SPACING_MM[0], SPACING_MM[1], SPACING_MM[2] * np.cos(np.deg2rad(14.0))), rel=1e-6
    )
    (said,) = scan.warnings
    assert f"tilt of 14.00 degrees was corrected: {'slices'}" in said
    assert f"{columns} x {rows} pixels" in said


def test_without_being_asked_it_is_refused_and_the_option_named(tmp_path: Path) -> None:
    tilted_series(tmp_path / "ct", tilted_affine(14.0))
    with pytest.raises(InputRefused, match=r"14\.00 degrees off their normal") as refused:
        read_dicom(tmp_path / "ct")
    assert "--untilt" in refused.value.remedy


def test_an_mr_is_not_corrected(tmp_path: Path) -> None:
    tilted_series(tmp_path / "mr", tilted_affine(14.0), modality="MR")
    with pytest.raises(InputRefused, match="off their normal"):
        read_dicom(tmp_path / "mr", untilt=True)


def test_slices_in_disorder_are_no_tilt(tmp_path: Path) -> None:
    tilted_series(tmp_path / "ct", tilted_affine(0.0, sideways_mm=6.0))
    with pytest.raises(InputRefused, match="a gantry tilts by less than 45"):
        read_dicom(tmp_path / "ct", untilt=True)


def test_a_missing_slice_is_still_refused(tmp_path: Path) -> None:
    tilted_series(tmp_path / "ct", tilted_affine(14.0))[4].unlink()
    with pytest.raises(InputRefused, match="one may be missing"):
        read_dicom(tmp_path / "ct", untilt=True)


def test_a_ct_without_a_tilt_stays_as_it_is(tmp_path: Path) -> None:
    make_series(tmp_path / "ct", modality="CT")
    plain, asked = (read_dicom(tmp_path / "ct", untilt=untilt) for untilt in (False, True))
    assert asked.volume.geometry == plain.volume.geometry
    assert np.array_equal(asked.volume.voxels, plain.volume.voxels)
    assert asked.warnings == ()


def test_a_derived_series_lies_on_the_corrected_grid(tmp_path: Path) -> None:
    paths = tilted_series(tmp_path / "ct", tilted_affine(14.0))
    before = [path.read_bytes() for path in paths]
    scan = read_dicom(tmp_path / "ct", untilt=True)
    assert isinstance(scan.source_header, DicomSourceHeader)
    write_fake(scan, tmp_path / "out")
    assert dciodvfy_errors(tmp_path / "out") == []
    again = read_dicom(tmp_path / "out")
    geometry = scan.volume.geometry
    assert again.volume.geometry.shape == geometry.shape
    assert np.abs(again.volume.geometry.affine_ras - geometry.affine_ras).max() < 1e-6
    ds = dcmread(tmp_path / "out" / "CT_0001.dcm")
    assert ds.SourceImageSequence[0].SpatialLocationsPreserved == "NO"
    assert ds.PatientName == dcmread(paths[0]).PatientName
    assert [path.read_bytes() for path in paths] == before


def _of_dcm2niix(folder: Path, tmp_path: Path) -> nibabel.Nifti1Image:
    out = tmp_path / "dcm2niix"
    out.mkdir()
    run("dcm2niix", "-o", out, "-f", "ct", folder)
    (path,) = out.glob("*Tilt*.nii*")
    image = nibabel.load(path)
    assert isinstance(image, nibabel.Nifti1Image)
    return image


def _agrees_with_dcm2niix(folder: Path, tmp_path: Path) -> None:
    scan = read_dicom(folder, untilt=True)
    theirs = _of_dcm2niix(folder, tmp_path)
    # It stores rows from back to front.
    values = np.asarray(theirs.dataobj)[:, ::-1, :]
    assert theirs.affine is not None
    flipped = theirs.affine @ np.diag([1.0, -1.0, 1.0, 1.0])
    flipped[:3, 3] = theirs.affine[:3, 3] + (values.shape[1] - 1) * theirs.affine[:3, 1]
    assert values.shape == scan.volume.geometry.shape
    assert np.abs(flipped - scan.volume.geometry.affine_ras).max() < 1e-4
    both = (values > -900) & (scan.volume.voxels > -900)
    off = np.abs(values - scan.volume.voxels)[both]
    # Apart from where the edge of the scanned circle, which it takes for -1500 HU, is blended in.
    assert (off > 1.01).mean() < 1e-3


@pytest.mark.skipif(not REAL.is_dir(), reason="the real series are not at hand")
@pytest.mark.parametrize("thickness_mm", ["4.0", "7.0"])
def test_dcm2niix_finds_the_same_in_a_real_head(tmp_path: Path, thickness_mm: str) -> None:
    """Its two parts have even gaps, each its own; together they are refused."""
    (tmp_path / "ct").mkdir()
    for path in sorted((REAL / "ge_ct_head_tilt").iterdir()):
        if path.suffix == ".dcm" and str(dcmread(path).SliceThickness) == thickness_mm:
            shutil.copy(path, tmp_path / "ct")
    assert len(list((tmp_path / "ct").iterdir())) == 14
    _agrees_with_dcm2niix(tmp_path / "ct", tmp_path)
    with pytest.raises(InputRefused, match="slices must be evenly spaced"):
        read_dicom(REAL / "ge_ct_head_tilt", untilt=True)
