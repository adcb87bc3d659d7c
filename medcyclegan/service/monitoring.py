"""Figures of the service for a monitoring system, in the text format of Prometheus."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from medcyclegan import __version__
from medcyclegan.service.entries import DeliveryState, JobState, SendState
from medcyclegan.service.queue import Queue
from medcyclegan.service.receiving import Receiving
from medcyclegan.service.scp import Node
from medcyclegan.service.sender import Sender
from medcyclegan.service.store import Store
from medcyclegan.service.translation import Translation


@dataclass(frozen=True)
class Parts:
    """The parts of a running service that are looked at."""

    store: Store
    queue: Queue
    receiving: Receiving
    node: Node
    translation: Translation
    senders: tuple[Sender, ...]


def faults(parts: Parts) -> list[str]:
    """Return why the service is not healthy, as short sentences; nothing if it is."""
    found = []
    if not parts.translation.is_connected:
        found.append("no workers")
    if parts.store.is_full():
        found.append("the store is full")
    return found


def metrics(parts: Parts) -> str:
    """Return all figures, one a line, each kind with its help and type."""
    return "\n".join(_lines(parts)) + "\n"


def _lines(parts: Parts) -> Iterator[str]:
    queue, store, node = parts.queue, parts.store, parts.node
    yield from _family(
        "info", "gauge", "The version that runs.", {f'{{version="{__version__}"}}': 1}
    )
    for table, states in (("delivery", DeliveryState), ("job", JobState), ("send", SendState)):
        counts = queue.counts(table)
        values = {f'{{state="{state}"}}': counts.get(state, 0) for state in states}
        what = {"delivery": "Deliveries", "job": "Jobs", "send": "Sends"}[table]
        yield from _family(f"{table}_count", "gauge", f"{what} in the queue by state.", values)
    free = shutil.disk_usage(store.root).free
    single = (
        ("store_bytes", "gauge", "Bytes in the store.", store.used_bytes),
        ("disk_free_bytes", "gauge", "Bytes free on the disk of the store.", free),
        ("workers_connected", "gauge", "1 with workers.", parts.translation.is_connected),
        ("associations_open", "gauge", "Open associations.", node.open_associations),
        ("instances_received_total", "counter", "Instances kept.", parts.receiving.instances),
        ("instances_refused_total", "counter", "Instances refused.", parts.receiving.refused),
        ("connections_refused_total", "counter", "Connections refused.", node.refused_connections),
        ("echoes_total", "counter", "C-ECHO answered.", node.echoes),
        ("instances_sent_total", "counter", "Instances accepted by destinations.",
         sum(sender.instances for sender in parts.senders)),
        ("send_failures_total", "counter", "Failed attempts to send a job.",
         sum(sender.failures for sender in parts.senders)),
    )  # fmt: skip
    for name, kind, text, value in single:
        yield from _family(name, kind, text, {"": int(value)})


def _family(name: str, kind: str, text: str, values: dict[str, int]) -> Iterator[str]:
    full = f"medcyclegan_{name}"
    yield f"# HELP {full} {text}"
    yield f"# TYPE {full} {kind}"
    for labels, value in values.items():
        yield f"{full}{labels} {value}"
