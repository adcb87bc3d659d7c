"""Entries of the queue: deliveries, jobs and sends, and the states that they go through."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from medcyclegan.workflow.batch.item import Row, Status


class DeliveryState(StrEnum):
    """``incomplete``: an association broke off, or some of its instances were not taken."""

    RECEIVING = "receiving"
    INCOMPLETE = "incomplete"
    RECEIVED = "received"
    PLANNED = "planned"
    REFUSED = "refused"


class JobState(StrEnum):
    """As the ``Status`` of a batch's row; ``running`` only while it is translated."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    DOUBTFUL = "doubtful"
    REFUSED = "refused"
    FAILED = "failed"
    SET_ASIDE = "set-aside"


class SendState(StrEnum):
    """``held``: a result that is not to be trusted and waits for a person's word."""

    WAITING = "waiting"
    HELD = "held"
    ACCEPTED = "accepted"


@dataclass(frozen=True)
class Delivery:
    """What one sender sent of one study, or one upload; times are seconds since 1970."""

    id: str
    source: str
    sender: str
    study: str
    state: DeliveryState
    reason: str
    files: int
    bytes: int
    created: float
    updated: float


@dataclass(frozen=True)
class Job:
    """One image of a delivery; ``item`` is JSON of what the worker is given."""

    id: str
    delivery: str
    state: JobState
    item: dict[str, Any]
    result: Row
    uid_seed: str
    made_at: float
    attempts: int
    next_at: float
    started: float
    created: float
    updated: float


@dataclass(frozen=True)
class Send:
    """One job for one destination."""

    job: str
    destination: str
    state: SendState
    reason: str
    attempts: int
    next_at: float
    updated: float


def new_id() -> str:
    """Return a name that tells nothing and is not guessed."""
    return secrets.token_hex(8)


def job_state(result: Row) -> JobState:
    """The state of a job by its row; an output that was there already is done."""
    return JobState.DONE if result.status is Status.UP_TO_DATE else JobState(result.status.value)


def delivery_of(row: sqlite3.Row) -> Delivery:
    return Delivery(**{**dict(row), "state": DeliveryState(row["state"])})


def job_of(row: sqlite3.Row) -> Job:
    read = {
        "state": JobState(row["state"]),
        "item": json.loads(row["item"]),
        "result": Row.model_validate_json(row["result"]),
    }
    return Job(**{**dict(row), **read})


def send_of(row: sqlite3.Row) -> Send:
    return Send(**{**dict(row), "state": SendState(row["state"])})
