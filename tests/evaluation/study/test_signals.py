"""Studies of MRs and of pictures: no HU anywhere, and the range is named everywhere."""

from __future__ import annotations

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.signal_scores import IntensityRange
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.evaluation.water_paths import WaterPathOptions
from tests.evaluation.study.cohort import head_ct, save
from tests.evaluation.test_water_paths import WATER

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def run(root: Path, **changes: object) -> Study:
    given: dict[str, object] = {
        "methods": (Method("net", root / "made"),),
        "ref": root / "t2",
        "out": root / "study",
        "protocol": "synthrad2023",
    }
    request = StudyRequest(**(given | changes))  # type: ignore[arg-type]
    return evaluate_study(request, version="9.8.7", now=NOW)


def make_mrs(root: Path, *, scale: float = 3.0) -> None:
    """Three MRs, and what a model made of them on another scale, named after it."""
    for case in (1, 2, 3):
        ct = head_ct(case)
        true = np.clip(ct.voxels + 1000.0, 0.0, 1300.0)
        true[ct.voxels > 500.0] = 200.0
        noise = np.random.default_rng(case).normal(0.0, 20.0, true.shape)
        made = np.maximum(scale * (true + noise), 0.0)
        for name, values in ((f"t2/P{case}_T2w", true), (f"made/P{case}_T1w_head-t1-t2", made)):
            image = ct.with_voxels(values.astype(np.float32), unit="a.u.")
            save(image, root / f"{name}.nii.gz")
    rows = [{"output": f"P{c}_T1w_head-t1-t2.nii.gz", "doubts": [], "warnings": []} for c in (1, 2)]
    record = {"unit": "a.u.", "model": "head-t1-t2", "rows": rows}
    (root / "made" / "batch.json").write_text(json.dumps(record))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mrs")
    make_mrs(root)
    return root


@pytest.fixture(scope="module")
def study(root: Path) -> Study:
    return run(root)


def test_the_record_of_the_batch_says_that_they_are_mrs(study: Study, root: Path) -> None:
    assert study.request.kind == "mr"
    assert len(study.results) == 3
    assert not study.unmatched
    assert study.protocol == "range-each-p99.5"
    with (root / "study" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["protocol"] for row in rows} == {"range-each-p99.5"}
    assert float(rows[0]["ssim"]) > 0.9
    assert float(rows[0]["pred_high"]) == pytest.approx(3.0 * float(rows[0]["ref_high"]), rel=0.1)
    about = json.loads((root / "study" / "study.json").read_text())
    assert about["kind"] == "mr"
    assert about["schema_version"] == 2
    assert "99.5th percentile" in about["intensity_range"]["text"]


def test_nothing_of_it_is_in_hu(study: Study, root: Path) -> None:
    folder = root / "study"
    for name in ("metrics.csv", "summary.csv", "metrics.tex", "summary.json", "study.json"):
        assert not re.search(r"(?i)\bHU\b|_hu|bone", (folder / name).read_text()), name
    page = (folder / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"(?s)<script.*?</script>|<style.*?</style>|data:[^\"]*", "", page)
    assert re.findall(r"\bHU\b|Bone|synthrad", shown.split('<section id="patients">')[0]) == []
    assert "Translated MR study" in page
    assert "0 to the 99.5th percentile inside the mask of each image" in page
    figures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert figures == {"scores", "patients_1_net"}


def test_a_range_of_the_reference_tells_of_another_scale(root: Path, tmp_path: Path) -> None:
    study = run(root, out=tmp_path / "study", intensities=IntensityRange("reference"))
    assert study.protocol == "range-reference-p99.5"
    assert any("times as bright as the true one" in said for said in study.warnings)
    each = run(root, out=tmp_path / "each")
    assert not any("times as bright" in said for said in each.warnings)


def test_an_mr_study_refuses_what_is_of_ct(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "study"
    for changes, says in (
        ({"water_paths": WaterPathOptions(WATER)}, "--wepl for a study of MRs"),
        ({"dose_from": root}, "--dose-from for a study of MRs"),
        ({"mr": root / "t2"}, "--mr for a study of MRs"),
        ({"kind": "ct", "intensities": IntensityRange("each")}, "--range for CTs"),
    ):
        with pytest.raises(UsageError, match=says):
            run(root, out=out, **changes)
    with pytest.raises(InputRefused, match="made with the model head-t1-t2, in "):
        run(root, out=out, kind="ct")
    save(head_ct(), tmp_path / "cts" / "P1_made.nii.gz")
    with pytest.raises(InputRefused, match="looks like a CT in HU"):
        run(root, out=out, kind="mr", methods=(Method("x", tmp_path / "cts" / "P1_made.nii.gz"),),
            ref=root / "t2" / "P1_T2w.nii.gz")  # fmt: skip
    assert not out.exists()


def make_pictures(root: Path) -> None:
    """Colours and grey values, with endings that differ from side to side."""
    (root / "true").mkdir()
    (root / "made").mkdir()
    for case in (1, 2):
        rng = np.random.default_rng(case)
        grey = rng.integers(0, 255, (40, 32)).astype(np.uint8)
        other = np.clip(grey.astype(int) + rng.integers(-9, 9, grey.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grey).save(root / "true" / f"slice{case}.png")
        Image.fromarray(np.stack([other] * 3, axis=-1)).save(root / "made" / f"slice{case}.tif")


def test_folders_of_pictures_are_scored_as_pictures(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    (tmp_path / "made" / ".cache").mkdir()
    (tmp_path / "made" / ".cache" / "volume.nii.gz").write_bytes(b"hidden, so no image of it")
    study = run(tmp_path, ref=tmp_path / "true")
    assert study.request.kind == "picture"
    assert study.protocol == "range-0-to-255"
    assert len(study.results) == 2
    assert all(result.value("ssim") > 0.9 for result in study.results)
    assert study.mask_text == "none, the whole picture counts"
    page = (tmp_path / "study" / "report.html").read_text(encoding="utf-8")
    assert "Translated picture study" in page
    assert "Colours of pictures are scored as grey" in page


def test_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    make_pictures(tmp_path)
    Image.fromarray(np.arange(99, dtype=np.uint8).reshape(9, 11)).save(
        tmp_path / "made" / "slice2.tif"
    )
    study = run(tmp_path, ref=tmp_path / "true")
    assert [refusal.case for refusal in study.refused] == ["slice2"]
    assert "(11, 9, 1) voxels" in study.refused[0].reason


def test_a_sidecar_says_what_was_made_where_there_is_no_record(tmp_path: Path) -> None:
    make_mrs(tmp_path)
    (tmp_path / "made" / "batch.json").unlink()
    first = tmp_path / "made" / "P1_T1w_head-t1-t2.json"
    about = {"Units": "arbitrary", "medcyclegan": {"model": {"name": "head-t1-t2"}}}
    first.write_text(json.dumps(about))
    study = run(tmp_path)
    assert study.request.kind == "mr"
    assert len(study.results) == 3
    first.write_text(json.dumps({"Units": "arbitrary"}))  # the control: of somebody else
    with pytest.raises(InputRefused):
        run(tmp_path, out=tmp_path / "other")
