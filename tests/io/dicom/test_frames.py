"""Enhanced multi-frame objects give the volume that their single slices give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.frames import views_of
from medcyclegan.io.dicom.header import load_header
from medcyclegan.io.dicom.read import read_dicom
from tests.dicom_encoding import save
from tests.dicom_enhanced import ORDER, SHAPE, make_enhanced
from tests.dicom_factory import axial_affine, pattern


def test_frames_are_placed_and_rescaled_one_by_one(tmp_path: Path) -> None:
    path = make_enhanced(tmp_path)
    for given in (path, path.parent):
        scan = read_dicom(given, modality="MR")
        k = np.arange(SHAPE[2])
        assert np.array_equal(scan.volume.voxels, pattern(SHAPE) * (k + 1) + 5)
        assert np.allclose(scan.volume.geometry.affine_ras, axial_affine(), rtol=0, atol=1e-12)


def test_source_header_has_one_data_set_a_frame(tmp_path: Path) -> None:
    path = make_enhanced(tmp_path)
    source_header = read_dicom(path).source_header
    source = dcmread(path)
    assert source_header.frame_numbers == tuple(ORDER.index(k) + 1 for k in range(SHAPE[2]))
    for k, ds in enumerate(source_header.slices):
        assert ds.SOPInstanceUID == source.SOPInstanceUID
        assert float(ds.ImagePositionPatient[2]) == -31.25 + 2.5 * k
        assert list(ds.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
        assert list(ds.PixelSpacing) == [1.25, 0.9375]
        assert ds.PatientName == source.PatientName
        assert "PixelData" not in ds


def test_frames_of_two_times_are_refused(tmp_path: Path) -> None:
    def edit(whole: Dataset, frames: list[Dataset]) -> None:
        for index, groups in enumerate(frames):
            content = Dataset()
            content.TemporalPositionIndex = 1 + index % 2
            groups.FrameContentSequence = Sequence([content])

    with pytest.raises(InputRefused, match="several time points"):
        read_dicom(make_enhanced(tmp_path, edit=edit))


def test_frames_without_description_are_refused(tmp_path: Path) -> None:
    def edit(whole: Dataset, frames: list[Dataset]) -> None:
        whole.NumberOfFrames = 7

    with pytest.raises(InputRefused, match="NumberOfFrames is 7, but 5 are described"):
        read_dicom(make_enhanced(tmp_path, edit=edit))


def test_missing_frame_data_are_refused(tmp_path: Path) -> None:
    def edit(whole: Dataset, frames: list[Dataset]) -> None:
        whole.PixelData = whole.PixelData[:-10]

    with pytest.raises(InputRefused, match="truncated"):
        read_dicom(make_enhanced(tmp_path, edit=edit))


def test_frame_without_position_is_named(tmp_path: Path) -> None:
    def edit(whole: Dataset, frames: list[Dataset]) -> None:
        del frames[2].PlanePositionSequence
        del whole.ImagePositionPatient

    with pytest.raises(InputRefused, match=r"one\.dcm frame 3: ImagePositionPatient has 0"):
        read_dicom(make_enhanced(tmp_path, edit=edit))


def test_a_mosaic_that_became_an_enhanced_object_is_read(tmp_path: Path) -> None:
    """Converters leave the word; its frames are placed one by one."""

    def edit(ds: Dataset, _: list[Dataset]) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]

    assert read_dicom(make_enhanced(tmp_path, edit=edit)).volume.geometry.shape == SHAPE


def test_one_frame_that_is_a_mosaic_is_refused(tmp_path: Path) -> None:
    def edit(ds: Dataset, frames: list[Dataset]) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
        ds.PerFrameFunctionalGroupsSequence = Sequence(frames[:1])
        ds.NumberOfFrames = 1

    with pytest.raises(InputRefused, match="Siemens mosaic"):
        read_dicom(make_enhanced(tmp_path, edit=edit))


def test_a_view_keeps_the_groups_of_its_frame_and_the_file_those_of_all(tmp_path: Path) -> None:
    file = load_header(make_enhanced(tmp_path))
    assert file is not None
    for _ in range(2):  # as often as it is asked for
        views = views_of(file)
        slopes = [
            float(
                view.dataset.PerFrameFunctionalGroupsSequence[0]
                .PixelValueTransformationSequence[0]
                .RescaleSlope
            )
            for view in views
        ]
        assert slopes == [k + 1 for k in ORDER]


def test_a_copy_in_another_encoding_is_passed_over(tmp_path: Path) -> None:
    path = make_enhanced(tmp_path)
    save(dcmread(path), path.with_name("two.dcm"), transfer_syntax=ImplicitVRLittleEndian)
    scan = read_dicom(path.parent)
    assert scan.volume.geometry.shape == SHAPE
    assert "Files that repeat a SOP instance were passed over: 1." in scan.warnings
