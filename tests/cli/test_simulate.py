"""``medcyclegan simulate``: each task from its options to its folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import Run, tree_hash
from tests.simulate.head_labels import head_labels

SMALL = ("--spacing", 8, 8, 10, "--subjects", 3)
TASKS = {
    "mr-ct": ("mr-ct", *SMALL, "--size", 20, 24, 2),
    "t1-t2": ("t1-t2", *SMALL, "--size", 20, 24, 2),
    "ct-denoise": ("ct-denoise", *SMALL, "--size", 32, 32, 2, "--views", 16),
    "mr-ct png": ("mr-ct", *SMALL, "--size", 20, 24, 8, "--format", "png"),
    "ct-denoise png": ("ct-denoise", *SMALL, "--size", 32, 32, 2, "--format", "png"),
    "ct-images": ("ct-images", "--subjects", 3, "--pixels", 24, 32, "--slices", 2),
    "xray-ct": ("xray-ct", "--subjects", 3, "--pixel", 10, "--size", 26, 26),
}


@pytest.mark.parametrize("name", TASKS)
def test_each_task_writes_a_folder_that_reads_back(run: Run, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "new" / "data"
    code, out, err = run("simulate", *TASKS[name], "--out", folder, "--seed", 5)
    assert (code, err) == (0, "")
    assert [Path(line).name for line in out.splitlines()] == [
        "trainA", "trainB", "testA", "testB", "simulation.json",
    ]  # fmt: skip
    record = json.loads((folder / "simulation.json").read_text())
    assert record["task"] == TASKS[name][0]
    assert record["seed"] == 5
    ending = ".png" if "png" in name or name in ("ct-images", "xray-ct") else ".nii.gz"
    for side in ("A", "B"):
        train, test = (sorted((folder / f"{part}{side}").iterdir()) for part in ("train", "test"))
        assert train
        assert {path.name[:11] for path in test} == {"subject-003"}
        for path in (*train, *test):
            assert path.name.endswith(ending)
            assert np.ptp(read_scan(path).volume.voxels) > 0
    names = [[path.name for path in sorted((folder / t).iterdir())] for t in ("testA", "testB")]
    assert names[0] == names[1]


def test_ct_in_pictures_is_hu_and_1024(run: Run, tmp_path: Path) -> None:
    for form in ("nifti", "png"):
        options = (*TASKS["ct-denoise"], "--format", form)
        assert run("simulate", *options, "--out", tmp_path / form, "-q")[0] == 0
    volume = read_scan(tmp_path / "nifti" / "testB" / "subject-003.nii.gz").volume
    picture = read_scan(tmp_path / "png" / "testB" / "subject-003_002.png").volume
    np.testing.assert_array_equal(picture.voxels[:, :, 0] - 1024.0, volume.voxels[:, :, 1])


def test_the_same_command_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        options = (*TASKS["mr-ct"], "--seed", seed, "--out", tmp_path / name, "-q")
        assert run("simulate", *options)[:2] == (0, "")
    hashes = [tree_hash(tmp_path / name) for name in ("one", "two", "three")]
    assert hashes[0] == hashes[1] != hashes[2]
    code, out, err = run("simulate", *TASKS["mr-ct"], "--out", tmp_path / "one")
    assert (code, out) == (4, "")
    assert "--overwrite" in err
    again = ("simulate", *TASKS["mr-ct"], "--seed", 2, "--out", tmp_path / "one", "--overwrite")
    assert run(*again, "--json")[0] == 0
    assert tree_hash(tmp_path / "one") == hashes[2]


def test_heads_from_label_maps(run: Run, tmp_path: Path) -> None:
    maps = tmp_path / "maps"
    maps.mkdir()
    for n in range(3):
        write_nifti(head_labels(), source_header=ItkSourceHeader(), to=maps / f"head_{n}.nii.gz")
    options = (
        "simulate", "mr-ct", "--labels", maps, "--subjects", 3, "--spacing", 5, 5, 8,
        "--thickness", 4, "--orientation", "sagittal", "--contrast", "t2",
    )  # fmt: skip
    code, out, err = run(*options, "--out", tmp_path / "d", "--json")
    assert (code, err) == (0, "")
    assert len(json.loads(out)["written"]) == 5
    settings = json.loads((tmp_path / "d" / "simulation.json").read_text())["settings"]
    assert settings["heads"] == ["head_0.nii.gz", "head_1.nii.gz", "head_2.nii.gz"]
    assert settings["thickness_mm"] == 4.0
    ct = read_scan(tmp_path / "d" / "testB" / "subject-003.nii.gz").volume
    assert ct.geometry.axis_codes == "PIR"
    assert ct.geometry.spacing_mm == pytest.approx((5.0, 5.0, 8.0))
    assert run(*options, "--out", tmp_path / "e", "--size", 20, 24, 4)[0] == 2
    assert run(*options[:3], tmp_path / "none", *options[4:], "--out", tmp_path / "e")[0] == 3
    assert not (tmp_path / "e").exists()


def test_options_that_do_not_go_together(run: Run, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "d")
    bad = (
        (*TASKS["mr-ct"], "--thickness", 3),
        (*TASKS["mr-ct"], "--orientation", "coronal"),
        ("mr-ct", "--subjects", 2),
        (*TASKS["ct-denoise"], "--spacing", 8, 7, 10),
        (*TASKS["ct-denoise"], "--dose", 2),
        (*TASKS["ct-images"], "--window", 100, 0),
        (*TASKS["xray-ct"], "--window", 100, 0),
        (*TASKS["t1-t2"], "--test-subjects", 3),
    )
    for options in bad:
        code, said, err = run("simulate", *options, *out)
        assert (code, said) == (2, ""), options
        assert err
    assert list(tmp_path.iterdir()) == []
