"""The same small heads, MR and CT of each, laid out as data sets are."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.scan import ItkSourceHeader
from tests.training.data.data_factory import SHAPE, ct_values, inside, mr_values, write_volume


def mask_values() -> NDArray[np.float32]:
    """The upper half of the head alone, so that it shows where a mask is used."""
    upper = np.arange(SHAPE[2]) >= SHAPE[2] // 2
    return (inside() & upper).astype(np.float32)


def synthrad(root: Path, *, cases: int = 3, ending: str = ".nii.gz") -> Path:
    """``brain`` and ``pelvis``, a folder a case, and the overview pictures beside them."""
    for n in range(cases):
        folder = root / ("brain" if n % 2 else "pelvis") / f"1BA{n:03d}"
        _write(folder / f"mr{ending}", mr_values(n))
        _write(folder / f"ct{ending}", ct_values(n))
        _write(folder / f"mask{ending}", mask_values())
    (root / "brain" / "overview").mkdir(parents=True, exist_ok=True)
    (root / "brain" / "overview" / "1BA001_train.csv").write_text("x")
    return root


def nnunet(root: Path, *, cases: int = 3, channels: Sequence[str] = ("MR", "CT")) -> Path:
    """``imagesTr`` of numbered channels, ``labelsTr`` of one class, ``imagesTs`` for a test."""
    root.mkdir(parents=True, exist_ok=True)
    told = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, "body": 1},
        "file_ending": ".nii.gz",
        "numTraining": cases,
    }
    (root / "dataset.json").write_text(json.dumps(told))
    for n in range(cases):
        for number, name in enumerate(channels):
            made = ct_values(n) if name == "CT" else mr_values(10 * number + n)
            write_volume(root / "imagesTr" / f"HEAD_{n:03d}_{number:04d}.nii.gz", made)
        write_volume(root / "labelsTr" / f"HEAD_{n:03d}.nii.gz", mask_values())
    write_volume(root / "imagesTs" / "HEAD_900_0000.nii.gz", mr_values(90))
    return root


def bids(root: Path, *, cases: int = 3) -> Path:
    """Anatomy and CT of two sessions of the first subject and of one of the others."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset_description.json").write_text('{"Name": "heads", "BIDSVersion": "1.9.0"}')
    visits = [("sub-01", "ses-1"), ("sub-01", "ses-2")]
    visits += [(f"sub-{n + 2:02d}", "ses-1") for n in range(cases - 1)]
    for n, (subject, session) in enumerate(visits):
        folder, stem = root / subject / session, f"{subject}_{session}"
        write_volume(folder / "anat" / f"{stem}_T1w.nii.gz", mr_values(n))
        write_volume(folder / "anat" / f"{stem}_part-phase_T1w.nii.gz", mr_values(n + 40))
        write_volume(folder / "ct" / f"{stem}_ct.nii.gz", ct_values(n))
        write_volume(folder / "func" / f"{stem}_task-rest_sbref.nii.gz", mr_values(n + 60))
        aside = root / "derivatives" / "masks" / subject / session / "anat"
        write_volume(aside / f"{stem}_desc-body_mask.nii.gz", mask_values())
        write_volume(aside / f"{stem}_desc-brain_mask.nii.gz", mask_values())
    return root


def table(root: Path, *, cases: int = 3) -> Path:
    """Files of any names, and a CSV that says what they are; the last subject is held back."""
    rows = []
    for n in range(cases):
        write_volume(root / "scans" / f"x{n}7.nii.gz", mr_values(n))
        write_volume(root / "scans" / f"y{n}3.nii.gz", ct_values(n))
        write_volume(root / "scans" / f"z{n}.nii.gz", mask_values())
        split = "validation" if n == cases - 1 else "train"
        rows += [(f"P{n}", "A", f"scans/x{n}7.nii.gz", f"scans/z{n}.nii.gz", split)]
        rows += [(f"P{n}", "B", f"scans/y{n}3.nii.gz", "", split)]
    write_volume(root / "scans" / "t.nii.gz", mr_values(99))
    rows.append(("P9", "A", "scans/t.nii.gz", "", "test"))
    return write_rows(root / "data.csv", rows)


def write_rows(
    path: Path,
    rows: Sequence[Sequence[str]],
    columns: Sequence[str] = ("subject", "side", "path", "mask", "split"),
) -> Path:
    """Write a CSV table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "SynthRAD": synthrad,
    "nnU-Net": nnunet,
    "BIDS": bids,
    "table": table,
}


def _write(path: Path, values: NDArray[np.float32]) -> None:
    if path.suffix != ".mha":
        write_volume(path, values)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = geometry_from_spacing(SHAPE, (5.0, 5.0, 5.0))
    write_itk(Volume(values, grid, "a.u."), source_header=ItkSourceHeader(), to=path)
