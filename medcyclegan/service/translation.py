"""From deliveries to results: planned by the rules of a batch, translated by its workers.

A job's UIDs and its time of making are in the queue before it is begun. Whatever is killed and done
again comes out as the same instances, byte for byte.
"""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from distributed import Client
from pydicom.uid import generate_uid

from medcyclegan import __version__
from medcyclegan.errors import DeviceError, MedcycleganError
from medcyclegan.io.naming import is_folder
from medcyclegan.models.store import Model
from medcyclegan.service.entries import Delivery, DeliveryState, Job, SendState
from medcyclegan.service.queue import Queue
from medcyclegan.service.results import write_view
from medcyclegan.service.settings import ServiceSettings
from medcyclegan.service.store import Store
from medcyclegan.service.turns import Turns
from medcyclegan.workflow.batch.finding import find_candidates
from medcyclegan.workflow.batch.item import (
    Item,
    Row,
    Settings,
    Status,
    hash_input,
    make_state,
    up_to_date,
)
from medcyclegan.workflow.batch.plan import Plan, Rule, make_plan
from medcyclegan.workflow.batch.work import DIED_TWICE, station
from medcyclegan.workflow.batch.workers import Crew, work_by_itself, work_together
from medcyclegan.workflow.convert import Provenance
from medcyclegan.workflow.request import suffix_of

# A job that failed is tried again after these times; then it waits for a person. One that brought
# down its worker, and another worker by itself, waits at once.
RETRY_AFTER_S = (60.0, 300.0)
# So often a job may have been in hand when a process died, before it waits for a person, too.
_MOST_ATTEMPTS = 10
_RECONNECT_AFTER_S = 10.0
_LOOK_EVERY_S = 1.0
# Of the disk being full, as a rule: what is known is kept in memory and written later.
_WRITE_AGAIN_AFTER_S = 5.0

_log = logging.getLogger(__name__)


@dataclass
class SeededUids:
    """A maker of UIDs that gives the same ones in the same order for a seed, in any process."""

    seed: str
    number: int = 0

    def __call__(self) -> str:
        """Return the next one."""
        self.number += 1
        return str(generate_uid(entropy_srcs=[self.seed, str(self.number)]))


@dataclass(frozen=True)
class FixedClock:
    """A clock that stands still at a time, in seconds since 1970."""

    seconds: float

    def __call__(self) -> datetime:
        """Return the time, in the zone of this computer."""
        return datetime.fromtimestamp(self.seconds).astimezone()


@dataclass(frozen=True)
class Planned:
    """What a worker found in a delivery, and the sha256 of each input to translate."""

    plan: Plan
    hashes: tuple[str, ...]


def plan_delivery(settings: Settings, rule: Rule, modality: str) -> Planned:
    """Look through a delivery and choose, as a batch does; runs on a worker."""
    place = station(settings.model, settings.model_sha256, threads=settings.threads or 1)
    with place.files:
        found = find_candidates(settings.root, modality=modality, skip=settings.out)
        plan = make_plan(found, rule, settings)
        return Planned(plan, tuple(hash_input(item, settings.root) for item in plan.items))


def view_job(settings: Settings, item: Item, to: Path) -> None:
    """Write what the page's viewer shows of a result; runs on a worker."""
    place = station(settings.model, settings.model_sha256, threads=settings.threads or 1)
    assert place.model is not None
    with place.files:
        write_view(item, settings, place.model.task, to=to)


class Background:
    """A thread that looks for work until it is stopped, and at once when it is woken.

    ``name`` is that of the thread, which does not keep the process alive.
    """

    def __init__(self, name: str) -> None:
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more; what is in hand is done again at the next start."""
        self._stop.set()
        self._wake.set()

    def _run(self) -> None:
        """Look for work again and again, until ``_stop`` is set."""
        raise NotImplementedError


class Translation(Background):
    """Plans what was received and translates what waits, until it is stopped."""

    def __init__(
        self,
        store: Store,
        queue: Queue,
        settings: ServiceSettings,
        model: Model,
        connect: Callable[[], AbstractContextManager[Client]],
    ) -> None:
        super().__init__("translation")
        self._store, self._queue, self._settings = store, queue, settings
        self._card = model.card
        self._threads = Crew(workers=settings.workers, scheduler=settings.scheduler).threads
        self._connect = connect
        self._tries: dict[str, int] = {}
        self._turns = Turns()
        self.is_connected = False

    def start(self) -> None:
        """Take up what a process before this one had in hand, and begin."""
        if left := self._queue.put_back_running():
            _log.warning("%d jobs are begun again", left)
        super().start()

    def stop(self) -> None:
        """Begin nothing more; what is in hand is done again at the next start."""
        super().stop()
        if self._thread.is_alive():
            self._thread.join(timeout=_RECONNECT_AFTER_S)

    def settings_for(self, delivery: str, job: Job | None = None) -> Settings:
        """What holds for one delivery, or for one job of it, as a worker is told it."""
        clock = FixedClock(job.made_at if job else 0.0)
        provenance = Provenance(
            __version__, now=clock, new_uid=SeededUids(job.uid_seed if job else "")
        )
        return Settings(
            root=self._store.arrived(delivery),
            out=self._store.made(delivery),
            model=self._settings.model,
            model_sha256=self._card.weights_sha256,
            options=self._settings.options,
            provenance=provenance,
            run=f"{job.id}-{job.attempts}" if job else delivery,
            suffix=suffix_of(self._card),
            unit=self._card.task.target.unit,
            threads=self._threads,
        )

    def view_path(self, job: Job) -> Path:
        """Where what the viewer shows of a job is kept."""
        return self._store.home(job.delivery) / f"{job.id}.view.json"

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with self._connect() as client:
                    self.is_connected = True
                    self._serve(client)
            except DeviceError as error:
                _log.error("no workers: %s", error)
            except Exception as error:  # of dask, when a cluster goes down around us
                _log.error("the workers were lost (%s)", type(error).__name__)
            self.is_connected = False
            self._stop.wait(_RECONNECT_AFTER_S)

    def _serve(self, client: Client) -> None:
        slots = self._settings.workers
        if self._settings.scheduler:
            slots = max(1, len(client.nthreads()))
        in_hand: set[threading.Thread] = set()
        while not self._stop.is_set() and client.status == "running":
            self._wake.clear()
            try:
                self._plan_all(client)
                in_hand = {thread for thread in in_hand if thread.is_alive()}
                if len(in_hand) < slots and (job := self._queue.next_job()):
                    # a daemon: the process need not wait for what is done again at its next start
                    thread = threading.Thread(target=self._do, args=(job, client), daemon=True)
                    thread.start()
                    in_hand.add(thread)
                    continue
            except sqlite3.Error as error:
                _log.error("the queue cannot be written (%s)", error)
                self._stop.wait(_WRITE_AGAIN_AFTER_S)
            self._wake.wait(_LOOK_EVERY_S)

    # Planning

    def _plan_all(self, client: Client) -> None:
        for delivery in self._queue.deliveries(DeliveryState.RECEIVED):
            try:
                self._plan(delivery, client)
            except (sqlite3.Error, DeviceError):
                raise
            except Exception as error:
                self._not_planned(delivery, error)

    def _not_planned(self, delivery: Delivery, error: Exception) -> None:
        """Give a delivery up that cannot be looked through, after some tries."""
        tries = self._tries[delivery.id] = self._tries.get(delivery.id, 0) + 1
        _log.error("delivery %s: cannot be looked through (%s)", delivery.id, type(error).__name__)
        if tries > len(RETRY_AFTER_S):
            said = str(error) if isinstance(error, MedcycleganError) else type(error).__name__
            self._queue.set_delivery(
                delivery.id, DeliveryState.REFUSED, _relative(said, self._store)
            )

    def _plan(self, delivery: Delivery, client: Client) -> None:
        settings = self.settings_for(delivery.id)
        modality = self._card.task.source.modality
        rule = self._settings.rule
        future = client.submit(plan_delivery, settings, rule, modality, pure=False)
        planned: Planned = future.result()
        plan, inputs = planned.plan, iter(zip(planned.plan.items, planned.hashes, strict=True))
        with self._queue.transaction():
            for row in plan.rows:
                if row.status is not Status.WAITING:
                    self._queue.add_job(delivery.id, row, None, "")
                    continue
                item, digest = next(inputs)
                key = _key(digest, settings)
                self._queue.add_job(delivery.id, row, _item_json(item), key)
            state, reason = DeliveryState.PLANNED, delivery.reason
            if not plan.rows:
                passed = ", ".join(f"{what}: {n}" for what, n in plan.passed_over.items())
                reason = f"no {modality} to translate in it" + (f" ({passed})" if passed else "")
                state = DeliveryState.REFUSED
            self._queue.set_delivery(delivery.id, state, reason)
        _log.info(
            "delivery %s: %d to translate of %d", delivery.id, len(plan.items), len(plan.rows)
        )

    # Translating

    def _do(self, job: Job, client: Client) -> None:
        item = item_of(job)
        if job.attempts > _MOST_ATTEMPTS:
            said = f"the service ended {_MOST_ATTEMPTS} times while it had this in hand"
            return self._surely(
                lambda: self._queue.end_job(job.id, item.row(Status.FAILED, said), ())
            )
        _log.info("job %s: begun", job.id)
        try:
            row = self._translate(job, item, client)
        except DeviceError:
            self._surely(lambda: self._queue.put_back(job.id, after_s=_RECONNECT_AFTER_S))
            raise
        except Exception as error:
            _log.debug("job %s", job.id, exc_info=True)
            row = item.row(Status.FAILED, f"a fault of the service: {type(error).__name__}")
        if self._stop.is_set() and row.status is Status.FAILED:
            return None  # the workers were taken away: it is done at the next start
        self._end(job, row)
        self._wake.set()

    def _translate(self, job: Job, item: Item, client: Client) -> Row:
        settings = self.settings_for(job.delivery, job)
        settings.out.mkdir(mode=0o700, exist_ok=True)
        make_state(settings)
        done = up_to_date(item, settings)  # of a process that died after it had written it
        if done is None:
            done = self._worked(item, settings, client)
        if done.status in (Status.DONE, Status.DOUBTFUL, Status.UP_TO_DATE):
            to = self.view_path(job)
            try:
                client.submit(view_job, settings, item, to, pure=False).result()
            except Exception as error:  # the result is there all the same, and the page says so
                _log.warning("job %s: no viewer (%s)", job.id, type(error).__name__)
        if done.status is Status.UP_TO_DATE:
            return done.model_copy(update={"status": Status.DONE})
        return done

    def _worked(self, item: Item, settings: Settings, client: Client) -> Row:
        """Convert it beside others; if its worker died, which others may be to blame for, alone."""
        with self._turns.together():
            (row,) = work_together((item,), settings, client)
        if row.status is not Status.WAITING:
            return row
        _log.warning("a worker died: what it had in hand is tried once more, one by one")
        with self._turns.alone():
            return work_by_itself(item, settings, client)

    def _end(self, job: Job, row: Row) -> None:
        failed = row.status is Status.FAILED
        may_go = row.reason != DIED_TWICE  # it would take workers down again and again
        if failed and may_go and job.attempts <= len(RETRY_AFTER_S):
            after_s = RETRY_AFTER_S[job.attempts - 1]
            _log.warning("job %s: failed, tried again in %.0f s", job.id, after_s)
            self._surely(lambda: self._queue.put_back(job.id, after_s=after_s, result=row))
            return
        self._surely(lambda: self._queue.end_job(job.id, row, self._sends(job, row)))
        self._store.count()
        level = logging.ERROR if failed else logging.INFO
        _log.log(level, "job %s: %s%s", job.id, row.status, f", {row.reason}" if row.reason else "")

    def _sends(self, job: Job, row: Row) -> list[tuple[str, SendState]]:
        """A doubtful result, and one of an upload, waits for a person's word."""
        if row.status not in (Status.DONE, Status.DOUBTFUL) or not is_folder(Path(row.output)):
            return []
        delivery = self._queue.delivery(job.delivery)
        is_doubted = row.status is Status.DOUBTFUL and not self._settings.send_doubtful
        is_upload = delivery is None or delivery.source != "dicom"
        state = SendState.HELD if is_doubted or is_upload else SendState.WAITING
        return [(destination.name, state) for destination in self._settings.destinations]

    def _surely(self, write: Callable[[], None]) -> None:
        """Write to the queue; again and again where the disk is full, until we are stopped."""
        while True:
            try:
                return write()
            except sqlite3.Error as error:
                _log.error("the queue cannot be written (%s)", error)
                if self._stop.wait(_WRITE_AGAIN_AFTER_S):
                    return None


def item_of(job: Job) -> Item:
    """The piece of work of a job, as a batch's worker takes it."""
    told = job.item
    return Item(
        source=Path(told["source"]),
        files=tuple(map(Path, told["files"])),
        series_uid=told["series_uid"],
        series_name=told["series_name"],
        contrast=told["contrast"],
        output=Path(told["output"]),
    )


def _item_json(item: Item) -> dict[str, Any]:
    return {
        **{name: str(getattr(item, name)) for name in ("source", "output")},
        **{name: getattr(item, name) for name in ("series_uid", "series_name", "contrast")},
        "files": [str(path) for path in item.files],
    }


def _key(input_sha256: str, settings: Settings) -> str:
    """What an output depends on: equal for the same input, model, options and version."""
    parts = [input_sha256, *(f"{k}={v}" for k, v in sorted(settings.fingerprint().items()))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _relative(message: str, store: Store) -> str:
    return message.replace(f"{store.root}/", "")
