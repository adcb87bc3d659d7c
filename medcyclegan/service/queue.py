"""The queue on disk: deliveries, jobs and sends in one SQLite file that survives a SIGKILL.

Every change is one transaction, flushed before the call returns. A *delivery* is what one sender
sent of one study, or one upload. A *job* is one image of it that is translated, with the seed of
the UIDs of its output, fixed before it is converted. A *send* is one job for one destination.
Nothing of a patient is in it but the identifiers of series: no name, ID or date.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medcyclegan.errors import CannotWrite
from medcyclegan.service.entries import (
    Delivery,
    DeliveryState,
    Job,
    JobState,
    Send,
    SendState,
    delivery_of,
    job_of,
    job_state,
    new_id,
    send_of,
)
from medcyclegan.workflow.batch.item import Row

_VERSION = 1
_SCHEMA = """
CREATE TABLE delivery (
  id TEXT PRIMARY KEY, source TEXT NOT NULL, sender TEXT NOT NULL, study TEXT NOT NULL,
  state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', files INTEGER NOT NULL DEFAULT 0,
  bytes INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL);
CREATE INDEX delivery_by_state ON delivery (state);
CREATE TABLE open_series (
  delivery TEXT NOT NULL REFERENCES delivery ON DELETE CASCADE, series TEXT NOT NULL,
  association TEXT NOT NULL, PRIMARY KEY (delivery, series, association));
CREATE TABLE job (
  id TEXT PRIMARY KEY, delivery TEXT NOT NULL REFERENCES delivery ON DELETE CASCADE,
  state TEXT NOT NULL, item TEXT NOT NULL, result TEXT NOT NULL, uid_seed TEXT NOT NULL,
  made_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_at REAL NOT NULL DEFAULT 0,
  started REAL NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL);
CREATE INDEX job_by_state ON job (state, next_at);
CREATE TABLE send (
  job TEXT NOT NULL REFERENCES job ON DELETE CASCADE, destination TEXT NOT NULL,
  state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL DEFAULT 0, updated REAL NOT NULL, PRIMARY KEY (job, destination));
CREATE TABLE derivation (
  fingerprint TEXT PRIMARY KEY, uid_seed TEXT NOT NULL, made_at REAL NOT NULL);
"""


class Queue:
    """The queue of one store; safe to be used from several threads.

    Raises
    ------
    CannotWrite
        If the file cannot be opened, is damaged, or is of another version.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            path.chmod(0o600)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA foreign_keys = ON")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._db.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;"
                )
        except (sqlite3.Error, OSError) as error:
            raise CannotWrite(
                f"The queue {path} cannot be opened ({error})",
                remedy="check the disk and its permissions, or put its back-up in its place",
            ) from error
        if version not in (0, _VERSION):
            raise CannotWrite(
                f"The queue {path} has version {version}", rule=f"this one reads {_VERSION}",
                remedy="use the version of medcyclegan that made it, or another --store",
            )  # fmt: skip

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Give the connection; all is kept at the end of the block, or nothing if it fails."""
        with self._lock:
            if self._db.in_transaction:
                yield self._db
                return
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # Deliveries

    def new_delivery(self, source: str, *, sender: str = "", study: str = "") -> Delivery:
        """Begin a delivery; it is ``receiving``."""
        now = time.time()
        made = Delivery(
            new_id(), source, sender, study, DeliveryState.RECEIVING, "", 0, 0, now, now
        )
        with self.transaction() as db:
            db.execute(
                "INSERT INTO delivery (id, source, sender, study, state, created, updated) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (made.id, source, sender, study, made.state, now, now),
            )
        return made

    def set_delivery(
        self,
        delivery: str,
        state: DeliveryState,
        reason: str = "",
        size: tuple[int, int] | None = None,
    ) -> None:
        """Change a delivery's state; its ``size``, files and bytes, too where it is given."""
        with self.transaction() as db:
            db.execute(
                "UPDATE delivery SET state = ?, reason = ?, updated = ? WHERE id = ?",
                (state, reason, time.time(), delivery),
            )
            if size is not None:
                db.execute(
                    "UPDATE delivery SET files = ?, bytes = ? WHERE id = ?", (*size, delivery)
                )

    def deliveries(self, *states: DeliveryState) -> list[Delivery]:
        """Return the deliveries in these states, or all, the oldest first."""
        marks = ", ".join("?" * len(states))
        where = f"WHERE state IN ({marks})" if states else ""
        rows = self._all(f"SELECT * FROM delivery {where} ORDER BY created, id", states)
        return [delivery_of(row) for row in rows]

    def delivery(self, delivery: str) -> Delivery | None:
        """Return a delivery by its id."""
        rows = self._all("SELECT * FROM delivery WHERE id = ?", (delivery,))
        return delivery_of(rows[0]) if rows else None

    def remove_delivery(self, delivery: str) -> None:
        """Remove a delivery with its jobs and sends; the UIDs of its derivations stay known."""
        with self.transaction() as db:
            db.execute("DELETE FROM delivery WHERE id = ?", (delivery,))

    def open_series(self, delivery: str, series: str, association: str) -> None:
        """Note, before its first instance is kept, that an association sends a series."""
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO open_series VALUES (?, ?, ?)",
                (delivery, series, association),
            )

    def associations_of(self, delivery: str, series: str) -> list[str]:
        """Return the associations that sent of a series and have not ended well, or not yet."""
        rows = self._all(
            "SELECT association FROM open_series WHERE delivery = ? AND series = ?",
            (delivery, series),
        )
        return [row["association"] for row in rows]

    def close_series(self, delivery: str, series: str, association: str) -> None:
        """Note that nothing is missing any more of what an association sent of a series."""
        with self.transaction() as db:
            db.execute(
                "DELETE FROM open_series WHERE delivery = ? AND series = ? AND association = ?",
                (delivery, series, association),
            )

    def has_open_series(self, delivery: str) -> bool:
        """Whether some series was begun in an association that did not end well, or not yet."""
        return bool(self._all("SELECT 1 FROM open_series WHERE delivery = ?", (delivery,)))

    def forget_open_series(self, delivery: str) -> None:
        """Take what is there for whole, by a person's word."""
        with self.transaction() as db:
            db.execute("DELETE FROM open_series WHERE delivery = ?", (delivery,))

    # Jobs

    def derivation(self, fingerprint: str) -> tuple[str, float]:
        """Return the seed of the UIDs and the time of making for an input, model and options.

        They are drawn once and stay for ever: what is made again is the same instances again.
        """
        with self.transaction() as db:
            db.execute(
                "INSERT OR IGNORE INTO derivation VALUES (?, ?, ?)",
                (fingerprint, secrets.token_hex(16), float(int(time.time()))),
            )
            row = db.execute(
                "SELECT uid_seed, made_at FROM derivation WHERE fingerprint = ?", (fingerprint,)
            ).fetchone()
        return row["uid_seed"], row["made_at"]

    def add_job(self, delivery: str, result: Row, item: dict[str, Any] | None, key: str) -> None:
        """Add a job, or with no ``item`` what is said of an image that is not translated."""
        seed, made_at = self.derivation(key) if item else ("", 0.0)
        now = time.time()
        with self.transaction() as db:
            db.execute(
                "INSERT INTO job (id, delivery, state, item, result, uid_seed, made_at, created, "
                "updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (new_id(), delivery, job_state(result), json.dumps(item or {}),
                 result.model_dump_json(), seed, made_at, now, now),
            )  # fmt: skip

    def next_job(self) -> Job | None:
        """Take the oldest job that is due: it is ``running`` from now on."""
        now = time.time()
        with self.transaction() as db:
            row = db.execute(
                "SELECT * FROM job WHERE state = ? AND next_at <= ? ORDER BY created, id LIMIT 1",
                (JobState.WAITING, now),
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE job SET state = ?, attempts = attempts + 1, started = ?, updated = ? "
                "WHERE id = ?",
                (JobState.RUNNING, now, now, row["id"]),
            )
        return self.job(row["id"])

    def end_job(self, job: str, result: Row, sends: Iterable[tuple[str, SendState]]) -> None:
        """Note how a job ended, and in the same transaction what is to be sent of it."""
        now = time.time()
        with self.transaction() as db:
            db.execute(
                "UPDATE job SET state = ?, result = ?, updated = ? WHERE id = ?",
                (job_state(result), result.model_dump_json(), now, job),
            )
            if not db.execute("SELECT 1 FROM job WHERE id = ?", (job,)).fetchone():
                return  # removed while it ran
            db.executemany(
                "INSERT OR IGNORE INTO send (job, destination, state, updated) VALUES (?, ?, ?, ?)",
                [(job, destination, state, now) for destination, state in sends],
            )

    def put_back(
        self, job: str, *, after_s: float = 0.0, fresh: bool = False, result: Row | None = None
    ) -> None:
        """Let a job wait again; ``fresh`` forgets how often it was tried, ``result`` says why."""
        now = time.time()
        with self.transaction() as db:
            db.execute(
                "UPDATE job SET state = ?, next_at = ?, updated = ?"
                f"{', attempts = 0' if fresh else ''} WHERE id = ?",
                (JobState.WAITING, now + after_s, now, job),
            )
            if result is not None:
                db.execute(
                    "UPDATE job SET result = ? WHERE id = ?", (result.model_dump_json(), job)
                )

    def put_back_running(self) -> int:
        """Let all jobs wait again that a process which is no more had in hand; how many."""
        with self.transaction() as db:
            done = db.execute(
                "UPDATE job SET state = ? WHERE state = ?",
                (JobState.WAITING, JobState.RUNNING),
            )
        return done.rowcount

    def job(self, job: str) -> Job | None:
        """Return a job by its id."""
        rows = self._all("SELECT * FROM job WHERE id = ?", (job,))
        return job_of(rows[0]) if rows else None

    def jobs(self, delivery: str = "") -> list[Job]:
        """Return the jobs of a delivery, or all, the oldest first."""
        where, given = ("WHERE delivery = ?", (delivery,)) if delivery else ("", ())
        return [
            job_of(r) for r in self._all(f"SELECT * FROM job {where} ORDER BY created, id", given)
        ]

    # Sends

    def due_sends(self, destination: str) -> list[Send]:
        """Return what is to be sent to a destination now, the oldest first."""
        rows = self._all(
            "SELECT send.* FROM send JOIN job ON job.id = send.job WHERE destination = ? "
            "AND send.state = ? AND send.next_at <= ? ORDER BY job.created, job.id",
            (destination, SendState.WAITING, time.time()),
        )
        return [send_of(row) for row in rows]

    def sends(self, job: str = "") -> list[Send]:
        """Return the sends of a job, or all."""
        where, given = ("WHERE job = ?", (job,)) if job else ("", ())
        return [
            send_of(r) for r in self._all(f"SELECT * FROM send {where} ORDER BY destination", given)
        ]

    def accepted(self, send: Send) -> None:
        """Note that a destination has all instances of a job."""
        self._set_send(send, SendState.ACCEPTED, "", 0.0)

    def not_sent(self, send: Send, reason: str, *, after_s: float) -> None:
        """Note that a destination did not take a job, and when to try again."""
        self._set_send(send, SendState.WAITING, reason, time.time() + after_s)

    def _set_send(self, send: Send, state: SendState, reason: str, next_at: float) -> None:
        with self.transaction() as db:
            db.execute(
                "UPDATE send SET state = ?, reason = ?, attempts = attempts + 1, next_at = ?, "
                "updated = ? WHERE job = ? AND destination = ?",
                (state, reason, next_at, time.time(), send.job, send.destination),
            )

    def release_sends(self, job: str) -> int:
        """Send now what is held or waits for its time, by a person's word; how many."""
        with self.transaction() as db:
            done = db.execute(
                "UPDATE send SET state = ?, next_at = 0, updated = ? WHERE job = ? AND state != ?",
                (SendState.WAITING, time.time(), job, SendState.ACCEPTED),
            )
        return done.rowcount

    def counts(self, table: str) -> dict[str, int]:
        """Return how many deliveries, jobs or sends are in which state."""
        assert table in ("delivery", "job", "send")
        rows = self._all(f"SELECT state, count(*) AS n FROM {table} GROUP BY state", ())
        return {row["state"]: row["n"] for row in rows}

    def _all(self, query: str, given: Iterable[Any]) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, tuple(given)).fetchall()
