"""Damaged pixel data end in our own error, whatever the decoder makes of them."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_encoding import WRITTEN_BY_GDCM
from tests.dicom_factory import make_series

SHAPE = (8, 6, 3)
EVERY_KIND = (
    ExplicitVRLittleEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
)


@pytest.mark.parametrize("syntax", EVERY_KIND, ids=lambda uid: uid.name)
def test_truncated_pixel_data(tmp_path: Path, syntax: UID) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE, transfer_syntax=syntax)
    paths[1].write_bytes(paths[1].read_bytes()[:-30])
    with pytest.raises(InputRefused, match="IM0001"):
        read_dicom(tmp_path / "s")


@pytest.mark.parametrize("syntax", WRITTEN_BY_GDCM, ids=lambda uid: uid.name)
def test_codestream_larger_than_the_header_says(tmp_path: Path, syntax: UID) -> None:
    """Else a tiny file could make the decoder take any memory."""
    paths = make_series(tmp_path / "s", shape=SHAPE, transfer_syntax=syntax)
    whole = paths[0].read_bytes()
    shape = struct.pack(">HH", 6, 8)
    size = struct.pack(">II", 8, 6)
    at = whole.find(size) if syntax == JPEG2000Lossless else whole.rfind(shape)
    assert at > 0
    huge = struct.pack(">II", 60000, 60000) if syntax == JPEG2000Lossless else b"\xee\x00\xee\x00"
    paths[0].write_bytes(whole[:at] + huge + whole[at + len(huge) :])
    with pytest.raises(InputRefused, match="the header says 8 x 6 pixels"):
        read_dicom(tmp_path / "s")


@pytest.mark.parametrize("syntax", EVERY_KIND, ids=lambda uid: uid.name)
def test_random_damage_ends_in_our_error_or_success(
    tmp_path: Path, syntax: UID, capfd: pytest.CaptureFixture[str]
) -> None:
    path = make_series(tmp_path / "s", shape=(8, 6, 1), transfer_syntax=syntax)[0]
    whole = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    # A decoder in a process of its own takes a while to start.
    rounds = 12 if syntax in WRITTEN_BY_GDCM else 150
    for _ in range(rounds):
        damaged = bytearray(whole)
        for _ in range(rng.choice((1, 3, 20))):
            damaged[rng.randrange(132, len(whole))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            read_dicom(path.parent)
        except MedcycleganError:
            refused += 1
    assert 0 < refused < rounds
    out = capfd.readouterr()
    assert out.err == ""
    assert out.out == ""


def test_decoder_that_dies_costs_one_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program stands in for a decoder that crashes."""
    make_series(tmp_path / "s", shape=SHAPE, transfer_syntax=JPEGLSLossless)
    assert read_dicom(tmp_path / "s").volume.voxels.shape == SHAPE
    monkeypatch.setattr("medcyclegan.io.dicom.decoder_process.sys.executable", "/bin/false")
    with pytest.raises(InputRefused, match=r"IM0000.* cannot be decoded"):
        read_dicom(tmp_path / "s")
