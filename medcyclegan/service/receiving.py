"""Instances on their way in: which delivery they belong to, and when that is complete.

What one sender sends of one study is one delivery, over however many associations. It is complete
when no association that sent of it is open, and nothing came for a while. A series of which an
association broke off, or of which an instance was not taken, is not whole until a later association
that sends of it ends well; till then its delivery is held as incomplete, and never translated by
itself: a head that ends too early looks like a head.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.api import DicomFile, load_header, series_uid, text
from medcyclegan.service.entries import Delivery, DeliveryState
from medcyclegan.service.queue import Queue
from medcyclegan.service.settings import Limits
from medcyclegan.service.store import Store, StoreFull, write_part

# pydicom keeps state for all threads of a process.
HEADERS = threading.Lock()
BROKEN_OFF = (
    "an association broke off, or an instance was not taken: part of a series may be missing; "
    "send the study again, or convert what is here"
)

_log = logging.getLogger(__name__)


class NotAnInstance(ValueError):
    """What arrived is no DICOM instance with the UIDs that tell where it belongs."""


class TooMuch(ValueError):
    """A study of more files or bytes than the limits allow."""


@dataclass
class Visit:
    """One association: who calls, and which series of which deliveries it sent since when.

    ``ended_ns`` is when it was released, aborted or cut off; times are those of ``time.time_ns``.
    """

    sender: str
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    series: dict[tuple[str, str], int] = field(default_factory=dict)
    failed: set[tuple[str, str]] = field(default_factory=set)
    has_failed: bool = False
    is_released: bool = False
    ended_ns: int = 0


@dataclass
class _Open:
    """A delivery that is being received; ``last`` is the monotonic time of the last arrival."""

    delivery: Delivery
    last: float
    files: int
    bytes: int


class Receiving:
    """Takes instances into the store; safe to be used from many associations at once."""

    def __init__(self, store: Store, queue: Queue, limits: Limits, *, quiet_s: float) -> None:
        self._store, self._queue, self._limits = store, queue, limits
        self._quiet_s = quiet_s
        self._lock = threading.RLock()
        self._open: dict[tuple[str, str], _Open] = {}
        self._visits: dict[str, Visit] = {}
        self._ended: dict[str, int] = {}
        self.instances = 0
        self.refused = 0
        for delivery in queue.deliveries(DeliveryState.RECEIVING):
            if delivery.source == "dicom":  # of a process that is no more
                self._reopen(delivery)

    def begin(self, sender: str) -> Visit:
        """Note that an association is open."""
        with self._lock:
            visit = Visit(sender)
            self._visits[visit.id] = visit
        return visit

    def end(self, visit: Visit) -> None:
        """Note that an association ended: well if it was released and all was taken."""
        with self._lock:
            self._visits.pop(visit.id, None)
            self._ended[visit.id] = visit.ended_ns or time.time_ns()
            for delivery, series in visit.series:
                if visit.is_released and (delivery, series) not in visit.failed:
                    self._close_series(delivery, series, visit)
                self._touch(delivery)

    def _close_series(self, delivery: str, series: str, visit: Visit) -> None:
        """Take a series for whole, unless an association that was open beside this one is not."""
        for other in self._queue.associations_of(delivery, series):
            since = visit.series[(delivery, series)]
            before = other not in self._visits and self._ended.get(other, 0) < since
            if other == visit.id or before:
                self._queue.close_series(delivery, series, other)

    def take(self, content: bytes, sop_instance_uid: str, visit: Visit) -> None:
        """Keep one instance (a whole file, with its meta information) for good.

        Raises
        ------
        NotAnInstance
            If it is not what the request says, or lacks the UIDs of study and series.
        TooMuch
            If its study is beyond the limits.
        OSError
            If it cannot be written; StoreFull if the store holds as much as it may.
        """
        try:
            with self._store.part() as part:
                if self._store.is_full(len(content)):
                    raise StoreFull("the store is full")
                digest = write_part(part, content)
                study, series = _where(part, sop_instance_uid)
                delivery = self._delivery_of(visit, study, series)
                self._keep(part, f"{digest}.dcm", delivery, len(content))
        except BaseException:
            self.refused += 1
            # Which series it was of may not be known: all of this association are in doubt.
            visit.failed |= visit.series.keys()
            visit.has_failed = True
            raise
        self.instances += 1

    def _delivery_of(self, visit: Visit, study: str, series: str) -> _Open:
        with self._lock:
            key = (visit.sender, study)
            found = self._open.get(key) or self._reopened(key)
            if found is None:
                made = self._queue.new_delivery("dicom", sender=visit.sender, study=study)
                _log.info("delivery %s: begun by %s", made.id, visit.sender)
                found = self._open[key] = _Open(made, time.monotonic(), 0, 0)
            place = (found.delivery.id, series)
            if place not in visit.series:
                self._queue.open_series(*place, visit.id)
                visit.series[place] = time.time_ns()
                if visit.has_failed:  # what was not taken before may have been of this series
                    visit.failed.add(place)
            found.last = time.monotonic()
        return found

    def _keep(self, part: Path, name: str, found: _Open, size: int) -> None:
        limits = self._limits
        if found.files >= limits.delivery_files or found.bytes + size > limits.delivery_bytes:
            raise TooMuch("the study is larger than the limits allow")
        is_new = self._store.keep(part, found.delivery.id, name)
        with self._lock:
            found.last = time.monotonic()
            found.files += is_new
            found.bytes += size * is_new

    def _reopened(self, key: tuple[str, str]) -> _Open | None:
        """An incomplete delivery of the same sender and study goes on with what comes now."""
        for delivery in self._queue.deliveries(DeliveryState.INCOMPLETE):
            if (delivery.sender, delivery.study) == key:
                self._queue.set_delivery(delivery.id, DeliveryState.RECEIVING)
                _log.info("delivery %s: goes on", delivery.id)
                return self._reopen(delivery)
        return None

    def _reopen(self, delivery: Delivery) -> _Open:
        files, size = self._store.arrived_size(delivery.id)
        found = _Open(delivery, time.monotonic(), files, size)
        self._open[(delivery.sender, delivery.study)] = found
        return found

    def _touch(self, delivery: str) -> None:
        for found in self._open.values():
            if found.delivery.id == delivery:
                found.last = time.monotonic()

    def close_quiet(self) -> int:
        """Close the deliveries that nothing came for; returns how many are ready to be planned."""
        ready = 0
        with self._lock:
            busy = {delivery for visit in self._visits.values() for delivery, _ in visit.series}
            for key, found in list(self._open.items()):
                is_quiet = time.monotonic() - found.last >= self._quiet_s
                if found.delivery.id in busy or not is_quiet:
                    continue
                ready += self._close(found)
                del self._open[key]
        return ready

    def files_of(self, delivery: str) -> int:
        """How many instances of a delivery that is being received are here."""
        with self._lock:
            return sum(f.files for f in self._open.values() if f.delivery.id == delivery)

    def take_as_whole(self, delivery: Delivery) -> None:
        """Let an incomplete delivery be translated as it is, by a person's word.

        Raises
        ------
        InputRefused
            If it is not incomplete.
        """
        with self._lock:
            now = self._queue.delivery(delivery.id)
            if now is None or now.state is not DeliveryState.INCOMPLETE:
                raise InputRefused("This delivery is not incomplete")
            self._queue.forget_open_series(delivery.id)
            self._queue.set_delivery(delivery.id, DeliveryState.RECEIVED)
            _log.info("delivery %s: taken as whole by a person", delivery.id)

    def _close(self, found: _Open) -> bool:
        name, files = found.delivery.id, found.files
        size = (files, found.bytes)
        if not files:
            self._queue.remove_delivery(
                name
            )  # its only instance was not taken, and the sender knows
            self._store.remove(name)
            return False
        if self._queue.has_open_series(name):
            self._queue.set_delivery(name, DeliveryState.INCOMPLETE, BROKEN_OFF, size)
            _log.warning("delivery %s: incomplete, %d instances", name, files)
            return False
        self._queue.set_delivery(name, DeliveryState.RECEIVED, size=size)
        _log.info("delivery %s: complete, %d instances", name, files)
        return True


def _where(part: Path, sop_instance_uid: str) -> tuple[str, str]:
    """Digests of the UIDs of study and series, once the file was seen to be what it should be."""
    try:
        with HEADERS:
            file = load_header(part)
            uids = None if file is None else _uids(file)
    except InputRefused as error:
        raise NotAnInstance("it cannot be read") from error
    if uids is None or not all(uids):
        raise NotAnInstance("it lacks a UID of study, series or instance")
    study, series, instance = uids
    if instance != sop_instance_uid:
        raise NotAnInstance("its UID is not that of the request")
    return _digest(study), _digest(series)


def _uids(file: DicomFile) -> tuple[str, str, str]:
    study = text(file.header, "StudyInstanceUID", file.path)
    return study, series_uid(file), text(file.header, "SOPInstanceUID", file.path)


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode(errors="surrogateescape")).hexdigest()[:24]
