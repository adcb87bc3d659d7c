"""Workers of a batch: a dask cluster, whether it is alive, and the items handed to it."""

from __future__ import annotations

import logging
import os
import signal
import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker

import dask
from distributed import Client, Future, KilledWorker, LocalCluster, as_completed, wait

from medcyclegan.errors import DeviceError, UsageError
from medcyclegan.workflow.batch.item import Item, Row, Settings, Status, read_mark
from medcyclegan.workflow.batch.work import (
    DIED,
    DIED_TWICE,
    MOST_TRIES,
    SCANS_IN_MEMORY,
    work,
    work_alone,
)

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


_POLL_S = 0.02
# How often the scheduler is asked for its workers.
_LOOK_EVERY_S = 1.0
# Workers that died are started again by their nannies, or by a queue of jobs, within this time.
_GONE_S = 180.0


class Presence:
    """Watches for the workers of a cluster, once there have been any."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._looked_at = 0.0
        self._seen_at: float | None = None

    def seen(self) -> None:
        """Note that somebody was there: work has ended. They may be gone before the first look."""
        self._seen_at = time.monotonic()

    def look(self) -> None:
        """Look at most every second.

        Raises
        ------
        DeviceError
            If there were workers, and none has been there for three minutes.
        """
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S or self._client.status != "running":
            return
        self._looked_at = now
        if self._client.nthreads():
            self._seen_at = now
        elif self._seen_at is not None and now - self._seen_at > _GONE_S:
            raise DeviceError(
                "No worker is left",
                rule=f"of a cluster's workers one must be there within {_GONE_S:.0f} s",
                remedy="start workers again, and the batch: it goes on where it ended",
            )


def as_they_end(ended: as_completed, presence: Presence) -> Iterator[Future[Row]]:
    """Yield futures as they end, as long as somebody is there to do them."""
    while not ended.is_empty():
        if ended.has_ready():
            presence.seen()
            yield next(ended)
        else:
            presence.look()
            time.sleep(_POLL_S)


def result_of(future: Future[Row], presence: Presence) -> Row:
    """Fetch a row; if its worker died first, it is made again, as long as somebody is there."""
    while True:
        try:
            return future.result(timeout=_LOOK_EVERY_S)
        except TimeoutError:
            if future.status == "error":
                raise
            presence.look()


def work_on(items: tuple[Item, ...], settings: Settings, client: Client) -> Iterator[Row]:
    """Yield the row of each item as it ends; items whose worker died come last, one at a time.

    Raises
    ------
    DeviceError
        If the scheduler is lost, or all workers are.
    """
    by_output = {item.row(Status.WAITING).output: item for item in items}
    orphans = []
    for row in work_together(items, settings, client):
        if row.status is Status.WAITING:
            orphans.append(by_output[row.output])
        else:
            yield row
    for item in orphans:
        yield work_by_itself(item, settings, client)


def work_together(items: tuple[Item, ...], settings: Settings, client: Client) -> Iterator[Row]:
    """Yield the row of each item as it ends; it says ``waiting`` of those whose worker died."""
    presence = Presence(client)
    keys = [f"{settings.run}-{item.key}" for item in items]
    futures = client.map(work, items, settings=settings, key=keys, pure=False)
    by_key = {future.key: item for future, item in zip(futures, items, strict=True)}
    ended = as_completed(futures)
    del futures  # a result is let go when its row has been taken
    for future in as_they_end(ended, presence):
        yield _row_of(future, by_key[future.key], client, presence)


def _row_of(future: Future[Row], item: Item, client: Client, presence: Presence) -> Row:
    """The row that the worker made; one that waits if the row was lost with the worker."""
    try:
        return result_of(future, presence)
    except KilledWorker:
        return item.row(Status.WAITING, DIED)
    except CancelledError as error:
        if client.status == "running":
            return item.row(Status.WAITING, DIED)
        raise DeviceError(
            "The scheduler was lost",
            rule="it must run as long as the batch",
            remedy="start it again, and the batch: it goes on where it ended",
        ) from error
    except Exception as error:  # of workers that lack a package, or have another version of it
        reason = f"a worker could not take it in hand ({type(error).__name__})"
        return item.row(Status.FAILED, f"{reason}; have the same versions on all workers")


def work_by_itself(item: Item, settings: Settings, client: Client) -> Row:
    """Try an item once more, and give it up if that worker dies too.

    The caller sees to it that nothing else is worked on.
    """
    presence = Presence(client)
    key = f"{settings.run}-{item.key}-alone"
    future = client.submit(work_alone, item, settings, key=key, pure=False)
    while not future.done():
        try:
            wait(future, timeout=_LOOK_EVERY_S)
        except TimeoutError:
            presence.look()
            mark = read_mark(item, settings)
            if mark is None or mark.run != settings.run or mark.tries < MOST_TRIES:
                continue
            if mark.worker not in client.nthreads():
                future.cancel()
                return item.row(Status.FAILED, DIED_TWICE)
    row = _row_of(future, item, client, presence)
    return item.row(Status.FAILED, DIED_TWICE) if row.status is Status.WAITING else row
