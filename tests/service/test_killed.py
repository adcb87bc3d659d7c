"""A real ``medcyclegan serve`` that is killed at its work loses nothing and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from tests.peers import free_port
from tests.service.running import Page, mr_series, send, wait_until
from tests.tiny_model import tiny_folder

ROOT = Path(__file__).parents[2]
CT_IMAGE, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
_START_S = 240.0  # torch, dask and a worker, on a busy computer


@contextmanager
def counting_node() -> Iterator[tuple[int, list[Dataset]]]:
    """A destination that keeps every instance that it is sent, as often as it is sent."""
    got: list[Dataset] = []

    def store(event: evt.Event) -> int:
        got.append(event.dataset)
        return 0

    entity = AE("PACS")
    entity.add_supported_context(CT_IMAGE, [EXPLICIT])
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert server is not None
    yield server.server_address[1], got
    server.shutdown()


@contextmanager
def serving(folder: Path, model: Path, ports: tuple[int, int, int]) -> Iterator[subprocess.Popen]:
    """The service as a user starts it, in a group with its workers, which read slowly."""
    dicom, http, to = ports
    command = [
        sys.executable, "-m", "medcyclegan", "serve", "--store", folder / "store",
        "--port", str(dicom), "--http", str(http), "--quiet", "1s", "--device", "cpu",
        "--model", model, "--to", f"PACS@127.0.0.1:{to}",
    ]  # fmt: skip
    slow = {"DASK_DISTRIBUTED__WORKER__PRELOAD": '["tests.service.poison"]'}
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **slow}
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: is_well(http), seconds=_START_S, what="the service is well")
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_well(http: int) -> bool:
    try:
        return Page(http).ask("GET", "/healthz").status == 200
    except OSError:
        return False


def jobs(http: int) -> list[dict]:
    deliveries = Page(http).ask("GET", "/api/queue").json()["deliveries"]
    return [job for delivery in deliveries for job in delivery["jobs"]]


def is_sent(http: int) -> bool:
    """Whether there are jobs, and the destination has accepted them all."""
    found = jobs(http)
    return bool(found) and all(
        job["state"] == "done" and [s["state"] for s in job["sends"]] == ["accepted"]
        for job in found
    )


@pytest.mark.slow
def test_a_kill_while_a_study_is_translated_sends_its_series_exactly_once(tmp_path: Path) -> None:
    model = tiny_folder(tmp_path / "tiny")
    series = mr_series(tmp_path / "SE1")
    sources = {str(dcmread(path).SOPInstanceUID) for path in series.iterdir()}
    with counting_node() as (to, got):
        ports = (free_port(), free_port(), to)
        with serving(tmp_path, model, ports) as process:
            assert set(send(sorted(series.iterdir()), ports[0])) == {0}
            wait_until(
                lambda: [job["state"] for job in jobs(ports[1])] == ["running"],
                what="the study is translated",
            )
            process.kill()  # the process itself, and not its workers, as the kernel does
            process.wait()
        assert got == []  # the control: nothing had been sent before
        with serving(tmp_path, model, ports):
            wait_until(lambda: is_sent(ports[1]), seconds=_START_S, what="the series was sent")
    counts = Counter(str(ds.SOPInstanceUID) for ds in got)
    assert set(counts.values()) == {1}
    assert len(counts) == len(sources)
    assert len({str(ds.SeriesInstanceUID) for ds in got}) == 1
    made_of = {str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID) for ds in got}
    assert made_of == sources
