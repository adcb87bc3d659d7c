"""Workers that die, on a real scheduler with worker processes: others do their patients."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.batch.cluster import Crew
from medcyclegan.batch.item import Row
from medcyclegan.batch.run import run_batch
from medcyclegan.errors import DeviceError, ExitCode
from tests.batch.trees import Quiet, by_source, maker, order, running_cluster, small_nifti
from tests.tiny_model import tiny_folder

pytestmark = pytest.mark.skipif(
    not hasattr(__import__("os"), "sched_getaffinity"), reason="signals as Linux has them"
)


def test_patients_of_a_killed_worker_are_done_by_the_other_and_poison_is_given_up(
    tmp_path: Path,
) -> None:
    root, model = tmp_path / "in", tiny_folder(tmp_path / "tiny")
    for n in range(6):
        small_nifti(root / f"p{n}_slow" / "t1.nii.gz", shift=float(n))
    small_nifti(root / "p9_poison" / "t1.nii.gz")
    with running_cluster(tmp_path, workers=4) as (address, workers):
        killed = []

        def kill_one(row: Row) -> None:
            if not killed:
                killed.append(workers[0])
                workers[0].kill()

        outcome = run_batch(
            order(root, tmp_path / "out", model),
            Crew(scheduler=address),
            maker=maker(),
            watcher=Quiet(kill_one),
        )
        alive = [worker.poll() is None for worker in workers]
    rows = by_source(outcome.rows)
    bad = rows.pop("p9_poison/t1.nii.gz")
    assert {row.status for row in rows.values()} == {"done"}
    assert (bad.status, "twice" in bad.reason) == ("failed", True)
    assert outcome.exit_code is ExitCode.SOME_REFUSED
    assert killed
    # One by the test and one or two of the poison, which may have met the killed one.
    assert alive.count(False) >= 2
    assert (tmp_path / "out" / "p5_slow" / "t1_sct.nii.gz").is_file()
    assert not (tmp_path / "out" / "p9_poison" / "t1_sct.nii.gz").exists()


def test_a_cluster_whose_workers_are_all_gone_ends_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medcyclegan.batch.presence._GONE_S", 1.0)
    model = tiny_folder(tmp_path / "tiny")
    for n in range(4):
        small_nifti(tmp_path / "in" / f"p{n}_slow" / "t1.nii.gz", shift=float(n))
    with (
        running_cluster(tmp_path, workers=1) as (address, workers),
        pytest.raises(DeviceError, match="No worker is left"),
    ):
        run_batch(
            order(tmp_path / "in", tmp_path / "out", model),
            Crew(scheduler=address),
            maker=maker(),
            watcher=Quiet(lambda row: workers[0].kill()),
        )
    assert list((tmp_path / "out").rglob("t1_sct.nii.gz"))


def test_a_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medcyclegan.batch.cluster._CONNECT_S", 0.5)
    small_nifti(tmp_path / "in" / "t1.nii.gz")
    model = tiny_folder(tmp_path / "tiny")
    with pytest.raises(DeviceError, match=r"127\.0\.0\.1:9"):
        run_batch(
            order(tmp_path / "in", tmp_path / "out", model),
            Crew(scheduler="tcp://127.0.0.1:9"),
            maker=maker(),
            watcher=Quiet(),
        )
