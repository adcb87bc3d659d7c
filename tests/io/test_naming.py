"""Where outputs go by default, and names that contradict the format."""

from pathlib import Path

import pytest

from medcyclegan.errors import UsageError
from medcyclegan.io.naming import Format, output_path, report_path, suffix_for
from tests.dicom_factory import make_series
from tests.radiographs import write_radiograph


@pytest.mark.parametrize(
    ("source", "out", "format_", "expected"),
    [
        ("/d/a.nii.gz", None, None, "/d/a_sct.nii.gz"),
        ("/d/a.b.NII.GZ", None, None, "/d/a.b_sct.nii.gz"),
        ("/d/a.hdr", None, None, "/d/a_sct.nii.gz"),
        ("/d/a.nhdr", None, None, "/d/a_sct.nrrd"),
        ("/d/a.mhd", None, None, "/d/a_sct.mhd"),
        ("/d/a.mha", None, "nifti", "/d/a_sct.nii.gz"),
        ("/d/a.nii", "b.mha", None, "b.mha"),
        ("/d/a.nii", "b", "dicom", "b"),
        ("/d/a.nii", "/", None, "/a_sct.nii"),
        ("/d/series/sub/..", None, "dicom", "/d/series_sct"),
    ],
)
def test_names_of_outputs(
    source: str, out: str | None, format_: Format | None, expected: str
) -> None:
    found = output_path(Path(source), out=Path(out) if out else None, format=format_)
    assert found == Path(expected)


@pytest.mark.parametrize(
    ("output", "report"),
    [("/d/a_sct.nii.gz", "/d/a_sct_report.html"), ("/d/1.2.840", "/d/1.2.840_report.html")],
)
def test_names_of_reports(output: str, report: str) -> None:
    assert report_path(Path(output)) == Path(report)


@pytest.mark.parametrize(
    ("out", "format_"),
    [
        ("b.nii.gz", "dicom"),
        ("b.dcm", None),
        ("b.dcm", "dicom"),
        ("b", None),
        ("b", "nifti"),
        ("b.mha", "nifti"),
    ],
)
def test_names_and_formats_that_contradict_are_refused(out: str, format_: Format | None) -> None:
    with pytest.raises(UsageError, match=f"--out {out}"):
        output_path(Path("/d/a.nii"), out=Path(out), format=format_)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("/d/a.nii.gz", "/d/a_t2.nii.gz"), ("/d/a.PNG", "/d/a_t2.PNG"), ("/d/a.jpg", "/d/a_t2.png")],
)
def test_another_suffix(source: str, expected: str) -> None:
    assert output_path(Path(source), out=None, format=None, suffix="_t2") == Path(expected)


def test_a_radiograph_stands_for_itself_and_a_slice_for_its_series(tmp_path: Path) -> None:
    radiograph = write_radiograph(tmp_path / "xr")
    assert output_path(radiograph, out=None, format=None) == tmp_path / "xr" / "IM0001_sct"
    one = make_series(tmp_path / "mr", shape=(6, 5, 2))[1]
    assert output_path(one, out=None, format=None) == tmp_path / "mr_sct"


@pytest.mark.parametrize(
    ("name", "suffix"), [("t1-t2", "_t1-t2"), ("a/b c", "_a-b-c"), ("..", "_"), ("Köpfe", "_K-pfe")]
)
def test_suffixes_are_names_of_files(name: str, suffix: str) -> None:
    assert suffix_for(name) == suffix


def test_an_output_is_told_as_its_input_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mr" / "exam").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for source, expected in (
        ("head.nii.gz", "head_sct.nii.gz"),
        ("mr/head.nii", "mr/head_sct.nii"),
        ("../x/head.mha", "../x/head_sct.mha"),
        (str(tmp_path / "head.nii"), str(tmp_path / "head_sct.nii")),
    ):
        assert output_path(Path(source), out=None, format=None) == Path(expected)
    monkeypatch.chdir(tmp_path / "mr")
    assert output_path(Path("exam"), out=None, format=None) == Path("exam_sct")
    assert output_path(Path("."), out=None, format=None) == Path("../mr_sct")
    assert output_path(Path(".."), out=None, format=None).name == f"{tmp_path.name}_sct"
