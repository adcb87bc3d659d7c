"""Radiographs are planes without a place; .IMA slices are volumes of one slice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation

from medcyclegan.errors import InputRefused
from medcyclegan.io.read import read_scan
from tests.dicom_factory import make_series, pattern


def as_radiograph(ds: Dataset, k: int) -> None:
    """Take from a slice its place in space, as a radiograph has none."""
    ds.SOPClassUID, ds.Modality = DigitalXRayImageStorageForPresentation, "DX"
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
        del ds[keyword]
    ds.PhotometricInterpretation = "MONOCHROME1"
    ds.ImagerPixelSpacing = ["0.2", "0.1"]


def test_monochrome1_is_turned_so_that_bone_is_bright(tmp_path: Path) -> None:
    path = make_series(tmp_path / "dx", shape=(20, 24, 1), changes=as_radiograph)[0]
    scan = read_scan(path, modality="XR")
    stored = pattern((20, 24, 1))
    assert np.array_equal(scan.volume.voxels, 4095.0 - stored)
    assert not np.array_equal(scan.volume.voxels, stored)  # the control
    assert scan.volume.geometry.spacing_mm[:2] == (0.1, 0.2)
    assert (scan.modality, scan.is_plane) == ("XR", True)
    with pytest.raises(InputRefused, match="modality DX, none of MR"):
        read_scan(path, modality="MR")
    assert read_scan(path, modality="image").is_plane


def test_one_of_several_radiographs_is_read_by_its_file(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "dx", shape=(20, 24, 2), changes=as_radiograph)
    stored = pattern((20, 24, 2))
    assert np.array_equal(read_scan(paths[1]).volume.voxels, 4095.0 - stored[:, :, 1:])
    with pytest.raises(InputRefused, match="2 radiographs"):
        read_scan(tmp_path / "dx")


@pytest.mark.parametrize("spacing", [None, ["0", "0"]])
def test_without_a_spacing_it_is_said(tmp_path: Path, spacing: list[str] | None) -> None:
    def change(ds: Dataset, k: int) -> None:
        as_radiograph(ds, k)
        ds.ImagerPixelSpacing = spacing

    path = make_series(tmp_path / "dx", shape=(20, 24, 1), changes=change)[0]
    scan = read_scan(path)
    assert scan.volume.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert "1 mm was assumed" in scan.warnings[0]


def test_ima_slices(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "L067", shape=(20, 24, 3), modality="CT")
    renamed = [path.rename(path.with_suffix(".IMA")) for path in paths]
    whole = read_scan(tmp_path / "L067", modality="CT")
    assert (whole.volume.voxels.shape, whole.volume.unit) == ((20, 24, 3), "HU")
    (tmp_path / "single").mkdir()
    alone = renamed[1].rename(tmp_path / "single" / "a.IMA")
    scan = read_scan(alone, modality="CT")
    assert np.array_equal(scan.volume.voxels, whole.volume.voxels[:, :, 1:2])
    assert not scan.is_plane
