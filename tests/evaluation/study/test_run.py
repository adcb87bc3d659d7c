"""A study from folders to the finished report."""

from __future__ import annotations

import csv
import json
import os
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from medcyclegan.cli.evaluate import method_of
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, InputRefused
from medcyclegan.evaluation.metrics import score
from medcyclegan.evaluation.study.output import ensure_study_writable
from medcyclegan.evaluation.study.page import patient_sections, render_study
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.io.read import read_scan
from tests.evaluation.study.cohort import make_cohort, request_on

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
FIGURES = {
    "scores", "tissues", "bland_altman", "error_histogram", "joint_histogram", "error_by_slice",
    "profile", "patients_1_good", "patients_2_poor",
}  # fmt: skip


def run(root: Path, **changes: object) -> Study:
    return evaluate_study(request_on(root, **changes), version="9.8.7", now=NOW)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three good patients, one broken in one method, one without a partner."""
    root = tmp_path_factory.mktemp("cohort")
    make_cohort(root, (1, 2, 3, 4))
    (root / "poor" / "P04_sct.nii.gz").write_bytes(b"broken")
    (root / "good" / "P09_sct.nii.gz").write_bytes(b"alone")
    (root / "groups.csv").write_text("case,group\nP01,north\nP02,north\nP03,<b>south</b>\n")
    return root


@pytest.fixture(scope="module")
def study(root: Path) -> Study:
    return run(root, mr=root / "mr", groups=root / "groups.csv")


@pytest.fixture(scope="module")
def page(study: Study, root: Path) -> str:
    return (root / "study" / "report.html").read_text(encoding="utf-8")


def table(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "study" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_broken_and_the_lonely_are_named_and_the_others_scored(study: Study) -> None:
    assert [(r.case, r.method) for r in study.refused] == [("P04", "poor")]
    assert [(r.case, r.method) for r in study.unmatched] == [("P09", "good")]
    assert {(r.case, r.method) for r in study.results} == {
        *((f"P0{i}", "good") for i in range(1, 5)), *((f"P0{i}", "poor") for i in range(1, 4)),
    }  # fmt: skip


def test_rows_are_the_scores_of_the_files(study: Study, root: Path) -> None:
    rows = table(root, "metrics")
    assert len(rows) == 7
    assert json.loads((root / "study" / "metrics.json").read_text())[0]["case"] == "P01"
    row = next(r for r in rows if (r["case"], r["method"]) == ("P02", "poor"))
    pred = read_scan(root / "poor" / "P02_sct.nii.gz", modality="CT").volume
    ref = read_scan(root / "ct" / "P02_ct.nii.gz", modality="CT").volume
    mask = read_scan(root / "mask" / "P02_mask.nii.gz").volume
    scores = score(pred, ref, Volume(mask.voxels, mask.geometry, "mask"), protocol="synthrad2023")
    assert float(row["mae_hu"]) == scores.mae_hu
    assert float(row["ssim"]) == scores.ssim
    assert (row["ms_ssim"], row["group"], row["protocol"]) == ("", "north", "synthrad2023")


def test_every_table_names_the_protocol(study: Study, root: Path) -> None:
    for name in ("metrics", "summary", "comparisons"):
        assert {row["protocol"] for row in table(root, name)} == {"synthrad2023"}
        assert "synthrad2023" in (root / "study" / f"{name}.tex").read_text()
    about = json.loads((root / "study" / "study.json").read_text())
    assert about["protocol"] == "synthrad2023"
    assert about["refused"][0]["case"] == "P04"
    groups = {row["group"] for row in table(root, "summary")}
    assert groups == {"all", "north", "<b>south</b>"}


def test_figures_are_there_as_pdf_and_png(study: Study, root: Path) -> None:
    folder = root / "study" / "figures"
    for name in FIGURES:
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len(list(folder.iterdir())) == 2 * len(FIGURES)


class _Addresses(HTMLParser):
    """Collects whatever a browser would fetch or follow, and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [
            v or "" for k, v in attrs if k in ("src", "href", "srcset", "action", "data")
        ]


def outward(text: str) -> list[str]:
    """Addresses in a page that lead out of it."""
    parser = _Addresses()
    parser.feed(text)
    addresses = [a for a in parser.found if not a.startswith(("#", "data:image/png;base64,"))]
    inlined = re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]+", "", text)
    return addresses + re.findall(r"(?:https?:)?//[\w.-]+\.\w+|url\(|@import", inlined)


def test_the_page_loads_nothing_from_elsewhere(page: str) -> None:
    assert outward(page) == []
    assert "default-src 'none'" in page
    assert outward('<img src="http://a.example/x.png">')
    assert outward("<style>@import 'x.css'</style>")
    assert outward("<script src='lib.js'></script>")


def test_the_page_holds_tables_figures_patients_and_refusals(page: str) -> None:
    parser = _Addresses()
    parser.feed(page)
    assert parser.tags.count("img") == len(FIGURES)
    assert parser.tags.count("article") == 4
    assert "sortable" in page
    assert page.count("synthrad2023") > 5
    assert "no reference of this name" in page
    assert "P04" in page
    assert "&lt;b&gt;south&lt;/b&gt;" in page
    assert "<b>south</b>" not in page
    assert "9.8.7" in page
    assert "2026-01-02 03:04" in page


def test_no_path_of_this_computer_is_in_the_page_but_in_what_was_refused(
    page: str, root: Path
) -> None:
    assert page.count(str(root)) == 1


def test_the_viewer_of_a_patient_holds_the_images_that_were_scored(study: Study) -> None:
    first = patient_sections(study)[0]
    assert set(first.scores) == {"good", "poor"}
    assert first.viewer is not None
    names = [image["name"] for image in first.viewer.about["images"]]  # type: ignore[attr-defined]
    assert names == ["MR", "CT", "sCT good", "sCT poor"]


def test_the_page_is_rendered_from_any_pictures(study: Study) -> None:
    html = render_study(study, pictures=(), patients=patient_sections(study)[:1])
    assert html.count("<article") == 1


def test_a_folder_of_ours_may_be_replaced_on_request_and_no_other(study: Study, root: Path) -> None:
    with pytest.raises(CannotWrite, match="exists already"):
        run(root)
    again = request_on(root, overwrite=True)
    ensure_study_writable(again)
    mine = root / "study" / "figures" / "mine.txt"
    mine.write_text("mine")
    with pytest.raises(CannotWrite, match="did not write"):
        run(root, overwrite=True)
    assert mine.read_text() == "mine"
    mine.unlink()
    ensure_study_writable(again)


def test_nothing_is_left_when_nothing_can_be_scored_or_the_output_is_an_input(
    root: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "x" / "P01.nii.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"broken")
    methods = (Method("x", broken.parent),)
    with pytest.raises(InputRefused, match=r"None of the images \(1\) could be scored"):
        run(root, methods=methods, out=tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    with pytest.raises(CannotWrite, match="input"):
        run(root, out=root / "ct" / "study")


def test_the_python_of_the_document_asks_for_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[StudyRequest] = []

    def remember(request: StudyRequest, *, version: str, now: datetime) -> SimpleNamespace:
        asked.append(request)
        return SimpleNamespace(summaries=())

    text = (Path(__file__).parents[3] / "docs" / "evaluate.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.setattr("medcyclegan.evaluation.study.run.evaluate_study", remember)
    exec(compile(code, "evaluate.md", "exec"), {})
    assert [method.name for method in asked[0].methods] == ["unet", "cyclegan"]


def test_names_that_are_no_text_are_scored_and_escaped(tmp_path: Path) -> None:
    make_cohort(tmp_path, (1, 2))
    odd, folder = os.fsdecode(b"M\xf6ller"), tmp_path / os.fsdecode(b"met\xf6d")
    (tmp_path / "good").rename(folder)
    for path in list(tmp_path.glob("*/P01_*")):
        path.rename(path.with_name(path.name.replace("P01", odd)))
    (folder / os.fsdecode(b"P0\xf6_sct.nii.gz")).write_bytes(b"alone")
    methods = (method_of(os.fspath(folder)), Method("poor", tmp_path / "poor"))
    study = run(tmp_path, methods=methods, mr=tmp_path / "mr")
    assert [p.case for p in study.patients] == ["M\\xf6ller", "P02"]
    assert [r.case for r in study.unmatched] == ["P0\\xf6"]
    assert study.methods[0] == "met-xf6d"
    for name in ("study.json", "metrics.csv", "metrics.tex", "report.html"):
        assert "xf6" in (tmp_path / "study" / name).read_text(encoding="utf-8")


def test_a_broken_file_whose_name_is_no_text_is_named(tmp_path: Path) -> None:
    make_cohort(tmp_path, (1, 2))
    for path in tmp_path.glob("*/P01_*"):
        path.rename(path.with_name(path.name.replace("P01", os.fsdecode(b"M\xf6"))))
    (tmp_path / "poor" / os.fsdecode(b"M\xf6_sct.nii.gz")).write_bytes(b"broken")
    study = run(tmp_path)
    assert [(r.case, r"M\xf6_sct" in r.reason) for r in study.refused] == [("M\\xf6", True)]
