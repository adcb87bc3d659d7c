"""The web page and what it asks for: uploads, the queue, results, health and figures.

Everything comes from this process; no page loads anything from elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from medcyclegan import __version__
from medcyclegan.errors import NO_ROOM, InputRefused, MedcycleganError
from medcyclegan.models.store import Model
from medcyclegan.service import retention
from medcyclegan.service.entries import Delivery, DeliveryState, Job, JobState, Send
from medcyclegan.service.guard import COOKIE, SESSION_S, Guard, Secrets, new_secrets
from medcyclegan.service.monitoring import Parts, faults, metrics
from medcyclegan.service.results import as_dicom, as_nifti, read_view
from medcyclegan.service.settings import ServiceSettings
from medcyclegan.service.translation import item_of
from medcyclegan.service.uploads import Uploads
from medcyclegan.workflow.request import made_name, source_name, task_said

# The newest deliveries are shown; older ones are in the queue all the same.
_MOST_SHOWN = 200
_FORM_BYTES = 4096
_CHUNK_BYTES = 2**20
# Of a log-in with a wrong token.
_WRONG_TOKEN_S = 1.0
_ASSETS = {
    "service.css": ("medcyclegan.service", "text/css"),
    "queue.js": ("medcyclegan.service", "text/javascript"),
    "upload.js": ("medcyclegan.service", "text/javascript"),
    "result.js": ("medcyclegan.service", "text/javascript"),
    "viewer.css": ("medcyclegan.evaluation", "text/css"),
    "viewer.js": ("medcyclegan.evaluation", "text/javascript"),
    "viewer_drawing.js": ("medcyclegan.evaluation", "text/javascript"),
}


@dataclass(frozen=True)
class Context:
    """What the page works with."""

    settings: ServiceSettings
    parts: Parts
    uploads: Uploads
    model: Model
    known: Secrets

    def job(self, job: str) -> Job:
        """Return a job by its id; 404 where there is none."""
        found = self.parts.queue.job(job)
        if found is None:
            raise HTTPException(404, "There is no such job; it may have been removed.")
        return found

    def delivery(self, delivery: str) -> Delivery:
        """Return a delivery by its id; 404 where there is none."""
        found = self.parts.queue.delivery(delivery)
        if found is None:
            raise HTTPException(404, "There is no such delivery; it may have been removed.")
        return found

    def wake(self) -> None:
        """Let all look for work now."""
        self.parts.translation.wake()
        for sender in self.parts.senders:
            sender.wake()


def make_app(settings: ServiceSettings, parts: Parts, uploads: Uploads, model: Model) -> Guard:
    """Return the application, behind its guard."""
    context = Context(settings, parts, uploads, model, new_secrets(settings.web))
    app = FastAPI(title="medcyclegan", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.context = context
    app.add_exception_handler(MedcycleganError, _refused)
    app.add_exception_handler(OSError, _system_refused)
    app.add_exception_handler(HTTPException, _http_error)
    for routes in (
        _add_pages,
        _add_login,
        _add_monitoring,
        _add_uploads,
        _add_actions,
        _add_results,
    ):
        routes(app)
    return Guard(app, settings.web, context.known)


def _context(request: Request) -> Context:
    found = request.app.state.context
    assert isinstance(found, Context)
    return found


Given = Annotated[Context, Depends(_context)]


def _refused(request: Request, error: Exception) -> Response:
    root = _context(request).parts.store.root
    status = 400 if isinstance(error, InputRefused) else 500
    return JSONResponse({"error": str(error).replace(f"{root}/", "")}, status_code=status)


def _system_refused(request: Request, error: Exception) -> Response:
    is_full = getattr(error, "errno", None) in (None, *NO_ROOM)
    said = "There is no room left in the store." if is_full else "The system refused to write."
    return JSONResponse({"error": said}, status_code=507 if is_full else 500)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if "text/html" in request.headers.get("accept", ""):
        page = _page("message.html.j2", request, said=error.detail)
        return HTMLResponse(page, status_code=error.status_code)
    return JSONResponse({"error": error.detail}, status_code=error.status_code)


_TEMPLATES = Environment(
    loader=ChoiceLoader(
        [PackageLoader("medcyclegan.service"), PackageLoader("medcyclegan.evaluation")]
    ),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def _page(name: str, request: Request, **values: Any) -> str:
    context = _context(request)
    card = context.model.card
    return _TEMPLATES.get_template(name).render(
        version=__version__,
        aet=context.settings.dicom.ae_title,
        model=card.name,
        source=source_name(card.task),
        made=made_name(card.task),
        task=task_said(card.task),
        destinations=[destination.name for destination in context.settings.destinations],
        csrf=context.known.csrf,
        has_token=bool(context.known.token),
        **values,
    )


def _add_pages(app: FastAPI) -> None:
    @app.get("/")
    def queue(request: Request) -> HTMLResponse:
        return HTMLResponse(_page("queue.html.j2", request))

    @app.get("/jobs/{job}")
    def result(request: Request, job: str, context: Given) -> HTMLResponse:
        found = context.job(job)
        view = read_view(context.parts.translation.view_path(found))
        sends = context.parts.queue.sends(job)
        return HTMLResponse(
            _page("result.html.j2", request, job=found, row=found.result, sends=sends, seen=view)
        )

    @app.get("/static/{name}")
    def static(name: str) -> Response:
        if name not in _ASSETS:
            raise HTTPException(404, "There is no such file.")
        package, kind = _ASSETS[name]
        loader = PackageLoader(package)
        text = loader.get_source(_TEMPLATES, name)[0]
        return Response(text, media_type=kind, headers={"cache-control": "no-cache"})


def _add_login(app: FastAPI) -> None:
    @app.get("/login")
    def login_page(request: Request) -> HTMLResponse:
        return HTMLResponse(_page("login.html.j2", request, wrong=False))

    @app.post("/login")
    async def login(request: Request, context: Given) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FORM_BYTES:
                raise HTTPException(413, "The form is too large.")
        given = parse_qs(body.decode("ascii", errors="replace")).get("token", [""])[0]
        if not context.known.is_token(given.strip()):
            await asyncio.sleep(_WRONG_TOKEN_S)
            return HTMLResponse(_page("login.html.j2", request, wrong=True), status_code=403)
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(
            COOKIE, context.known.new_session(), max_age=SESSION_S, httponly=True,
            samesite="strict", secure=context.settings.web.tls is not None,
        )  # fmt: skip
        return answer

    @app.post("/logout")
    def logout() -> Response:
        answer = JSONResponse({})
        answer.delete_cookie(COOKIE)
        return answer


def _add_monitoring(app: FastAPI) -> None:
    @app.get("/healthz")
    def healthz(context: Given) -> JSONResponse:
        found = faults(context.parts)
        status = {"status": "unhealthy" if found else "ok", "faults": found}
        return JSONResponse(status, status_code=503 if found else 200)

    @app.get("/metrics")
    def figures(context: Given) -> PlainTextResponse:
        kind = "text/plain; version=0.0.4; charset=utf-8"
        return PlainTextResponse(metrics(context.parts), media_type=kind)


def _add_uploads(app: FastAPI) -> None:
    @app.post("/api/uploads", status_code=201)
    def begin(context: Given) -> dict[str, str]:
        return {"id": context.uploads.begin()}

    @app.put("/api/uploads/{upload}/files", status_code=204)
    async def add(request: Request, upload: str, context: Given, ending: str = "") -> Response:
        async with asyncio.timeout(context.settings.limits.message_s):
            part = await context.uploads.receive(upload, ending, _chunks(request))
        await asyncio.to_thread(context.uploads.add, upload, part, ending)
        return Response(status_code=204)

    @app.post("/api/uploads/{upload}/end")
    def end(upload: str, context: Given) -> dict[str, str]:
        context.uploads.end(upload)
        context.wake()
        return {"id": upload}

    @app.delete("/api/uploads/{upload}", status_code=204)
    def abandon(upload: str, context: Given) -> Response:
        context.uploads.abandon_open(upload)
        return Response(status_code=204)


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    async for chunk in request.stream():
        yield chunk


def _add_actions(app: FastAPI) -> None:
    @app.get("/api/queue")
    def queue(context: Given) -> dict[str, Any]:
        return queue_shown(context)

    @app.post("/api/jobs/{job}/retry")
    def retry(job: str, context: Given) -> dict[str, str]:
        found = context.job(job)
        if found.state is JobState.RUNNING or not found.item:
            raise HTTPException(409, "This one cannot be translated again.")
        context.parts.queue.put_back(job, fresh=True)
        context.wake()
        return {"id": job}

    @app.post("/api/jobs/{job}/send")
    def send(job: str, context: Given) -> dict[str, int]:
        context.job(job)
        count = context.parts.queue.release_sends(job)
        context.wake()
        return {"sends": count}

    @app.post("/api/deliveries/{delivery}/convert")
    def convert(delivery: str, context: Given) -> dict[str, str]:
        context.parts.receiving.take_as_whole(context.delivery(delivery))
        context.wake()
        return {"id": delivery}

    @app.delete("/api/deliveries/{delivery}", status_code=204)
    def remove(delivery: str, context: Given) -> Response:
        context.delivery(delivery)
        parts = context.parts
        if not retention.is_ended(parts.queue, delivery):
            raise HTTPException(409, "It is still being received, translated or sent.")
        retention.remove(parts.queue, parts.store, delivery)
        return Response(status_code=204)


def _add_results(app: FastAPI) -> None:
    @app.get("/jobs/{job}/nifti")
    def nifti(job: str, context: Given) -> StreamingResponse:
        found, settings = _result_of(job, context)
        return _download(as_nifti(item_of(found), settings, context.model), f"{found.id}.nii.gz")

    @app.get("/jobs/{job}/dicom")
    def dicom(job: str, context: Given) -> StreamingResponse:
        found, settings = _result_of(job, context)
        return _download(as_dicom(item_of(found), settings, context.model), f"{found.id}.zip")


def _result_of(job: str, context: Context) -> tuple[Job, Any]:
    found = context.job(job)
    if found.state not in (JobState.DONE, JobState.DOUBTFUL):
        raise HTTPException(409, "This one has no result.")
    return found, context.parts.translation.settings_for(found.delivery, found)


def _download(made: AbstractContextManager[Path], name: str) -> StreamingResponse:
    """Stream a file that lives as long as it is sent; it is made before the answer begins."""
    path = made.__enter__()
    ending = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    name = f"{name.partition('.')[0]}{ending}"

    def parts() -> Iterator[bytes]:
        try:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK_BYTES):
                    yield chunk
        finally:
            made.__exit__(None, None, None)

    headers = {
        "content-disposition": f'attachment; filename="medcyclegan_{name}"',
        "content-length": str(path.stat().st_size),
    }
    return StreamingResponse(parts(), media_type="application/octet-stream", headers=headers)


def queue_shown(context: Context) -> dict[str, Any]:
    """What the page shows of the queue, the newest deliveries first."""
    queue = context.parts.queue
    jobs: dict[str, list[Job]] = {}
    for job in queue.jobs():
        jobs.setdefault(job.delivery, []).append(job)
    sends: dict[str, list[Send]] = {}
    for send in queue.sends():
        sends.setdefault(send.job, []).append(send)
    deliveries = queue.deliveries()[-_MOST_SHOWN:][::-1]
    return {
        "now": time.time(),
        "faults": faults(context.parts),
        "deliveries": [
            {
                **{name: getattr(delivery, name) for name in (
                    "id", "source", "sender", "state", "reason", "files", "bytes", "created")},
                "received": _received(delivery, context),
                "jobs": [_job_shown(j, sends.get(j.id, [])) for j in jobs.get(delivery.id, [])],
            }
            for delivery in deliveries
        ],
    }  # fmt: skip


def _received(delivery: Delivery, context: Context) -> int:
    if delivery.state is not DeliveryState.RECEIVING:
        return delivery.files
    return context.parts.receiving.files_of(delivery.id)


def _job_shown(job: Job, sends: list[Send]) -> dict[str, Any]:
    row = job.result
    return {
        **{name: getattr(job, name) for name in ("id", "state", "attempts", "next_at", "started")},
        **{name: getattr(row, name) for name in (
            "reason", "contrast", "seconds", "series", "warnings", "doubts")},
        "can_retry": bool(job.item),
        "sends": [
            {name: getattr(send, name) for name in (
                "destination", "state", "reason", "attempts", "next_at")}
            for send in sends
        ],
    }  # fmt: skip
