"""Real series of several vendors, against the NIfTI that another converter made of them."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.scan import Scan

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "dicom"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not there")

SERIES = [
    "failing/slicecount/001",
    "vendors/ge/anatomical/001",
    "vendors/ge/anatomical/001_implicit",
    "vendors/ge/anatomical/001_single_slice",
    "vendors/generic/anatomical/001",
    "vendors/generic/anatomical/001_implicit",
    "vendors/generic/anatomical/002_non_isotropic",
    "vendors/generic/compressed/001",
    "vendors/generic/compressed_j2k/001",
    "vendors/generic/compressed_jpeg/001",
    "vendors/generic/compressed_jpegls/001",
    "vendors/generic/compressed_rle/001",
    "vendors/hitachi/anatomical/001",
    "vendors/hitachi/anatomical/001_implicit",
    "vendors/hyperfine/anatomical/001",
    "vendors/philips_enhanced/anatomical/001",
    "vendors/philips_enhanced/anatomical/001_implicit",
    "vendors/siemens/anatomical/001",
    "vendors/siemens/anatomical/001_implicit",
    "vendors/siemens_multiframe/anatomical/001",
]
REFUSED = {
    "failing/gantrytilting/001": r"14\.00 degrees",
    "failing/notavolume/001": "Two images at one position",
    "failing/sliceincrement/001": r"10\.0000 mm between",
    "failing/sliceincrement/002": r"15\.50 degrees",
    "failing/sliceorientation/001": "orientation",
    "ge_ct_head_tilt": r"18\.50 degrees",
    "vendors/generic/rgb/001": "colour",
    "single/emri_small.dcm": "10 frames without saying where",
}


def worst_difference(scan: Scan, reference: Path) -> tuple[float, float]:
    """(voxels off the reference's grid, difference of values) over all our voxels."""
    image = nib.load(reference)
    theirs = np.asarray(image.dataobj, dtype=np.float64)
    theirs = theirs.reshape((*theirs.shape, 1)[:3] if theirs.ndim < 3 else theirs.shape[:3])
    index = np.moveaxis(np.indices(scan.volume.geometry.shape), 0, -1).reshape(-1, 3)
    world = scan.volume.geometry.to_world(index.astype(np.float64))
    found = nib.affines.apply_affine(np.linalg.inv(image.affine), world)
    nearest = np.round(found).astype(int)
    values = theirs[tuple(nearest.T)]
    difference = np.abs(values - scan.volume.voxels.reshape(-1)).max()
    return float(np.abs(found - nearest).max()), float(difference)


@pytest.mark.parametrize("name", SERIES)
def test_same_values_at_the_same_places(name: str) -> None:
    scan = read_dicom(DATA / name, modality="MR")
    reference = (DATA / name).parent / f"{Path(name).name}_ground_truth.nii.gz"
    off_voxels, difference = worst_difference(scan, reference)
    assert off_voxels < 1e-4
    assert difference <= 1e-6 * float(scan.volume.voxels.max())


@pytest.mark.parametrize(("name", "reason"), REFUSED.items())
def test_refused(name: str, reason: str) -> None:
    with pytest.raises(InputRefused, match=reason):
        read_dicom(DATA / name)


def test_whole_series_beside_other_files() -> None:
    start = time.perf_counter()
    scan = read_dicom(DATA / "fnndsc_mr_t1", modality="MR")
    assert time.perf_counter() - start < 10.0
    assert scan.volume.voxels.shape == (220, 220, 176)
    assert scan.volume.geometry.axis_codes == "PIR"
    assert scan.warnings == ("Files that are not DICOM were passed over: 8.",)


def test_prone_series() -> None:
    scan = read_dicom(DATA / "positions" / "HFP", modality="MR")
    assert scan.volume.voxels.shape == (256, 256, 35)
    assert scan.volume.geometry.axis_codes == "PIR"


@pytest.mark.parametrize(("coded", "plain"), [("J2KI", "UNCI"), ("J2KR", "UNCR")])
def test_jpeg_2000_equals_its_uncompressed_twin(tmp_path: Path, coded: str, plain: str) -> None:
    scans = []
    for name in (coded, plain):
        (tmp_path / name).mkdir()
        shutil.copy(DATA / "single" / f"MR2_{name}.dcm", tmp_path / name)
        scans.append(read_dicom(tmp_path / name))
    assert np.array_equal(scans[0].volume.voxels, scans[1].volume.voxels)


def test_damaged_sequence_does_no_harm() -> None:
    scan = read_dicom(DATA / "single" / "bad_sequence.dcm")
    assert (scan.volume.voxels.shape, scan.volume.unit) == ((512, 512, 1), "HU")


def test_a_radiograph_is_turned_so_that_lungs_are_dark() -> None:
    scan = read_dicom(DATA / "single" / "RG1_J2KI.dcm", modality="XR")
    assert scan.is_plane
    assert "MONOCHROME1 were inverted" in " ".join(scan.warnings)
    columns, rows, _ = scan.volume.geometry.shape
    spine = scan.volume.voxels[columns // 2, rows // 3 : rows // 2].mean()
    lung = scan.volume.voxels[columns * 3 // 10, rows // 4 : rows // 3].mean()
    assert spine > 1.1 * lung
