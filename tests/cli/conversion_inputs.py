"""Inputs on disk for conversions, what a tree of files holds, and calls of the command line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.cli.main import main
from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.io.dicom.write import write_dicom_mr
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.workflow.convert import Provenance
from tests.tiny_model import head_on

NOW = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC)
Run = Callable[..., tuple[int, str, str]]


def uid_maker() -> Callable[[], str]:
    """UIDs that are the same in every run."""
    numbers = count(1)
    return lambda: f"2.25.{next(numbers)}"


def provenance() -> Provenance:
    """A fixed clock and version, and counted UIDs."""
    return Provenance(version="0.0.1", now=lambda: NOW, new_uid=uid_maker())


def oblique() -> Geometry:
    """Slices 5 mm apart, turned by 10 degrees about the left-right axis."""
    cos, sin = np.cos(np.deg2rad(10.0)), np.sin(np.deg2rad(10.0))
    turn = np.array([[-1.0, 0.0, 0.0], [0.0, -cos, -sin], [0.0, -sin, cos]])
    return geometry_from_spacing((34, 36, 28), (4.0, 4.0, 5.0), turn)


def head_mr() -> Volume:
    """A ball of MR signal, all of it positive."""
    mr, _ = head_on(oblique(), radius_mm=60.0)
    return mr


def write_mr(path: Path) -> Path:
    """Write the head as the ending of ``path`` says, or as a DICOM series; returns ``path``."""
    if path.name.endswith((".nii", ".nii.gz")):
        write_nifti(head_mr(), source_header=ItkSourceHeader(), to=path)
    elif path.suffix in (".mha", ".nrrd", ".mhd"):
        write_itk(head_mr(), source_header=ItkSourceHeader(), to=path)
    else:
        write_dicom_mr(head_mr(), to=path, description="head", now=NOW, new_uid=uid_maker())
    return path


def tree_hash(folder: Path) -> dict[str, str]:
    """The sha256 of every file under a folder, hidden ones included, by its relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A function that runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["medcyclegan", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(stop.value.code or 0), printed.out, printed.err

    return run
