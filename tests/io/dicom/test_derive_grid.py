"""Laws of the derived data sets: their order, and those of sources without DICOM."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.derive import derive_series
from medcyclegan.io.scan import DicomSourceHeader, Scan
from tests.dicom_derived import (
    NO_DICOM,
    SHAPE,
    derivation,
    read_changed,
    sources,
    texts,
)
from tests.dicom_factory import axial_affine

Read = Callable[..., Scan]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return partial(read_changed, tmp_path)


def handed(sign: int) -> Geometry:
    """An oblique grid, right-handed for +1, with 4 slices."""
    angle = 0.3
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, sign]]
    )
    return geometry_from_spacing((6, 5, 4), (0.7, 0.8, 2.1), turn)


@pytest.mark.parametrize("sign", [1, -1])
def test_slices_are_numbered_along_the_normal(sign: int) -> None:
    series = derive_series(handed(sign), source_header=NO_DICOM, derivation=derivation()).slices
    assert [k for k, _ in series] == ([0, 1, 2, 3] if sign > 0 else [3, 2, 1, 0])
    cosines = np.array(series[0][1].ImageOrientationPatient, dtype=float).reshape(2, 3)
    heights = [
        float(np.cross(*cosines) @ np.array(ds.ImagePositionPatient, dtype=float))
        for _, ds in series
    ]
    assert np.allclose(np.diff(heights), 2.1, atol=1e-9)
    assert [ds.InstanceNumber for _, ds in series] == [1, 2, 3, 4]


def test_no_patient_is_invented() -> None:
    geometry = Geometry(SHAPE, axial_affine())
    (_, ds), *_ = derive_series(geometry, source_header=NO_DICOM, derivation=derivation()).slices
    for keyword in ("PatientName", "PatientID", "StudyDate", "StudyID", "PatientPosition"):
        assert ds[keyword].is_empty
    assert ds.StudyInstanceUID != ds.SeriesInstanceUID != ds.FrameOfReferenceUID
    for keyword in ("SourceImageSequence", "ReferencedSeriesSequence", "PatientAge"):
        assert keyword not in ds
    assert ds.SeriesNumber == 1000


@pytest.mark.parametrize(
    ("axes", "cosine", "is_refused"),
    [((1, 2), 0.2, True), ((0, 1), 2e-4, True), ((1, 2), 5e-4, False), ((0, 1), 5e-5, False)],
)
def test_a_sheared_grid_is_refused(axes: tuple[int, int], cosine: float, is_refused: bool) -> None:
    geometry = geometry_from_spacing(SHAPE, (1.0, 1.0, 1.0))
    affine = np.array(geometry.affine_ras)
    affine[axes] = cosine
    sheared = Geometry(SHAPE, affine)
    if not is_refused:
        assert derive_series(sheared, source_header=NO_DICOM, derivation=derivation())
        return
    with pytest.raises(InputRefused, match=r"sheared.*NIfTI"):
        derive_series(sheared, source_header=NO_DICOM, derivation=derivation())


def test_a_left_handed_source_header_is_numbered_along_the_normal(read: Read) -> None:
    scan = read()
    affine = np.array(scan.volume.geometry.affine_ras)
    affine[:3, 3] += affine[:3, 2] * (SHAPE[2] - 1)
    affine[:3, 2] *= -1
    turned = DicomSourceHeader(sources(scan)[::-1])
    series = derive_series(
        Geometry(SHAPE, affine), source_header=turned, derivation=derivation()
    ).slices
    assert [k for k, _ in series] == [2, 1, 0]
    places = [texts(ds, "ImagePositionPatient") for _, ds in series]
    assert places == [texts(ds, "ImagePositionPatient") for ds in sources(scan)]
