"""``medcyclegan translate`` and ``denoise-ct``: every kind of task, every file format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread

from medcyclegan.imaging.resampling import to_geometry
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import Run, tree_hash
from tests.dicom_derived import dciodvfy_errors
from tests.dicom_derived import run as run_program
from tests.radiographs import write_radiograph
from tests.tiny_model import head_on, tiny_folder
from tests.tiny_tasks import GRID, TASKS, picture, task_of, write_ct_series, write_input

VOLUMES = ("mr-ct", "ct-mr", "ct-ct", "mr-mr")
PICTURES = ("xr-xr", "xr-ct", "image-ct", "image-image")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model of every kind of task, by its name."""
    folder = tmp_path_factory.mktemp("models")
    for name in TASKS:
        tiny_folder(folder / name, task=task_of(name, depth=3 if name in VOLUMES else 1))
    return folder


def source_of(name: str) -> str:
    return TASKS[name][0].modality


def translate(run: Run, model: Path, source: Path, *more: object) -> Path:
    """Translate, see that the input stays as it was, and return the output."""
    before = tree_hash(source.parent)
    code, out, err = run(
        "translate", "--model", model, "--input", source, "--device", "cpu", "--json", *more
    )
    assert (code, err) == (0, "")
    after = tree_hash(source.parent)
    assert {key: after[key] for key in before} == before
    return Path(json.loads(out)["output"])


@pytest.mark.parametrize("name", VOLUMES)
@pytest.mark.parametrize("file", ["head.nii.gz", "head.mha", "head"])
def test_volumes_come_back_on_their_grid_in_their_format(
    run: Run, models: Path, tmp_path: Path, name: str, file: str
) -> None:
    source = write_input(tmp_path / file, source_of(name))
    made = translate(run, models / name, source)
    suffix = "_sct" if name == "mr-ct" else "_tiny"
    assert made == tmp_path / file.replace("head", f"head{suffix}")
    given, got = read_scan(source), read_scan(made)
    assert got.volume.geometry.shape == given.volume.geometry.shape
    np.testing.assert_allclose(
        got.volume.geometry.affine_ras, given.volume.geometry.affine_ras, atol=1e-5
    )
    target = TASKS[name][1]
    if file == "head":
        assert (got.modality, got.volume.unit) == (target.modality, target.unit)
    assert got.volume.voxels.std() > 10.0
    if target.unit == "HU":
        assert np.array_equal(got.volume.voxels, np.rint(got.volume.voxels))
    elif file != "head":  # a series stores the window of 0 to 1000 as 0 to 4095
        assert 0.0 <= got.volume.voxels.min() < got.volume.voxels.max() <= 1000.001


def test_signal_in_a_series_is_that_in_a_file(run: Run, models: Path, tmp_path: Path) -> None:
    source = write_input(tmp_path / "head", "CT")
    series = translate(run, models / "ct-mr", source)
    file = translate(run, models / "ct-mr", source, "--out", tmp_path / "mr.nii.gz")
    stored, signal = (read_scan(path).volume for path in (series, file))
    there = to_geometry(signal, stored.geometry, fill=0.0)
    half_a_step = 0.5 * 1000.0 / 4095.0
    off = np.abs(stored.voxels / 4095.0 * 1000.0 - there.voxels)
    assert off.max() <= half_a_step + 1e-3
    assert np.abs(stored.voxels - there.voxels).max() > 100.0  # the control: another scale


@pytest.mark.parametrize("name", [*VOLUMES, *PICTURES])
def test_written_series_are_valid(run: Run, models: Path, tmp_path: Path, name: str) -> None:
    modality = source_of(name)
    source = write_input(tmp_path / "in", "MR" if modality == "image" else modality)
    made = translate(run, models / name, source)
    assert dciodvfy_errors(made) == []
    files = [*source.glob("*.dcm"), *made.glob("*.dcm")]
    assert run_program("dcentvfy", *files) == ""
    for path in made.glob("*.dcm"):
        ds = dcmread(path)
        assert ds.SyntheticData == "YES"
        assert "not acquired" in ds.SeriesDescription
        assert "research use only" in ds.DerivationDescription
        assert ds.ContributingEquipmentSequence[0].Manufacturer in ("Maker of Tests", "medcyclegan")
    # The control: the checker sees that a Modality was left at the source's.
    if name == "ct-mr":
        del ds.ScanningSequence
        ds.save_as(path)
        assert dciodvfy_errors(made) != []


@pytest.mark.parametrize("modality", ["CR", "DX"])
@pytest.mark.parametrize("inverted", [False, True])
def test_radiographs_stay_what_they_are(
    run: Run, models: Path, tmp_path: Path, modality: str, inverted: bool
) -> None:
    source = write_radiograph(tmp_path / "xr", modality=modality, inverted=inverted)
    code, out, err = run("translate", "--model", models / "xr-xr", "--input", source, "--json")
    assert (code, err) == (0, "")
    made = Path(json.loads(out)["output"])
    assert made == tmp_path / "xr" / "IM0001_tiny"
    assert dciodvfy_errors(made) == []
    assert read_scan(made).modality == "XR"


@pytest.mark.parametrize("name", ["image-ct", "image-image"])
@pytest.mark.parametrize(
    ("file", "output"),
    [
        ("a.png", "a_tiny.png"),
        ("a16.png", "a16_tiny.png"),
        ("a.tif", "a_tiny.tif"),
        ("a.jpg", "a_tiny.png"),
    ],
)
def test_pictures_keep_size_and_bits(
    run: Run, models: Path, tmp_path: Path, name: str, file: str, output: str
) -> None:
    dtype = "uint16" if "16" in file else "uint8"
    made = translate(run, models / name, write_input(tmp_path / file, "image"))
    assert made == tmp_path / output
    with Image.open(made) as image:
        pixels = np.asarray(image)
    assert (pixels.shape, pixels.dtype) == (picture().shape, np.dtype(dtype))
    share = pixels / np.iinfo(dtype).max
    assert share.max() - share.min() > 0.1


def test_a_picture_and_a_model_of_slabs(run: Run, models: Path, tmp_path: Path) -> None:
    slabs = tiny_folder(tmp_path / "slabs", task=task_of("image-image", depth=3))
    source = write_input(tmp_path / "a.png", "image")
    code, _, err = run("translate", "--model", slabs, "--input", source)
    assert code == 0
    assert "3 neighbouring slices at a time, and there is one" in err
    code, _, err = run(
        "translate", "--model", models / "image-image", "--input", source, "--overwrite"
    )
    assert (code, err) == (0, "")


def test_denoising_keeps_hu_and_what_it_did_not_see(run: Run, models: Path, tmp_path: Path) -> None:
    folder, mask = tmp_path / "ct", tmp_path / "mask.nii.gz"
    write_ct_series(folder, KVP="120")
    write_nifti(head_on(GRID, radius_mm=20.0)[1], source_header=ItkSourceHeader(), to=mask)
    code, out, err = run(
        "denoise-ct", "--ct", folder, "--model", models / "ct-ct", "--mask", mask, "--json"
    )
    assert (code, err) == (0, "")
    facts = json.loads(out)
    made = Path(facts["output"])
    assert (made, facts["unit"]) == (tmp_path / "ct_tiny", "HU")
    ct, clean = read_scan(folder).volume, read_scan(made).volume
    assert np.array_equal(clean.geometry.affine_ras, ct.geometry.affine_ras)
    seen = clean.voxels != ct.voxels
    assert 0.01 < seen.mean() < 0.5
    assert not seen[0].any()
    assert not seen[:, :, 0].any()
    assert {str(dcmread(path).KVP) for path in made.glob("*.dcm")} == {"120"}


@pytest.mark.parametrize("name", ["ct-ct", "ct-mr"])
def test_a_report_of_any_translation(run: Run, models: Path, tmp_path: Path, name: str) -> None:
    made = translate(run, models / name, write_input(tmp_path / "head.nii.gz", "CT"), "--report")
    page = made.with_name("head_tiny_report.html").read_text(encoding="utf-8")
    assert ("Translated CT" if name == "ct-ct" else "Synthetic MR") in page


def refused(run: Run, folder: Path, *arguments: object) -> tuple[int, str]:
    """Run, and see that nothing was written and that one line was said, on stderr alone."""
    before = tree_hash(folder)
    code, out, err = run(*arguments)
    assert tree_hash(folder) == before
    assert out == ""
    assert err.startswith("Error: ")
    return code, err


def test_what_does_not_fit_is_refused_with_its_remedy(
    run: Run, models: Path, tmp_path: Path
) -> None:
    mr = write_input(tmp_path / "mr.nii.gz", "MR")
    series = write_input(tmp_path / "series", "MR")
    png = write_input(tmp_path / "a.png", "image")
    given = ("translate", "--model")
    code, err = refused(run, tmp_path, "synth-ct", "--mri", mr, "--model", models / "ct-mr")
    assert (code, "medcyclegan translate" in err) == (5, True)
    code, err = refused(run, tmp_path, "denoise-ct", "--ct", mr, "--model", models / "mr-ct")
    assert (code, "medcyclegan translate" in err) == (5, True)
    code, err = refused(run, tmp_path, *given, tmp_path / "none", "--input", mr)
    assert (code, "medcyclegan models" in err) == (5, True)
    code, err = refused(run, tmp_path, *given, models / "ct-mr", "--input", mr)
    assert (code, "does not look like a CT in HU" in err) == (3, True)
    code, err = refused(run, tmp_path, *given, models / "ct-mr", "--input", series)
    assert (code, "none of CT" in err) == (3, True)
    code, err = refused(run, tmp_path, *given, models / "ct-mr", "--input", png)
    assert (code, "HU" in err) == (3, True)
    code, err = refused(run, tmp_path, *given, models / "image-ct", "--input", png, "--mask", png)
    assert (code, "leave out --mask" in err) == (3, True)
    code, err = refused(run, tmp_path, *given, models / "image-ct", "--input", png, "--views", "3")
    assert (code, "single slice" in err) == (3, True)
    code, err = refused(run, tmp_path, *given, models / "image-ct", "--input", png, "--report")
    assert (code, "leave out --report" in err) == (2, True)
    ct = write_input(tmp_path / "ct.nii.gz", "CT")
    code, err = refused(run, tmp_path, *given, models / "ct-mr", "--input", ct, "--bias-correction")
    assert (code, "only MR" in err) == (2, True)


@pytest.mark.parametrize("command", ["translate", "denoise-ct"])
@pytest.mark.parametrize("out", ["made", "made.nii.gz"])
def test_the_tilt_of_a_gantry_is_corrected_where_asked(
    run: Run, models: Path, tmp_path: Path, command: str, out: str
) -> None:
    source = tmp_path / "ct"
    for path in write_ct_series(source):
        ds = dcmread(path)
        x, y, z = (float(value) for value in ds.ImagePositionPatient)
        ds.ImagePositionPatient = [f"{x}", f"{y + 0.2 * z:.6f}", f"{z}"]
        ds.save_as(path)
    given = "--input" if command == "translate" else "--ct"
    options = (command, "--model", models / "ct-ct", given, source, "--out", tmp_path / out)
    code, _, err = run(*options)
    assert (code, "--untilt" in err) == (3, True)
    code, said, err = run(*options, "--untilt")
    assert code == 0
    assert "tilt of 11.31 degrees was corrected" in err
    assert "as the input's without its tilt" in said
    made = read_scan(tmp_path / out)
    assert not made.volume.geometry.is_sheared
    assert made.volume.geometry.shape[1] > 36


def test_only_commands_for_ct_have_the_option(run: Run, models: Path, tmp_path: Path) -> None:
    head = write_input(tmp_path / "head.nii.gz", "MR")
    assert run("synth-ct", "--model", models / "mr-ct", "--mri", head, "--untilt")[0] == 2
