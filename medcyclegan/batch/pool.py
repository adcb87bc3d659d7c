"""Hand items to the workers of a cluster and take in the rows, whatever happens to workers."""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Iterator

from distributed import Client, Future, KilledWorker, as_completed, wait

from medcyclegan.batch.item import Item, Row, Settings, Status
from medcyclegan.batch.presence import Presence, as_they_end, result_of
from medcyclegan.batch.records import read_mark
from medcyclegan.batch.work import DIED, MOST_TRIES, work, work_alone
from medcyclegan.errors import DeviceError

# How often it is looked whether the worker that has an item alone is still there.
_LOOK_EVERY_S = 1.0


def work_on(items: tuple[Item, ...], settings: Settings, client: Client) -> Iterator[Row]:
    """Yield the row of each item as it ends; items whose worker died come last, one at a time.

    Raises
    ------
    DeviceError
        If the scheduler is lost, or all workers are.
    """
    presence = Presence(client)
    keys = [f"{settings.run}-{item.key}" for item in items]
    futures = client.map(work, items, settings=settings, key=keys, pure=False)
    by_key = {future.key: item for future, item in zip(futures, items, strict=True)}
    orphans = []
    ended = as_completed(futures)
    del futures  # a result is let go when its row has been taken
    for future in as_they_end(ended, presence):
        item = by_key[future.key]
        row = _row_of(future, item, client, presence)
        if row.status is Status.WAITING:
            orphans.append(item)
        else:
            yield row
    for item in orphans:
        yield _alone(item, settings, client, presence)


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


def _alone(item: Item, settings: Settings, client: Client, presence: Presence) -> Row:
    """Try an item once more with nothing beside it, and give it up if that worker dies too."""
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
                return item.row(Status.FAILED, f"{DIED}, twice")
    row = _row_of(future, item, client, presence)
    return item.row(Status.FAILED, f"{DIED}, twice") if row.status is Status.WAITING else row
