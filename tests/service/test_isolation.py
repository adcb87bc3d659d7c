"""A series that brings down the worker that has it fails by itself; others are translated."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import dask
import pytest
from distributed import Client, LocalCluster
from pydicom import Dataset

from medcyclegan.service.entries import JobState
from medcyclegan.service.turns import Turns
from medcyclegan.workflow.batch.work import DIED_TWICE
from tests.service.running import ended_jobs, mr_series, running, send, settings_of
from tests.tiny_model import tiny_folder

_BUSY_S = 600.0  # the worker starts three times, and imports torch, on a busy computer too


def of_protocol(name: str) -> object:
    def change(ds: Dataset, k: int) -> None:
        ds.ProtocolName = name
        ds.StudyInstanceUID = f"1.2.3.{len(name)}"

    return change


@pytest.mark.slow
def test_a_series_that_kills_its_worker_fails_alone_and_the_others_are_done(
    tmp_path: Path,
) -> None:
    """Two jobs at once in one worker process: whoever is beside the poison dies with it once."""
    store, model = tmp_path / "store", tiny_folder(tmp_path / "tiny")
    preload = {"distributed.worker.preload": ["tests.service.poison"]}
    with (
        dask.config.set(preload),
        LocalCluster(n_workers=1, threads_per_worker=3, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
        running(settings_of(store, model, workers=2), client) as service,
    ):
        for name in ("poison", "t1_first", "t1_other_one"):
            folder = mr_series(tmp_path / name, changes=of_protocol(name))
            assert set(send(sorted(folder.iterdir()), service.parts.node.port)) == {0}
        jobs = ended_jobs(service, 3, seconds=_BUSY_S)
    failed = [job for job in jobs if job.state is JobState.FAILED]
    assert [job.result.reason for job in failed] == [DIED_TWICE]
    assert failed[0].attempts == 1
    assert sorted(job.state for job in jobs if job not in failed) == [JobState.DONE, JobState.DONE]


def test_who_is_alone_has_nobody_beside_it_and_does_not_wait_for_ever() -> None:
    turns, seen, here = Turns(), list[tuple[str, int, int]](), {"together": 0, "alone": 0}
    lock = threading.Lock()

    def turn(kind: str) -> None:
        with turns.alone() if kind == "alone" else turns.together():
            with lock:
                here[kind] += 1
                seen.append((kind, here["together"], here["alone"]))
            time.sleep(0.02)
            with lock:
                here[kind] -= 1

    kinds = ["together"] * 6 + ["alone"] * 2 + ["together"] * 6
    threads = [threading.Thread(target=turn, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert len(seen) == len(kinds)
    assert all(together == 0 and alone == 1 for kind, together, alone in seen if kind == "alone")
    assert all(alone == 0 for kind, _, alone in seen if kind == "together")
    assert max(together for _, together, _ in seen) > 1
