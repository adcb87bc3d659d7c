"""Padding is air in a CT and no signal in an MR, before its stored values are scaled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_enhanced import save_enhanced
from tests.dicom_factory import make_series

SHAPE = (20, 24, 3)
SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
)
COLUMN, ROW, _ = np.indices(SHAPE)
OUTSIDE = (COLUMN - 9.5) ** 2 + (ROW - 11.5) ** 2 > 8.0**2
# Stored values of the image, (i, j, k): 24 is -1000 HU in a CT.
IMAGE = np.where(OUTSIDE, 24, 900 + 7 * COLUMN + 11 * ROW)


def padded(
    folder: Path,
    words: np.ndarray,
    *,
    modality: str = "CT",
    syntax: UID = ExplicitVRLittleEndian,
    **header: Any,
) -> np.ndarray:
    """Read a series of these words (i, j, k), with more in its header."""

    def change(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit = 16, 15
        for keyword, value in header.items():
            setattr(ds, keyword, value)
        ds.PixelData = (words[:, :, k].T & 0xFFFF).astype("<u2").tobytes()

    make_series(folder, shape=SHAPE, modality=modality, transfer_syntax=syntax, changes=change)
    return read_dicom(folder).volume.voxels


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_a_ct_with_63536_outside_its_circle(tmp_path: Path, syntax: UID) -> None:
    words = np.where(OUTSIDE, 63536, IMAGE)
    hu = padded(tmp_path / "s", words, syntax=syntax, PixelPaddingValue=63536)
    assert (hu[OUTSIDE] == -1024).all()
    assert np.array_equal(hu[~OUTSIDE], IMAGE[~OUTSIDE] - 1024.0)


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_a_signed_ct_with_minus_2000_outside(tmp_path: Path, syntax: UID) -> None:
    words = np.where(OUTSIDE, -2000, IMAGE - 1024)
    header = {"PixelRepresentation": 1, "RescaleIntercept": "0"}
    hu = padded(tmp_path / "s", words, syntax=syntax, PixelPaddingValue=-2000, **header)
    assert (hu[OUTSIDE] == -1024).all()
    assert np.array_equal(hu[~OUTSIDE], IMAGE[~OUTSIDE] - 1024.0)


def test_the_padding_told_with_the_other_sign(tmp_path: Path) -> None:
    words = np.where(OUTSIDE, 63536, IMAGE)

    def change(ds: Dataset, k: int) -> None:
        ds.BitsStored, ds.HighBit = 16, 15
        ds.add_new("PixelPaddingValue", "SS", -2000)
        ds.PixelData = words[:, :, k].T.astype("<u2").tobytes()

    make_series(tmp_path / "s", shape=SHAPE, modality="CT", changes=change)
    assert (read_dicom(tmp_path / "s").volume.voxels[OUTSIDE] == -1024).all()


def test_a_padding_beyond_the_stored_bits(tmp_path: Path) -> None:
    """Cut to 12 bits, 63536 would be 1072 HU."""
    words = np.where(OUTSIDE, 63536, IMAGE)
    hu = padded(tmp_path / "s", words, PixelPaddingValue=63536, BitsStored=12, HighBit=11)
    assert (hu[OUTSIDE] == -1024).all()
    assert np.array_equal(hu[~OUTSIDE], IMAGE[~OUTSIDE] - 1024.0)


def test_a_range_of_padding(tmp_path: Path) -> None:
    words = np.where(OUTSIDE, np.where(COLUMN < 10, 63000, 63536), IMAGE)
    limits = {"PixelPaddingValue": 63536, "PixelPaddingRangeLimit": 63000}
    hu = padded(tmp_path / "s", words, **limits)
    assert (hu[OUTSIDE] == -1024).all()


@pytest.mark.parametrize("modality", ["MR", "PT"])
def test_other_images_have_no_signal_there(tmp_path: Path, modality: str) -> None:
    words = np.where(OUTSIDE, 4095, IMAGE)
    header = {"PixelPaddingValue": 4095, "Modality": modality, "RescaleSlope": "2"}
    found = padded(tmp_path / "s", words, modality="MR", RescaleIntercept="0", **header)
    least = 0 if modality == "MR" else 2 * IMAGE[~OUTSIDE].min()
    assert (found[OUTSIDE] == least).all()
    assert np.array_equal(found[~OUTSIDE], 2.0 * IMAGE[~OUTSIDE])


def test_it_is_found_before_the_image_is_inverted(tmp_path: Path) -> None:
    words = np.where(OUTSIDE, 0, 4095 - IMAGE)
    header = {"PixelPaddingValue": 0, "PhotometricInterpretation": "MONOCHROME1"}
    found = padded(tmp_path / "s", words, modality="MR", BitsStored=12, HighBit=11, **header)
    assert (found[OUTSIDE] == 0).all()
    assert np.array_equal(found[~OUTSIDE], IMAGE[~OUTSIDE])


def test_an_enhanced_file(tmp_path: Path) -> None:
    words = np.where(OUTSIDE, 4095, IMAGE)

    def change(ds: Dataset, k: int) -> None:
        ds.PixelData = words[:, :, k].T.astype("<u2").tobytes()

    plain = make_series(tmp_path / "plain", shape=SHAPE, changes=change)

    def edit(ds: Dataset, frames: list[Dataset]) -> None:
        ds.add_new("PixelPaddingValue", "US", 4095)
        for frame in frames:
            frame.PixelValueTransformationSequence[0].RescaleSlope = "1"

    path = tmp_path / "enhanced.dcm"
    save_enhanced([dcmread(part) for part in plain], path, order=(2, 0, 1), edit=edit)
    found = read_dicom(path).volume.voxels
    assert (found[OUTSIDE] == 0).all()
    assert np.array_equal(found[~OUTSIDE], IMAGE[~OUTSIDE] + 5.0)


def test_water_that_the_header_calls_padding_is_kept_and_told(tmp_path: Path) -> None:
    """Some headers name 0 with signed HU; every voxel of water would become a hole."""
    words = np.where(OUTSIDE, -1000, IMAGE - 1100)
    assert ((words == 0) & ~OUTSIDE).any()
    header = {"PixelRepresentation": 1, "RescaleIntercept": "0", "PixelPaddingValue": 0}
    assert np.array_equal(padded(tmp_path / "s", words, **header), words)
    (said,) = read_dicom(tmp_path / "s").warnings
    assert "have the value that marks padding" in said


def test_nothing_but_padding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="every pixel is marked as padding"):
        padded(tmp_path / "s", np.zeros(SHAPE, dtype=int), PixelPaddingValue=0)


def test_without_the_attribute_values_stay(tmp_path: Path) -> None:
    words = np.where(OUTSIDE, 63536, IMAGE)
    assert (padded(tmp_path / "s", words)[OUTSIDE] == 63536 - 1024).all()
