"""The scripts in ``pipelines/`` run on simulated data, from data to result."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from medcyclegan import read_scan
from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from tests.evaluation.study.cohort import save
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
    write_nifti(mr, source_header=ItkSourceHeader(), to=source / "good.nii.gz")
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
