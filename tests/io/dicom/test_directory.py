"""The DICOMDIR of a CD is passed over, or followed where it is given as the input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import quiet
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.read import read_scan
from medcyclegan.workflow.batch.finding import find_candidates
from tests.dicom_directory import make_cd, slices_of
from tests.dicom_factory import make_series, pattern

SHAPE = (8, 6, 5)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return make_cd(tmp_path / "cd", [make_series(tmp_path / "mr", shape=SHAPE)])


def test_a_real_directory_has_no_class_in_its_data_set(directory: Path) -> None:
    """The control: so it is on CDs."""
    ds = dcmread(directory)
    assert "SOPClassUID" not in ds
    assert "PixelData" not in ds
    assert len(slices_of(directory.parent)) == SHAPE[2]


def test_the_folder_is_read(directory: Path) -> None:
    scan = read_dicom(directory.parent)
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert scan.warnings == ("Files that are DICOM but no image were passed over: 1.",)


def test_the_directory_as_the_input(directory: Path) -> None:
    scan = read_scan(directory, modality="MR")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert scan.warnings == ()


def test_a_file_of_the_series_beside_the_directory(directory: Path) -> None:
    scan = read_dicom(slices_of(directory.parent)[0])
    assert scan.volume.geometry.shape == SHAPE


def test_files_that_the_directory_does_not_name_are_not_read(directory: Path) -> None:
    make_series(directory.parent / "other", shape=SHAPE)
    assert read_dicom(directory).volume.geometry.shape == SHAPE
    with pytest.raises(InputRefused, match="holds 2"):
        read_dicom(directory.parent)


def test_several_series_are_listed_and_chosen(tmp_path: Path) -> None:
    both = [make_series(tmp_path / name, shape=SHAPE) for name in ("one", "two")]
    directory = make_cd(tmp_path / "cd", both)
    with pytest.raises(InputRefused, match="holds 2 image series") as refused:
        read_dicom(directory)
    assert "--series" in refused.value.remedy
    uid = dcmread(both[1][0]).SeriesInstanceUID
    scan = read_dicom(directory, series_uid=uid)
    assert scan.volume.geometry.shape == SHAPE
    assert scan.warnings == ("Other series in the folder were passed over: 1.",)


def test_names_whose_case_was_changed(directory: Path) -> None:
    """As Linux shows many CDs."""
    for path in slices_of(directory.parent):
        path.rename(path.with_name(path.name.lower()))
    for folder in sorted(directory.parent.rglob("*"), reverse=True):
        if folder.is_dir():
            folder.rename(folder.with_name(folder.name.lower()))
    assert read_dicom(directory).volume.geometry.shape == SHAPE


def test_files_that_are_not_there_are_counted(directory: Path) -> None:
    slices_of(directory.parent)[-1].unlink()
    scan = read_dicom(directory)
    assert scan.volume.geometry.shape == (*SHAPE[:2], SHAPE[2] - 1)
    (said,) = scan.warnings
    assert said.startswith("Files that the DICOMDIR names are not there: 1;")


def test_a_directory_alone(directory: Path) -> None:
    for path in slices_of(directory.parent):
        path.unlink()
    with pytest.raises(InputRefused, match="names no DICOM image that is there") as refused:
        read_dicom(directory)
    assert refused.value.remedy


def test_names_that_lead_out_are_not_followed(directory: Path, tmp_path: Path) -> None:
    ds = dcmread(directory)
    with quiet():  # pydicom warns of such names
        for record in ds.DirectoryRecordSequence:
            if "ReferencedFileID" in record:
                record.ReferencedFileID = ["..", "mr", "IM0000.dcm"]
        ds.save_as(directory)
    assert (tmp_path / "mr" / "IM0000.dcm").is_file()
    with pytest.raises(InputRefused, match="names no DICOM image that is there"):
        read_dicom(directory)


def test_a_batch_passes_it_over(directory: Path, tmp_path: Path) -> None:
    found = find_candidates(directory.parent, modality="MR", skip=tmp_path / "out")
    (candidate,) = found.candidates
    assert not candidate.refused
    assert len(candidate.files) == SHAPE[2]
    assert found.passed_over["DICOM without an image"] == 1


def test_a_file_cut_off_behind_its_meta_is_still_refused(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "mr", shape=SHAPE)
    data = paths[2].read_bytes()
    paths[2].write_bytes(data[: data.index(b"\x08\x00\x05\x00CS")])
    with pytest.raises(InputRefused, match="IM0002"):
        read_dicom(tmp_path / "mr")
