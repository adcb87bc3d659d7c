"""Series over DICOM, from a sender to a destination: what is taken, kept, made and sent."""

from __future__ import annotations

import logging
import shutil
import socket
import struct
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client
from pydicom import Dataset, dcmread

from medcyclegan.service.entries import DeliveryState, JobState, SendState
from medcyclegan.service.settings import DicomSettings, Limits, parse_peer
from tests.dicom_derived import dciodvfy_errors
from tests.peers import storage_node, storescu
from tests.service.running import (
    associate,
    destination,
    ended_jobs,
    mr_series,
    running,
    send,
    settings_of,
    wait_until,
)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return mr_series(tmp_path / "SE1")


def uids(folder: Path) -> set[str]:
    """The SOPInstanceUIDs below a folder."""
    return {str(dcmread(p).SOPInstanceUID) for p in folder.rglob("*") if p.is_file()}


def states(service: object) -> list[str]:
    return [delivery.state for delivery in service.parts.queue.deliveries()]  # type: ignore[attr-defined]


def test_a_series_comes_back_as_a_valid_ct_series(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    with storage_node(tmp_path / "pacs") as port:
        settings = settings_of(tmp_path / "store", model, destinations=(destination(port),))
        with running(settings, client) as service:
            done = storescu(series, service.parts.node.port, "-aec", "MEDCYCLEGAN")
            assert done.returncode == 0, done.stderr
            (job,) = ended_jobs(service)
            assert job.state is JobState.DONE, job.result.reason
            wait_until(lambda: service.parts.queue.sends()[0].state is SendState.ACCEPTED)
            # The same study again: nothing new comes out of it.
            assert storescu(series, service.parts.node.port, "-aec", "MEDCYCLEGAN").returncode == 0
            first, second = ended_jobs(service, 2)
            wait_until(
                lambda: {s.state for s in service.parts.queue.sends()} == {SendState.ACCEPTED}
            )
            made = service.parts.store.made(first.delivery) / first.item["output"]
            again = service.parts.store.made(second.delivery) / second.item["output"]
            assert first.uid_seed == second.uid_seed
            for path in sorted(made.iterdir()):
                assert path.read_bytes() == (again / path.name).read_bytes()
            assert dciodvfy_errors(made) == []
    received = [dcmread(path) for path in (tmp_path / "pacs").iterdir()]
    assert len(received) == 12
    assert {ds.Modality for ds in received} == {"CT"}
    assert len({ds.SeriesInstanceUID for ds in received}) == 1
    assert {ds.PatientID for ds in received} == {dcmread(next(series.iterdir())).PatientID}


def test_an_association_that_breaks_off_leaves_its_study_incomplete_until_it_is_sent_whole(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    paths = sorted(series.iterdir())
    with running(settings_of(tmp_path / "store", model), client) as service:
        port = service.parts.node.port
        association = associate(port)
        for path in paths[:7]:
            assert association.send_c_store(dcmread(path)).Status == 0
        association.abort()
        wait_until(lambda: states(service) == [DeliveryState.INCOMPLETE])
        assert service.parts.queue.jobs() == []
        # Another series of the study, sent whole, does not make the first one so.
        other = mr_series(tmp_path / "SE2")
        assert set(send(sorted(other.iterdir()), port)) == {0}
        wait_until(lambda: states(service) == [DeliveryState.INCOMPLETE])
        # The rest in an association that ends well does.
        assert set(send(paths[7:], port)) == {0}
        jobs = ended_jobs(service, 2)
        assert [job.state for job in jobs].count(JobState.DONE) == 1
        assert states(service) == [DeliveryState.PLANNED]
        assert service.parts.queue.deliveries()[0].files == 24


def test_a_connection_cut_in_the_middle_of_a_slice_loses_nothing_that_was_acknowledged(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    paths = sorted(series.iterdir())
    with running(settings_of(tmp_path / "store", model), client) as service:
        association = associate(service.parts.node.port)
        for path in paths[:3]:
            assert association.send_c_store(dcmread(path)).Status == 0
        # Half of a slice: a P-DATA-TF unit that tells of more bytes than come.
        raw = association.dul.socket.socket
        raw.sendall(struct.pack(">BBL", 4, 0, 5000) + b"\0" * 700)
        raw.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: states(service) == [DeliveryState.INCOMPLETE])
        (delivery,) = service.parts.queue.deliveries()
        assert delivery.files == 3
        assert "broke off" in delivery.reason
        association.kill()
        # A person may have it converted all the same; three slices make no head.
        service.parts.receiving.take_as_whole(delivery)
        (job,) = ended_jobs(service)
        assert job.state is JobState.SET_ASIDE


def test_studies_of_two_patients_with_one_study_uid_are_not_mixed(
    tmp_path: Path, model: Path, client: Client
) -> None:
    def second(ds: Dataset, k: int) -> None:
        ds.PatientID, ds.PatientName = "OTHER", "Other^One"

    one, two = mr_series(tmp_path / "SE1"), mr_series(tmp_path / "SE2", changes=second)
    mixed = [
        p for pair in zip(sorted(one.iterdir()), sorted(two.iterdir()), strict=True) for p in pair
    ]
    with running(settings_of(tmp_path / "store", model), client) as service:
        assert set(send(mixed, service.parts.node.port)) == {0}
        jobs = ended_jobs(service, 2)
        assert [job.state for job in jobs] == [JobState.DONE, JobState.DONE]
        for job in jobs:
            made = service.parts.store.made(job.delivery) / job.item["output"]
            sources = {
                str(ds.SourceImageSequence[0].ReferencedSOPInstanceUID): str(ds.PatientID)
                for ds in map(dcmread, made.iterdir())
            }
            assert len(set(sources.values())) == 1
            owner = one if set(sources.values()) != {"OTHER"} else two
            assert set(sources) == uids(owner)


def test_what_is_not_translated_is_kept_with_its_reason(
    tmp_path: Path, model: Path, client: Client
) -> None:
    def scout(ds: Dataset, k: int) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    with running(settings_of(tmp_path / "store", model), client) as service:
        folder = mr_series(tmp_path / "SE9", changes=scout)
        send(sorted(folder.iterdir()), service.parts.node.port)
        gap = mr_series(tmp_path / "SE8")
        paths = sorted(gap.iterdir())
        send(paths[:5] + paths[6:], service.parts.node.port, title="OTHER")
        jobs = ended_jobs(service, 2)
        reasons = {job.state: job.result.reason for job in jobs}
        assert "localizer" in reasons[JobState.SET_ASIDE]
        assert "slice" in reasons[JobState.REFUSED]


def test_who_is_on_no_list_is_turned_away(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    dicom = DicomSettings(port=0, peers=(parse_peer("MR1@127.0.0.1"), parse_peer("MR2@10.0.0.7")))
    with running(settings_of(tmp_path / "store", model, dicom=dicom), client) as service:
        port = service.parts.node.port
        assert associate(port, title="STRANGER").is_rejected
        assert associate(port, title="MR1", to="ANOTHER").is_rejected
        # A title of the list from an address of another: an association, but nothing is taken.
        paths = sorted(series.iterdir())
        assert send(paths[:1], port, title="MR2") == [0x0124]
        assert service.parts.queue.deliveries() == []
        association = associate(port, title="MR1")
        assert association.send_c_echo().Status == 0
        association.release()
    far = DicomSettings(port=0, peers=(parse_peer("*@10.0.0.0/8"),))
    with running(settings_of(tmp_path / "far", model, dicom=far), client) as service:
        assert not associate(service.parts.node.port).is_established
        assert service.parts.node.refused_connections == 1


def test_more_associations_than_allowed_are_rejected_for_now(
    tmp_path: Path, model: Path, client: Client
) -> None:
    limits = Limits(associations=2)
    with running(settings_of(tmp_path / "store", model, limits=limits), client) as service:
        port = service.parts.node.port
        open_ones = [associate(port) for _ in range(2)]
        assert all(one.is_established for one in open_ones)
        assert associate(port).is_rejected
        for one in open_ones:
            one.release()
        wait_until(lambda: associate(port).is_established)


def test_what_is_too_large_or_another_instance_or_no_image_is_refused(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    paths = sorted(series.iterdir())
    limits = Limits(instance_bytes=100_000, delivery_files=3)
    with running(settings_of(tmp_path / "store", model, limits=limits), client) as service:
        port = service.parts.node.port
        large = dcmread(paths[0])
        large.PixelData = bytes(300_000)
        association = associate(port)
        assert "Status" not in association.send_c_store(large)  # cut off before it was all read
        wait_until(lambda: not association.is_established)
        without = dcmread(paths[1])
        del without.StudyInstanceUID
        association = associate(port)
        assert association.send_c_store(without).Status == 0xA900
        association.release()
        assert send(paths[:4], port) == [0, 0, 0, 0xA700]
        wait_until(lambda: states(service) == [DeliveryState.INCOMPLETE])
        assert service.parts.receiving.refused == 2


def test_a_unit_of_a_length_that_nobody_needs_ends_the_connection(
    tmp_path: Path, model: Path, client: Client
) -> None:
    with running(settings_of(tmp_path / "store", model), client) as service:
        with socket.create_connection(("127.0.0.1", service.parts.node.port)) as raw:
            raw.settimeout(10)
            raw.sendall(struct.pack(">BBL", 1, 0, 2**31))
            assert raw.recv(1) == b""
        association = associate(service.parts.node.port)  # it goes on serving others
        assert association.is_established
        association.release()


def test_a_full_store_refuses_and_takes_again_when_there_is_room(
    series: Path, tmp_path: Path, model: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(series.iterdir())
    with running(settings_of(tmp_path / "store", model), client) as service:
        store = service.parts.store
        keep = store.keep

        def full(*given: object) -> bool:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(store, "keep", full)
        assert set(send(paths, service.parts.node.port)) == {0xA700}
        monkeypatch.setattr(store, "keep", keep)
        assert set(send(paths, service.parts.node.port)) == {0}
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE
        assert not list((tmp_path / "store" / "part").iterdir())


def test_what_was_received_before_the_service_ended_is_gone_on_with(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    paths = sorted(series.iterdir())
    settings = settings_of(tmp_path / "store", model, quiet_s=60.0)
    with running(settings, client) as service:
        association = associate(service.parts.node.port)
        for path in paths[:6]:
            association.send_c_store(dcmread(path))
        # What a SIGKILL would leave of it now.
        shutil.copytree(tmp_path / "store", tmp_path / "killed")
        association.abort()
    with running(settings_of(tmp_path / "killed", model), client) as service:
        wait_until(lambda: states(service) == [DeliveryState.INCOMPLETE])
        # The sender had no word of the end of the association: it sends all again.
        assert set(send(paths, service.parts.node.port)) == {0}
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE
        assert service.parts.queue.deliveries()[0].files == 12


def test_a_job_in_hand_when_the_service_ended_is_done_again_with_the_same_uids(
    series: Path, tmp_path: Path, model: Path, client: Client
) -> None:
    settings = settings_of(tmp_path / "store", model)
    with running(settings, client) as service:
        send(sorted(series.iterdir()), service.parts.node.port)
        (job,) = ended_jobs(service)
        output = service.parts.store.made(job.delivery) / job.item["output"]
        before = {path.name: path.read_bytes() for path in output.iterdir()}
        # Killed after the result was written, before the queue knew of it.
        with service.parts.queue.transaction() as db:
            db.execute("UPDATE job SET state = 'running'")
    with running(settings, client) as service:
        assert ended_jobs(service)[0].state is JobState.DONE
        assert {path.name: path.read_bytes() for path in output.iterdir()} == before
        with service.parts.queue.transaction() as db:
            db.execute("UPDATE job SET state = 'running'")
    # Killed before anything was written.
    shutil.rmtree(output)
    shutil.rmtree(output.parent / ".medcyclegan")
    with running(settings, client) as service:
        assert ended_jobs(service)[0].state is JobState.DONE
        assert {path.name: path.read_bytes() for path in output.iterdir()} == before


def test_nothing_of_the_patient_is_in_logs_and_names(
    tmp_path: Path, model: Path, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    telling = {
        "PatientName": "Zqxname^Person",
        "PatientID": "ZQXID4711",
        "AccessionNumber": "ZQXACC",
    }

    def tell(ds: Dataset, k: int) -> None:
        for keyword, value in telling.items():
            setattr(ds, keyword, value)

    folder = mr_series(tmp_path / "SE1", changes=tell)
    settings = settings_of(tmp_path / "store", model)
    with (
        caplog.at_level(logging.DEBUG, logger="medcyclegan"),
        running(settings, client) as service,
    ):
        send(sorted(folder.iterdir()), service.parts.node.port)
        (job,) = ended_jobs(service)
        association = associate(service.parts.node.port)
        association.send_c_store(dcmread(sorted(folder.iterdir())[0]))
        association.abort()
        wait_until(lambda: DeliveryState.INCOMPLETE in states(service))
        uid = job.item["series_uid"]
    names = "\n".join(str(p) for p in (tmp_path / "store").rglob("*"))
    said = "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("medcyclegan"))
    queue = b"".join(p.read_bytes() for p in (tmp_path / "store").glob("queue.sqlite*"))
    assert "released" in said
    for word in ("zqxname", "zqxid", "zqxacc"):
        assert word not in said.lower()
        assert word not in names.lower()
        assert word.encode() not in queue.lower()
    assert uid not in said
    assert uid not in names
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_limits_of_time_end_an_association(tmp_path: Path, model: Path, client: Client) -> None:
    limits = replace(Limits(), association_s=0.2)
    with running(settings_of(tmp_path / "store", model, limits=limits), client) as service:
        association = associate(service.parts.node.port)
        wait_until(lambda: association.is_aborted)
