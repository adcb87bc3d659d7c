"""The service: all parts put together, started, tended and stopped."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import uvicorn
from distributed import Client

from medcyclegan.errors import CannotWrite, ModelRefused
from medcyclegan.models.store import Model
from medcyclegan.service.monitoring import Parts
from medcyclegan.service.queue import Queue
from medcyclegan.service.receiving import Receiving
from medcyclegan.service.retention import remove_old
from medcyclegan.service.scp import Node
from medcyclegan.service.sender import Sender
from medcyclegan.service.settings import ServiceSettings, WebSettings
from medcyclegan.service.store import Store
from medcyclegan.service.translation import Translation
from medcyclegan.service.uploads import Uploads
from medcyclegan.service.web import make_app
from medcyclegan.workflow.batch.candidate import MODALITIES

_TEND_EVERY_S = 0.25
_CLEAN_EVERY_S = 600.0
_MOST_REQUESTS = 64
_IDLE_CONNECTION_S = 15
_START_S = 30.0

_log = logging.getLogger(__name__)


class Service:
    """A running service; ``start`` it, ``tend`` to it until it is to end, then ``stop`` it.

    Raises
    ------
    CannotWrite
        If the store cannot be used.
    ModelRefused
        If the model does not translate volumes.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        model: Model,
        connect: Callable[[], AbstractContextManager[Client]],
    ) -> None:
        if model.task.source.modality not in MODALITIES:
            raise ModelRefused(
                f"The model {model.card.name} translates no volumes",
                rule=f"the service takes series of {' or '.join(MODALITIES)}",
            )
        self.settings = settings
        limits = settings.limits
        store = Store(settings.store, most_bytes=limits.store_bytes)
        queue = Queue(store.queue)
        receiving = Receiving(store, queue, limits, quiet_s=settings.quiet_s)
        self._uploads = Uploads(store, queue, limits)
        self.parts = Parts(
            store, queue, receiving,
            Node(settings.dicom, limits, receiving),
            Translation(store, queue, settings, model, connect),
            tuple(Sender(to, store, queue, settings) for to in settings.destinations),
        )  # fmt: skip
        self.web = _Web(settings.web, make_app(settings, self.parts, self._uploads, model))
        self._cleaned = 0.0

    def start(self) -> None:
        """Begin to translate and to send, then to listen.

        Raises
        ------
        CannotWrite
            If it cannot listen where it should.
        """
        self.parts.translation.start()
        for sender in self.parts.senders:
            sender.start()
        self.parts.node.start()
        self.web.start()

    def run(self, stop: threading.Event) -> None:
        """Tend to what nobody asks for, until ``stop`` is set."""
        while not stop.wait(_TEND_EVERY_S):
            try:
                self.tend()
            except (sqlite3.Error, OSError) as error:  # a full disk, as a rule: later then
                _log.error("the store cannot be written (%s)", error)
                stop.wait(5.0)

    def tend(self) -> None:
        """Close what is complete, and remove what is old."""
        parts = self.parts
        parts.node.tend()
        if parts.receiving.close_quiet():
            parts.translation.wake()
        if time.monotonic() - self._cleaned > _CLEAN_EVERY_S or not self._cleaned:
            self._cleaned = time.monotonic()
            self._uploads.tend()
            remove_old(parts.queue, parts.store, keep_s=self.settings.keep_s)
            parts.store.count()

    def stop(self) -> None:
        """Listen no more, and let go; what is in hand is done again at the next start."""
        self.web.stop()
        self.parts.node.stop()
        for sender in self.parts.senders:
            sender.stop()
        self.parts.translation.stop()
        self.parts.queue.close()
        self.parts.store.close()


class _Web:
    """The web server in a thread of its own."""

    def __init__(self, settings: WebSettings, app: object) -> None:
        tls = settings.tls
        self._settings = settings
        config = uvicorn.Config(
            app,  # type: ignore[arg-type]
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            limit_concurrency=_MOST_REQUESTS,
            timeout_keep_alive=_IDLE_CONNECTION_S,
            timeout_graceful_shutdown=2,
            ssl_certfile=str(tls.certificate) if tls else None,
            ssl_keyfile=str(tls.key) if tls else None,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens, also where any free port was asked for."""
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    def _run(self) -> None:
        try:
            self._server.run()
        except SystemExit:  # of uvicorn, where it cannot listen
            self._server.should_exit = True

    def start(self) -> None:
        """Begin to listen; raises CannotWrite if that cannot be done."""
        if self._settings.tls is not None:
            self._settings.tls.server_context()  # names files that do not fit
        self._thread.start()
        until = time.monotonic() + _START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.02)
        if not self._server.started:
            raise CannotWrite(
                f"Cannot listen on {self._settings.host}:{self._settings.port} for HTTP",
                remedy="name another --http or --http-host, or stop what listens there",
            )

    def stop(self) -> None:
        """Stop listening."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)
