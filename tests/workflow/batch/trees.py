"""Trees of small scans for batches, and workers of a real dask cluster as processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.io.dicom.write import write_dicom_mr
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.workflow.batch.item import Row
from medcyclegan.workflow.batch.plan import Plan
from medcyclegan.workflow.batch.run import Order
from medcyclegan.workflow.convert import Provenance
from medcyclegan.workflow.synthesize import Options
from tests.tiny_model import head_on

ROOT = Path(__file__).parents[3]
NOW = datetime(2024, 2, 29, 12, 0, 0, tzinfo=UTC)


def small_nifti(path: Path, *, shift: float = 0.0) -> Path:
    """A ball of MR signal on 24 x 24 x 12 voxels; ``shift`` makes another image of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mr, _ = head_on(geometry_from_spacing((24, 24, 12), (8.0, 8.0, 12.0)))
    signal_ = mr.with_voxels(mr.voxels + shift * (mr.voxels > 0))
    write_nifti(signal_, source_header=ItkSourceHeader(), to=path)
    return path


def small_series(folder: Path, *, description: str = "t1_mprage") -> Path:
    """The same ball as a DICOM series."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    mr, _ = head_on(geometry_from_spacing((24, 24, 12), (8.0, 8.0, 12.0)))
    numbers = count(1)
    base = sum(ord(c) * 31**n for n, c in enumerate(str(folder)[-12:])) % 10**9
    new_uid = lambda: f"2.25.{base}{next(numbers)}"  # noqa: E731
    write_dicom_mr(mr, to=folder, description=description, now=NOW, new_uid=new_uid)
    return folder


def provenance() -> Provenance:
    """A fixed clock; UIDs by number."""
    numbers = count(1)
    return Provenance(version="0.0.1", now=lambda: NOW, new_uid=lambda: f"2.25.77{next(numbers)}")


def order(root: Path, out: Path, model: Path, **changes: object) -> Order:
    """An order for a tiny model on the CPU."""
    values = {"root": root, "out": out, "model": str(model), "options": Options(device="cpu")}
    return Order(**{**values, **changes})  # type: ignore[arg-type]


class Quiet:
    """A watcher that keeps what it is told; ``at_row`` is called for each row."""

    def __init__(self, at_row: Callable[[Row], None] = lambda row: None) -> None:
        self.plan: Plan | None = None
        self.rows: list[Row] = []
        self._at_row = at_row

    def planned(self, plan: Plan) -> None:
        """Keep the plan."""
        self.plan = plan

    def ended(self, row: Row) -> None:
        """Keep the row."""
        self.rows.append(row)
        self._at_row(row)


def by_source(rows: tuple[Row, ...]) -> dict[str, Row]:
    """Rows by the path of the input."""
    return {row.source: row for row in rows}


@contextmanager
def running_cluster(folder: Path, *, workers: int) -> Iterator[tuple[str, list[subprocess.Popen]]]:
    """A scheduler and workers without nannies, each a process; gives address and workers.

    The workers die of inputs whose name holds ``poison``, by ``tests/workflow/batch/poison.py``.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_LOGGING__DISTRIBUTED": "critical"}
    started: list[subprocess.Popen] = []

    def start(*arguments: str) -> subprocess.Popen:
        command = [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]]
        process = subprocess.Popen(command, env=environment, cwd=folder)
        started.append(process)
        return process

    about = folder / "scheduler.json"
    try:
        start("dask_scheduler", "--scheduler-file", str(about), "--host", "127.0.0.1", "--port",
              "0", "--no-dashboard", "--dashboard-address", "127.0.0.1:0")  # fmt: skip
        deadline = time.monotonic() + 120
        while not about.exists():
            assert time.monotonic() < deadline, "no scheduler"
            time.sleep(0.1)
        each = ("--no-nanny", "--nthreads", "2", "--scheduler-file", str(about), "--no-dashboard",
                "--dashboard-address", "127.0.0.1:0", "--local-directory", str(folder),
                "--preload", "tests.workflow.batch.poison")  # fmt: skip
        running = [start("dask_worker", *each) for _ in range(workers)]
        yield _address(about), running
    finally:
        for process in started:
            process.send_signal(signal.SIGKILL)
            process.wait()


def _address(about: Path) -> str:
    import json

    return str(json.loads(about.read_text())["address"])
