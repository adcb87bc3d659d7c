"""Small heads as files: bone around soft tissue with an air cave, and copies with errors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader

SHAPE = (26, 30, 28)
SPACING_MM = (6.0, 6.0, 6.0)
GRID = geometry_from_spacing(SHAPE, SPACING_MM)


def head_ct(seed: int = 0, geometry: Geometry = GRID) -> Volume:
    """A head of 130 x 150 x 140 mm in HU, with a little noise, a tooth at its left."""
    indices = np.moveaxis(np.indices(geometry.shape), 0, -1).astype(np.float64)
    place = geometry.to_world(indices)
    radius = np.linalg.norm(place / (65.0, 75.0, 70.0 + seed % 3), axis=-1)
    hu = np.where(radius < 1.0, -90.0, -1000.0)
    hu[radius < 0.92] = 900.0
    hu[radius < 0.8] = 40.0
    hu[np.linalg.norm(place - (0.0, 40.0, -20.0), axis=-1) < 16.0] = -1000.0
    hu[np.linalg.norm(place - (-30.0, 20.0, -30.0), axis=-1) < 9.0] = 1800.0
    noise = np.random.default_rng(seed).normal(0.0, 8.0, geometry.shape)
    return Volume((hu + noise).astype(np.float32), geometry, "HU")


def head_mask(ct: Volume) -> Volume:
    """The body of ``head_ct`` by its shape."""
    place = ct.geometry.to_world(np.moveaxis(np.indices(ct.geometry.shape), 0, -1).astype(float))
    radius = np.linalg.norm(place / (65.0, 75.0, 70.0), axis=-1)
    return ct.with_voxels((radius < 1.0).astype(np.float32), unit="mask")


def save(volume: Volume, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_nifti(volume, source_header=ItkSourceHeader(), to=path)
    return path


def with_error(ct: Volume, *, bias_hu: float, noise_hu: float, seed: int) -> Volume:
    noise = np.random.default_rng(100 + seed).normal(0.0, noise_hu, ct.geometry.shape)
    return ct.with_voxels((ct.voxels + bias_hu + noise).astype(np.float32))


def filled(value: float, unit: Unit = "HU", geometry: Geometry = GRID) -> Volume:
    return Volume(np.full(geometry.shape, value, dtype=np.float32), geometry, unit)


def make_cohort(root: Path, cases: Iterable[int]) -> None:
    """Write ``ct/``, ``mr/``, ``mask/``, and the methods ``good/`` and ``poor/``."""
    for case in cases:
        ct, name = head_ct(case), f"P{case:02d}"
        save(ct, root / "ct" / f"{name}_ct.nii.gz")
        save(head_mask(ct), root / "mask" / f"{name}_mask.nii.gz")
        mr = np.maximum(ct.voxels + 1000.0, 0.0)
        save(ct.with_voxels(mr, unit="a.u."), root / "mr" / f"{name}_t1.nii.gz")
        good = with_error(ct, bias_hu=2.0, noise_hu=20.0 + case, seed=case)
        save(good, root / "good" / f"{name}_sct.nii.gz")
        poor = with_error(ct, bias_hu=-30.0, noise_hu=90.0 + 5.0 * case, seed=case)
        save(poor, root / "poor" / f"{name}_sct.nii.gz")


def request_on(root: Path, **changes: object) -> StudyRequest:
    given: dict[str, object] = {
        "methods": (Method("good", root / "good"), Method("poor", root / "poor")),
        "ref": root / "ct",
        "out": root / "study",
        "protocol": "synthrad2023",
        "mask": root / "mask",
    }
    return StudyRequest(**(given | changes))  # type: ignore[arg-type]
