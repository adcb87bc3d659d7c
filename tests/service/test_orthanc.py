"""Orthanc, an archive that hospitals use, as the sender and as the destination."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from medcyclegan.service.entries import JobState, SendState
from tests.peers import free_port, program, wait_for_port
from tests.service.running import (
    destination,
    ended_jobs,
    mr_series,
    running,
    settings_of,
    wait_until,
)


class Orthanc:
    """A running archive, by its REST interface."""

    def __init__(self, http: int, dicom: int) -> None:
        self.http, self.dicom = http, dicom

    def ask(self, path: str, body: object = None) -> Any:
        """GET, or POST of bytes or JSON."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    http, dicom = free_port(), free_port()
    settings = {
        "Name": "archive", "StorageDirectory": str(tmp_path / "orthanc"), "HttpPort": http,
        "IndexDirectory": str(tmp_path / "orthanc"), "DicomPort": dicom, "DicomAet": "ARCHIVE",
        "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "Plugins": [],
        "DicomServerEnabled": True, "DicomModalitiesInDatabase": True, "DicomScuTimeout": 20,
    }  # fmt: skip
    (tmp_path / "orthanc.json").write_text(json.dumps(settings))
    command = [program("Orthanc"), str(tmp_path / "orthanc.json")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        try:
            wait_for_port(http, child, "Orthanc")
            wait_for_port(dicom, child, "Orthanc")
            yield Orthanc(http, dicom)
        finally:
            child.terminate()


def test_an_archive_sends_a_study_and_gets_its_synthetic_ct(
    orthanc: Orthanc, tmp_path: Path, model: Path, client: Client
) -> None:
    for path in sorted(mr_series(tmp_path / "SE1").iterdir()):
        orthanc.ask("/instances", path.read_bytes())
    (study,) = orthanc.ask("/studies")
    to = destination(orthanc.dicom, "ARCHIVE")
    with running(settings_of(tmp_path / "store", model, destinations=(to,)), client) as service:
        node = {"AET": "MEDCYCLEGAN", "Host": "127.0.0.1", "Port": service.parts.node.port}
        request = urllib.request.Request(
            f"http://127.0.0.1:{orthanc.http}/modalities/sct", json.dumps(node).encode(),
            method="PUT",
        )  # fmt: skip
        urllib.request.urlopen(request, timeout=20).close()
        orthanc.ask("/modalities/sct/echo", {})
        orthanc.ask("/modalities/sct/store", study.encode())
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE, job.result.reason
        wait_until(lambda: service.parts.queue.sends()[0].state is SendState.ACCEPTED)
    found = [orthanc.ask(f"/series/{name}") for name in orthanc.ask(f"/studies/{study}")["Series"]]
    modalities = {one["MainDicomTags"]["Modality"]: len(one["Instances"]) for one in found}
    assert modalities == {"MR": 12, "CT": 12}
