"""Laws of the derived data sets: what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.derive import derive_series
from medcyclegan.io.scan import Scan
from tests.dicom_derived import (
    derivation,
    derive,
    read_changed,
    sources,
)

Read = Callable[..., Scan]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return partial(read_changed, tmp_path)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "n" * 65),
        ("PatientID", "i" * 300),
        ("PatientID", "a\\b"),
        ("PatientID", "a\x00b"),
        ("PatientBirthDate", "1970/01/01"),
        ("AccessionNumber", "a" * 17),
        ("StudyTime", "noon"),
        ("PatientSex", "female"),
    ],
)
def test_a_required_value_that_breaks_its_limits_is_refused(
    read: Read, keyword: str, value: str
) -> None:
    scan = read()
    for ds in sources(scan):
        ds[keyword]._value = value.split("\\") if "\\" in value else value
    with pytest.raises(InputRefused, match=keyword) as caught:
        derive(scan)
    assert value not in str(caught.value)


def test_a_position_of_too_many_digits_is_refused(read: Read) -> None:
    scan = read()
    value = sources(scan)[1].ImagePositionPatient[0]
    value.original_string = "-9.1000000000000001"
    with pytest.raises(InputRefused, match="ImagePositionPatient"):
        derive(scan)


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientAge", "0Y"), ("StudyDescription", "s" * 65)]
)
def test_an_optional_value_that_breaks_its_limits_is_left_out_and_told(
    read: Read, caplog: pytest.LogCaptureFixture, keyword: str, value: str
) -> None:
    scan = read(StudyDescription="head")
    assert keyword in derive(scan)[0]
    for ds in sources(scan):
        ds[keyword]._value = value
    with caplog.at_level(logging.WARNING):
        assert keyword not in derive(scan)[0]
    assert keyword in caplog.text
    assert value not in caplog.text


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
def test_a_source_without_its_uids_is_refused(read: Read, keyword: str) -> None:
    scan = read()
    for ds in sources(scan):
        delattr(ds, keyword)
    with pytest.raises(InputRefused, match=keyword):
        derive(scan)


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "SOPInstanceUID"])
def test_a_uid_that_is_none_is_refused(read: Read, keyword: str) -> None:
    scan = read()
    for ds in sources(scan):
        ds[keyword]._value = "1.2.abc"
    with pytest.raises(InputRefused, match=keyword):
        derive(scan)


def test_a_value_of_a_wrong_type_is_refused(read: Read) -> None:
    scan = read()
    for ds in sources(scan):
        ds["PatientID"].VR = "OB"
    with pytest.raises(InputRefused, match="PatientID"):
        derive(scan)


@pytest.mark.parametrize("change", ["flipped", "shifted", "fewer", "wider"])
def test_another_grid_is_refused(read: Read, change: str) -> None:
    scan = read()
    grid = scan.volume.geometry
    affine = np.array(grid.affine_ras)
    shape = grid.shape
    if change == "flipped":
        affine[:3, 3] += affine[:3, 2] * (shape[2] - 1)
        affine[:3, 2] *= -1
    elif change == "shifted":
        affine[0, 3] += 1.0
    else:
        shape = (6, 5, 2) if change == "fewer" else (7, 5, 3)
    with pytest.raises(MedcycleganError, match=r"[Ss]lice"):
        derive_series(
            Geometry(shape, affine), source_header=scan.source_header, derivation=derivation()
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_name", "modèle"),
        ("model_name", "a\\b"),
        ("software_version", "1\n2"),
        ("series_label", "s" * 65),
        ("method", "m" * 513),
    ],
)
def test_our_own_texts_are_plain(name: str, value: str) -> None:
    with pytest.raises(MedcycleganError, match=name):
        replace(derivation(), **{name: value})  # type: ignore[arg-type]
