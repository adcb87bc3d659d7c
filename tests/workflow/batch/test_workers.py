"""Workers that die, on a real scheduler with worker processes: others do their patients."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medcyclegan.errors import DeviceError, ExitCode
from medcyclegan.workflow.batch.item import Row
from medcyclegan.workflow.batch.run import run_batch
from medcyclegan.workflow.batch.workers import Crew
from tests.tiny_model import tiny_folder
from tests.workflow.batch.trees import (
    ROOT,
    Quiet,
    by_source,
    order,
    provenance,
    running_cluster,
    small_nifti,
)

pytestmark = pytest.mark.skipif(
    not hasattr(__import__("os"), "sched_getaffinity"), reason="signals as Linux has them"
)


@pytest.mark.slow
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
            provenance=provenance(),
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


@pytest.mark.slow
def test_a_cluster_whose_workers_are_all_gone_ends_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medcyclegan.workflow.batch.workers._GONE_S", 1.0)
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
            provenance=provenance(),
            watcher=Quiet(lambda row: workers[0].kill()),
        )
    assert list((tmp_path / "out").rglob("t1_sct.nii.gz"))


def test_a_scheduler_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medcyclegan.workflow.batch.workers._CONNECT_S", 0.5)
    small_nifti(tmp_path / "in" / "t1.nii.gz")
    model = tiny_folder(tmp_path / "tiny")
    with pytest.raises(DeviceError, match=r"127\.0\.0\.1:9"):
        run_batch(
            order(tmp_path / "in", tmp_path / "out", model),
            Crew(scheduler="tcp://127.0.0.1:9"),
            provenance=provenance(),
            watcher=Quiet(),
        )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_group_ends_it_with_what_was_done(
    tmp_path: Path, number: int, code: int
) -> None:
    """As Ctrl-C, ``timeout`` and ``scancel`` send it: to the workers, too."""
    for case in range(40):
        small_nifti(tmp_path / "in" / f"p{case:02d}" / "t1.nii.gz", shift=float(case))
    out, model = tmp_path / "out", tiny_folder(tmp_path / "tiny")
    command = [sys.executable, "-m", "medcyclegan", "batch", str(tmp_path / "in"), "--out",
               str(out), "--model", str(model), "--device", "cpu"]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        start_new_session=True,
    ) as batch:  # fmt: skip
        deadline = time.monotonic() + 400
        while not list(out.glob("p*/t1_sct.nii.gz")):
            assert time.monotonic() < deadline, "no output"
            time.sleep(0.02)
        os.killpg(batch.pid, number)
        _, errors = batch.communicate(timeout=300)
    assert batch.returncode == code
    assert errors.startswith("Error: ")
    assert errors.count("\n") == 1
    assert [path for path in out.rglob(".*") if path.name != ".medcyclegan"] == []
    record = json.loads((out / "batch.json").read_text())
    assert record["finished"] is False
    assert 1 <= record["counts"]["done"] < 40
