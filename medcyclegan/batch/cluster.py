"""Where the work runs: processes on this computer, or a dask cluster that is there already."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker

import dask
from distributed import Client, LocalCluster

from medcyclegan.batch.station import SCANS_IN_MEMORY
from medcyclegan.errors import DeviceError, UsageError

_CONNECT_S = 30
_LOCAL = {
    # Results are rows of text: there is nothing to spill to disk.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    # Importing torch takes long on a busy computer.
    "distributed.comm.timeouts.connect": "120s",
}


@dataclass(frozen=True)
class Crew:
    """Who works: so many processes here, or the workers of the scheduler at an address."""

    workers: int = 1
    scheduler: str = ""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise UsageError(f"{self.workers} workers", rule="there must be one or more")
        if self.scheduler and self.workers != 1:
            raise UsageError(
                f"--workers {self.workers} with --scheduler {self.scheduler}",
                rule="a running cluster has its own workers",
                remedy="leave one of them out",
            )

    @property
    def threads(self) -> int:
        """Cores for the network in each process; 0 where the cluster's workers say it."""
        return 0 if self.scheduler else max(1, _cores() // self.workers)


def _cores() -> int:
    """The cores that this process may use, which in a job are fewer than the computer has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def connected(crew: Crew) -> Iterator[Client]:
    """Give a client of the crew; processes that were started here end with the block.

    Raises
    ------
    DeviceError
        If no scheduler answers at the address.
    """
    if crew.scheduler:
        with _client_of(crew.scheduler) as client:
            yield client
        return
    # One process even for one worker: an input that brings it down does not end the batch.
    with (
        dask.config.set(_LOCAL),
        _quiet_dask(),
        _local_cluster(crew.workers) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _local_cluster(workers: int) -> LocalCluster:
    """Start worker processes that leave Ctrl-C and SIGTERM to this one.

    Both come to all processes of the group: from a terminal, from ``timeout`` and ``scancel``. This
    process then ends the workers, who remove what they have begun. The thread that starts them,
    now and when one has died, has the signals blocked, and they inherit that.
    """
    resource_tracker.ensure_running()  # later it would lift the block in that thread
    has_masks = hasattr(signal, "pthread_sigmask")
    ours = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ours) if has_masks else None
    try:
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=SCANS_IN_MEMORY,
            processes=True,
            dashboard_address="127.0.0.1:0",  # None would take a fixed port
            silence_logs=logging.CRITICAL,
        )
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _quiet_dask() -> Iterator[None]:
    """Keep dask's log from the screen; what happens to workers is told in the rows.

    If the block is interrupted it stays so: the cluster is closed when the process ends.
    """
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    except Exception:
        logger.setLevel(before)
        raise
    logger.setLevel(before)


def _client_of(address: str) -> Client:
    try:
        return Client(address, timeout=_CONNECT_S)
    except (OSError, ValueError) as error:
        raise DeviceError(
            f"--scheduler {address}: no scheduler answers",
            rule=f"a dask scheduler of the same version must answer within {_CONNECT_S} s",
            remedy="check the address, tcp://host:port, and that the scheduler runs",
        ) from error
