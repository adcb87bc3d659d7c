"""Whether anybody is left to work, told without a cluster."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
from distributed import Client

from medcyclegan.errors import DeviceError
from medcyclegan.workflow.batch.workers import Presence


def empty_cluster() -> Client:
    """A client of a scheduler that answers, and has no workers."""
    return cast(Client, SimpleNamespace(status="running", nthreads=dict))


def test_workers_that_left_before_the_first_look_are_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("medcyclegan.workflow.batch.workers._GONE_S", -1.0)
    presence = Presence(empty_cluster())
    presence.look()  # the control: nobody has come yet, which may take long
    monkeypatch.setattr("medcyclegan.workflow.batch.workers._LOOK_EVERY_S", 0.0)
    presence.seen()
    with pytest.raises(DeviceError, match="No worker is left"):
        presence.look()
