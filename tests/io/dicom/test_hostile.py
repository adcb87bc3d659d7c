"""Damaged and hostile files end in our own error, within bounded memory."""

from __future__ import annotations

import io
import struct
import tracemalloc
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
)

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_factory import make_series, pattern

SHAPE = (8, 6, 3)


def test_truncated_header(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    whole = paths[2].read_bytes()
    for share in (0.2, 0.4, 0.6, 0.8):
        paths[2].write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(InputRefused, match="IM0002"):
            read_dicom(tmp_path / "s")


@pytest.mark.parametrize("syntax", ["1.2.840.113619.5.2", "1.2.3.4", ""])
def test_unknown_transfer_syntax(tmp_path: Path, syntax: str) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    for path in paths:
        ds = dcmread(path)
        del ds.file_meta.TransferSyntaxUID
        if syntax:
            ds.file_meta.TransferSyntaxUID = UID(syntax)
        ds.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    with pytest.raises(InputRefused, match="transfer syntax is"):
        read_dicom(tmp_path / "s")


def test_foreign_transfer_syntax_of_another_series_does_no_harm(tmp_path: Path) -> None:
    make_series(tmp_path / "mr", shape=SHAPE)
    for path in make_series(tmp_path / "ct", shape=SHAPE, modality="CT"):
        ds = dcmread(path)
        ds.file_meta.TransferSyntaxUID = UID("1.2.3.4")
        ds.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    assert np.array_equal(read_dicom(tmp_path, modality="MR").volume.voxels, pattern(SHAPE))


@pytest.mark.parametrize("depth", [500, 5000])
def test_deeply_nested_sequences(tmp_path: Path, depth: int) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    tag = struct.pack("<HH", 0x0008, 0x1140)
    opened = tag + b"SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    closed = b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0"
    for path in paths:
        _insert_before(path, b"\x10\x00\x10\x00PN", opened * depth + closed * depth)
    with pytest.raises(InputRefused, match="cannot be read as DICOM"):
        read_dicom(tmp_path / "s")


def test_deflate_bomb_takes_bounded_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = 2**20
    monkeypatch.setattr("medcyclegan.io.dicom.header.MAX_INFLATED_BYTES", limit)
    make_series(tmp_path / "s", shape=SHAPE, transfer_syntax=DeflatedExplicitVRLittleEndian)
    assert read_dicom(tmp_path / "s").volume.voxels.shape == SHAPE
    paths = make_series(tmp_path / "bomb", shape=SHAPE)
    engine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    head, body = _split_meta(paths[0], DeflatedExplicitVRLittleEndian)
    paths[0].write_bytes(head + engine.compress(body + bytes(64 * limit)) + engine.flush())
    tracemalloc.start()
    with pytest.raises(InputRefused, match="inflates to more than"):
        read_dicom(tmp_path / "bomb")
    assert tracemalloc.get_traced_memory()[1] < 16 * limit
    tracemalloc.stop()


def test_absurd_element_length_takes_no_memory(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    huge = struct.pack("<HH2sHI", 0x0009, 0x0010, b"OB", 0, 0xFFFFFFF0)
    _insert_before(paths[0], b"\x10\x00\x10\x00PN", huge)
    tracemalloc.start()
    with pytest.raises(InputRefused, match="longer than the file"):
        read_dicom(tmp_path / "s")
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_odd_values_warn_nobody(tmp_path: Path) -> None:
    """pydicom warns of values that break their representation; the reader keeps that back."""

    def odd(ds: Dataset, k: int) -> None:
        ds.add_new("SliceThickness", "DS", "2.5")
        ds["SliceThickness"]._value = "2.50000000000000000000001"
        ds["PatientAge"]._value = "fifty"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make_series(tmp_path / "s", shape=(8, 6, 1), changes=odd)
    assert read_dicom(tmp_path / "s").volume.voxels.shape == (8, 6, 1)


def test_text_where_a_number_should_be(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    whole = paths[0].read_bytes()
    at = whole.index(b"\\-14.3700")
    paths[0].write_bytes(whole[: at + 1] + b"nonsense" + whole[at + 9 :])
    with pytest.raises(InputRefused, match="ImagePositionPatient is no number"):
        read_dicom(tmp_path / "s")


def _insert_before(path: Path, mark: bytes, extra: bytes) -> None:
    whole = path.read_bytes()
    at = whole.index(mark)
    path.write_bytes(whole[:at] + extra + whole[at:])


def _split_meta(path: Path, syntax: UID) -> tuple[bytes, bytes]:
    """The bytes of preamble and file meta with another syntax, and the bytes of the data set."""
    ds = dcmread(path)
    explicit = path.read_bytes()
    body = explicit[explicit.index(b"\x08\x00\x05\x00CS") :]
    ds.file_meta.TransferSyntaxUID = syntax
    head = io.BytesIO()
    ds.save_as(head, enforce_file_format=True)
    meta_end = 132 + 12 + struct.unpack("<I", head.getvalue()[140:144])[0]
    return head.getvalue()[:meta_end], body
