"""Whatever rectangular grid a scan lies on, DICOM keeps its place."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.derive import Derivation, seeded_uid_maker
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct
from medcyclegan.io.nifti.image import read_nifti, write_nifti
from medcyclegan.io.scan import ItkSourceHeader, SourceHeader
from tests.dicom_factory import make_series
from tests.image_factory import nifti_header, write_plain
from tests.properties.grids import rectangular_affines

PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
PLACE += ("FrameOfReferenceUID",)
# Far below a voxel, and above the rounding of float32 half a metre from the centre.
PLACE_TOLERANCE_MM = 1e-4
# Up to 64 each, but few slices: each is a file.
SHAPES = st.tuples(st.integers(2, 64), st.integers(2, 64), st.integers(1, 12))


def derivation() -> Derivation:
    """The same in every run."""
    return Derivation(
        model_name="none",
        model_sha256="",
        software_version="0",
        method="none",
        now=datetime(2024, 2, 29, tzinfo=UTC),
        new_uid=seeded_uid_maker("grids"),
    )


def places(paths: list[Path]) -> set[tuple[bytes, ...]]:
    """The bytes of all that says where each slice lies."""
    slices = [dcmread(path, stop_before_pixels=True) for path in paths]
    return {tuple(ds.get_item(keyword).value for keyword in PLACE) for ds in slices}


def write_ct(volume: Volume, source_header: SourceHeader, folder: Path) -> list[Path]:
    """Write HU as a series; returns its files."""
    ct = Volume(volume.voxels - 500, volume.geometry, "HU")
    write_dicom_ct(ct, source_header=source_header, to=folder, derivation=derivation())
    return sorted(folder.glob("*.dcm"))


@settings(max_examples=15)
@given(affine=rectangular_affines(), shape=SHAPES)
def test_dicom_to_dicom_keeps_the_bytes(affine: np.ndarray, shape: tuple[int, int, int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = make_series(Path(folder) / "mr", shape=shape, affine_ras=affine)
        scan = read_dicom(Path(folder) / "mr")
        made = write_ct(scan.volume, scan.source_header, Path(folder) / "ct")
        assert len(made) == shape[2]
        assert places(made) == places(source)


def test_numbers_written_anew_are_caught(tmp_path: Path) -> None:
    """The control: the same numbers in other digits are other bytes."""
    source = make_series(tmp_path / "mr", shape=(4, 4, 3))
    before = places(source)
    for path in source:
        ds = dcmread(path)
        ds.PixelSpacing = [float(value) for value in ds.PixelSpacing]
        ds.save_as(path)
    assert places(source) != before


def hold_same_voxels(expected: Volume, found: Volume) -> None:
    """Every voxel lies where it lay, and holds what it held, whatever the order of storage."""
    index = np.stack(np.indices(expected.geometry.shape), axis=-1).reshape(-1, 3)
    world_mm = expected.geometry.to_world(index.astype(float))
    back = np.linalg.inv(found.geometry.affine_ras)
    there = np.rint(world_mm @ back[:3, :3].T + back[:3, 3]).astype(int)
    assert (there >= 0).all()
    assert (there < found.geometry.shape).all()
    apart_mm = np.abs(found.geometry.to_world(there.astype(float)) - world_mm).max()
    assert apart_mm < PLACE_TOLERANCE_MM
    assert np.array_equal(found.voxels[tuple(there.T)], expected.voxels[tuple(index.T)])


@settings(max_examples=15)
@given(affine=rectangular_affines(), shape=SHAPES)
def test_nifti_to_dicom_to_nifti(affine: np.ndarray, shape: tuple[int, int, int]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voxels = np.arange(np.prod(shape)).reshape(shape) % 1009
        header = nifti_header(shape, affine=affine)
        scan = read_nifti(write_plain(folder / "mr.nii", header, voxels))
        write_ct(scan.volume, scan.source_header, folder / "ct")
        series = read_dicom(folder / "ct")
        write_nifti(series.volume, source_header=series.source_header, to=folder / "ct.nii")
        found = read_nifti(folder / "ct.nii").volume
        hold_same_voxels(Volume(scan.volume.voxels - 500, scan.volume.geometry, "HU"), found)


@pytest.mark.parametrize("broken", ["mirrored", "shifted", "other values"])
def test_a_voxel_elsewhere_is_caught(broken: str) -> None:
    """The controls: a mirrored, a slightly shifted, and a permuted volume."""
    affine = np.diag([0.9, 1.1, 2.0, 1.0])
    volume = Volume(
        np.arange(24, dtype=np.float32).reshape(2, 3, 4), Geometry((2, 3, 4), affine), "HU"
    )
    hold_same_voxels(volume, volume)
    other = affine.copy()
    voxels = volume.voxels.copy()
    if broken == "mirrored":
        voxels = voxels[::-1]
    elif broken == "shifted":
        other[0, 3] += 3 * PLACE_TOLERANCE_MM
    else:
        voxels[0, 0, 0], voxels[0, 0, 1] = 1, 0
    with pytest.raises(AssertionError):
        hold_same_voxels(volume, Volume(voxels, Geometry((2, 3, 4), other), "HU"))


def test_a_grid_without_source_header_is_not_confused(tmp_path: Path) -> None:
    """A left-handed grid of one slice: the slice stays one, and in its place."""
    affine = np.diag([-1.0, 1.0, 3.0, 1.0])
    volume = Volume(
        np.arange(12, dtype=np.float32).reshape(3, 4, 1), Geometry((3, 4, 1), affine), "HU"
    )
    write_ct(volume, ItkSourceHeader(), tmp_path / "ct")
    expected = Volume(volume.voxels - 500, volume.geometry, "HU")
    hold_same_voxels(expected, read_dicom(tmp_path / "ct").volume)
