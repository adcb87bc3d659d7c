"""A mistyped path is refused before anything that takes seconds to import is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from medcyclegan.errors import ExitCode
from tests.cli.conversion_inputs import Run, runner

# What takes long, and all that comes with it.
HEAVY = ("torch", "monai", "matplotlib", "numpy", "scipy", "skimage", "nibabel", "pydicom", "dask")

# Runs command lines one after the other, and says how each ended and what was imported by then.
PROGRAM = """
import json, sys
from medcyclegan.cli.main import main
heavy, lines = json.loads(sys.argv[1])
told = []
for line in lines:
    sys.argv = ["medcyclegan", *line]
    try:
        main()
    except SystemExit as end:
        told.append([int(end.code or 0), [name for name in heavy if name in sys.modules]])
print(json.dumps(told))
"""


def ended(lines: list[list[str]], folder: Path) -> list[tuple[int, list[str], str]]:
    """Exit code, heavy modules and message of each command line, all run in one process."""
    command = [sys.executable, "-c", PROGRAM, json.dumps([HEAVY, lines])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    errors = done.stderr.strip().splitlines()
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return [(code, heavy, error) for (code, heavy), error in zip(told, errors, strict=True)]


REFUSED = [
    ("synth-ct --mri no.nii.gz", ExitCode.INPUT_REFUSED, "no.nii.gz"),
    ("synth-ct --mri t1=no.nii.gz", ExitCode.INPUT_REFUSED, "no.nii.gz"),
    ("synth-ct --mri a.nii.gz --mask no.nii.gz", ExitCode.INPUT_REFUSED, "no.nii.gz"),
    ("synth-ct --mri a.nii.gz --model no", ExitCode.MODEL_REFUSED, "No model no"),
    ("synth-ct --mri a.nii.gz --out no/a.nii.gz", ExitCode.CANNOT_WRITE, "no/a.nii.gz"),
    ("synth-ct --mri a.nii.gz --out a.nii.gz/b.nii.gz", ExitCode.CANNOT_WRITE, "Not a directory"),
    ("translate --model head-t1-t2 --input no.nii.gz", ExitCode.INPUT_REFUSED, "no.nii.gz"),
    ("translate --model no --input a.nii.gz", ExitCode.MODEL_REFUSED, "No model no"),
    ("denoise-ct --ct no.nii.gz", ExitCode.INPUT_REFUSED, "no.nii.gz"),
    ("enhance-xray --image no.png --method clahe", ExitCode.INPUT_REFUSED, "no.png"),
    ("enhance-xray --image a.nii.gz --method clahe --model no", ExitCode.MODEL_REFUSED, "No model"),
    ("batch no --out out", ExitCode.INPUT_REFUSED, "no is no folder"),
    ("batch . --out out --model no", ExitCode.MODEL_REFUSED, "No model no"),
    ("evaluate --pred no --ref . --out out", ExitCode.INPUT_REFUSED, "no:"),
    ("evaluate --pred unet=no --ref . --out out", ExitCode.INPUT_REFUSED, "no:"),
    ("evaluate --pred . --ref no --out out", ExitCode.INPUT_REFUSED, "no:"),
    ("evaluate --pred . --ref . --mask no --out out", ExitCode.INPUT_REFUSED, "no:"),
    ("derive no.nii.gz --to density", ExitCode.INPUT_REFUSED, "no.nii.gz"),
    ("derive a.nii.gz --to rsp --curve no.csv", ExitCode.INPUT_REFUSED, "no.csv"),
    ("train no.yaml --data-a . --data-b .", ExitCode.USAGE, "No configuration no.yaml"),
    ("train mr_ct --data-a no --data-b .", ExitCode.INPUT_REFUSED, "no:"),
    ("export no --out out", ExitCode.USAGE, "no holds no run"),
    ("export-onnx no --out a.onnx", ExitCode.MODEL_REFUSED, "No model no"),
    ("export-onnx head-mr-ct --out a.pt", ExitCode.USAGE, "*.onnx"),
    ("export-onnx head-mr-ct --out no/a.onnx", ExitCode.CANNOT_WRITE, "no/a.onnx"),
    ("export-bundle no --out out", ExitCode.MODEL_REFUSED, "No model no"),
    ("calibrate no --images .", ExitCode.MODEL_REFUSED, "No model no"),
    ("calibrate head-mr-ct --images no", ExitCode.INPUT_REFUSED, "no:"),
]


def test_mistyped_paths_are_refused_before_anything_heavy_is_imported(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"")
    told = ended([line.split() for line, _, _ in REFUSED], tmp_path)
    for (line, code, said), (found, heavy, error) in zip(REFUSED, told, strict=True):
        assert (found, heavy) == (code, []), (line, error)
        assert said in error, line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.nii.gz"]


def test_what_is_imported_is_seen(tmp_path: Path) -> None:
    """The control: a path that is right, and no image, gets as far as the readers and torch."""
    (tmp_path / "a.nii.gz").write_bytes(b"")
    ((code, heavy, _),) = ended([["synth-ct", "--mri", "a.nii.gz"]], tmp_path)
    assert code == ExitCode.INPUT_REFUSED
    assert {"torch", "monai", "numpy"} <= set(heavy)


def test_a_path_with_an_equals_sign_is_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: Run = runner(monkeypatch, capsys)
    (tmp_path / "a=b.nii.gz").write_bytes(b"")
    code, _, error = run("synth-ct", "--mri", tmp_path / "a=b.nii.gz")
    assert code == ExitCode.INPUT_REFUSED
    assert "cannot be read" not in error


def test_maps_are_derived_without_what_networks_and_pictures_need(tmp_path: Path) -> None:
    program = "import sys, medcyclegan.workflow.derive\nprint([m for m in sys.argv[1:] if m in "
    command = [sys.executable, "-c", program + "sys.modules])", "torch", "monai", "matplotlib"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
