"""Whatever grid a NIfTI file has, the output has it to the last bit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.io.nifti.image import read_nifti, write_nifti
from medcyclegan.io.scan import ItkSourceHeader, Scan, SourceHeader
from tests.image_factory import nifti_header, ramp, write_plain
from tests.properties.grids import SIZES, any_affines, rectangular_affines

_PLACED_BY = ("srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d", "pixdim")
_PLACED_BY += ("qoffset_x", "qoffset_y", "qoffset_z", "sform_code", "qform_code", "xyzt_units")


def as_ct(scan: Scan) -> Volume:
    """HU on the scan's grid."""
    return Volume(scan.volume.voxels - 500, scan.volume.geometry, "HU")


def hold_same_place(source: Path, made: Path) -> None:
    """The two files' affines and all fields that make them are equal to the last bit."""
    expected, found = nibabel.load(source), nibabel.load(made)
    assert found.affine.tobytes() == expected.affine.tobytes()
    assert found.shape == expected.shape
    for name in _PLACED_BY:
        assert found.header[name].tobytes() == expected.header[name].tobytes(), name


def convert(folder: Path, affine: np.ndarray, version: int, codes: tuple[int, int]) -> None:
    """Write a file with this affine, read it, and write a CT on its grid."""
    header = nifti_header((5, 4, 3), version=version, affine=np.eye(4))
    qform = affine if Geometry((5, 4, 3), affine).shear < 1e-6 else np.eye(4)
    header.set_qform(qform, codes[1])
    header.set_sform(affine, codes[0])
    source = write_plain(folder / "mr.nii", header, ramp((5, 4, 3)))
    scan = read_nifti(source)
    write_nifti(as_ct(scan), source_header=scan.source_header, to=folder / "ct.nii")


@given(
    affine=st.one_of(any_affines(), rectangular_affines()),
    version=st.sampled_from((1, 2)),
    codes=st.sampled_from(((1, 1), (2, 0), (0, 1), (4, 3), (0, 0))),
)
def test_any_affine_comes_back_bit_for_bit(
    affine: np.ndarray, version: int, codes: tuple[int, int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        convert(Path(folder), affine, version, codes)
        hold_same_place(Path(folder) / "mr.nii", Path(folder) / "ct.nii")


@given(shape=SIZES)
def test_any_size_comes_back(shape: tuple[int, int, int]) -> None:
    if np.prod(shape) < 2:  # a single voxel is constant, and refused
        shape = (2, 1, 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voxels = np.arange(np.prod(shape)).reshape(shape) % 100
        scan = read_nifti(write_plain(folder / "mr.nii", nifti_header(shape), voxels))
        write_nifti(as_ct(scan), source_header=scan.source_header, to=folder / "ct.nii")
        hold_same_place(folder / "mr.nii", folder / "ct.nii")
        assert np.array_equal(np.asarray(nibabel.load(folder / "ct.nii").dataobj), voxels - 500)


def test_a_header_made_anew_is_caught(tmp_path: Path) -> None:
    """The control: an affine that goes through a fresh header loses its bits."""
    affine = np.diag([1 / 3, 1.1, 2.7, 1.0])
    convert(tmp_path, affine, 2, (1, 1))
    hold_same_place(tmp_path / "mr.nii", tmp_path / "ct.nii")
    scan = read_nifti(tmp_path / "mr.nii")
    none: SourceHeader = ItkSourceHeader()
    write_nifti(as_ct(scan), source_header=none, to=tmp_path / "fresh.nii")
    with pytest.raises(AssertionError):
        hold_same_place(tmp_path / "mr.nii", tmp_path / "fresh.nii")
