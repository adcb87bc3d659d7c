"""Whatever happens, nothing of the patient is printed, logged, reported or put into a file name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from medcyclegan.cli.conversions import new_deidentifier
from tests.cli.conversion_inputs import Run, tree_hash, write_mr
from tests.tiny_model import tiny_folder

TELLING = {
    "PatientName": "Zqxname^Person",
    "PatientID": "ZQXID4711",
    "PatientBirthDate": "19770707",
    "OtherPatientNames": "Zqxother",
    "ReferringPhysicianName": "Zqxdoctor",
    "InstitutionName": "Zqxhospital",
    "AccessionNumber": "ZQXACC",
    "PatientComments": "Zqxcomment",
}
WORDS = [value.split("^")[0] for value in TELLING.values()]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


def change_slices(folder: Path, change: Callable[[Dataset, int], None]) -> Path:
    """Change every slice of a series."""
    for k, path in enumerate(sorted(folder.glob("*.dcm"))):
        ds = dcmread(path)
        change(ds, k)
        ds.save_as(path)
    return folder


@pytest.fixture
def series(tmp_path: Path) -> Path:
    def name(ds: Dataset, _: int) -> None:
        for keyword, value in TELLING.items():
            setattr(ds, keyword, value)

    return change_slices(write_mr(tmp_path / "series"), name)


def told(*texts: str | bytes) -> list[str]:
    """The telling words that are in any of the texts."""
    content = b"\n".join(t if isinstance(t, bytes) else t.encode() for t in texts).lower()
    return [word for word in WORDS if word.lower().encode() in content]


def test_a_conversion_tells_nothing(run: Run, series: Path, model: Path) -> None:
    for extra in (("--json",), ("--verbose",)):
        code, out, err = run(
            "synth-ct", "--mri", series, "--model", model, "--report", "--overwrite", *extra
        )
        assert (code, told(out, err)) == (0, [])
    report = series.with_name("series_sct_report.html")
    assert told(report.read_bytes()) == []
    assert told(*tree_hash(series.parent)) == []
    written = next(series.with_name("series_sct").glob("*.dcm")).read_bytes()
    assert len(told(written)) >= 6  # the control: they are the patient's, and are found


def test_name_and_id_are_shown_when_that_is_asked_for(run: Run, series: Path, model: Path) -> None:
    for extra in ((), ("--json",)):
        code, out, _ = run(
            "synth-ct", "--mri", series, "--model", model, "--overwrite", "--show-patient", *extra
        )
        assert (code, told(out)) == (0, ["Zqxname", "ZQXID4711"])


def drop_slice(ds: Dataset, k: int) -> None:
    ds.ImagePositionPatient[2] += 3.0 * (k > 5)


def second_patient(ds: Dataset, k: int) -> None:
    ds.PatientID, ds.PatientName = f"ZQXID4711-{k > 5}", f"Zqxname^{k > 5}"


def long_name(ds: Dataset, _: int) -> None:
    ds.PatientName = "Zqxname" * 20


def odd_date(ds: Dataset, _: int) -> None:
    ds["PatientBirthDate"]._value = "Zqxname 19770707"


def no_signal(ds: Dataset, _: int) -> None:
    ds.PixelData = bytes(len(ds.PixelData))


def a_ct(ds: Dataset, _: int) -> None:
    ds.Modality, ds.SOPClassUID = "CT", "1.2.840.10008.5.1.4.1.1.2"


def short_pixels(ds: Dataset, _: int) -> None:
    ds.PixelData = ds.PixelData[:100]


@pytest.mark.filterwarnings("ignore")  # of pydicom, when the test writes what is odd
@pytest.mark.parametrize(
    "fault", [drop_slice, second_patient, long_name, odd_date, no_signal, a_ct, short_pixels]
)
def test_a_refusal_tells_nothing(run: Run, series: Path, model: Path, fault: object) -> None:
    change_slices(series, fault)  # type: ignore[arg-type]
    code, out, err = run("synth-ct", "--mri", series, "--model", model, "--verbose")
    assert (code, out) == (3, "")
    assert err.startswith(("Error: ", "WARNING ", "INFO "))
    assert told(err) == []
    assert [path.name for path in series.parent.iterdir()] == ["series"]


def test_deidentify_takes_the_patient_out(run: Run, series: Path, model: Path) -> None:
    out = series.with_name("clean")
    given = ("synth-ct", "--mri", series, "--model", model)
    assert run(*given, "--out", out, "--deidentify")[0] == 0
    contents = [path.read_bytes() for path in out.iterdir()]
    assert told(*contents) == []
    source = dcmread(next(series.glob("*.dcm")))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert all(source[keyword].value.encode() not in content for content in contents)
    assert len({dcmread(path).PatientID for path in out.glob("*.dcm")}) == 1
    assert new_deidentifier().key != new_deidentifier().key  # each run has one of its own


def test_deidentify_is_for_dicom(run: Run, series: Path, model: Path, tmp_path: Path) -> None:
    given = ("synth-ct", "--mri", series, "--model", model, "--deidentify")
    code, out, err = run(*given, "--out", tmp_path / "x.nii.gz")
    assert (code, out) == (2, "")
    assert "--format dicom" in err
    nifti = write_mr(tmp_path / "head.nii.gz")
    assert run("synth-ct", "--mri", nifti, "--model", model, "--deidentify")[0] == 2
    assert run("synth-ct", "--mri", nifti, "--model", model, "--deidentify", "--format", "dicom",
               "--out", tmp_path / "from_nifti")[0] == 0  # fmt: skip
    (ds, *_) = map(dcmread, (tmp_path / "from_nifti").glob("*.dcm"))
    assert (ds.PatientID, ds.SeriesDate) == ("", "19000101")
