"""What tests of several commands share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from distributed import Client, LocalCluster

from medcyclegan.workflow.batch.workers import Crew


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch's work is done by a thread here: starting processes takes some seconds."""

    @contextmanager
    def connected(crew: Crew) -> Iterator[Client]:
        with (
            LocalCluster(
                n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client

    monkeypatch.setattr("medcyclegan.workflow.batch.run.connected", connected)
