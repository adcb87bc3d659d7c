"""Bits above those that are stored are no part of a value, in whatever way pixels are encoded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_factory import make_series

SHAPE = (20, 24, 2)
SYNTAXES = (
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
)
every_syntax = pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
either_sign = pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])


def values(*, signed: bool, bits: int = 12) -> NDArray[np.int64]:
    """(i, j, k) over all that the bits hold."""
    i, j, k = np.indices(SHAPE)
    found = (37 * (i + j) + 1213 * k) % 2**bits
    return np.asarray(found - 2 ** (bits - 1) if signed else found)


def coded(folder: Path, words: NDArray[np.int64], syntax: UID, *, signed: bool) -> list[Path]:
    """Store whole words of 16 bits."""

    def change(ds: Dataset, k: int) -> None:
        ds.PixelData = (words[:, :, k].T & 0xFFFF).astype("<u2").tobytes()
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, int(signed)

    return make_series(folder, shape=SHAPE, transfer_syntax=syntax, changes=change)


def say_bits(paths: list[Path], *, stored: int, high: int) -> None:
    """Let the header tell which bits of the words are the value."""
    for path in paths:
        ds = dcmread(path)
        ds.BitsStored, ds.HighBit = stored, high
        ds.save_as(path)


@every_syntax
@either_sign
@pytest.mark.parametrize("planes", [0x1000, 0x5000, 0xF000], ids=hex)
def test_overlays_in_unused_bits(tmp_path: Path, syntax: UID, signed: bool, planes: int) -> None:
    expected = values(signed=signed)
    overlay = np.where(np.indices(SHAPE).sum(axis=0) % 3 == 0, planes, 0)
    paths = coded(tmp_path / "s", (expected & 0xFFF) | overlay, syntax, signed=signed)
    say_bits(paths, stored=12, high=11)
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, expected)


@every_syntax
@either_sign
def test_values_above_unused_bits(tmp_path: Path, syntax: UID, signed: bool) -> None:
    expected = values(signed=signed)
    paths = coded(tmp_path / "s", (expected << 4) | 0b0101, syntax, signed=signed)
    say_bits(paths, stored=12, high=15)
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, expected)


def as_jpeg_ls(paths: list[Path]) -> None:
    """Encode with as many bits a sample as are stored."""
    for path in paths:
        ds = dcmread(path)
        ds.compress(JPEGLSLossless, generate_instance_uid=False)
        ds.save_as(path)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@either_sign
def test_jpeg_ls_of_that_precision(tmp_path: Path, bits: int, signed: bool) -> None:
    """A codestream of JPEG-LS does not tell the sign."""
    expected = values(signed=signed, bits=bits)
    paths = coded(tmp_path / "s", expected, ExplicitVRLittleEndian, signed=signed)
    say_bits(paths, stored=bits, high=bits - 1)
    as_jpeg_ls(paths)
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, expected)


@either_sign
def test_a_high_bit_that_the_codestream_does_not_have(tmp_path: Path, signed: bool) -> None:
    """Then the header speaks of the words before they were coded, as some converters leave it."""
    expected = values(signed=signed)
    paths = coded(tmp_path / "s", expected, ExplicitVRLittleEndian, signed=signed)
    say_bits(paths, stored=12, high=11)
    as_jpeg_ls(paths)
    say_bits(paths, stored=12, high=15)
    assert np.array_equal(read_dicom(tmp_path / "s").volume.voxels, expected)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=lambda uid: uid.name)
def test_values_that_do_not_begin_at_bit_0_are_said(tmp_path: Path, syntax: UID) -> None:
    paths = coded(tmp_path, values(signed=False), syntax, signed=False)
    say_bits(paths, stored=12, high=11)
    assert read_dicom(tmp_path).warnings == ()  # the control
    say_bits(paths, stored=12, high=15)
    (said,) = read_dicom(tmp_path).warnings
    assert "HighBit is 15" in said
    assert "from bit 4" in said


def test_a_codestream_tells_itself_where_its_values_are(tmp_path: Path) -> None:
    paths = coded(tmp_path, values(signed=False), JPEGLSLossless, signed=False)
    say_bits(paths, stored=12, high=15)
    assert read_dicom(tmp_path).warnings == ()
