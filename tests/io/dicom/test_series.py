"""Which files of a folder make the series."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import (
    BasicTextSRStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    RLELossless,
    generate_uid,
)

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.read import is_dicom, read_dicom
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME, make_series, pattern

SHAPE = (8, 6, 5)


def uid_of(path: Path) -> str:
    return str(dcmread(path).SeriesInstanceUID)


def test_one_mr_among_others_is_taken(tmp_path: Path) -> None:
    make_series(tmp_path / "mr", shape=SHAPE)
    make_series(tmp_path / "ct", shape=(4, 4, 3), modality="CT")
    scan = read_dicom(tmp_path, modality="MR")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert scan.warnings == ("Other series in the folder were passed over: 1.",)


def test_several_mr_series_are_listed(tmp_path: Path) -> None:
    first = make_series(tmp_path / "a", shape=SHAPE)
    second = make_series(tmp_path / "b", shape=(4, 4, 3))
    with pytest.raises(InputRefused) as caught:
        read_dicom(tmp_path, modality="MR")
    message = str(caught.value)
    for part in (uid_of(first[0]), uid_of(second[0]), "phantom MR", "3 slices", "--series"):
        assert part in message
    assert PATIENT_NAME not in message
    assert PATIENT_ID not in message
    scan = read_dicom(tmp_path, modality="MR", series_uid=uid_of(second[0]))
    assert scan.volume.voxels.shape == (4, 4, 3)


def test_unknown_series_is_refused_with_the_list(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "a", shape=SHAPE)
    with pytest.raises(InputRefused, match=r"no MR series 1\.2\.3") as caught:
        read_dicom(tmp_path, modality="MR", series_uid="1.2.3")
    assert uid_of(paths[0]) in str(caught.value)


def test_ct_given_as_mr(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "ct", shape=SHAPE, modality="CT")
    for path in (tmp_path, paths[0]):
        with pytest.raises(InputRefused, match="modality CT, none of MR"):
            read_dicom(path, modality="MR")


def test_same_instance_twice_is_kept_once(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    (tmp_path / "s" / "again").mkdir()
    shutil.copy(paths[2], tmp_path / "s" / "again" / "copy")
    scan = read_dicom(tmp_path / "s")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert scan.warnings == ("Files that repeat a SOP instance were passed over: 1.",)


def test_one_instance_uid_at_two_positions(tmp_path: Path) -> None:
    make_series(tmp_path / "s", shape=SHAPE, changes=lambda ds, k: _same_instance(ds))
    with pytest.raises(InputRefused, match="share a SOPInstanceUID"):
        read_dicom(tmp_path / "s")


def test_other_objects_are_passed_over(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    report = dcmread(paths[0])
    del report.PixelData
    report.SOPClassUID = BasicTextSRStorage
    report.save_as(tmp_path / "s" / "report")
    report.SOPClassUID = MediaStorageDirectoryStorage
    report.save_as(tmp_path / "s" / "DICOMDIR")
    (tmp_path / "s" / "notes.txt").write_text("no DICOM " * 100)
    (tmp_path / "s" / "empty.dcm").touch()
    scan = read_dicom(tmp_path / "s")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert scan.warnings == (
        "Files that are not DICOM were passed over: 2.",
        "Files that are DICOM but no image were passed over: 2.",
    )
    with pytest.raises(InputRefused, match="without an image"):
        read_dicom(tmp_path / "s" / "report")
    with pytest.raises(InputRefused, match="no DICOM file"):
        read_dicom(tmp_path / "s" / "notes.txt")


def test_folders_without_images(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="no DICOM images"):
        read_dicom(tmp_path)
    (tmp_path / "notes.txt").write_text("no DICOM")
    with pytest.raises(InputRefused, match="1 other files"):
        read_dicom(tmp_path)
    with pytest.raises(InputRefused, match="does not exist"):
        read_dicom(tmp_path / "absent")


def test_links_are_not_followed_out_or_round(tmp_path: Path) -> None:
    make_series(tmp_path / "in" / "s", shape=SHAPE)
    outside = make_series(tmp_path / "out", shape=SHAPE)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "away").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "file").symlink_to(outside[0])
    (tmp_path / "in" / "self").symlink_to(tmp_path / "in" / "self")
    (tmp_path / "in" / "inside").symlink_to(tmp_path / "in" / "s" / "IM0000.dcm")
    scan = read_dicom(tmp_path / "in")
    assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
    assert scan.warnings == (
        "Files that are links out of the folder were passed over: 2.",
        "Files that are links that lead nowhere were passed over: 1.",
    )


@pytest.mark.parametrize("target", ["gone", "out", "out_folder"])
@pytest.mark.parametrize("through", ["the folder", "a file"])
def test_a_series_that_is_partly_links_is_refused(
    tmp_path: Path, target: str, through: str
) -> None:
    paths = make_series(tmp_path / "in" / "s", shape=SHAPE)
    store = tmp_path / "store"
    store.mkdir()
    for path in paths[-2:]:
        path.rename(store / path.name)
        if target == "out_folder":
            continue
        path.symlink_to(store / path.name)
        if target == "gone":
            (store / path.name).unlink()
    if target == "out_folder":
        (tmp_path / "in" / "s" / "more").symlink_to(store)
    where = tmp_path / "in" if through == "the folder" else paths[0]
    with pytest.raises(InputRefused, match="lead nowhere or out of the folder") as refused:
        read_dicom(where)
    assert ("more" if target == "out_folder" else paths[-1].name) in str(refused.value)
    # Links to files inside are read, and a folder of dead links alone says what it is.
    if target == "gone":
        for path in paths[:-2]:
            path.unlink()
        with pytest.raises(InputRefused, match="links to nowhere: 2"):
            read_dicom(tmp_path / "in")


def test_slices_of_one_uid_are_one_image_by_patient_and_pixels_alone(tmp_path: Path) -> None:
    first = make_series(tmp_path / "both" / "a" / "s", shape=SHAPE)
    for name, change in {
        "the patient": lambda ds, k: setattr(ds, "PatientID", "other"),
        "the pixels": lambda ds, k: setattr(ds, "PixelData", ds.PixelData[::-1]),
        "the position": lambda ds, k: setattr(ds, "ImagePositionPatient", [0, 0, k]),
    }.items():
        shutil.rmtree(tmp_path / "both" / "b", ignore_errors=True)
        make_series(tmp_path / "both" / "b" / "s", shape=SHAPE, changes=change)
        with pytest.raises(InputRefused, match=f"share a SOPInstanceUID but not {name}") as refused:
            read_dicom(tmp_path / "both")
        assert str(first[0]) in str(refused.value)
        assert "other" not in str(refused.value)
    # What cannot be read is not said to differ.
    shutil.rmtree(tmp_path / "both" / "b")
    cut = lambda ds, k: setattr(ds, "PixelData", ds.PixelData[:-40])  # noqa: E731
    make_series(tmp_path / "both" / "b" / "s", shape=SHAPE, changes=cut)
    with pytest.raises(InputRefused, match="but not pixels that can be read") as refused:
        read_dicom(tmp_path / "both")
    # Copies, byte by byte or in another transfer syntax, are passed over as before.
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        shutil.rmtree(tmp_path / "both" / "b")
        make_series(tmp_path / "both" / "b" / "s", shape=SHAPE, transfer_syntax=syntax)
        scan = read_dicom(tmp_path / "both")
        assert np.array_equal(scan.volume.voxels, pattern(SHAPE))
        assert scan.warnings == (f"Files that repeat a SOP instance were passed over: {SHAPE[2]}.",)


def test_one_file_stands_for_its_series(tmp_path: Path) -> None:
    paths = make_series(tmp_path / "s", shape=SHAPE)
    other = make_series(tmp_path / "other", shape=(8, 8, 3))
    other[0].rename(tmp_path / "s" / "stranger.dcm")
    (tmp_path / "s" / "notes.txt").write_text("no DICOM")
    assert read_dicom(paths[3]).volume.voxels.shape == SHAPE
    assert read_dicom(tmp_path / "s" / "stranger.dcm").volume.voxels.shape == (8, 8, 1)


def test_is_dicom_tells_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    text = tmp_path / "a.txt"
    text.write_text("not DICOM at all, but longer than the preamble " * 10)
    (tmp_path / "none.dcm").touch()
    paths = make_series(tmp_path / "deep" / "er", shape=(4, 4, 1))
    assert is_dicom(paths[0])
    assert is_dicom(tmp_path / "deep")
    for path in (text, tmp_path / "empty", tmp_path / "none.dcm", tmp_path / "absent"):
        assert not is_dicom(path)


def test_pipes_do_not_block(tmp_path: Path) -> None:
    make_series(tmp_path / "s", shape=SHAPE)
    os.mkfifo(tmp_path / "s" / "pipe")
    assert read_dicom(tmp_path / "s").volume.voxels.shape == SHAPE
    assert not is_dicom(tmp_path / "s" / "pipe")
    with pytest.raises(InputRefused, match="no DICOM file"):
        read_dicom(tmp_path / "s" / "pipe")


def _same_instance(ds: Dataset) -> None:
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["one for all"])
