"""What a damaged header makes of a value never reaches a message."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import shown
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME, make_series

SHAPE = (8, 6, 3)


def change_all(folder: Path, change: Callable[[bytes], bytes]) -> None:
    for path in make_series(folder, shape=SHAPE):
        path.write_bytes(change(path.read_bytes()))


def hold_refused(folder: Path, word: str) -> None:
    with pytest.raises(InputRefused, match=word) as caught:
        read_dicom(folder, modality="MR")
    message = str(caught.value)
    assert PATIENT_NAME not in message
    assert PATIENT_ID not in message
    assert message.isprintable()
    assert len(message) < 500


def test_a_name_in_a_numeric_type_is_refused_and_not_shown(tmp_path: Path) -> None:
    """pydicom quotes the bytes in an error that is none of the usual ones."""
    change_all(tmp_path / "s", lambda data: data.replace(b"\x10\0\x10\0PN", b"\x10\0\x10\0UL", 1))
    hold_refused(tmp_path / "s", "PatientName cannot be decoded")


def test_a_length_that_swallows_the_patient_is_not_shown(tmp_path: Path) -> None:
    mark = b"\x08\0\x60\0CS"

    def lengthen(data: bytes) -> bytes:
        at = data.index(mark) + len(mark)
        end = data.index(b"\x28\0\x02\0US")
        return data[:at] + struct.pack("<H", end - at - 2) + data[at + 2 :]

    change_all(tmp_path / "s", lengthen)
    hold_refused(tmp_path / "s", "not shown")


@pytest.mark.parametrize("value", ["MR", "1.2.840.10008.1.2", "95.0 ms", "HEAD_1", "a\\b"])
def test_codes_and_uids_are_shown(value: str) -> None:
    assert shown(value) == value


@pytest.mark.parametrize("value", ["M" * 65, "\x1b[31m", "Secret^Person", "a\nb"])
def test_others_are_not(value: str) -> None:
    assert value not in shown(value)


def test_free_text_is_one_line() -> None:
    assert shown("t1_mprage (sag)*", is_code=False) == "t1_mprage (sag)*"
    assert "not shown" in shown("a\nb", is_code=False)
    assert "not shown" in shown("a" * 65, is_code=False)
    assert shown("") == "none"


def test_a_series_uid_for_each_slice_is_told_in_a_few_lines(tmp_path: Path) -> None:
    def apart(ds: Dataset, k: int) -> None:
        ds.SeriesInstanceUID = f"2.25.{k + 1}"

    make_series(tmp_path / "s", shape=(8, 6, 40), changes=apart)
    with pytest.raises(InputRefused, match="40 MR files, each with a SeriesInstanceUID") as refused:
        read_dicom(tmp_path, modality="MR")
    assert len(str(refused.value)) < 400 + len(str(tmp_path))
    assert "--series" not in str(refused.value)


def test_a_long_list_of_series_is_cut(tmp_path: Path) -> None:
    for number in range(23):
        make_series(tmp_path / f"s{number}", shape=(8, 6, 2))
    with pytest.raises(InputRefused, match="23 MR series") as refused:
        read_dicom(tmp_path, modality="MR")
    assert str(refused.value).count(": 2 slices") == 20
    assert "and 3 more" in str(refused.value)


def test_a_radiograph_is_asked_for_by_modalities_that_dicom_has(tmp_path: Path) -> None:
    make_series(tmp_path / "s", shape=(8, 6, 2))
    with pytest.raises(InputRefused, match="none of CR or DX") as refused:
        read_dicom(tmp_path, modality="XR")
    assert "XR" not in str(refused.value).replace(str(tmp_path), "")


def test_a_missing_photometric_interpretation_is_no_colour(tmp_path: Path) -> None:
    def without(ds: Dataset, k: int) -> None:
        del ds.PhotometricInterpretation

    make_series(tmp_path / "s", shape=(8, 6, 5), changes=without)
    with pytest.raises(InputRefused, match="has no PhotometricInterpretation") as refused:
        read_dicom(tmp_path / "s")
    assert "colour" not in str(refused.value)
