"""Written series of every kind, held against the validators, other readers and a DICOM node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from numpy.typing import NDArray
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

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct
from tests.dicom_conformance import (
    ITK_TOLERANCE_MM,
    NIFTI_TOLERANCE_MM,
    module_faults,
    send,
    validator_errors,
    with_dcm2niix,
    with_pydicom,
    with_simpleitk,
    worst,
)
from tests.dicom_derived import NO_DICOM, derivation, sources, texts, write_fake
from tests.dicom_factory import Change, make_series, pattern
from tests.io.dicom.test_frames import make_enhanced
from tests.peers import storage_node

SHAPE = (7, 5, 4)
PLANES = {"axial": "LPS", "sagittal": "PIR", "coronal": "LIP"}
# PatientPosition, and the axial grid as a scanner gives it there.
POSITIONS = {"HFS": "LPS", "HFP": "RAS", "FFS": "LPI", "FFP": "RAI", "HFDR": "PRS", "FFDL": "ALI"}
SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
    "jpeg": JPEGLosslessSV1,
    "jpeg-ls": JPEGLSLossless,
    "j2k": JPEG2000Lossless,
}
NAMES: dict[str, tuple[str | list[str], str]] = {
    "latin-1": ("ISO_IR 100", "Müller^Jörg"),
    "utf-8": ("ISO_IR 192", "Łukasz^Ω"),
    "japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "japanese, half width": (
        ["ISO 2022 IR 13", "ISO 2022 IR 87"],
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
}


def grid(codes: str, *, tilt_deg: float = 0.0) -> NDArray[np.float64]:
    """(4, 4) RAS affine of SHAPE whose axes run as the codes say, turned about R and then A."""
    steps = np.diag([0.9375, 1.25, 2.5, 1.0])
    turned = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(tuple(codes)))
    inverse = ornt_transform(axcodes2ornt(tuple(codes)), axcodes2ornt("RAS"))
    size = np.array(SHAPE)[inverse[:, 0].astype(int).argsort()]
    affine = inv_ornt_aff(turned, tuple(size[turned[:, 0].astype(int).argsort()]))
    cos, sin = np.cos(np.deg2rad(tilt_deg)), np.sin(np.deg2rad(tilt_deg))
    about_r = np.array([[1, 0, 0, 0], [0, cos, -sin, 0], [0, sin, cos, 0], [0, 0, 0, 1]])
    about_a = np.array([[cos, 0, sin, 0], [0, 1, 0, 0], [-sin, 0, cos, 0], [0, 0, 0, 1]])
    place = np.eye(4)
    place[:3, 3] = (9.1, -14.37, 31.25)
    directions = np.eye(4)
    directions[:3, :3] = affine[:3, :3]
    return np.asarray(place @ about_a @ about_r @ directions @ steps)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    folder = tmp_path_factory.mktemp("node")
    with storage_node(folder) as port:
        yield port, folder


def check(mr: list[Path], folder: Path, node: tuple[int, Path]) -> None:
    """Derive a CT from the series of ``mr``, and hold it against everything."""
    scan = read_dicom(mr[0].parent)
    expected = write_fake(scan, folder)
    check_written(folder, expected, scan.volume.geometry, mr, node)
    for k, source in enumerate(sources(scan)):
        ds = next(d for d in map(dcmread, folder.glob("*.dcm")) if refers(d, k, sources(scan)))
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"):
            assert texts(ds, keyword) == texts(source, keyword)


def refers(ds: Dataset, k: int, slices: tuple[Dataset, ...]) -> bool:
    """Whether a derived slice lies where slice k of the source does."""
    return bool(ds.ImagePositionPatient == slices[k].ImagePositionPatient)


def check_written(
    folder: Path,
    expected: NDArray[np.float32],
    geometry: Geometry,
    mr: list[Path],
    node: tuple[int, Path],
) -> None:
    """Validators, three readers and a node, over a series that is in ``folder``."""
    assert validator_errors(folder, mr) == []
    readers = {
        "pydicom": (with_pydicom(folder), ITK_TOLERANCE_MM),
        "SimpleITK": (with_simpleitk(folder), ITK_TOLERANCE_MM),
        "dcm2niix": (with_dcm2niix(folder, folder.with_name("nifti")), NIFTI_TOLERANCE_MM),
    }
    for name, (image, tolerance_mm) in readers.items():
        hu, mm = worst(image, expected, geometry)
        assert (name, hu) == (name, 0.0)
        assert mm < tolerance_mm, name
    port, stored = node
    assert send(folder, port) == ""
    for path in folder.glob("*.dcm"):
        ds = dcmread(path)
        (there,) = stored.glob(f"*{ds.SOPInstanceUID}*")
        assert dcmread(there) == ds
        there.unlink()


@pytest.mark.parametrize("tilt_deg", [0.0, 17.0])
@pytest.mark.parametrize("plane", PLANES)
def test_planes(tmp_path: Path, node: tuple[int, Path], plane: str, tilt_deg: float) -> None:
    affine = grid(PLANES[plane], tilt_deg=tilt_deg)
    check(make_series(tmp_path / "mr", shape=SHAPE, affine_ras=affine), tmp_path / "ct", node)


@pytest.mark.parametrize("position", POSITIONS)
def test_positions(tmp_path: Path, node: tuple[int, Path], position: str) -> None:
    def lay(ds: Dataset, _: int) -> None:
        ds.PatientPosition = position

    affine = grid(POSITIONS[position])
    paths = make_series(tmp_path / "mr", shape=SHAPE, affine_ras=affine, changes=lay)
    check(paths, tmp_path / "ct", node)


@pytest.mark.parametrize("name", NAMES)
def test_names(tmp_path: Path, node: tuple[int, Path], name: str) -> None:
    def christen(ds: Dataset, _: int) -> None:
        ds.SpecificCharacterSet, ds.PatientName = NAMES[name]

    check(series_of(tmp_path, changes=christen), tmp_path / "ct", node)
    (path, *_) = sorted((tmp_path / "ct").glob("*.dcm"))
    assert dcmread(path).PatientName == NAMES[name][1]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_transfer_syntaxes(tmp_path: Path, node: tuple[int, Path], syntax: str) -> None:
    check(series_of(tmp_path, syntax=SYNTAXES[syntax]), tmp_path / "ct", node)


def series_of(
    tmp_path: Path, *, syntax: UID = ExplicitVRLittleEndian, changes: Change | None = None
) -> list[Path]:
    """A small axial MR series."""
    # GDCM's encoder of JPEG 2000 writes beyond its memory for images of a few pixels.
    shape = (20, 24, SHAPE[2]) if syntax == JPEG2000Lossless else SHAPE
    return make_series(tmp_path / "mr", shape=shape, transfer_syntax=syntax, changes=changes)


def test_an_enhanced_source(tmp_path: Path, node: tuple[int, Path]) -> None:
    path = make_enhanced(tmp_path)
    scan = read_dicom(path)
    expected = write_fake(scan, tmp_path / "ct")
    check_written(tmp_path / "ct", expected, scan.volume.geometry, [path], node)


@pytest.mark.parametrize("codes", ["LPS", "RAS", "LPI", "PIR", "LIP", "SAL"])
@pytest.mark.parametrize("tilt_deg", [0.0, 17.0])
def test_sources_without_dicom(
    tmp_path: Path, node: tuple[int, Path], codes: str, tilt_deg: float
) -> None:
    geometry = Geometry(SHAPE, grid(codes, tilt_deg=tilt_deg))
    voxels = pattern(SHAPE).astype(np.float32) - 1000
    volume = Volume(voxels, geometry, "HU")
    write_dicom_ct(volume, source_header=NO_DICOM, to=tmp_path / "ct", derivation=derivation())
    check_written(tmp_path / "ct", voxels, geometry, [], node)


# Controls: what the checks are there to find


@pytest.mark.parametrize(
    "keyword",
    ["KVP", "ImageType", "PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "PixelSpacing",
     "AccessionNumber", "Manufacturer", "RescaleSlope", "SOPInstanceUID"],
)  # fmt: skip
def test_the_tables_find_what_is_missing(tmp_path: Path, keyword: str) -> None:
    series_of(tmp_path)
    write_fake(read_dicom(tmp_path / "mr"), tmp_path / "ct")
    ds = dcmread(tmp_path / "ct" / "CT_0001.dcm")
    assert module_faults(ds) == []
    del ds[keyword]
    assert [fault for fault in module_faults(ds) if keyword in fault]


def test_the_readers_find_a_wrong_value_and_a_wrong_place(tmp_path: Path) -> None:
    series_of(tmp_path)
    scan = read_dicom(tmp_path / "mr")
    expected = write_fake(scan, tmp_path / "ct")
    folder, geometry = tmp_path / "ct", scan.volume.geometry
    path = folder / "CT_0002.dcm"
    ds = dcmread(path)
    ds.RescaleIntercept = "1"
    ds.save_as(path)
    images = with_pydicom(folder), with_simpleitk(folder), with_dcm2niix(folder, tmp_path / "n")
    assert [worst(image, expected, geometry)[0] for image in images] == [1.0, 1.0, 1.0]
    moved = Geometry(geometry.shape, geometry.affine_ras + np.eye(4, k=3) * 0.01)
    assert [worst(image, expected, moved)[1] for image in images] == [
        pytest.approx(0.01, abs=1e-4)
    ] * 3


def test_dcentvfy_finds_another_patient(tmp_path: Path) -> None:
    mr = series_of(tmp_path)
    write_fake(read_dicom(tmp_path / "mr"), tmp_path / "ct")
    path = tmp_path / "ct" / "CT_0003.dcm"
    ds = dcmread(path)
    ds.PatientName = "Other^Name"
    ds.save_as(path)
    assert [error for error in validator_errors(tmp_path / "ct", mr) if "PatientName" in error]


def test_the_one_exception_of_dciodvfy_is_an_attribute_of_the_standard() -> None:
    ds = Dataset()
    ds.SyntheticData = "YES"
    assert str(ds["SyntheticData"].tag) == "(0008,001C)"
