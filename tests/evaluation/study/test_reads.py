"""How often a study reads each image: once to score it, and once more if it is drawn in a panel."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.evaluation.study import load, output, run, signals
from medcyclegan.evaluation.study.page import Picture
from medcyclegan.evaluation.study.plan import Method, StudyRequest
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.evaluation.water_paths import WaterPathOptions
from medcyclegan.imaging.hu_curves import proton_stopping_power
from tests.evaluation.study.cohort import head_ct, make_cohort, request_on, save, with_error

# With two methods, of which each draws its best, median and worst, two patients are not drawn.
CASES = range(5)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cohort")
    make_cohort(root, CASES)
    return root


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was read, by the name of its folder and its own."""
    found: Counter[str] = Counter()

    def counted(reader):
        def read(path: Path, **options: object):
            found[f"{path.parent.name}/{path.name}"] += 1
            return reader(path, **options)

        return read

    monkeypatch.setattr(load, "read_scan", counted(load.read_scan))
    monkeypatch.setattr(load, "read_mask", counted(load.read_mask))
    monkeypatch.setattr(signals, "read_scan", counted(signals.read_scan))
    return found


@pytest.fixture(autouse=True)
def _without_saving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn and not saved, which takes most of the time of a small study."""
    monkeypatch.setattr(
        output, "_write_figure", lambda drawn, _: Picture(drawn.name, "", "", bytes(24))
    )


def evaluated(request: StudyRequest) -> Study:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return run.evaluate_study(request, version="1", now=now)


def most_reads(study: Study, metric: str) -> dict[str, int]:
    """By case: once to be scored, and once more for the best, median and worst of a method."""
    drawn = set()
    for method in study.methods:
        of_method = [result for result in study.results if result.method == method]
        ranked = sorted(of_method, key=lambda result: result.value(metric))
        drawn |= {ranked[place].case for place in (0, (len(ranked) - 1) // 2, -1)}
    return {patient.case: 1 + (patient.case in drawn) for patient in study.patients}


def held(study: Study, reads: Counter[str], metric: str = "mae_hu") -> bool:
    """The law; every file must have been read, too."""
    most = most_reads(study, metric)
    found = {name: (count, most[name.split("/")[1].split("_")[0]]) for name, count in reads.items()}
    return len(found) > 0 and all(1 <= count <= limit for count, limit in found.values())


@pytest.mark.parametrize("wepl", [False, True])
def test_each_image_is_read_once_and_once_more_for_a_panel(
    root: Path, tmp_path: Path, reads: Counter[str], wepl: bool
) -> None:
    paths = WaterPathOptions(proton_stopping_power(), (0.0, 90.0), kvp="120") if wepl else None
    study = evaluated(request_on(root, out=tmp_path / "study", mr=root / "mr", water_paths=paths))
    assert len(reads) == 5 * len(CASES)  # CT, mask, MR, two methods
    assert held(study, reads)
    assert {1, 2} == set(reads.values())


def test_of_pictures_and_mrs_too(root: Path, tmp_path: Path, reads: Counter[str]) -> None:
    for case in range(4):
        ct = head_ct(case)
        mr = ct.with_voxels(np.maximum(ct.voxels + 1000.0, 0.0), unit="a.u.")
        save(mr, tmp_path / "t2" / f"P{case}_t2.nii.gz")
        made = with_error(mr, bias_hu=0.0, noise_hu=20.0 + case, seed=case)
        save(made, tmp_path / "made" / f"P{case}_t2.nii.gz")
    study = evaluated(
        StudyRequest(
            methods=(Method("made", tmp_path / "made"),),
            ref=tmp_path / "t2",
            out=tmp_path / "study",
            protocol="synthrad2023",
            kind="mr",
        )
    )
    assert len(reads) == 8
    assert held(study, reads, "mae_percent")


def test_the_control_a_report_that_reads_the_patients_again(
    root: Path, tmp_path: Path, reads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = run.patient_viewer

    def reading_again(images: load.PatientImages, *, patients: int):
        load.read_scan(root / "ct" / f"{images.case}_ct.nii.gz", modality="CT")
        return made(images, patients=patients)

    monkeypatch.setattr(run, "patient_viewer", reading_again)
    study = evaluated(request_on(root, out=tmp_path / "study"))
    assert not held(study, reads)
