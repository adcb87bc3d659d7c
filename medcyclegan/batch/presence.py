"""Whether anybody is left to work: a cluster without workers would keep a batch for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator

from distributed import Client, Future
from distributed.client import as_completed

from medcyclegan.batch.item import Row
from medcyclegan.errors import DeviceError

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
