"""The scripts in ``pipelines/`` run on simulated data, from data to result."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from medcyclegan import load_model, read_scan
from medcyclegan.geometry import geometry_from_spacing
from medcyclegan.io.nifti.write import write_nifti
from medcyclegan.io.scan import ItkPassport
from medcyclegan.simulate import dose_slices
from medcyclegan.simulate.phantom import default_geometry, make_phantom
from tests.evaluation.study.cohort import save
from tests.simulate.head_labels import head_labels
from tests.tiny_model import head_on, tiny_folder

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object) -> dict[str, object]:
    """Run a script of ``pipelines/`` in this process, as from the shell."""
    path = ROOT / "pipelines" / script
    old, sys.argv = sys.argv, [str(path), *(str(argument) for argument in arguments)]
    try:
        return runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.argv = old


def test_a_folder_is_converted_by_a_cluster_of_any_class_and_the_broken_scan_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The script for SLURM calls that for a folder, so both are run."""
    source, target = tmp_path / "mr", tmp_path / "sct"
    source.mkdir()
    mr, _ = head_on(geometry_from_spacing((40, 48, 40), (5.0, 5.0, 5.0)))
    write_nifti(mr, passport=ItkPassport(), to=source / "good.nii.gz")
    (source / "broken.nii.gz").write_bytes(b"no NIfTI")
    with pytest.raises(SystemExit) as stop:
        run(
            "convert_on_slurm.py", source, target, "--cluster", "distributed.LocalCluster",
            "--option", "threads_per_worker=3", "--option", "dashboard_address=127.0.0.1:0",
        )  # fmt: skip
    assert stop.value.code == 8
    assert "broken.nii.gz: refused" in capsys.readouterr().out
    assert read_scan(target / "good_sct.nii.gz").volume.geometry.same_grid(
        read_scan(source / "good.nii.gz").volume.geometry
    )


def tiny_config(name: str, folder: Path) -> Path:
    """A configuration that ships, made small enough for a test."""
    content = yaml.safe_load((ROOT / "configs" / f"{name}.yaml").read_text())
    content["generator"]["widths"] = [4, 8]
    content["pairs"]["slices"] = 2
    content |= {
        "steps": 2, "decay_from_step": 1, "checkpoint_every": 1, "size_px": 32, "items_a_step": 1,
        "workers": 0,
    }  # fmt: skip
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("name", "model_name"),
    [("head_mr_ct", "head-mr-ct"), ("head_t1_t2", "head-t1-t2"), ("head_ct_denoise", "ct-denoise")],
)
def test_training_ends_with_a_model_that_opens(
    name: str, model_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dose_slices, "SIZE_PX", 32)
    monkeypatch.setattr(dose_slices, "_SLICES_A_HEAD", 2)
    monkeypatch.setattr(dose_slices, "_PHANTOM_SHARE", 0.0)
    labels, prepared, out = tmp_path / "labels", tmp_path / "prepared", tmp_path / "run"
    labels.mkdir()
    volume = head_labels()
    nib.save(
        nib.Nifti1Image(volume.voxels.astype(np.int16), volume.geometry.affine_ras),
        labels / "head_01.nii.gz",
    )
    arguments = (
        "--labels", labels, "--heads", 1, "--config", tiny_config(name, tmp_path),
        "--prepared", prepared,
    )  # fmt: skip
    run("train_model.py", *arguments, "--out", out)
    model = load_model(out / "model")
    assert model.card.name == model_name
    assert model.card.training.steps == 2
    assert model.card.training.config == "tiny.yaml"
    assert model.card.generator.widths == (4, 8)
    assert (out / "losses.csv").read_text().splitlines()[-1].startswith("2,")
    assert [path.name for path in prepared.iterdir()] == ["head_01.npz"]
    # The prepared head is used again, and gives the same model.
    (labels / "head_01.nii.gz").write_bytes(b"")
    run("train_model.py", *arguments, "--out", tmp_path / "again")
    first, again = (load_model(place / "model") for place in (out, tmp_path / "again"))
    assert first.card.weights_sha256 == again.card.weights_sha256
    with pytest.raises(SystemExit, match="holds 1 label maps"):
        run("train_model.py", *arguments, "--heads", 2, "--out", tmp_path / "none")


def test_a_study_goes_from_folders_to_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for case in (1, 2):
        subject = make_phantom(default_geometry(8.0), contrast="t1", seed=case)
        bulk = np.where(subject.ct.voxels > 300.0, 800.0, np.minimum(subject.ct.voxels, 30.0))
        for folder, volume in (
            ("ct", subject.ct),
            ("mr", subject.mr),
            ("sct", subject.ct.with_voxels(bulk)),
        ):
            save(volume, data / folder / f"P{case}_{folder}.nii.gz")
    tiny_folder(tmp_path / "tiny")
    template = (ROOT / "pipelines" / "study.yaml").read_text()
    config = tmp_path / "study.yaml"
    config.write_text(template.replace("model: head-mr-ct ", "model: tiny "))
    with pytest.raises(SystemExit) as stop:
        run("run_study.py", config)
    assert stop.value.code == 0
    assert str(data / "study" / "report.html") in capsys.readouterr().out
    page = (data / "study" / "report.html").read_text(encoding="utf-8")
    assert "(head-mr-ct, other)" in page
    made = sorted(path.name for path in (data / "made" / "head-mr-ct").iterdir())
    assert made == ["P1_sct.nii.gz", "P2_sct.nii.gz"]
    config.write_text(template.replace("folder: data/sct", "folders: data/sct"))
    with pytest.raises(SystemExit) as stop:
        run("run_study.py", config)
    assert stop.value.code == 2
    assert "folders" in capsys.readouterr().err
