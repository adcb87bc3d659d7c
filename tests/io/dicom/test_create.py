"""Laws of the simulated MR series: valid, honest, and where the phantom is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Unit, Volume
from medcyclegan.errors import CannotWrite, InputRefused, MedcycleganError
from medcyclegan.io.dicom.derive import seeded_uid_maker
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct, write_dicom_mr
from tests.dicom_derived import NOW, dciodvfy_errors, derivation, run
from tests.dicom_factory import axial_affine, pattern

SHAPE = (20, 24, 10)


def phantom(geometry: Geometry | None = None, *, scale: float = 1.0, unit: Unit = "a.u.") -> Volume:
    voxels = pattern(SHAPE).astype(np.float32)
    voxels *= scale * 4095 / voxels.max()
    return Volume(voxels, geometry or Geometry(SHAPE, axial_affine()), unit)


def write(volume: Volume, to: Path, *, description: str = "T1 phantom") -> None:
    write_dicom_mr(
        volume, to=to, description=description, now=NOW, new_uid=seeded_uid_maker("phantom")
    )


def test_the_phantom_comes_back(tmp_path: Path) -> None:
    volume = phantom()
    write(volume, tmp_path / "mr")
    back = read_dicom(tmp_path / "mr", modality="MR")
    assert np.array_equal(back.volume.voxels, np.rint(volume.voxels))
    assert back.volume.geometry.same_grid(volume.geometry)
    assert back.volume.unit == "a.u."
    assert back.modality == "MR"


@pytest.mark.parametrize("scale", [1e-4, 1e6])
def test_the_unit_of_signal_does_not_matter(tmp_path: Path, scale: float) -> None:
    write(phantom(), tmp_path / "plain")
    write(phantom(scale=scale), tmp_path / "scaled")
    plain, scaled = (read_dicom(tmp_path / name).volume.voxels for name in ("plain", "scaled"))
    assert np.array_equal(plain, scaled)
    assert plain.max() == 4095


def test_no_signal_at_all_is_written_as_zero(tmp_path: Path) -> None:
    write(phantom(scale=0.0), tmp_path / "mr")
    assert dcmread(tmp_path / "mr" / "MR_0001.dcm").pixel_array.max() == 0


def test_it_does_not_pass_for_a_scan(tmp_path: Path) -> None:
    write(phantom(), tmp_path / "mr")
    for path in (tmp_path / "mr").glob("*.dcm"):
        ds = dcmread(path)
        assert ds.SyntheticData == "YES"
        assert list(ds.ImageType[:2]) == ["DERIVED", "SECONDARY"]
        assert (ds.PatientName, ds.PatientID) == ("Phantom^Head", "PHANTOM")
        assert ds.SeriesDescription == "T1 phantom"
        assert "not acquired" in ds.DerivationDescription


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    write(phantom(), tmp_path / "a")
    write(phantom(), tmp_path / "b")
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_validators_find_no_error(tmp_path: Path) -> None:
    write(phantom(), tmp_path / "mr")
    assert dciodvfy_errors(tmp_path / "mr") == []
    scan = read_dicom(tmp_path / "mr")
    hu = scan.volume.with_voxels(scan.volume.voxels - 1024, unit="HU")
    write_dicom_ct(
        hu, source_header=scan.source_header, to=tmp_path / "ct", derivation=derivation()
    )
    assert dciodvfy_errors(tmp_path / "ct") == []
    both = [path for name in ("mr", "ct") for path in (tmp_path / name).glob("*.dcm")]
    assert run("dcentvfy", *both).strip() == ""


def test_what_is_no_signal_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MedcycleganError, match=r"a\.u\."):
        write(phantom(unit="HU"), tmp_path / "mr")
    with pytest.raises(MedcycleganError, match="not negative"):
        write(phantom(scale=-1.0), tmp_path / "mr")


@pytest.mark.parametrize("description", ["Schädel", "d" * 65, "a\\b", "a\nb"])
def test_a_description_that_does_not_fit_is_refused(tmp_path: Path, description: str) -> None:
    with pytest.raises(MedcycleganError, match="description"):
        write(phantom(), tmp_path / "mr", description=description)
    assert not (tmp_path / "mr").exists()


def test_a_sheared_grid_is_refused(tmp_path: Path) -> None:
    affine = np.array(axial_affine())
    affine[1, 2] = 0.4
    with pytest.raises(InputRefused, match="sheared"):
        write(phantom(Geometry(SHAPE, affine)), tmp_path / "mr")


def test_a_left_handed_grid_is_numbered_along_the_normal(tmp_path: Path) -> None:
    write(
        phantom(geometry_from_spacing(SHAPE, (1, 1, 2), np.diag([1.0, 1.0, -1.0]))), tmp_path / "mr"
    )
    paths = sorted((tmp_path / "mr").glob("*.dcm"))
    heights = [float(dcmread(path).ImagePositionPatient[2]) for path in paths]
    assert np.allclose(np.diff(heights), 2.0)
    first = dcmread(paths[0]).pixel_array.T
    assert np.array_equal(first, np.rint(phantom().voxels)[:, :, -1])


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    write(phantom(), tmp_path / "mr")
    with pytest.raises(CannotWrite, match="--overwrite"):
        write(phantom(), tmp_path / "mr")
