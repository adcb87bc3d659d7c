"""The page: who is let in, what is taken up, what is shown and given back."""

from __future__ import annotations

import io
import stat
import subprocess
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from distributed import Client
from pydicom import dcmread

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.service.entries import DeliveryState, JobState, SendState
from medcyclegan.service.guard import HEADERS
from medcyclegan.service.node import Service
from medcyclegan.service.settings import Limits, TlsFiles, WebSettings
from tests.dicom_derived import dciodvfy_errors
from tests.peers import program
from tests.service.running import (
    Page,
    destination,
    ended_jobs,
    mr_series,
    running,
    send,
    settings_of,
    wait_until,
)
from tests.tiny_model import head_on, known, tiny_folder

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def nifti(tmp_path: Path) -> bytes:
    mr, _ = head_on(geometry_from_spacing((24, 24, 12), (8.0, 8.0, 12.0)))
    write_nifti(mr, source_header=ItkSourceHeader(), to=tmp_path / "mr.nii.gz")
    return (tmp_path / "mr.nii.gz").read_bytes()


def page_of(service: Service) -> Page:
    return Page(service.web.port).open()


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def test_an_uploaded_nifti_is_translated_and_given_back_as_both(
    nifti: bytes, tmp_path: Path, model: Path, client: Client
) -> None:
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        assert page.upload((".nii.gz", nifti)).status == 200
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE, job.result.reason
        answer = page.ask("GET", f"/jobs/{job.id}/nifti")
        (tmp_path / "got.nii.gz").write_bytes(answer.body)
        got, given = nib.load(tmp_path / "got.nii.gz"), nib.load(tmp_path / "mr.nii.gz")
        assert np.array_equal(got.affine, given.affine)
        assert answer.headers["content-disposition"].endswith(f'"medcyclegan_{job.id}.nii.gz"')
        first, second = (page.ask("GET", f"/jobs/{job.id}/dicom").body for _ in range(2))
        for number, content in enumerate((first, second)):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                archive.extractall(tmp_path / f"series{number}")
        paths = sorted((tmp_path / "series0").iterdir())
        assert len(paths) == 12
        # asked for twice, it is one series
        assert [dcmread(p).SOPInstanceUID for p in paths] == [
            dcmread(tmp_path / "series1" / p.name).SOPInstanceUID for p in paths
        ]
        assert dciodvfy_errors(tmp_path / "series0") == []
        shown = page.ask("GET", f"/jobs/{job.id}", accept="text/html")
        assert shown.status == 200
        assert b'class="voxels"' in shown.body


def test_uploaded_dicom_is_translated_and_held_until_a_person_sends_it(
    tmp_path: Path, model: Path, client: Client
) -> None:
    paths = sorted(mr_series(tmp_path / "SE1").iterdir())
    files = [("", path.read_bytes()) for path in paths]
    settings = settings_of(tmp_path / "store", model, destinations=(destination(9),))
    with running(settings, client) as service:
        page = page_of(service)
        assert page.upload(*files, ("", b"no DICOM at all")).status == 200
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE
        (held,) = service.parts.queue.sends()
        assert held.state is SendState.HELD
        zipped = page.ask("GET", f"/jobs/{job.id}/nifti").body
        (tmp_path / "got.nii.gz").write_bytes(zipped)
        assert nib.load(tmp_path / "got.nii.gz").shape == (24, 24, 12)
        assert page.ask("POST", f"/api/jobs/{job.id}/send").json() == {"sends": 1}
        tried = wait_until(lambda: [s for s in service.parts.queue.sends() if s.attempts])
        assert "cannot be reached" in tried[0].reason
        (shown,) = page.ask("GET", "/api/queue").json()["deliveries"]
        assert shown["jobs"][0]["sends"][0]["attempts"] >= 1


def test_a_zip_is_unpacked_without_its_names(tmp_path: Path, model: Path, client: Client) -> None:
    paths = sorted(mr_series(tmp_path / "SE1").iterdir())
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    odd = ["../../../escape.dcm", "/etc/absolute.dcm", "C:\\windows.dcm", "a/../../b.dcm"]
    members = [(odd[n] if n < len(odd) else f"Müller Hans/{n}", p.read_bytes())
               for n, p in enumerate(paths)]  # fmt: skip
    before = {p for p in tmp_path.rglob("*") if "store" not in p.parts}
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        packed = zip_of(*members, (link, b"/etc/passwd"), ("__MACOSX/._x.nii", b"junk"))
        assert page.upload((".zip", packed)).status == 200
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE, job.result.reason
        (delivery,) = service.parts.queue.deliveries()
        assert delivery.files == 12
    assert {p for p in tmp_path.rglob("*") if "store" not in p.parts} == before
    names = [p.name for p in (tmp_path / "store").rglob("*")]
    assert not [name for name in names if "ller" in name or "escape" in name]


def test_bombs_and_damaged_or_locked_zips_are_refused_and_leave_nothing(
    tmp_path: Path, model: Path, client: Client
) -> None:
    limits = Limits(instance_bytes=2**20, delivery_bytes=2**21, delivery_files=50)
    bomb = zip_of(("a", bytes(2**24)))
    lying = bytearray(zip_of(("a", bytes(2**24))))
    for at in (lying.find(b"PK\1\2") + 24,):  # the size that the directory tells
        lying[at : at + 4] = (1000).to_bytes(4, "little")
    locked = bytearray(zip_of(("a", b"x" * 100)))
    locked[6] |= 1
    locked[locked.find(b"PK\1\2") + 8] |= 1
    many = zip_of(*((f"{n}", b"x") for n in range(60)))
    nested = zip_of(("inner.zip", bomb))
    with running(settings_of(tmp_path / "store", model, limits=limits), client) as service:
        page = page_of(service)
        for content, why in (
            (bomb, "unpacks to more"), (bytes(lying), "zip"), (bytes(locked), "locked"),
            (many, "60 entries"), (b"PK no zip", "damaged"), (bomb[:-30], "damaged"),
            (nested, "none of them an image"), (zip_of(("a.txt", b"x")), "none of them an image"),
        ):  # fmt: skip
            answer = page.upload((".zip", content))
            assert answer.status == 400
            assert why in answer.json()["error"]
        answer = page.upload((".nii", bytes(2**20 + 1)))
        assert "too large" in answer.json()["error"]
        assert page.upload((".exe", b"x")).status == 400
        for _ in range(40):  # what was refused is dropped by the page; a slot is left for others
            for upload in list(service._uploads._open):
                page.ask("DELETE", f"/api/uploads/{upload}")
            break
        assert service.parts.queue.deliveries() == []
        assert not list((tmp_path / "store" / "part").iterdir())
        assert not list((tmp_path / "store" / "deliveries").iterdir())


def test_mixed_uploads_are_refused_by_name(
    nifti: bytes, tmp_path: Path, model: Path, client: Client
) -> None:
    path = sorted(mr_series(tmp_path / "SE1").iterdir())[0]
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        answer = page.upload((".nii.gz", nifti), ("", path.read_bytes()))
        assert answer.status == 400
        assert "1 DICOM files and 1 other images" in answer.json()["error"]
        assert page.upload((".nii.gz", nifti), (".nii.gz", nifti)).status == 400
        assert page.upload().status == 400
        assert page.ask("POST", "/api/uploads/0123456789abcdef/end").status == 400
        assert page.ask("PUT", "/api/uploads/..%2f..%2fx/files", b"x").status in (400, 404)


def test_what_the_model_does_not_know_is_held_and_named(
    nifti: bytes, tmp_path: Path, client: Client
) -> None:
    odd = tiny_folder(tmp_path / "odd", reference_ranges=known(body_litres=(50.0, 60.0)))
    series = sorted(mr_series(tmp_path / "SE1").iterdir())
    settings = settings_of(tmp_path / "store", odd, destinations=(destination(9),))
    with running(settings, client) as service:
        send(series, service.parts.node.port)
        (job,) = ended_jobs(service)
        assert job.state is JobState.DOUBTFUL
        assert service.parts.queue.sends()[0].state is SendState.HELD
        page = page_of(service)
        text = page.ask("GET", f"/jobs/{job.id}", accept="text/html").body.decode()
        assert "Do not trust this result" in text
        assert job.result.doubts[0].split("&")[0][:20] in text
    eager = replace(settings, store=tmp_path / "eager", send_doubtful=True)
    with running(eager, client) as service:
        send(series, service.parts.node.port)
        ended_jobs(service)
        assert service.parts.queue.sends()[0].state is SendState.WAITING


def test_retry_remove_and_what_is_not_there(
    nifti: bytes, tmp_path: Path, model: Path, client: Client
) -> None:
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        page.upload((".nii.gz", b"no image"))
        (job,) = ended_jobs(service)
        assert job.state is JobState.REFUSED
        assert str(tmp_path) not in job.result.reason
        assert page.ask("GET", f"/jobs/{job.id}/nifti").status == 409
        assert page.ask("POST", f"/api/jobs/{job.id}/retry").status == 200
        ended_jobs(service)
        assert page.ask("DELETE", f"/api/deliveries/{job.delivery}").status == 204
        assert not list((tmp_path / "store" / "deliveries").iterdir())
        for path in (
            "/jobs/none",
            "/jobs/none/nifti",
            "/static/none",
            "/static/../web.py",
            "/docs",
        ):
            assert page.ask("GET", path).status == 404
        assert page.ask("DELETE", "/api/deliveries/none").status == 404


def test_only_pages_of_ours_change_anything(tmp_path: Path, model: Path, client: Client) -> None:
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        token = page.headers["X-CSRF-Token"]
        for headers in (
            {"X_CSRF_Token": "wrong"}, {"X_CSRF_Token": ""}, {"Origin": "http://evil.example"},
            {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"},
        ):  # fmt: skip
            assert page.ask("POST", "/api/uploads", **headers).status == 403
        script = page.ask("POST", "/api/uploads", X_CSRF_Token="")
        assert b"A script needs a token (--token-file of serve)" in script.body
        assert service.parts.queue.deliveries() == []
        own = {"Origin": f"http://127.0.0.1:{page.port}", "Sec_Fetch_Site": "same-origin"}
        assert page.ask("POST", "/api/uploads", X_CSRF_Token=token, **own).status == 201
        # A name that another site's name server gave our address is not ours.
        assert page.ask("GET", "/", Host="evil.example").status == 421
        assert page.ask("GET", "/", Host="").status == 421
        assert page.ask("GET", "/", Host=f"localhost:{page.port}").status == 200


def test_every_answer_has_the_headers_of_safety(
    tmp_path: Path, model: Path, client: Client
) -> None:
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        for path in ("/", "/static/queue.js", "/api/queue", "/jobs/none", "/healthz", "/metrics"):
            found = page.ask("GET", path).headers
            for name, value in HEADERS.items():
                assert found[name] == value
            assert "cache-control" in found
            assert "server" not in found
        text = page.ask("GET", "/").body.decode()
        assert "http://" not in text
        assert "https://" not in text
        assert "<style" not in text
        assert " style=" not in text


def test_a_token_is_asked_for_where_there_is_one(
    tmp_path: Path, model: Path, client: Client
) -> None:
    web = WebSettings(port=0, token=TOKEN)
    with running(settings_of(tmp_path / "store", model, web=web), client) as service:
        page = Page(service.web.port)
        assert page.ask("GET", "/api/queue").status == 401
        assert page.ask("GET", "/metrics").status == 401
        assert page.ask("GET", "/healthz").status in (200, 503)
        sent_on = page.ask("GET", "/", accept="text/html")
        assert (sent_on.status, sent_on.headers["location"]) == (303, "/login")
        login = page.ask("GET", "/login").body
        assert b"MEDCYCLEGAN" not in login
        started = time.monotonic()
        assert page.ask("POST", "/login", b"token=wrong").status == 403
        assert time.monotonic() - started > 0.9
        assert page.ask("POST", "/login", b"x" * 5000).status == 413
        answer = page.ask("POST", "/login", f"token={TOKEN}".encode())
        assert answer.status == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert TOKEN not in cookie
        page.headers["Cookie"] = cookie.partition(";")[0]
        assert page.ask("GET", "/api/queue").status == 200
        assert page.ask("POST", "/api/uploads").status == 403  # a cookie alone changes nothing
        assert page.open().ask("POST", "/api/uploads").status == 201
        until, _, signature = page.headers["Cookie"].partition("=")[2].partition(".")
        page.headers["Cookie"] = f"medcyclegan={int(until) + 9}.{signature}"
        assert page.ask("GET", "/api/queue").status == 401
        script = Page(service.web.port, headers={"Authorization": f"Bearer {TOKEN}"})
        assert script.ask("POST", "/api/uploads").status == 201
        assert Page(page.port, headers={"Authorization": "Bearer "}).ask("GET", "/").status == 401


def test_health_and_figures(tmp_path: Path, model: Path, client: Client) -> None:
    with running(settings_of(tmp_path / "store", model), client) as service:
        page = page_of(service)
        wait_until(lambda: page.ask("GET", "/healthz").status == 200)
        send(sorted(mr_series(tmp_path / "SE1").iterdir()), service.parts.node.port)
        ended_jobs(service)
        text = page.ask("GET", "/metrics").body.decode()
        values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
        assert values["medcyclegan_instances_received_total"] == "12"
        assert values['medcyclegan_job_count{state="done"}'] == "1"
        assert int(values["medcyclegan_store_bytes"]) > 12 * 1000
        kinds = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
        assert len(kinds) == len(set(kinds))
        assert {name.partition("{")[0] for name in values} == set(kinds)
        service.parts.store._most_bytes = 0
        answer = page.ask("GET", "/healthz")
        assert (answer.status, answer.json()["faults"]) == (503, ["the store is full"])


def certificate(folder: Path) -> TlsFiles:
    """A certificate of 127.0.0.1 that signs itself."""
    files = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "cert.pem")
    command = [
        program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", str(files.key), "-out", str(files.certificate),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return files


def test_the_page_and_the_node_speak_tls(tmp_path: Path, model: Path, client: Client) -> None:
    from medcyclegan.service.settings import DicomSettings
    from tests.service.running import associate

    files = certificate(tmp_path)
    web = WebSettings(port=0, tls=replace(files, authorities=None))
    settings = settings_of(
        tmp_path / "store", model, web=web, dicom=DicomSettings(port=0, tls=files)
    )
    series = sorted(mr_series(tmp_path / "SE1").iterdir())
    with running(settings, client) as service:
        page = Page(service.web.port, context=files.client_context()).open()
        answer = page.ask("GET", "/api/queue")
        assert answer.status == 200
        assert "strict-transport-security" in answer.headers
        port = service.parts.node.port
        association = associate(port, tls_args=(files.client_context(), "127.0.0.1"))
        assert association.is_established
        assert {association.send_c_store(dcmread(path)).Status for path in series} == {0}
        association.release()
        (job,) = ended_jobs(service)
        assert job.state is JobState.DONE
        assert not associate(port).is_established  # without TLS
        (delivery,) = service.parts.queue.deliveries()
        assert delivery.state is DeliveryState.PLANNED
