"""Removal of what has ended long enough ago; what is still to be sent stays."""

from __future__ import annotations

import logging
import time

from medcyclegan.service.entries import DeliveryState, JobState, SendState
from medcyclegan.service.queue import Queue
from medcyclegan.service.store import Store

_ENDED = (DeliveryState.INCOMPLETE, DeliveryState.PLANNED, DeliveryState.REFUSED)
_UNDONE = (JobState.WAITING, JobState.RUNNING)

_log = logging.getLogger(__name__)


def is_ended(queue: Queue, delivery: str) -> bool:
    """Whether nothing of a delivery is left to be translated or sent."""
    found = queue.delivery(delivery)
    if found is None or found.state not in _ENDED:
        return False
    jobs = queue.jobs(delivery)
    if any(job.state in _UNDONE for job in jobs):
        return False
    return not any(s.state is SendState.WAITING for job in jobs for s in queue.sends(job.id))


def remove(queue: Queue, store: Store, delivery: str) -> None:
    """Remove a delivery with all that was made of it.

    The entry goes last: if the process is killed in between, the next removal finds it again.
    """
    store.remove(delivery)
    queue.remove_delivery(delivery)
    _log.info("delivery %s: removed", delivery)


def remove_old(queue: Queue, store: Store, *, keep_s: float) -> int:
    """Remove deliveries that ended longer ago than ``keep_s``, and folders without an entry."""
    limit, count = time.time() - keep_s, 0
    for delivery in queue.deliveries(*_ENDED):
        changed = [delivery.updated]
        for job in queue.jobs(delivery.id):
            changed += [job.updated, *(send.updated for send in queue.sends(job.id))]
        if max(changed) < limit and is_ended(queue, delivery.id):
            remove(queue, store, delivery.id)
            count += 1
    homes = store.homes()  # first: an entry is made before its folder
    known = {delivery.id for delivery in queue.deliveries()}
    for name in homes:
        if name not in known:
            store.remove(name)
    return count
