"""What the tests of derived series share: a derivation that repeats itself, and the validators."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from medcyclegan.core.volume import FloatVoxels
from medcyclegan.io.dicom.derive import Derivation, derive_series, seeded_uid_maker
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct
from medcyclegan.io.scan import DicomSourceHeader, NiftiSourceHeader, Scan
from tests.dicom_factory import make_series

SHAPE = (6, 5, 3)
NO_DICOM = NiftiSourceHeader(header=b"", version=1, big_endian=False)

NOW = datetime(2025, 1, 2, 3, 4, 5)
MODEL_SHA256 = "0123456789abcdef" * 4

# Programs that are optional on a developer's machine.
_MISSING = "{0} is not installed: the law that it checks was not tested"


def derivation(seed: str = "test") -> Derivation:
    """The same clock and UIDs for the same seed."""
    return Derivation(
        model_name="mr-to-ct head",
        model_sha256=MODEL_SHA256,
        software_version="0.1.0",
        method="2.5D CycleGAN from MR to CT",
        now=NOW,
        new_uid=seeded_uid_maker(seed),
    )


def run(program: str, *arguments: object) -> str:
    """Standard output and errors of an external program; the test is skipped without it."""
    if shutil.which(program) is None:
        pytest.skip(_MISSING.format(program))
    command = [program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def dciodvfy_errors(folder: Path) -> list[str]:
    """The errors of every slice, without the complaint about an attribute younger than dciodvfy."""
    lines: list[str] = []
    for path in sorted(folder.glob("*.dcm")):
        lines += run("dciodvfy", "-new", path).splitlines()
    return [line for line in lines if line.startswith("Error") and "(0008,001c)" not in line]


def read_changed(tmp_path: Path, **values: object) -> Scan:
    """Read a small MR series whose attributes are set to ``values``, or deleted where None."""

    def change(ds: Dataset, _: int) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(ds, keyword)
            else:
                setattr(ds, keyword, value)

    folder = tmp_path / f"mr{len(list(tmp_path.iterdir()))}"
    make_series(folder, shape=SHAPE, changes=change)
    return read_dicom(folder)


def sources(scan: Scan) -> tuple[Dataset, ...]:
    """The data sets of the slices that were read."""
    assert isinstance(scan.source_header, DicomSourceHeader)
    return scan.source_header.slices


def derive(scan: Scan, how: Derivation | None = None) -> list[Dataset]:
    """The derived data sets in the order of InstanceNumber."""
    series = derive_series(
        scan.volume.geometry, source_header=scan.source_header, derivation=how or derivation()
    )
    return [ds for _, ds in series.slices]


def texts(ds: Dataset, keyword: str) -> list[str]:
    """The characters of each decimal string."""
    return [value.original_string for value in ds[keyword].value]


def _fake_hu(scan: Scan) -> FloatVoxels:
    """Numbers like a CT's, all over the range and beyond, no two neighbours alike."""
    return np.asarray(scan.volume.voxels * 1.25 - 1200.3, dtype=np.float32)


def _stored_hu(voxels: FloatVoxels) -> FloatVoxels:
    return np.asarray(np.clip(np.rint(voxels), -1024, 3071), dtype=np.float32)


def write_fake(scan: Scan, to: Path, *, overwrite: bool = False) -> FloatVoxels:
    """Write a CT series derived from ``scan``; return the HU that it should hold."""
    voxels = _fake_hu(scan)
    write_dicom_ct(
        scan.volume.with_voxels(voxels, unit="HU"),
        source_header=scan.source_header,
        to=to,
        derivation=derivation(),
        overwrite=overwrite,
    )
    return _stored_hu(voxels)
