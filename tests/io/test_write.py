"""The name of the output decides its format; every format reads back as the same volume."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.dicom.derive import Derivation, seeded_uid_maker
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import DicomSourceHeader, ItkSourceHeader, NiftiSourceHeader
from medcyclegan.io.write import write_scan
from tests.dicom_factory import make_series
from tests.image_factory import OBLIQUE, SHAPE, nifti_header, ramp, volume_of, write_plain

FILES = ["out.nii", "out.nii.gz", "OUT.NII.GZ", "out.mha", "out.mhd", "out.nrrd"]
PASSPORT_OF = {"nii": NiftiSourceHeader, "gz": NiftiSourceHeader}


def derivation() -> Derivation:
    """Say how the volume was made, the same at every call."""
    return Derivation(
        model_name="",
        model_sha256="",
        software_version="0",
        method="A test",
        now=datetime(2024, 1, 2, 3, 4, 5),
        new_uid=seeded_uid_maker("write"),
    )


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("source", ["dicom", "nifti", "itk"])
def test_every_source_into_every_file(tmp_path: Path, source: str, name: str) -> None:
    if source == "dicom":
        make_series(tmp_path / "in")
        scan = read_scan(tmp_path / "in")
    else:
        path = write_plain(tmp_path / "in.nii", nifti_header(), ramp())
        scan = read_scan(path)
    if source == "itk":
        write_scan(scan.volume, source_header=scan.source_header, to=tmp_path / "in.nrrd")
        scan = read_scan(tmp_path / "in.nrrd")
    sct = volume_of(scan.volume.geometry)
    write_scan(sct, source_header=scan.source_header, to=str(tmp_path / name))
    again = read_scan(tmp_path / name, modality="CT")
    assert isinstance(
        again.source_header, PASSPORT_OF.get(name.lower().split(".")[-1], ItkSourceHeader)
    )
    assert np.array_equal(again.volume.voxels, sct.voxels)
    moved = again.volume.geometry.corners_ras_mm() - sct.geometry.corners_ras_mm()
    assert np.abs(moved).max() < 1e-4
    if (source, name[-2:].lower()) in (("nifti", "ii"), ("nifti", "gz")):
        assert again.volume.geometry == sct.geometry
    assert not np.array_equal(again.volume.voxels, scan.volume.voxels)


@pytest.mark.parametrize("name", ["series", "T1 2.5 mm", "1.2.840"])
def test_anything_else_is_a_dicom_folder(tmp_path: Path, name: str) -> None:
    make_series(tmp_path / "in")
    scan = read_scan(tmp_path / "in")
    sct = volume_of(scan.volume.geometry)
    to = tmp_path / name
    with pytest.raises(UsageError, match=r"no derivation is given.*\.nii\.gz"):
        write_scan(sct, source_header=scan.source_header, to=to)
    assert not to.exists()
    write_scan(sct, source_header=scan.source_header, to=to, derivation=derivation())
    again = read_scan(to, modality="CT")
    assert isinstance(again.source_header, DicomSourceHeader)
    assert np.array_equal(again.volume.voxels, sct.voxels)
    assert again.volume.geometry.same_grid(sct.geometry)
    with pytest.raises(CannotWrite, match="exists"):
        write_scan(sct, source_header=scan.source_header, to=to, derivation=derivation())


@pytest.mark.parametrize("name", ["a.dcm", "a.hdr", "a.img", "a.nhdr", "a.mha.gz", "a.jpg"])
def test_endings_that_are_not_written(tmp_path: Path, name: str) -> None:
    volume = volume_of(Geometry(SHAPE, OBLIQUE))
    with pytest.raises(UsageError, match=r"are not written.*\.nii\.gz"):
        write_scan(
            volume, source_header=ItkSourceHeader(), to=tmp_path / name, derivation=derivation()
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FILES)
def test_nothing_is_replaced_unasked(tmp_path: Path, name: str) -> None:
    volume = volume_of(Geometry(SHAPE, OBLIQUE))
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(CannotWrite, match="exists"):
        write_scan(volume, source_header=ItkSourceHeader(), to=tmp_path / name)
    assert (tmp_path / name).read_bytes() == b"mine"
    write_scan(volume, source_header=ItkSourceHeader(), to=tmp_path / name, overwrite=True)
    assert np.array_equal(read_scan(tmp_path / name).volume.voxels, volume.voxels)
