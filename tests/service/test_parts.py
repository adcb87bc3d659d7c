"""Settings, queue, sending and retention, each by itself."""

from __future__ import annotations

import gc
import socket
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from pynetdicom import AE, evt
from pynetdicom.transport import RequestHandler

from medcyclegan.cli.common import Voice
from medcyclegan.cli.serve import _greet
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.service import retention, settings
from medcyclegan.service.entries import DeliveryState, JobState, SendState
from medcyclegan.service.queue import Queue
from medcyclegan.service.sender import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    Requestor,
    Sender,
    wait_after,
)
from medcyclegan.service.store import Store
from medcyclegan.service.translation import FixedClock, SeededUids
from medcyclegan.workflow.batch.item import Row, Status
from tests.peers import free_port
from tests.service.running import MR_IMAGE, destination, mr_series, settings_of, wait_until

ITEM = {
    "source": ".", "files": ["a.dcm"], "series_uid": "1.2.3", "series_name": "", "contrast": "T1w",
    "output": "series_sct",
}  # fmt: skip


def row(status: Status, reason: str = "") -> Row:
    return Row(source=".", status=status, reason=reason, output="series_sct")


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    found = Queue(tmp_path / "queue.sqlite")
    yield found
    found.close()


# Settings


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("PACS@10.0.0.5:104", settings.Destination("PACS", "10.0.0.5", 104)),
        ("tls:A B@host:2762", settings.Destination("A B", "host", 2762, tls=True)),
        ("P@[::1]:104", settings.Destination("P", "::1", 104)),
    ],
)
def test_a_destination_is_understood(text: str, found: settings.Destination) -> None:
    assert settings.parse_destination(text) == found


@pytest.mark.parametrize(
    "text", ["PACS", "PACS@host", "@host:104", "P@h:0", "P@h:70000", "17CHARACTERS_LONG@h:104",
             "A\\B@h:104", "P@:104"],
)  # fmt: skip
def test_what_is_no_destination_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        settings.parse_destination(text)


@pytest.mark.parametrize(
    ("text", "title", "address", "fits"),
    [
        ("MR1@10.0.0.7", "MR1", "10.0.0.7", True), ("MR1@10.0.0.7", "MR1", "10.0.0.8", False),
        ("MR1@10.0.0.7", "MR2", "10.0.0.7", False), ("*@10.0.0.0/24", "ANY", "10.0.0.200", True),
        ("*@10.0.0.0/24", "ANY", "10.0.1.1", False),
        ("MR1@10.0.0.7", "MR1", "::ffff:10.0.0.7", True),
        ("MR1@::1", "MR1", "::1", True), ("MR1@::1", "MR1", "127.0.0.1", False),
        ("mr1@10.0.0.7", "MR1", "10.0.0.7", False),
    ],
)  # fmt: skip
def test_who_may_send(text: str, title: str, address: str, fits: bool) -> None:
    assert settings.parse_peer(text).fits(title, address) == fits


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: settings.DicomSettings(host="0.0.0.0"), "without --allow"),
        (lambda: settings.DicomSettings(ae_title=""), "AE title"),
        (lambda: settings.WebSettings(host="0.0.0.0"), "without a token"),
        (lambda: settings.WebSettings(host="::"), "without a token"),
        (lambda: settings.WebSettings(host="10.0.0.9", token="short"), "5 characters"),
        (lambda: settings.parse_peer("MR1"), "AET@ADDRESS"),
        (lambda: settings.parse_peer("MR1@no such host"), "no host of that name"),
        (lambda: settings.parse_duration("30", "--quiet"), "--quiet 30"),
        (lambda: settings.parse_size("5", "--max-store"), "--max-store 5"),
        (lambda: settings.TlsFiles(Path("no"), Path("no")).server_context(), "cannot be used"),
    ],
)
def test_unsafe_or_odd_settings_are_refused(make: object, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make()  # type: ignore[operator]


def test_safe_settings_and_units() -> None:
    assert settings.DicomSettings().allowed[0].fits("ANY", "127.0.0.1")
    assert not settings.DicomSettings().allowed[0].fits("ANY", "10.0.0.1")
    assert settings.WebSettings().known_names == {"localhost", "127.0.0.1", "::1"}
    page = settings.WebSettings(host="10.0.0.9", token="x" * 32, names=("Sct.example",))
    assert page.known_names == {"10.0.0.9", "sct.example"}
    assert "x" * 32 not in repr(page)
    assert settings.parse_duration("7d", "") == 7 * 86400
    assert settings.parse_size("1.5G", "") == 1.5 * 2**30


# Queue


def test_what_is_in_the_queue_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    first = Queue(tmp_path / "queue.sqlite")
    delivery = first.new_delivery("dicom", sender="MR1", study="x")
    first.add_job(delivery.id, row(Status.WAITING), ITEM, "key")
    first.add_job(delivery.id, row(Status.SET_ASIDE, "a localizer"), None, "")
    # not closed, as after a SIGKILL
    second = Queue(tmp_path / "queue.sqlite")
    job = second.next_job()
    assert job is not None
    assert (job.state, job.attempts, job.item["files"]) == (JobState.RUNNING, 1, ["a.dcm"])
    assert second.next_job() is None
    assert second.put_back_running() == 1
    again = second.next_job()
    assert again is not None
    assert (again.id, again.attempts, again.uid_seed) == (job.id, 2, job.uid_seed)
    assert [j.result.reason for j in second.jobs()] == ["", "a localizer"]
    first.close()
    second.close()


def test_one_input_has_one_seed_for_ever(queue: Queue) -> None:
    seed, made_at = queue.derivation("key")
    assert queue.derivation("key") == (seed, made_at)
    assert queue.derivation("other")[0] != seed
    one, two = SeededUids(seed), SeededUids(seed)
    assert [one() for _ in range(5)] == [two() for _ in range(5)]
    assert one() != SeededUids("other seed")()
    assert FixedClock(made_at)() == FixedClock(made_at)()
    delivery = queue.new_delivery("dicom")
    queue.add_job(delivery.id, row(Status.WAITING), ITEM, "key")
    queue.remove_delivery(delivery.id)
    assert queue.jobs() == []
    assert queue.derivation("key") == (seed, made_at)


def test_a_transaction_that_fails_leaves_nothing(queue: Queue) -> None:
    delivery = queue.new_delivery("dicom")

    def fail() -> None:
        with queue.transaction():
            queue.add_job(delivery.id, row(Status.WAITING), ITEM, "key")
            queue.set_delivery(delivery.id, DeliveryState.PLANNED)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert queue.jobs() == []
    assert queue.deliveries()[0].state is DeliveryState.RECEIVING


def test_the_end_of_a_job_and_its_sends_are_one_step(queue: Queue) -> None:
    delivery = queue.new_delivery("dicom")
    queue.add_job(delivery.id, row(Status.WAITING), ITEM, "key")
    job = queue.next_job()
    assert job is not None
    with pytest.raises(ZeroDivisionError):
        queue.end_job(job.id, row(Status.DONE), (1 / 0 for _ in "x"))  # type: ignore[misc]
    assert queue.jobs()[0].state is JobState.RUNNING
    queue.end_job(job.id, row(Status.DONE), [("A@h:1", SendState.WAITING)])
    queue.end_job(job.id, row(Status.DONE), [("A@h:1", SendState.WAITING)])  # again after a kill
    (send,) = queue.due_sends("A@h:1")
    queue.not_sent(send, "refused", after_s=60.0)
    assert queue.due_sends("A@h:1") == []
    assert queue.release_sends(job.id) == 1
    (send,) = queue.due_sends("A@h:1")
    queue.accepted(send)
    assert queue.due_sends("A@h:1") == []
    assert queue.release_sends(job.id) == 0


def test_a_damaged_or_newer_queue_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(CannotWrite, match="cannot be opened"):
        Queue(tmp_path / "bad.sqlite")
    newer = sqlite3.connect(tmp_path / "newer.sqlite")
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(CannotWrite, match="version 99"):
        Queue(tmp_path / "newer.sqlite")


def test_a_store_has_one_service(tmp_path: Path) -> None:
    store = Store(tmp_path / "store", most_bytes=2**30)
    with pytest.raises(CannotWrite, match="another service"):
        Store(tmp_path / "store", most_bytes=2**30)
    for odd in ("../x", "", "a/b", "."):
        with pytest.raises(ValueError, match="no id"):
            store.home(odd)
    store.close()


# Sending


@contextmanager
def archive(answers: list[int], *, seconds: float = 0.0) -> Iterator[tuple[int, list[str]]]:
    """A node that answers each instance with the next of ``answers``, then with 0x0000."""
    got: list[str] = []

    def store(event: evt.Event) -> int:
        time.sleep(seconds)
        status = answers.pop(0) if answers else 0
        if status == 0:
            got.append(str(event.request.AffectedSOPInstanceUID))
        return status

    class Handler(RequestHandler):
        def handle(self) -> None:
            connections.append(cast(socket.socket, self.request))
            super().handle()

    connections: list[socket.socket] = []
    entity = AE("PACS")
    entity.add_supported_context(MR_IMAGE, ["1.2.840.10008.1.2.1"])
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    assert server is not None
    server.RequestHandlerClass = Handler
    try:
        yield server.server_address[1], got
    finally:
        server.shutdown()
        for connection in connections:  # pynetdicom leaves those open that the peer ended
            connection.close()


@pytest.mark.parametrize(("entity", "left"), [(Requestor, 0), (AE, 1)])
def test_no_socket_stays_open_where_nobody_listens(entity: type[AE], left: int) -> None:
    requestor = entity("SCANNER")
    requestor.add_requested_context(MR_IMAGE)
    gc.collect()
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        assert not requestor.associate("127.0.0.1", free_port()).is_established
        gc.collect()
    assert sum("unclosed <socket" in str(one.message) for one in found) == left


def outgoing(tmp_path: Path, queue: Queue, *to: settings.Destination) -> tuple[Store, str]:
    """A store with one job that is done and waits to be sent; its files are of an MR."""
    store = Store(tmp_path / "store", most_bytes=2**30)
    delivery = queue.new_delivery("dicom", sender="MR1")
    store.made(delivery.id).mkdir(parents=True)
    mr_series(store.made(delivery.id) / "series_sct")
    queue.add_job(delivery.id, row(Status.WAITING), ITEM, "key")
    job = queue.next_job()
    assert job is not None
    queue.set_delivery(delivery.id, DeliveryState.PLANNED)
    queue.end_job(job.id, row(Status.DONE), [(one.name, SendState.WAITING) for one in to])
    return store, job.id


def test_what_is_refused_is_sent_again_until_it_is_accepted(
    tmp_path: Path, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medcyclegan.service.sender.FIRST_WAIT_S", 0.05)
    with archive([0, 0, 0xA700, 0xB000, 0x0110]) as (port, got):
        to = destination(port)
        store, job = outgoing(tmp_path, queue, to)
        sender = Sender(to, store, queue, settings_of(tmp_path, tmp_path, destinations=(to,)))
        sender.start()
        (done,) = wait_until(lambda: [s for s in queue.sends(job) if s.state is SendState.ACCEPTED])
        sender.stop()
        assert done.attempts == 3
        assert sender.failures == 2
        # 2 and then 12 instances; the one stored with a warning is not in the list of those with 0
        assert len(got) == 14
        assert len(set(got)) == 12
        store.close()


def test_a_slow_destination_holds_up_no_other(tmp_path: Path, queue: Queue) -> None:
    with archive([], seconds=0.5) as (slow, late), archive([]) as (fast, _):
        nodes = [destination(slow, "PACS"), destination(fast, "PACS"), destination(9, "NOBODY")]
        store, job = outgoing(tmp_path, queue, *nodes)
        known = settings_of(tmp_path, tmp_path, destinations=tuple(nodes))
        senders = [Sender(to, store, queue, known) for to in nodes]
        for sender in senders:
            sender.start()
        wait_until(lambda: any(s.state is SendState.ACCEPTED for s in queue.sends(job)))
        assert len(late) < 12
        states = {s.destination: s.state for s in queue.sends(job)}
        assert states[nodes[1].name] is SendState.ACCEPTED
        assert states[nodes[0].name] is SendState.WAITING
        for sender in senders:
            sender.stop()
        wait_until(lambda: not any(s._thread.is_alive() for s in senders))
        store.close()


def test_the_waits_grow_to_a_limit() -> None:
    waits = [wait_after(n) for n in range(30)]
    assert FIRST_WAIT_S * 0.9 <= waits[0] <= FIRST_WAIT_S * 1.1
    assert all(LONGEST_WAIT_S * 0.9 <= wait <= LONGEST_WAIT_S * 1.1 for wait in waits[10:])


# Retention


def test_what_is_old_is_removed_and_what_is_to_be_sent_stays(tmp_path: Path, queue: Queue) -> None:
    to = destination(9)
    store, job = outgoing(tmp_path, queue, to)
    (store.root / "deliveries" / "orphan" / "in").mkdir(parents=True)
    incomplete = queue.new_delivery("dicom")
    queue.set_delivery(incomplete.id, DeliveryState.INCOMPLETE)
    receiving = queue.new_delivery("dicom")
    assert retention.remove_old(queue, store, keep_s=3600.0) == 0
    time.sleep(0.01)
    assert retention.remove_old(queue, store, keep_s=0.0) == 1  # the incomplete one
    left = {delivery.id for delivery in queue.deliveries()}
    assert left == {queue.jobs()[0].delivery, receiving.id}
    assert store.homes() == [queue.jobs()[0].delivery]
    (send,) = queue.due_sends(to.name)
    queue.accepted(send)
    time.sleep(0.01)
    assert retention.remove_old(queue, store, keep_s=0.0) == 1
    assert store.homes() == []
    assert queue.job(job) is None
    store.close()


def test_nobody_listens_on_a_port_that_is_taken(tmp_path: Path) -> None:
    from medcyclegan.service.node import _Web

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        web = _Web(settings.WebSettings(port=taken.getsockname()[1]), None)
        with pytest.raises(CannotWrite, match="for HTTP"):
            web.start()


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", False), ("10.0.0.9", True)])
def test_a_token_without_tls_is_warned_of_beyond_this_computer_alone(
    host: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    web = SimpleNamespace(host=host, tls=None, token="x" * 24)
    dicom = SimpleNamespace(host=host, tls=None, ae_title="SCT")
    service = SimpleNamespace(
        settings=SimpleNamespace(web=web, dicom=dicom),
        parts=SimpleNamespace(node=SimpleNamespace(port=104)),
        web=SimpleNamespace(port=80),
    )
    _greet(Voice(level=0, debug=False, json=False), service)
    assert ("unencrypted" in capsys.readouterr().err) is warned
