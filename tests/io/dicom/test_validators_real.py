"""CT series written from every real series that can be read, held against the validators."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_conformance import (
    module_faults,
    with_dcm2niix,
    with_pydicom,
    with_simpleitk,
    worst,
)
from tests.dicom_derived import dciodvfy_errors, run, write_fake
from tests.io.dicom.test_shared_data import DATA, SERIES

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not there")
READABLE = [*SERIES, "positions/HFP", "fnndsc_mr_t1", "single/MR2_J2KI.dcm", "single/MR2_UNCR.dcm"]
# Scanners write cosines of 6 digits; readers make them perpendicular, and steps from positions, in
# their own ways. At the corners of a head that is 0.0003 mm.
REAL_TOLERANCE_MM = 1e-3
# What a source lacks must be there in the CT, if empty, and what it has wrong is left out: dcentvfy
# finds these different then. It says so of no others.
LACKING = {"PatientAge", "PatientBirthDate", "PatientSex", "ReferringPhysicianName"}


@pytest.mark.parametrize("name", READABLE)
def test_no_validator_finds_an_error(tmp_path: Path, name: str) -> None:
    source = DATA / name
    if source.is_file():  # others of its series lie beside it, in other transfer syntaxes
        (tmp_path / "source").mkdir()
        source = Path(shutil.copy(source, tmp_path / "source")).parent
    scan = read_dicom(source, modality="MR")
    expected = write_fake(scan, tmp_path / "ct")
    paths = sorted((tmp_path / "ct").glob("*.dcm"))
    assert dciodvfy_errors(tmp_path / "ct") == []
    assert [fault for path in paths[::20] for fault in module_faults(dcmread(path))] == []
    report = run("dcentvfy", *[path for path in source.iterdir() if is_dicom(path)], *paths)
    assert set(re.findall(r"Element=<(\w+)>", report)) <= LACKING
    assert run("dcentvfy", *paths).strip() == ""
    images = [with_pydicom(tmp_path / "ct")]
    if len(paths) > 1:
        images.append(with_simpleitk(tmp_path / "ct"))
        images.append(with_dcm2niix(tmp_path / "ct", tmp_path / "nifti"))
    for image in images:
        hu, mm = worst(image, expected.astype(np.float32), scan.volume.geometry)
        assert hu == 0
        assert mm < REAL_TOLERANCE_MM


def is_dicom(path: Path) -> bool:
    """Whether it has the signature of DICOM."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"
