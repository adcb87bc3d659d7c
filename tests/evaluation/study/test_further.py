"""Surfaces, water-equivalent paths and doses in a study, from the files to every output."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.errors import UsageError
from medcyclegan.evaluation.dose import NO_CLINICAL_CALCULATION
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.evaluation.study.run import evaluate_study
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.evaluation.water_paths import WaterPathOptions
from tests.evaluation.dose_factory import write
from tests.evaluation.study.cohort import head_ct, make_cohort, request_on, save
from tests.evaluation.test_water_paths import WATER, places

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
OPTIONS = WaterPathOptions(WATER, (0.0, 90.0, 210.0), kvp="of the tests")


def run(root: Path, **changes: object) -> Study:
    return evaluate_study(request_on(root, **changes), version="9.8.7", now=NOW)


def make_targets(root: Path, cases: tuple[int, ...]) -> None:
    for case in cases:
        ct = head_ct(case)
        ball = np.linalg.norm(places(ct.geometry), axis=-1) < 25.0
        mask = ct.with_voxels(ball.astype(np.float32), unit="mask")
        save(mask, root / "target" / f"P{case:02d}_ptv.nii.gz")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("further")
    make_cohort(root, (1, 2, 3))
    make_targets(root, (1, 2))
    write(root / "dose", method="poor")
    return root


@pytest.fixture(scope="module")
def study(root: Path) -> Study:
    return run(root, water_paths=OPTIONS, target=root / "target", dose_from=root / "dose")


def table(root: Path, name: str) -> list[dict[str, str]]:
    with (root / "study" / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_score_is_in_the_table(study: Study, root: Path) -> None:
    row = next(r for r in table(root, "metrics") if (r["case"], r["method"]) == ("P01", "poor"))
    assert float(row["me_hu"]) == pytest.approx(-30.0, abs=1.0)  # the bias that it was given
    assert float(row["rmse_soft_hu"]) > float(row["mae_soft_hu"]) > 30.0
    for column in ("hd95_bone_mm", "msd_bone_mm", "hd95_body_mm", "msd_body_mm"):
        assert float(row[column]) >= 0.0
    # Soft tissue of -30 HU is 3 % of the water on the way.
    assert -6.0 < float(row["wepl_mean_mm"]) < -1.0
    assert float(row["wepl_p95_mm"]) > abs(float(row["wepl_mean_mm"]))
    assert -6.0 < float(row["range_mean_mm"]) < -1.0
    good = next(r for r in table(root, "metrics") if (r["case"], r["method"]) == ("P01", "good"))
    assert abs(float(good["wepl_mean_mm"])) < abs(float(row["wepl_mean_mm"]))


def test_beams_have_rows_of_their_own(study: Study, root: Path) -> None:
    rows = table(root, "wepl")
    assert len(rows) == 2 * 2 * 3  # patients with a target, methods, beams
    assert {row["gantry_deg"] for row in rows} == {"0.0", "90.0", "210.0"}
    assert {row["curve"] for row in rows} == {"a curve by hand"}
    assert all(int(row["rays"]) > 100 for row in rows)
    about = json.loads((root / "study" / "study.json").read_text())
    assert about["water_paths"]["kvp"] == "of the tests"
    assert about["water_paths"]["rays_end"] == "behind the target"
    assert len(about["water_paths"]["beams"]) == len(rows)


def test_who_has_no_target_has_no_paths_and_is_named(study: Study, root: Path) -> None:
    assert any("water-equivalent paths, for P03" in said for said in study.warnings)
    row = next(r for r in table(root, "metrics") if r["case"] == "P03")
    assert row["wepl_mean_mm"] == ""
    assert row["mae_hu"] != ""


def test_the_page_shows_paths_surfaces_and_doses(study: Study, root: Path) -> None:
    page = (root / "study" / "report.html").read_text(encoding="utf-8")
    for said in ("HD95, bone", "RMSE, soft tissue", "Mean range error", "a curve by hand",
                 "of the tests", NO_CLINICAL_CALCULATION, "brainstem", "2 %/2 mm"):  # fmt: skip
        assert said in page
    names = {path.stem for path in (root / "study" / "figures").glob("*.png")}
    assert {"wepl_by_beam", "wepl_maps_1_good", "wepl_maps_2_poor"} <= names
    assert len(table(root, "dose")) == 2


def test_further_scores_make_no_test_stricter(study: Study) -> None:
    tested = {row.metric.column for row in study.comparisons}
    assert "wepl_p95_mm" in tested
    assert not tested & {"me_hu", "rmse_hu", "hd95_bone_mm", "wepl_mean_mm"}
    assert len(tested) == 7 + 2


def test_without_the_option_there_is_no_trace_of_paths(root: Path, tmp_path: Path) -> None:
    run(root, out=tmp_path / "study")
    assert "wepl_mean_mm" not in (tmp_path / "study" / "metrics.csv").read_text()
    assert not (tmp_path / "study" / "wepl.csv").exists()
    assert "WEPL" not in (tmp_path / "study" / "report.html").read_text()


def test_a_target_that_is_nowhere_leaves_the_rest_scored(root: Path, tmp_path: Path) -> None:
    ct = head_ct(1)
    corner = np.zeros(ct.geometry.shape, dtype=np.float32)
    corner[0, 0, 0] = 1.0
    save(ct.with_voxels(corner, unit="mask"), tmp_path / "target" / "P01_ptv.nii.gz")
    study = run(root, out=tmp_path / "study", water_paths=OPTIONS, target=tmp_path / "target")
    assert any("The target marks no voxel of the body" in said for said in study.warnings)
    assert len(study.results) == 6


def test_a_target_without_paths_is_a_fault_of_usage(root: Path) -> None:
    with pytest.raises(UsageError, match="A target without water-equivalent paths"):
        StudyRequest(**(vars(request_on(root)) | {"target": root / "target"}))


def test_a_method_without_bone_has_no_distance_of_bone_and_a_note(
    root: Path, tmp_path: Path
) -> None:
    for case in (1, 2):
        ct = head_ct(case)
        soft = ct.with_voxels(np.minimum(ct.voxels, 120.0))
        save(soft, tmp_path / "soft" / f"P{case:02d}_sct.nii.gz")
    study = run(root, out=tmp_path / "study", methods=(Method("soft", tmp_path / "soft"),))
    assert all(np.isnan(result.value("hd95_bone_mm")) for result in study.results)
    assert any("bone: no surface in the synthetic CT" in n for n in study.notes_on("P01"))
