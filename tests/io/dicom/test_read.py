"""A regular series comes back with the voxels and the affine that it was made from."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import UID, generate_uid

from medcyclegan.io.dicom.read import is_dicom, read_dicom
from tests.dicom_encoding import WRITTEN_BY_GDCM, WRITTEN_BY_PYDICOM
from tests.dicom_factory import FRAME_UID, axial_affine, make_series, pattern

SHAPE = (20, 24, 10)


def oblique_affine(seed: int) -> NDArray[np.float64]:
    """A random rotation with k along cross(i, j) in LPS (and so in RAS, too)."""
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    if np.linalg.det(rotation) < 0:
        rotation[:, 2] *= -1
    affine = np.eye(4)
    affine[:3, :3] = rotation * (0.8, 1.1, 2.3)
    affine[:3, 3] = (12.5, -80.25, 33.0)
    return affine


def test_axial_series_comes_back(tmp_path: Path) -> None:
    make_series(tmp_path / "s", shape=SHAPE)
    scan = read_dicom(tmp_path / "s", modality="MR")
    geometry = scan.volume.geometry
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert np.allclose(geometry.affine_ras, axial_affine(), rtol=0, atol=1e-12)
    assert (geometry.axis_codes, geometry.frame_of_reference_uid) == ("LPS", FRAME_UID)
    assert (scan.modality, scan.volume.unit, scan.warnings) == ("MR", "a.u.", ())
    assert not np.array_equal(scan.volume.voxels, pattern(SHAPE)[::-1])


@pytest.mark.parametrize("seed", range(5))
def test_oblique_series_comes_back(tmp_path: Path, seed: int) -> None:
    affine = oblique_affine(seed)
    make_series(tmp_path / "s", shape=SHAPE, affine_ras=affine)
    scan = read_dicom(tmp_path / "s")
    assert np.allclose(scan.volume.geometry.affine_ras, affine, rtol=0, atol=1e-10)
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))


def test_slices_are_ordered_along_their_normal(tmp_path: Path) -> None:
    """A series stacked against cross(row, column) is turned round, world space stays."""
    affine = axial_affine()
    affine[:3, 2] *= -1
    make_series(tmp_path / "s", shape=SHAPE, affine_ras=affine)
    scan = read_dicom(tmp_path / "s")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE)[:, :, ::-1])
    last = affine @ (0, 0, SHAPE[2] - 1, 1)
    assert np.allclose(scan.volume.geometry.affine_ras[:, 3], last)


def test_names_and_instance_numbers_do_not_count(tmp_path: Path) -> None:
    order = list(range(SHAPE[2]))
    random.Random(3).shuffle(order)

    def shuffle(ds: Dataset, k: int) -> None:
        ds.InstanceNumber = str(order[k])

    paths = make_series(tmp_path / "s", shape=SHAPE, changes=shuffle)
    for k, path in enumerate(paths):
        path.rename(path.with_name(f"{order[-1 - k]}"))
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, pattern(SHAPE))


@pytest.mark.parametrize("syntax", WRITTEN_BY_PYDICOM + WRITTEN_BY_GDCM, ids=lambda uid: uid.name)
def test_every_transfer_syntax_gives_the_same(tmp_path: Path, syntax: UID) -> None:
    make_series(tmp_path / "s", shape=SHAPE, transfer_syntax=syntax)
    scan = read_dicom(tmp_path / "s")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert np.allclose(scan.volume.geometry.affine_ras, axial_affine(), rtol=0, atol=1e-12)


def test_files_without_preamble_are_read(tmp_path: Path) -> None:
    for path in make_series(tmp_path / "s", shape=SHAPE):
        ds = dcmread(path)
        del ds.file_meta
        ds.preamble = None
        ds.save_as(path, enforce_file_format=False, implicit_vr=True, little_endian=True)
        assert path.read_bytes()[128:132] != b"DICM"
        assert is_dicom(path)
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, pattern(SHAPE))


def test_ct_is_read_in_hounsfield_units(tmp_path: Path) -> None:
    make_series(tmp_path / "s", shape=SHAPE, modality="CT")
    scan = read_dicom(tmp_path / "s", modality="CT")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE).astype(np.float32) - 1024)
    assert (scan.volume.unit, scan.modality) == ("HU", "CT")


def test_rescale_is_applied_slice_by_slice(tmp_path: Path) -> None:
    def scale(ds: Dataset, k: int) -> None:
        ds.RescaleSlope, ds.RescaleIntercept = str(k + 1), str(10 * k)

    make_series(tmp_path / "s", shape=SHAPE, changes=scale)
    scan = read_dicom(tmp_path / "s")
    k = np.arange(SHAPE[2])
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE) * (k + 1) + 10 * k)
    assert "slope" in scan.warnings[0]


def test_monochrome1_is_inverted_slice_by_slice(tmp_path: Path) -> None:
    def invert(ds: Dataset, k: int) -> None:
        if k == 4:
            ds.PhotometricInterpretation = "MONOCHROME1"

    make_series(tmp_path / "s", shape=SHAPE, changes=invert)
    scan = read_dicom(tmp_path / "s")
    expected = pattern(SHAPE).astype(np.int64)
    expected[:, :, 4] = 4095 - expected[:, :, 4]
    assert np.array_equal(scan.volume.voxels, expected)
    assert "MONOCHROME1" in scan.warnings[0]


def test_bits_beyond_those_stored_do_not_count(tmp_path: Path) -> None:
    def overlay(ds: Dataset, k: int) -> None:
        stored = np.frombuffer(ds.PixelData, "<u2") | 0x8000
        ds.PixelData = stored.tobytes()

    make_series(tmp_path / "s", shape=SHAPE, changes=overlay)
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, pattern(SHAPE))


def test_signed_values_keep_their_sign(tmp_path: Path) -> None:
    def sign(ds: Dataset, k: int) -> None:
        stored = np.frombuffer(ds.PixelData, "<u2").astype(np.int64) - 2048
        ds.PixelData = (stored & 0x0FFF).astype("<u2").tobytes()
        ds.PixelRepresentation = 1

    make_series(tmp_path / "s", shape=SHAPE, changes=sign)
    voxels = read_dicom(tmp_path / "s").volume.voxels
    assert np.array_equal(voxels, np.clip(pattern(SHAPE).astype(np.int64), 0, 4095) - 2048)


@pytest.mark.parametrize(
    ("gone", "spacing_mm", "warned"),
    [((), 3.0, False), (("SpacingBetweenSlices",), 2.5, False), (..., 1.0, True)],
)
def test_single_slice_takes_its_spacing_from_the_header(
    tmp_path: Path, gone: object, spacing_mm: float, warned: bool
) -> None:
    keywords = ("SpacingBetweenSlices", "SliceThickness") if gone is ... else gone

    def change(ds: Dataset, k: int) -> None:
        ds.SpacingBetweenSlices = "3.0"
        for keyword in keywords:
            delattr(ds, keyword)

    make_series(tmp_path / "s", shape=(20, 24, 1), changes=change)
    scan = read_dicom(tmp_path / "s")
    assert scan.volume.geometry.spacing_mm[2] == spacing_mm
    assert bool(scan.warnings) is warned


def test_source_header_is_the_header_in_the_order_of_k(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    slices = read_dicom(tmp_path / "s").source_header.slices
    for path, header in zip(paths, slices, strict=True):
        whole = dcmread(path)
        assert header.SOPInstanceUID == whole.SOPInstanceUID
        assert "PixelData" not in header
        del whole.PixelData
        assert header == whole
        assert header.ImagePositionPatient[1].original_string == "-14.3700"
        assert header.file_meta.TransferSyntaxUID == whole.file_meta.TransferSyntaxUID


def test_input_is_untouched(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE, changes=lambda ds, k: _new_uid(ds))
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}
    read_dicom(tmp_path / "s")
    assert before == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def _new_uid(ds: Dataset) -> None:
    ds.SOPInstanceUID = generate_uid()
