"""Maps on disk: the CT's grid to the bit, the curve's values, nothing silent, no other input."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom import Dataset

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.hu_curves import carney_2006, schneider_2000
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import Run, tree_hash, write_mr
from tests.dicom_factory import make_series
from tests.image_factory import OBLIQUE
from tests.tiny_tasks import write_input

SHAPE = (16, 18, 10)
OWN = "hu,value\n-1000,0.001\n0,1\n1000,1.6\n"


def ct_hu(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """A smooth CT: air outside, soft tissue, bone in the middle, whole HU."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    return np.rint(np.clip(1500 - 2400 * radius, -1000, 1500)).astype(np.float32)


def write_ct(path: Path, hu: np.ndarray | None = None) -> Path:
    """Write a CT as its ending says; the NIfTI has a header of its own with text in it."""
    voxels = ct_hu() if hu is None else hu
    if path.name.endswith((".nii", ".nii.gz")):
        image = nibabel.Nifti1Image(voxels.astype(np.int16), OBLIQUE)
        image.header["descrip"] = b"planning CT"
        image.set_sform(OBLIQUE, 2)
        image.set_qform(OBLIQUE, 1)
        nibabel.save(image, path)
        return path
    write_itk(
        Volume(voxels, Geometry(SHAPE, OBLIQUE), "HU"), source_header=ItkSourceHeader(), to=path
    )
    return path


def write_ct_series(folder: Path, kvp: str | None) -> Path:
    """Write a CT series whose header says ``kvp``."""
    hu = ct_hu((20, 24, 10))

    def changes(ds: Dataset, k: int) -> None:
        ds.PixelData = (hu[:, :, k] + 1024).T.astype("<u2").tobytes()
        ds.KVP = kvp

    make_series(folder, modality="CT", changes=changes)
    return folder


@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
@pytest.mark.parametrize("quantity", ["mu511", "density"])
def test_nifti_keeps_grid_and_header_and_gets_the_curves_values(
    run: Run, tmp_path: Path, ending: str, quantity: str
) -> None:
    source = write_ct(tmp_path / f"ct{ending}")
    before = tree_hash(tmp_path)
    code, out, _ = run("derive", source, "--to", quantity)
    assert code == 0
    target = tmp_path / f"ct_{quantity}{ending}"
    assert str(target) in out
    made, given = nibabel.load(target), nibabel.load(source)
    assert np.array_equal(made.affine, given.affine)
    kept = given.header.copy()
    for own in ("datatype", "bitpix", "cal_max", "cal_min", "scl_slope", "scl_inter", "vox_offset"):
        kept[own] = made.header[own]
    assert kept.binaryblock == made.header.binaryblock
    assert made.header["descrip"] == b"planning CT"
    assert made.get_data_dtype() == np.float32
    curve = schneider_2000() if quantity == "density" else carney_2006(120)
    expected = curve.at(np.asarray(given.dataobj, dtype=np.float64)).astype(np.float32)
    assert np.array_equal(np.asarray(made.dataobj), expected)
    assert tree_hash(tmp_path).items() >= before.items()


def test_metaimage_keeps_its_grid(run: Run, tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct.mha")
    assert run("derive", source, "--to", "density")[0] == 0
    made, given = read_scan(tmp_path / "ct_density.mha"), read_scan(source)
    assert np.array_equal(made.volume.geometry.affine_ras, given.volume.geometry.affine_ras)
    expected = schneider_2000().at(given.volume.voxels).astype(np.float32)
    assert np.array_equal(made.volume.voxels, expected)


@pytest.mark.parametrize("quantity", ["rsp", "red"])
def test_a_scanners_own_curve_is_needed_and_used(run: Run, tmp_path: Path, quantity: str) -> None:
    source = write_ct(tmp_path / "ct.nii.gz")
    code, out, err = run("derive", source, "--to", quantity)
    assert (code, out) == (2, "")
    assert f"{quantity} without a curve" in err
    assert "--curve FILE.csv" in err
    assert "every knot is known for sure" in err
    assert not (tmp_path / f"ct_{quantity}.nii.gz").exists()
    (tmp_path / "own.csv").write_text(OWN, encoding="utf-8")
    code, out, err = run("derive", source, "--to", quantity, "--curve", tmp_path / "own.csv")
    assert code == 0
    assert "own.csv" in out
    made = np.asarray(nibabel.load(tmp_path / f"ct_{quantity}.nii.gz").dataobj)
    expected = np.interp(ct_hu(), [-1000, 0, 1000], [0.001, 1, 1.6]).astype(np.float32)
    np.testing.assert_allclose(made, expected, atol=1e-6)
    beyond = int((ct_hu() > 1000).sum())
    assert beyond > 0
    assert f"{beyond} voxels (" in err
    assert "above 1000 HU, where the curve ends" in err


def test_what_lies_beyond_the_curve_and_below_zero_is_counted(run: Run, tmp_path: Path) -> None:
    hu = ct_hu()
    hu[0, :, 0], hu[5, 5, 5] = -1024, 3100
    source = write_ct(tmp_path / "ct.nii.gz", hu)
    code, out, _ = run("derive", source, "--to", "density", "--json")
    said = json.loads(out)
    assert code == 0
    assert said["kvp"] is None
    assert said["unit"] == "g/cm3"
    below, above = said["warnings"]
    assert below.startswith("18 voxels (0.62%) lie below -1000 HU")
    assert above.startswith("1 voxel (0.03%) lies above 3071 HU")
    assert (said["minimum"], said["maximum"]) == pytest.approx((0.00121, 2.835032), abs=1e-6)
    (tmp_path / "own.csv").write_text("hu,value\n-1000,-0.1\n3200,3.98\n", encoding="utf-8")
    arguments = ("derive", source, "--to", "red", "--curve", tmp_path / "own.csv", "--json")
    said = json.loads(run(*arguments)[1])
    assert any("where the curve is negative: 0 was taken" in line for line in said["warnings"])
    assert any("at 0 HU, where water has 1" in line for line in said["warnings"])
    assert said["minimum"] == 0.0


def test_a_clean_ct_and_a_told_voltage_leave_nothing_to_say(run: Run, tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct.nii.gz")
    assert run("derive", source, "--to", "density")[2] == ""
    assert run("derive", source, "--to", "mu511", "--kvp", 100)[2] == ""
    assert "120 kVp is assumed" in run("derive", source, "--to", "mu511", "--overwrite")[2]


def test_dicom_goes_to_nifti_when_asked_by_the_voltage_of_its_header(
    run: Run, tmp_path: Path
) -> None:
    source = write_ct_series(tmp_path / "ct", "100")
    code, out, _ = run("derive", source, "--to", "mu511", "--format", "nifti", "--json")
    said = json.loads(out)
    assert (code, said["kvp"], said["warnings"]) == (0, 100, [])
    made = read_scan(tmp_path / "ct_mu511.nii.gz").volume
    given = read_scan(source).volume
    assert made.geometry.same_grid(given.geometry) or np.allclose(
        made.geometry.affine_ras, given.geometry.affine_ras, atol=1e-4
    )
    expected = carney_2006(100).at(given.voxels).astype(np.float32)
    assert np.array_equal(made.voxels, expected)
    other = ("derive", source, "--to", "mu511", "--format", "nifti", "--kvp", 140, "--overwrite")
    assert "says 100 kVp, and --kvp 140 is used" in run(*other)[2]


@pytest.mark.parametrize(("kvp", "code", "said"), [("90", 2, "90 kVp"), (None, 0, "assumed")])
def test_a_header_of_another_voltage_is_refused_and_none_is_told_of(
    run: Run, tmp_path: Path, kvp: str | None, code: int, said: str
) -> None:
    source = write_ct_series(tmp_path / "ct", kvp)
    found, _, err = run("derive", source, "--to", "mu511", "--format", "nifti")
    assert found == code
    assert said in err


@pytest.mark.parametrize("name", ["mr.nii.gz", "mr.mha", "mr_series"])
def test_an_mr_is_refused(run: Run, tmp_path: Path, name: str) -> None:
    source = write_mr(tmp_path / name)
    code, out, err = run("derive", source, "--to", "density", "--out", tmp_path / "made.nii.gz")
    assert (code, out) == (3, "")
    assert "MR" in err or "does not look like a CT" in err
    assert not (tmp_path / "made.nii.gz").exists()


def test_noise_pictures_and_missing_files_are_refused(run: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(5).normal(-200, 300, SHAPE).astype(np.float32)
    grid = Geometry(SHAPE, OBLIQUE)
    write_nifti(
        Volume(noise, grid, "HU"), source_header=ItkSourceHeader(), to=tmp_path / "noise.nii.gz"
    )
    picture = write_input(tmp_path / "a.png", "image")
    to = ("--to", "density", "--out", tmp_path / "made.nii.gz")
    assert run("derive", tmp_path / "noise.nii.gz", *to)[0] == 3
    code, _, err = run("derive", picture, *to)
    assert code == 3
    assert "is a picture" in err
    assert run("derive", tmp_path / "none.nii.gz", *to)[0] == 3
    assert not (tmp_path / "made.nii.gz").exists()


def test_options_that_do_not_go_together_are_refused(run: Run, tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct.nii.gz")
    (tmp_path / "own.csv").write_text(OWN, encoding="utf-8")
    for more in (
        ("--to", "density", "--kvp", 120),
        ("--to", "mu511", "--kvp", 120, "--curve", tmp_path / "own.csv"),
        ("--to", "mu511", "--kvp", 121),
        ("--to", "no-such"),
        (),
    ):
        assert run("derive", source, *more)[0] == 2
    (tmp_path / "own.csv").write_text("hu,value\n0,1\n0,2\n", encoding="utf-8")
    assert run("derive", source, "--to", "rsp", "--curve", tmp_path / "own.csv")[0] == 3
    assert [path.name for path in tmp_path.iterdir() if "_" in path.name] == []


def test_nothing_is_replaced_unasked(run: Run, tmp_path: Path) -> None:
    source = write_ct(tmp_path / "ct.nii.gz")
    assert run("derive", source, "--to", "density")[0] == 0
    before = tree_hash(tmp_path)
    assert run("derive", source, "--to", "density")[0] == 4
    assert run("derive", source, "--to", "density", "--out", source, "--overwrite")[0] == 4
    assert tree_hash(tmp_path) == before
