"""Maps in DICOM: valid, on the planes of the source, in coded units, and with no patient lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedCTImageStorage, ParametricMapStorage

from medcyclegan.imaging.hu_curves import carney_2006, schneider_2000
from medcyclegan.io.dicom import parametric_map
from medcyclegan.io.dicom.read import read_dicom
from tests.cli.conversion_inputs import Run, runner
from tests.dicom_conformance import module_faults
from tests.dicom_derived import dciodvfy_errors
from tests.dicom_enhanced import save_enhanced
from tests.dicom_factory import PATIENT_ID, axial_affine, make_series
from tests.workflow.test_derive import ct_hu, write_ct, write_ct_series


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(monkeypatch, capsys)


def test_it_is_valid_whatever_the_source_leaves_out(run: Run, tmp_path: Path) -> None:
    source = write_ct_series(tmp_path / "ct", "120")
    for path in source.iterdir():
        ds = dcmread(path)
        for keyword in ("BodyPartExamined", "Laterality", "StudyID", "SliceThickness"):
            if keyword in ds:
                delattr(ds, keyword)
        ds.PatientIdentityRemoved = "YES"  # and no method, as there should be
        ds.save_as(path)
    assert run("derive", source, "--to", "density")[0] == 0
    assert dciodvfy_errors(tmp_path / "ct_density") == []


@pytest.mark.parametrize(
    ("quantity", "unit", "code"),
    [("mu511", "/cm", "112031"), ("density", "g/cm3", "112118"), ("red", "1", "130083"),
     ("rsp", "1", "130086")],
)  # fmt: skip
def test_a_map_is_valid_and_says_its_quantity_unit_and_source(
    run: Run, tmp_path: Path, quantity: str, unit: str, code: str
) -> None:
    source = write_ct_series(tmp_path / "ct", "120")
    (tmp_path / "own.csv").write_text("hu,value\n-1000,0\n0,1\n2000,2.2\n", encoding="utf-8")
    curve = ("--curve", tmp_path / "own.csv") if quantity in ("red", "rsp") else ()
    assert run("derive", source, "--to", quantity, *curve)[0] == 0
    folder = tmp_path / f"ct_{quantity}"
    (path,) = folder.iterdir()
    ds = dcmread(path)
    assert ds.SOPClassUID == ParametricMapStorage
    # Of the functional groups each may be shared or per frame: dciodvfy knows which.
    assert [fault for fault in module_faults(ds) if "functional-groups" not in fault] == []
    if shutil.which("dciodvfy"):
        assert dciodvfy_errors(folder) == []
    mapping = ds.PerFrameFunctionalGroupsSequence[0].get("RealWorldValueMappingSequence") or (
        ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    )
    units = mapping[0].MeasurementUnitsCodeSequence[0]
    assert (units.CodeValue, units.CodingSchemeDesignator) == (unit, "UCUM")
    assert mapping[0].QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == code
    assert (mapping[0].RealWorldValueSlope, mapping[0].RealWorldValueIntercept) == (1.0, 0.0)
    first = dcmread(sorted(source.iterdir())[0])
    for same in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert ds[same].value == first[same].value
    assert ds.SeriesInstanceUID != first.SeriesInstanceUID
    assert ds.ReferencedSeriesSequence[0].SeriesInstanceUID == first.SeriesInstanceUID
    assert ds.PatientID == PATIENT_ID
    assert ds.ContentQualification == "RESEARCH"


def test_its_frames_lie_where_the_slices_do_and_refer_to_them(run: Run, tmp_path: Path) -> None:
    source = write_ct_series(tmp_path / "ct", "100")
    assert run("derive", source, "--to", "mu511")[0] == 0
    (path,) = (tmp_path / "ct_mu511").iterdir()
    ds, slices = dcmread(path), [dcmread(one) for one in source.iterdir()]
    by_uid = {one.SOPInstanceUID: one for one in slices}
    curve = carney_2006(100)
    for frame, groups in zip(ds.pixel_array, ds.PerFrameFunctionalGroupsSequence, strict=True):
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        reference = groups.DerivationImageSequence[0].SourceImageSequence[0]
        one = by_uid.pop(reference.ReferencedSOPInstanceUID)
        assert np.allclose(place, one.ImagePositionPatient, atol=1e-6)
        hu = one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept)
        assert np.array_equal(frame, curve.at(hu).astype(np.float32))
    assert not by_uid
    given = read_dicom(source).volume
    found = highdicom.imread(path).get_volume()
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ found.affine  # to RAS; (frame, row, column)
    corner = lps @ np.array([0, 0, 0, 1])
    ours = given.geometry.affine_ras @ np.array([0, 0, given.geometry.shape[2] - 1, 1])
    first = given.geometry.affine_ras @ np.array([0, 0, 0, 1])
    assert min(np.abs(corner - ours).max(), np.abs(corner - first).max()) < 1e-3


def test_the_frames_of_an_enhanced_ct_are_referred_to_by_their_numbers(
    run: Run, tmp_path: Path
) -> None:
    slices = [dcmread(path) for path in sorted(write_ct_series(tmp_path / "ct", "120").iterdir())]
    for ds in slices:
        ds.EchoTime, ds.SpacingBetweenSlices = "1", "2.5"  # the factory is for MR, and drops them

    def edit(ds: Dataset, frames: list[Dataset]) -> None:
        ds.SOPClassUID = EnhancedCTImageStorage
        for groups in frames:
            scale = groups.PixelValueTransformationSequence[0]
            scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = "1", "-1024", "HU"

    (tmp_path / "e").mkdir()
    order = (3, 0, 4, 1, 2, 9, 8, 7, 6, 5)
    save_enhanced(slices, tmp_path / "e" / "one.dcm", order=order, edit=edit)
    assert run("derive", tmp_path / "e", "--to", "density")[0] == 0
    ds, given = dcmread(tmp_path / "e_density" / "PM_0001.dcm"), dcmread(tmp_path / "e" / "one.dcm")
    found = []
    for groups in ds.PerFrameFunctionalGroupsSequence:
        image = groups.DerivationImageSequence[0].SourceImageSequence[0]
        assert image.ReferencedSOPInstanceUID == given.SOPInstanceUID
        frame = given.PerFrameFunctionalGroupsSequence[image.ReferencedFrameNumber - 1]
        ours, theirs = (one.PlanePositionSequence[0] for one in (groups, frame))
        assert np.allclose(ours.ImagePositionPatient, theirs.ImagePositionPatient)
        found.append(image.ReferencedFrameNumber)
    assert sorted(found) == list(range(1, 11))
    assert len(ds.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 1
    assert dciodvfy_errors(tmp_path / "e_density") == []


def test_a_tilted_ct_is_straightened_when_asked_and_else_refused(run: Run, tmp_path: Path) -> None:
    tilt = axial_affine()
    tilt[1, 2] = 0.6
    hu = ct_hu((20, 24, 10))

    def changes(ds: Dataset, k: int) -> None:
        ds.PixelData = (hu[:, :, k] + 1024).T.astype("<u2").tobytes()

    source = tmp_path / "ct"
    make_series(source, modality="CT", affine_ras=tilt, changes=changes)
    code, _, err = run("derive", source, "--to", "density")
    assert code == 3
    assert "--untilt" in err
    assert run("derive", source, "--to", "density", "--untilt")[0] == 0
    folder = tmp_path / "ct_density"
    ds = dcmread(next(folder.iterdir()))
    straight = read_dicom(source, untilt=True).volume
    assert (ds.Columns, ds.Rows) == straight.geometry.shape[:2]
    assert np.array_equal(
        np.sort(ds.pixel_array.ravel()),
        np.sort(schneider_2000().at(straight.voxels).astype(np.float32).ravel()),
    )
    image = ds.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert image.SpatialLocationsPreserved == "NO"
    if shutil.which("dciodvfy"):
        assert dciodvfy_errors(folder) == []


def test_without_highdicom_or_a_series_the_error_says_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = write_ct(tmp_path / "ct.nii.gz")
    code, _, err = run("derive", volume, "--to", "density", "--format", "dicom")
    assert code == 2
    assert "refers to the DICOM series" in err
    source = write_ct_series(tmp_path / "ct", "120")

    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(parametric_map, "import_module", missing)
    code, _, err = run("derive", source, "--to", "density")
    assert code == 2
    assert "medcyclegan[maps]" in err
    assert not (tmp_path / "ct_density").exists()
    assert run("derive", source, "--to", "density", "--format", "nifti")[0] == 0
