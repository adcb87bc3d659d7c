"""Enhanced files: kind, bits and range as the input's; DICOM stays valid and says what was done."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from medcyclegan.errors import CannotWrite, InputRefused, UsageError
from medcyclegan.imaging.enhancement import parse_step
from medcyclegan.io.dicom.api import Derivation, derive_series
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import DicomSourceHeader
from medcyclegan.workflow.enhance import Enhanced, Recipe, enhance_file, output_for
from tests.cli.conversion_inputs import provenance
from tests.dicom_derived import dciodvfy_errors
from tests.radiographs import WINDOW, radiograph_values, write_radiograph
from tests.tiny_tasks import picture, write_input


def recipe(*names: str) -> Recipe:
    return Recipe(names, tuple(parse_step(name) for name in names))


def enhance(source: Path, to: Path, *names: str) -> Enhanced:
    return enhance_file(source, recipe(*names), to=to, provenance=provenance())


@pytest.mark.parametrize("name", ["a8.png", "a16.png", "a8.tif", "a16.tif"])
def test_pictures_keep_their_bits_and_their_range(tmp_path: Path, name: str) -> None:
    source = write_input(tmp_path / name, "XR")
    before = np.asarray(Image.open(source))
    enhance(source, tmp_path / f"out_{name}", "hist-eq")
    with Image.open(tmp_path / f"out_{name}") as file:
        after = np.asarray(file)
    assert after.dtype == before.dtype == picture("uint16" if "16" in name else "uint8").dtype
    assert after.shape == before.shape
    assert float(after.min()) == pytest.approx(float(before.min()), rel=0.05)
    assert float(after.max()) == pytest.approx(float(before.max()), rel=0.05)
    assert not np.array_equal(after, before)
    # what is up stays up, and left left: equalising keeps the order of values
    order = np.argsort(before.ravel(), kind="stable")
    assert (np.diff(after.ravel()[order].astype(int)) >= 0).all()
    assert not (np.diff(after[::-1].ravel()[order].astype(int)) >= 0).all()


@pytest.mark.parametrize("modality", ["CR", "DX"])
@pytest.mark.parametrize("inverted", [False, True])
def test_dicom_gives_valid_dicom(tmp_path: Path, modality: str, *, inverted: bool) -> None:
    source = write_radiograph(tmp_path / "in", modality=modality, inverted=inverted)
    enhance(source, tmp_path / "out", "denoise-tv", "clahe")
    assert dciodvfy_errors(tmp_path / "out") == []


@pytest.mark.parametrize("inverted", [False, True])
def test_a_derived_radiograph_says_so_and_keeps_whose_it_is(
    tmp_path: Path, *, inverted: bool
) -> None:
    source = write_radiograph(tmp_path / "in", inverted=inverted)
    enhance(source, tmp_path / "out", "unsharp:amount=0.5")
    before, after = dcmread(source), only(tmp_path / "out")
    assert list(after.ImageType) == ["DERIVED", "SECONDARY"]
    assert "unsharp:amount=0.5" in after.DerivationDescription
    assert "ynthetic" not in after.DerivationDescription
    assert "SyntheticData" not in after
    for kept in ("PatientID", "StudyInstanceUID", "Modality", "SOPClassUID", "BitsStored"):
        assert after[kept].value == before[kept].value
    for new in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert after[new].value != before[new].value
    referred = after.SourceImageSequence[0].ReferencedSOPInstanceUID
    assert referred == before.SOPInstanceUID
    # the values of MONOCHROME1 are turned, and so is the window
    centre = 4096 - float(WINDOW[0]) if inverted else float(WINDOW[0])
    assert (float(after.WindowCenter), float(after.WindowWidth)) == (centre, float(WINDOW[1]))
    shown = radiograph_values() if not inverted else 4095 - radiograph_values()
    assert after.PhotometricInterpretation == "MONOCHROME2"
    assert np.corrcoef(shown.ravel(), after.pixel_array.ravel())[0, 1] > 0.95


def test_a_window_is_set_anew_where_values_have_moved(tmp_path: Path) -> None:
    enhance(write_radiograph(tmp_path / "in"), tmp_path / "out", "hist-eq", "unsharp")
    after = only(tmp_path / "out")
    low, high = int(after.pixel_array.min()), int(after.pixel_array.max())
    centre, width = float(after.WindowCenter), float(after.WindowWidth)
    assert centre - 0.5 - (width - 1) / 2 == pytest.approx(low, abs=1)
    assert centre - 0.5 + (width - 1) / 2 == pytest.approx(high, abs=1)
    assert (str(after.WindowCenter), str(after.WindowWidth)) != WINDOW


def test_a_window_set_anew_leaves_that_of_the_source(tmp_path: Path) -> None:
    header = read_scan(write_radiograph(tmp_path / "in"), modality="XR").source_header
    assert isinstance(header, DicomSourceHeader)
    scan_grid = read_scan(tmp_path / "in", modality="XR").volume.geometry
    maker = provenance()
    plain = Derivation(
        model_name="", model_sha256="", software_version=maker.version, method="Changed",
        now=maker.now(), new_uid=maker.new_uid, kind="XR",
    )  # fmt: skip
    shown = replace(plain, shown=(100.0, 199.0))
    windows = []
    for derivation in (shown, plain):
        series = derive_series(scan_grid, source_header=header, derivation=derivation)
        ((_, ds),) = series.slices
        windows.append((str(ds.WindowCenter), str(ds.WindowWidth)))
    assert windows[0] == ("150", "100")
    assert windows[1] != windows[0]
    assert str(header.slices[0].WindowWidth) == WINDOW[1]


def only(folder: Path) -> Dataset:
    (path,) = folder.glob("*.dcm")
    return dcmread(path)


def test_stages_are_those_on_disk(tmp_path: Path) -> None:
    source = write_input(tmp_path / "a8.png", "XR")
    done = enhance(source, tmp_path / "b.png", "clahe", "edges")
    before, *_, last = done.stages.images
    assert len(done.stages.images) == 3
    np.testing.assert_array_equal(before, np.asarray(Image.open(source)))
    np.testing.assert_array_equal(np.rint(last), np.asarray(Image.open(tmp_path / "b.png")))


def test_where_outputs_go(tmp_path: Path) -> None:
    dicom = write_radiograph(tmp_path / "in")
    assert output_for(dicom, suffix="_x") == dicom.with_name("IM0001_x")
    for name, expected in (("a8.png", "a8_x.png"), ("b.jpg", "b_x.png"), ("c.tif", "c_x.tif")):
        path = write_input(tmp_path / name, "XR")
        assert output_for(path, suffix="_x") == tmp_path / expected


def test_nothing_is_written_where_something_is_wrong(tmp_path: Path) -> None:
    source = write_input(tmp_path / "a8.png", "XR")
    volume = write_input(tmp_path / "v.nii.gz", "MR")
    with pytest.raises(InputRefused, match="no picture"):
        enhance(volume, tmp_path / "x.nii.gz", "clahe")
    with pytest.raises(CannotWrite):
        enhance(source, source, "clahe")
    with pytest.raises(InputRefused):
        enhance(write_input(tmp_path / "mr", "MR"), tmp_path / "y", "clahe")
    with pytest.raises(UsageError, match="at least one step"):
        recipe()
    assert {path.name for path in tmp_path.iterdir()} == {"a8.png", "v.nii.gz", "mr"}
    assert read_scan(source).is_plane
