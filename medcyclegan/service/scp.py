"""DICOM node: C-ECHO and C-STORE by pynetdicom, with bounds that pynetdicom does not set itself."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from typing import Any, cast

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.transport import (
    RequestHandler,
    ThreadedAssociationServer,
)

from medcyclegan.errors import NO_ROOM, CannotWrite
from medcyclegan.service.receiving import NotAnInstance, Receiving, TooMuch, Visit
from medcyclegan.service.settings import ANY, DicomSettings, Limits

VERIFICATION = "1.2.840.10008.1.1"
# Explicit first: of what a sender offers, the first that we list is taken.
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
    "1.2.840.10008.1.2",  # Implicit VR Little Endian
    "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
    "1.2.840.10008.1.2.1.99",  # Deflated
    "1.2.840.10008.1.2.5",  # RLE
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first order
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
)
# Status of C-STORE, PS3.4 B.2.3 and PS3.7 C.
SUCCESS = 0x0000
NOT_AUTHORISED = 0x0124
OUT_OF_RESOURCES = 0xA700
DOES_NOT_MATCH = 0xA900
CANNOT_UNDERSTAND = 0xC000

# What we ask senders to send at a time, and the most that is read as one; the request of an
# association with all storage classes and syntaxes is some 60 KiB.
_ASKED_PDU_BYTES = 128 * 2**10
_MOST_PDU_BYTES = 2**20
# A whole file is its data set and the meta information.
_SLACK_BYTES = 64 * 2**10
_NEGOTIATION_S = 30.0
_STOP_S = 1.0
# Connections that have not yet said who they are, beside the associations.
_MORE_CONNECTIONS = 20
_NO_ROOM = NO_ROOM | {errno.EMFILE}

_log = logging.getLogger(__name__)


class _BoundedReader:
    """Reads no longer, and no more, than the limits allow; what breaks them ends the connection.

    pynetdicom reads a unit of whatever length the peer tells, and waits for it for ever.
    """

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._connection, self._limits = connection, limits
        self._message_bytes = 0
        self._message_since = 0.0

    def close(self) -> None:
        """Close the connection; pynetdicom leaves it open where the peer went first."""
        self._connection.close()

    def message_ended(self) -> None:
        """Begin to count anew."""
        self._message_bytes = 0

    def recv(self, nr_bytes: int) -> bytearray:
        """Return so many bytes, or fewer if the connection was closed.

        Raises
        ------
        OSError
            If a unit or a message is too long, or takes too long.
        """
        if nr_bytes > _MOST_PDU_BYTES:
            raise OSError("a unit is longer than is read")
        if not self._message_bytes:
            self._message_since = time.monotonic()
        self._message_bytes += nr_bytes
        if self._message_bytes > self._limits.instance_bytes + _SLACK_BYTES:
            raise OSError("a message is longer than is read")
        buffer = bytearray(nr_bytes)
        view, read = memoryview(buffer), 0
        while read < nr_bytes:
            if time.monotonic() - self._message_since > self._limits.message_s:
                raise TimeoutError("a message takes longer than is waited for")
            count = self._connection.recv_into(view[read:])
            if not count:
                break
            read += count
        view.release()
        return buffer[:read]


class _Handler(RequestHandler):
    """Turns away at once who is on no list, and sees to TLS and time limits of the socket."""

    node: Node

    def handle(self) -> None:
        """Begin an association, or close the connection."""
        node = self.node
        connection = cast(Any, self.request)
        busy = len(self.server.active_associations)
        if not node.may_connect(self.client_address[0], busy):
            connection.close()
            return
        connection.settimeout(node.limits.idle_s)
        if node.tls is not None:
            try:
                self.request = node.tls.wrap_socket(connection, server_side=True)
            except (OSError, ssl.SSLError):
                node.refused_connections += 1
                connection.close()
                return
        super().handle()

    def _create_association(self) -> Association:
        association = super()._create_association()
        reader = _BoundedReader(cast(Any, self.request), self.node.limits)
        association.dul.socket.recv = reader.recv  # type: ignore[method-assign, union-attr]
        self.node.readers[association] = reader
        return association


class _Server(ThreadedAssociationServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell the kind of error alone, where the library would print all of it."""
        _log.error("a connection ended by %s", type(sys.exception()).__name__)


class Node:
    """The listening node; ``start`` and ``stop`` it.

    Raises
    ------
    CannotWrite
        From ``start``, if it cannot listen there.
    """

    def __init__(self, settings: DicomSettings, limits: Limits, receiving: Receiving) -> None:
        self._settings, self._receiving = settings, receiving
        self.limits = limits
        self.tls = settings.tls.server_context() if settings.tls else None
        self.readers: dict[Association, _BoundedReader] = {}
        self.refused_connections = 0
        self.echoes = 0
        self._visits: dict[Association, tuple[Visit, float]] = {}
        self._lock = threading.Lock()
        self._server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """Where it listens, also where any free port was asked for."""
        assert self._server is not None
        return int(self._server.server_address[1])

    @property
    def open_associations(self) -> int:
        """How many associations are open."""
        return len(self._visits)

    def start(self) -> None:
        """Listen, in threads of its own."""
        _silence_pynetdicom()
        entity = self._entity()
        try:
            self._server = entity.make_server(
                (self._settings.host, self._settings.port),
                evt_handlers=[
                    (evt.EVT_ESTABLISHED, self._established),
                    (evt.EVT_RELEASED, self._released),
                    (evt.EVT_ABORTED, self._ended),
                    (evt.EVT_CONN_CLOSE, self._ended),
                    (evt.EVT_REJECTED, self._rejected),
                    (evt.EVT_DIMSE_RECV, self._received),
                    (evt.EVT_C_ECHO, self._echo),
                    (evt.EVT_C_STORE, self._store),
                ],
                server_class=_Server,
                request_handler=type("_NodeHandler", (_Handler,), {"node": self}),
            )
        except OSError as error:
            raise CannotWrite(
                f"Cannot listen on {self._settings.host}:{self._settings.port} for DICOM "
                f"({error.strerror})",
                remedy="name another --port or --dicom-host, or stop what listens there",
            ) from error
        entity._servers.append(self._server)
        threading.Thread(target=self._server.serve_forever, name="dicom", daemon=True).start()

    def _entity(self) -> AE:
        entity = AE(self._settings.ae_title)
        entity.require_called_aet = True
        titles = {peer.ae_title for peer in self._settings.allowed}
        entity.require_calling_aet = [] if ANY in titles else sorted(titles)
        entity.maximum_associations = self.limits.associations
        entity.maximum_pdu_size = _ASKED_PDU_BYTES
        entity.acse_timeout = entity.connection_timeout = _NEGOTIATION_S
        entity.dimse_timeout = entity.network_timeout = self.limits.idle_s
        entity.add_supported_context(VERIFICATION)
        for context in AllStoragePresentationContexts:
            entity.add_supported_context(str(context.abstract_syntax), list(TRANSFER_SYNTAXES))
        return entity

    def stop(self) -> None:
        """Stop listening and end what is open."""
        if self._server is not None:
            self._server.shutdown()
            for association, reader in list(self.readers.items()):
                with suppress(Exception):  # of a library, on the way out
                    association.abort(block=False)
                    association.join(_STOP_S)
                reader.close()
            self.readers.clear()
            self._server = None

    def may_connect(self, address: str, busy: int) -> bool:
        """Whether a connection is taken from an address while so many are open."""
        is_known = any(peer.fits_address(address) for peer in self._settings.allowed)
        if not is_known or busy >= self.limits.associations + _MORE_CONNECTIONS:
            self.refused_connections += 1
            _log.warning(
                "connection refused: %s", "too many" if is_known else "address not allowed"
            )
            return False
        return True

    def tend(self) -> None:
        """Look after associations: let go of those that ended, end those that last too long."""
        for association in [one for one in list(self.readers) if _has_ended(one)]:
            self.readers.pop(association).close()
        for association, (visit, since) in list(self._visits.items()):
            if not association.is_alive():
                with self._lock:
                    del self._visits[association]
                self._receiving.end(visit)
                how = "released" if visit.is_released else "broken off"
                _log.info("association of %s: %s", visit.sender, how)
            elif time.monotonic() - since > self.limits.association_s:
                _log.warning("association of %s: ended after too long a time", visit.sender)
                association.abort(block=False)

    def _established(self, event: evt.Event) -> None:
        requestor = event.assoc.requestor
        visit = self._receiving.begin(requestor.ae_title)
        with self._lock:
            self._visits[event.assoc] = (visit, time.monotonic())

    def _released(self, event: evt.Event) -> None:
        self._ended(event)
        if event.assoc in self._visits:
            self._visits[event.assoc][0].is_released = True

    def _ended(self, event: evt.Event) -> None:
        """Note the time: the sender may come again before anybody looks."""
        if event.assoc in self._visits:
            visit, _ = self._visits[event.assoc]
            visit.ended_ns = visit.ended_ns or time.time_ns()

    def _rejected(self, event: evt.Event) -> None:
        self.refused_connections += 1
        _log.warning("association rejected: title not allowed, or too many")

    def _received(self, event: evt.Event) -> None:
        if reader := self.readers.get(event.assoc):
            reader.message_ended()

    def _may_send(self, association: Association) -> bool:
        requestor = association.requestor
        return any(
            peer.fits(requestor.ae_title, requestor.address) for peer in self._settings.allowed
        )

    def _echo(self, event: evt.Event) -> int:
        if not self._may_send(event.assoc):
            return 0x0122  # of C-ECHO: refused
        self.echoes += 1
        return SUCCESS

    def _store(self, event: evt.Event) -> int:
        """Answer a C-STORE; 0x0000 once the instance outlives a loss of power."""
        if not self._may_send(event.assoc):
            _log.warning("instance refused: this title is not allowed from this address")
            return NOT_AUTHORISED
        visit, _ = self._visits[event.assoc]
        try:
            uid = str(cast(Any, event.request).AffectedSOPInstanceUID)
            self._receiving.take(event.encoded_dataset(), uid, visit)
        except NotAnInstance as error:
            _log.warning("instance of %s refused: %s", visit.sender, error)
            return DOES_NOT_MATCH
        except TooMuch as error:
            _log.warning("instance of %s refused: %s", visit.sender, error)
            return OUT_OF_RESOURCES
        except OSError as error:
            why = "no room" if error.errno in _NO_ROOM else error.strerror or str(error)
            _log.error("instance of %s refused: %s", visit.sender, why)
            return OUT_OF_RESOURCES
        except Exception as error:
            _log.error("instance of %s refused: %s", visit.sender, type(error).__name__)
            visit.has_failed = True
            return CANNOT_UNDERSTAND if not _is_of_disk(error) else OUT_OF_RESOURCES
        return SUCCESS


def _has_ended(association: Association) -> bool:
    """Whether an association is over; one that has not begun yet is not."""
    return association.ident is not None and not association.is_alive()


def _is_of_disk(error: Exception) -> bool:
    """Whether the queue could not be written; sqlite3 names it so."""
    return type(error).__module__ == "sqlite3"


def _silence_pynetdicom() -> None:
    """Keep pynetdicom from logging: it shows identifiers of what it sends and receives."""
    _config.LOG_HANDLER_LEVEL = "none"
    logger = logging.getLogger("pynetdicom")
    logger.setLevel(logging.CRITICAL + 1)
    logger.propagate = False
    logger.addHandler(logging.NullHandler())
