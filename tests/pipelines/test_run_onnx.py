"""The script without torch gives the voxels of ``synth-ct`` where the scan has the model's grid."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.inference import sliding_slabs as translator
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.onnx_file import write_onnx
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.convert import Request, convert
from medcyclegan.workflow.synthesize import Options
from tests.cli.conversion_inputs import provenance
from tests.pipelines.test_pipelines import ROOT, run
from tests.tiny_model import head_on, tiny_folder, tiny_task

# Axes as stored: P, S, L, so that a wrong turn on the way there or back would show.
PSL = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A tiny model with the mean of both mirror images, and its ONNX file ``net.onnx``."""
    opened = load_model(tiny_folder(tmp_path / "tiny", task=tiny_task(mirror=True, stride=2)))
    write_onnx(opened, tmp_path / "net.onnx", version="0")
    return opened


def write_head(folder: Path, *, spacing_mm: float) -> None:
    """A ball in ``mr.nii.gz``, its mask in ``mask.nii.gz``."""
    step = (spacing_mm, spacing_mm, spacing_mm)
    mr, mask = head_on(geometry_from_spacing((33, 36, 38), step, PSL))
    write_nifti(mr, source_header=ItkSourceHeader(), to=folder / "mr.nii.gz")
    write_nifti(mask, source_header=ItkSourceHeader(), to=folder / "mask.nii.gz")


def test_a_nifti_gets_the_voxels_of_synth_ct_without_torch(
    tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    # torch in float32, as onnxruntime is, on processors with bfloat16 too
    monkeypatch.setattr(translator, "has_bfloat16", lambda _: False)
    write_head(tmp_path, spacing_mm=4.0)
    mask = head_on(geometry_from_spacing((33, 36, 38), (4.0, 4.0, 4.0), PSL))[1]
    request = Request(source=tmp_path / "mr.nii.gz", out=tmp_path / "ours.nii.gz")
    convert(request, model, provenance=provenance(), options=Options(device="cpu", mask=mask))
    script = (
        "import runpy, sys; sys.argv[0] = sys.argv[1]; del sys.argv[1]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "assert not {'torch', 'medcyclegan', 'monai'} & set(sys.modules)\n"
    )
    names = ("net.onnx", "mr.nii.gz", "onnx.nii.gz", "mask.nii.gz")
    paths = [str(tmp_path / name) for name in names]
    command = [sys.executable, "-c", script, str(ROOT / "pipelines" / "run_onnx.py"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ours, theirs = nib.load(tmp_path / "ours.nii.gz"), nib.load(tmp_path / "onnx.nii.gz")
    assert np.array_equal(ours.affine, theirs.affine)
    hu, found = ours.get_fdata(), theirs.get_fdata()
    assert np.ptp(hu) > 100
    assert np.abs(hu - found).max() <= 1  # halves may be rounded either way
    assert np.abs(hu - found[::-1]).max() > 10  # the control: a flip is far beyond


def test_another_spacing_than_the_models_is_refused(tmp_path: Path, model: Model) -> None:
    write_head(tmp_path, spacing_mm=3.0)
    paths = [tmp_path / name for name in ("net.onnx", "mr.nii.gz", "onnx.nii.gz")]
    with pytest.raises(SystemExit, match=r"mr\.nii\.gz: voxels of .* the model takes 4\.0 mm"):
        run("run_onnx.py", *paths)
    assert not (tmp_path / "onnx.nii.gz").exists()
