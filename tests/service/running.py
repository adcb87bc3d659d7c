"""A service with a tiny model in this process, a sender by pynetdicom, and a client of the page."""

from __future__ import annotations

import http.client
import json
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client
from pydicom import Dataset, dcmread
from pynetdicom.association import Association

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.models.store import load_model
from medcyclegan.service.entries import Job, JobState
from medcyclegan.service.node import Service
from medcyclegan.service.sender import Requestor
from medcyclegan.service.settings import Destination, DicomSettings, ServiceSettings, WebSettings
from medcyclegan.workflow.synthesize import Options
from tests.dicom_factory import make_series
from tests.tiny_model import head_on

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"
SHAPE, SPACING_MM = (24, 24, 12), (8.0, 8.0, 12.0)


@contextmanager
def workers() -> Iterator[Client]:
    """A dask worker in this process: the start of one of its own takes seconds."""
    with Client(
        processes=False, n_workers=1, threads_per_worker=3, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


def mr_series(folder: Path, *, changes: Callable[[Dataset, int], None] | None = None) -> Path:
    """A ball of MR signal as a series of 12 slices; the folder's name makes its UID."""
    mr, _ = head_on(geometry_from_spacing(SHAPE, SPACING_MM))
    stored = np.rint(mr.voxels).clip(0, 4095).astype("<u2")

    def fill(ds: Dataset, k: int) -> None:
        ds.PixelData = np.ascontiguousarray(stored[:, :, k].T).tobytes()
        ds.SeriesDescription, ds.ProtocolName = "t1_mprage", "t1_mprage"
        if changes is not None:
            changes(ds, k)

    make_series(folder, shape=SHAPE, affine_ras=mr.geometry.affine_ras, changes=fill)
    return folder


def settings_of(store: Path, model: Path, **changes: Any) -> ServiceSettings:
    """Any free ports on loopback, and hardly any waiting."""
    usual = ServiceSettings(
        store=store,
        model=str(model),
        options=Options(device="cpu"),
        dicom=DicomSettings(port=0),
        web=WebSettings(port=0),
        quiet_s=0.3,
    )
    return replace(usual, **changes)


@contextmanager
def running(settings: ServiceSettings, client: Client) -> Iterator[Service]:
    """A service that is started, tended and stopped."""
    service = Service(settings, load_model(settings.model), lambda: nullcontext(client))
    stop = threading.Event()
    tending = threading.Thread(target=service.run, args=(stop,), daemon=True)
    try:
        service.start()
        tending.start()
        yield service
    finally:
        stop.set()
        if tending.is_alive():
            tending.join(timeout=10)
        service.stop()


def wait_until(is_so: Callable[[], Any], *, seconds: float = 120.0, what: str = "") -> Any:
    """Wait until something is true, and return it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := is_so():
            return found
        time.sleep(0.02)
    raise AssertionError(f"it did not come true within {seconds} s: {what}")


def ended_jobs(service: Service, count: int = 1, *, seconds: float = 120.0) -> list[Job]:
    """Wait until so many jobs have ended, and return all of them."""
    queue = service.parts.queue
    ended = (JobState.WAITING, JobState.RUNNING)

    def look() -> list[Job] | None:
        jobs = queue.jobs()
        is_done = len(jobs) >= count and not any(job.state in ended for job in jobs)
        return jobs if is_done else None

    return list(wait_until(look, seconds=seconds, what=f"{count} jobs ended"))


def associate(
    port: int, *, title: str = "SCANNER", to: str = "MEDCYCLEGAN", **more: Any
) -> Association:
    """An association that may send MR images."""
    entity = Requestor(title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 20
    entity.add_requested_context(MR_IMAGE, [EXPLICIT])
    entity.add_requested_context(VERIFICATION)
    return entity.associate("127.0.0.1", port, ae_title=to, **more)


def send(paths: list[Path], port: int, *, title: str = "SCANNER") -> list[int]:
    """Send files in one association that is released; returns the status of each."""
    association = associate(port, title=title)
    assert association.is_established
    answers = [association.send_c_store(dcmread(path)) for path in paths]
    association.release()
    return [answer.Status if "Status" in answer else -1 for answer in answers]


def destination(port: int, title: str = "PACS") -> Destination:
    """A node on this computer."""
    return Destination(title, "127.0.0.1", port)


@dataclass
class Page:
    """A client of the page as a browser is one: with the CSRF token of the page and a cookie."""

    port: int
    context: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """Ask once; headers are given with underscores."""
        kind = http.client.HTTPConnection
        more: dict[str, Any] = {}
        if self.context:
            kind, more = http.client.HTTPSConnection, {"context": self.context}
        connection = kind("127.0.0.1", self.port, timeout=30, **more)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers={**self.headers, **given})
        answer = connection.getresponse()
        found = Answer(answer.status, answer.read(), dict(answer.getheaders()))
        connection.close()
        return found

    def open(self) -> Page:
        """Load the page and keep its CSRF token."""
        text = self.ask("GET", "/", accept="text/html").body.decode()
        found = re.search(r'name="csrf" content="([^"]+)"', text)
        assert found
        self.headers["X-CSRF-Token"] = found[1]
        return self

    def upload(self, *files: tuple[str, bytes]) -> Answer:
        """Upload files, each an ending and its bytes; returns the answer that ended it."""
        upload = self.ask("POST", "/api/uploads").json()["id"]
        for ending, content in files:
            answer = self.ask("PUT", f"/api/uploads/{upload}/files?ending={ending}", content)
            if answer.status != 204:
                return answer
        return self.ask("POST", f"/api/uploads/{upload}/end")


@dataclass(frozen=True)
class Answer:
    """What the page answered."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)
