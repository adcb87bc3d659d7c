"""Laws of derived series other than CT from MR: their class, and what they keep and never say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.derive import DerivedSeries, derive_series
from medcyclegan.io.dicom.kinds import Encoding, KindName
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import RasterSourceHeader, Scan
from tests.dicom_derived import derivation
from tests.dicom_factory import make_series
from tests.radiographs import WINDOW, write_radiograph

SHAPE = (6, 5, 3)
EXPOSURE = {
    "KVP": "120", "XRayTubeCurrent": "240", "ConvolutionKernel": "B30f", "CTDIvol": 12.5,
    "ContrastBolusAgent": "Iodine", "GantryDetectorTilt": "0",
}  # fmt: skip


def derived(
    scan: Scan, kind: KindName, value_range: tuple[float, float] | None = None
) -> DerivedSeries:
    how = replace(derivation(), kind=kind, value_range=value_range)
    return derive_series(scan.volume.geometry, source_header=scan.source_header, derivation=how)


def first(scan: Scan, kind: KindName, value_range: tuple[float, float] | None = None) -> Dataset:
    return derived(scan, kind, value_range).slices[0][1]


def read_ct(folder: Path, **attributes: object) -> Scan:
    def change(ds: Dataset, k: int) -> None:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)
        ds.Exposure = str(100 + k)  # tube current modulation

    make_series(folder, shape=SHAPE, modality="CT", changes=change)
    return read_scan(folder)


def radiograph(folder: Path, **how: object) -> Scan:
    return read_scan(write_radiograph(folder, **how))  # type: ignore[arg-type]


def test_a_ct_from_a_ct_keeps_its_exposure_slice_by_slice(tmp_path: Path) -> None:
    series = derived(read_ct(tmp_path / "ct", **EXPOSURE), "CT")
    for k, ds in series.slices:
        assert ds.SOPClassUID == CTImageStorage
        assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
        assert {name: str(ds[name].value) for name in EXPOSURE} == {
            name: str(value) for name, value in EXPOSURE.items()
        }
        assert ds.Exposure == 100 + k
        assert str(ds.WindowCenter) == "600."  # the source's, to the character
        assert ds.SyntheticData == "YES"


def test_a_ct_from_an_mr_or_an_mr_from_a_ct_tells_no_exposure(tmp_path: Path) -> None:
    ct = read_ct(tmp_path / "ct", **EXPOSURE)
    assert all(name in ct.source_header.slices[0] for name in EXPOSURE)  # type: ignore[union-attr]
    mr = first(ct, "MR")
    assert [name for name in EXPOSURE if name in mr] == []
    make_series(tmp_path / "mr", shape=SHAPE)
    sct = first(read_scan(tmp_path / "mr"), "CT")
    assert sct["KVP"].is_empty
    assert "Exposure" not in sct


def test_odd_values_of_an_exposure_are_left_out_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with disable_value_validation():
        scan = read_ct(tmp_path / "ct", ConvolutionKernel="longer than 16 characters")
    ds = first(scan, "CT")
    assert "ConvolutionKernel" not in ds
    assert ds["KVP"].value == 120
    assert [r.getMessage() for r in caplog.records if "ConvolutionKernel" in r.getMessage()] == [
        "ConvolutionKernel of the source is not valid for DICOM: left out"
    ]


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_an_mr_that_was_not_acquired_invents_no_sequence(tmp_path: Path, modality: str) -> None:
    make_series(tmp_path / "in", shape=SHAPE, modality=modality)
    scan = read_scan(tmp_path / "in")
    ds = first(scan, "MR", (0.0, 1000.0))
    assert (ds.SOPClassUID, ds.Modality) == (MRImageStorage, "MR")
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
    assert (ds.ScanningSequence, ds.SequenceVariant) == ("RM", "NONE")
    for keyword in ("RepetitionTime", "EchoTime", "EchoTrainLength", "MRAcquisitionType"):
        assert ds[keyword].is_empty
    for keyword in ("MagneticFieldStrength", "FlipAngle", "RescaleType", "KVP", "InversionTime"):
        assert keyword not in ds
    assert (ds.BitsStored, ds.PixelRepresentation) == (12, 0)


def test_signal_fills_twelve_bits_on_one_scale() -> None:
    encoding = Encoding(12, 0, 4095, 1000.0 / 4095)
    voxels = np.array([-5.0, 0.0, 500.0, 1000.0, 1200.0], dtype=np.float32)
    assert encoding.stored(voxels).tolist() == [0, 0, 2048, 4095, 4095]
    assert encoding.stored(voxels).dtype == np.uint16
    hu = Encoding(16, -1024, 3071)
    assert hu.stored(np.array([-2000.0, -0.6, 40.4], dtype=np.float32)).tolist() == [-1024, -1, 40]


@pytest.mark.parametrize(
    ("modality", "sop_class"),
    [("CR", ComputedRadiographyImageStorage), ("DX", DigitalXRayImageStorageForPresentation)],
)
def test_a_radiograph_stays_in_its_class(tmp_path: Path, modality: str, sop_class: str) -> None:
    scan = radiograph(tmp_path / "xr", modality=modality)
    ds = first(scan, "XR", (0.0, 1000.0))
    assert (ds.SOPClassUID, ds.Modality) == (sop_class, modality)
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY"]
    assert list(ds.PatientOrientation) == ["L", "F"]
    assert (ds.KVP, ds.BodyPartExamined, ds.BitsStored) == (125, "CHEST", 12)
    assert (ds.WindowCenter, ds.WindowWidth) == (2048, 4096)
    for keyword in ("ImagePositionPatient", "FrameOfReferenceUID", "PatientPosition"):
        assert keyword not in ds
    assert ds.SourceImageSequence[0].ReferencedSOPClassUID == sop_class


@pytest.mark.parametrize("inverted", [False, True])
def test_the_window_is_kept_where_values_mean_what_they_meant(
    tmp_path: Path, inverted: bool
) -> None:
    scan = radiograph(tmp_path / "xr", inverted=inverted)
    for value_range in (None, (0.0, 4095.0)):
        series = derived(scan, "XR", value_range)
        ds, encoding = series.slices[0][1], series.kind.encoding
        assert float(ds.WindowWidth) == float(WINDOW[1])
        stored = encoding.stored(scan.volume.voxels).astype(float)
        assert np.array_equal(stored, scan.volume.voxels)
        shown = _windowed(stored, float(ds.WindowCenter), float(ds.WindowWidth))
        source = 4095.0 - scan.volume.voxels if inverted else scan.volume.voxels
        was = _windowed(source, float(WINDOW[0]), float(WINDOW[1]))
        np.testing.assert_allclose(shown, 1.0 - was if inverted else was, atol=1e-6)
    # The control: a centre that is not turned shows another picture.
    if inverted:
        wrong = _windowed(stored, float(WINDOW[0]), float(WINDOW[1]))
        assert np.abs(wrong - (1.0 - was)).max() > 0.5


def _windowed(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, to 0..1."""
    return np.clip((values - (centre - 0.5)) / (width - 1.0) + 0.5, 0.0, 1.0)


def test_spacings_of_zero_are_not_carried_on(tmp_path: Path) -> None:
    path = write_radiograph(tmp_path / "xr")
    scan = read_scan(path)
    assert "PixelSpacing" in first(scan, "XR")
    scan.source_header.slices[0].PixelSpacing = ["0.000", "0.000"]  # type: ignore[union-attr]
    assert "PixelSpacing" not in first(scan, "XR")


def test_grey_values_of_no_class_are_a_secondary_capture(tmp_path: Path) -> None:
    from_xr = first(radiograph(tmp_path / "xr"), "SC", (0.0, 255.0))
    make_series(tmp_path / "mr", shape=SHAPE)
    from_mr = first(read_scan(tmp_path / "mr"), "SC", (0.0, 255.0))
    from_picture = derive_series(
        radiograph(tmp_path / "xr2").volume.geometry,
        source_header=RasterSourceHeader("uint8", "PNG"),
        derivation=replace(derivation(), kind="SC", value_range=(0.0, 255.0)),
    ).slices[0][1]
    for ds in (from_xr, from_mr, from_picture):
        assert (ds.SOPClassUID, ds.Modality) == (SecondaryCaptureImageStorage, "OT")
        assert ds.ConversionType == "WSD"
        assert "RescaleType" not in ds
    assert "ImagePositionPatient" in from_mr  # the place is kept where there is one
    assert "ImagePositionPatient" not in from_xr
    assert "ImagePositionPatient" not in from_picture
    assert from_picture.BitsStored == 16


@pytest.mark.parametrize("kind", ["CT", "MR"])
def test_what_lies_in_space_is_not_made_of_what_does_not(tmp_path: Path, kind: KindName) -> None:
    with pytest.raises(InputRefused, match="no place in space"):
        first(radiograph(tmp_path / "xr"), kind)


def test_an_unknown_kind_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(MedcycleganError, match="'PT'"):
        first(radiograph(tmp_path / "xr"), "PT")  # type: ignore[arg-type]


@pytest.mark.parametrize("width", ["0", "0.5", "-400"])
def test_a_window_that_dicom_does_not_allow_is_not_kept(tmp_path: Path, width: str) -> None:
    def change(ds: Dataset, _: int) -> None:
        ds.WindowCenter, ds.WindowWidth = "600", width

    make_series(tmp_path / "ct", shape=SHAPE, modality="CT", changes=change)
    for _, ds in derived(read_scan(tmp_path / "ct", modality="CT"), "CT").slices:
        assert (ds.WindowCenter, ds.WindowWidth) == (40, 400)
