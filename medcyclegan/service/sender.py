"""Sending of derived series by C-STORE, with retries and back-off, until they are accepted.

One thread a destination: a slow or dead one holds up nothing but itself. A series that broke off is
sent again from its first instance; the instances are the same, with the same UIDs.
"""

from __future__ import annotations

import logging
import random
import sqlite3
from pathlib import Path
from ssl import SSLContext

from pydicom import dcmread
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket

from medcyclegan.service.entries import Send
from medcyclegan.service.queue import Queue
from medcyclegan.service.settings import Destination, ServiceSettings
from medcyclegan.service.store import Store
from medcyclegan.service.translation import Background, item_of

# The first wait after a failure, doubled at each, and the longest.
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 600.0
_LOOK_EVERY_S = 1.0
_CONNECT_S = 15.0
# For the answer to one instance: archives compress and forward before they answer.
_ANSWER_S = 120.0
# Explicit VR little endian is what is written; a node that knows only implicit gets that.
_SYNTAXES = ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2")

_log = logging.getLogger(__name__)


class _ClosingSocket(AssociationSocket):
    """Is closed at its end; pynetdicom leaves it open where no connection came about, or the peer
    went first: a file descriptor for each attempt to reach a node that is down.
    """

    def _shutdown_socket(self) -> None:
        connection = self.socket
        super()._shutdown_socket()
        if connection is not None:
            connection.close()


class Requestor(AE):
    """An application entity that asks for associations, and leaves no socket open."""

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[SSLContext, str] | None,
    ) -> AssociationSocket:
        connection = _ClosingSocket(assoc, address=address)
        connection.tls_args = tls_args
        return connection


class NotAccepted(Exception):
    """A destination did not take all instances; the text says why, without a UID in it."""


class Sender(Background):
    """Sends what waits for one destination; what is in hand is sent again at the next start."""

    def __init__(
        self, destination: Destination, store: Store, queue: Queue, settings: ServiceSettings
    ) -> None:
        super().__init__(f"to {destination.ae_title}")
        self._destination, self._store, self._queue = destination, store, queue
        self._title = settings.dicom.ae_title
        tls = settings.sending_tls if destination.tls else None
        self._tls = tls.client_context() if tls else None
        self.instances = 0
        self.failures = 0

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.clear()
            try:
                for send in self._queue.due_sends(self._destination.name):
                    if self._stop.is_set():
                        return
                    self._try(send)
            except sqlite3.Error as error:
                _log.error("the queue cannot be written (%s)", error)
            self._wake.wait(_LOOK_EVERY_S)

    def _try(self, send: Send) -> None:
        try:
            count = self._send(send)
        except Exception as error:  # whatever a peer makes of a library must not end the sending
            self.failures += 1
            known = isinstance(error, NotAccepted | OSError)
            reason = str(error) if known else f"a fault: {type(error).__name__}"
            wait_s = wait_after(send.attempts)
            _log.warning("job %s: %s; again in %.0f s", send.job, reason, wait_s)
            self._queue.not_sent(send, reason, after_s=wait_s)
            return
        self._queue.accepted(send)
        _log.info("job %s: %d instances accepted by %s", send.job, count, self._destination.name)

    def _send(self, send: Send) -> int:
        """Send all instances of a job in one association; returns how many."""
        job = self._queue.job(send.job)
        if job is None:
            raise NotAccepted("the job was removed")
        folder = self._store.made(job.delivery) / item_of(job).output
        files = sorted(folder.glob("*.dcm"))
        if not files:
            raise NotAccepted("its files are gone")
        association = self._associate(files[0])
        try:
            for number, path in enumerate(files, start=1):
                if self._stop.is_set():
                    raise NotAccepted("the service stops")
                self._send_one(association, path, number)
        except BaseException:
            association.abort(block=False)
            raise
        association.release()
        return len(files)

    def _associate(self, first: Path) -> Association:
        entity = Requestor(self._title)
        entity.acse_timeout = entity.connection_timeout = _CONNECT_S
        entity.dimse_timeout = entity.network_timeout = _ANSWER_S
        sop_class = dcmread(first, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        entity.add_requested_context(str(sop_class.SOPClassUID), list(_SYNTAXES))
        to = self._destination
        association = entity.associate(
            to.host,
            to.port,
            ae_title=to.ae_title,
            tls_args=(self._tls, to.host) if self._tls else None,
        )
        if not association.is_established:
            why = "rejected the association" if association.is_rejected else "cannot be reached"
            raise NotAccepted(f"{to.name} {why}")
        if not association.accepted_contexts:
            association.abort(block=False)
            raise NotAccepted(f"{to.name} does not take such images")
        return association

    def _send_one(self, association: Association, path: Path, number: int) -> None:
        if not association.is_established:
            raise NotAccepted(f"{self._destination.name} broke off before instance {number}")
        answer = association.send_c_store(dcmread(path))
        status = answer.get("Status")
        if status is None:
            raise NotAccepted(f"{self._destination.name} did not answer on instance {number}")
        if status != 0 and status >> 12 != 0xB:  # 0xB...: stored, with a warning
            raise NotAccepted(
                f"{self._destination.name} refused instance {number} with status 0x{status:04X}"
            )
        self.instances += 1


def wait_after(attempts: int) -> float:
    """Return the seconds to wait after a failure, when so many went before it.

    A tenth is left to chance, so that many jobs do not come back at one moment.
    """
    wait_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(attempts, 20))
    return wait_s * random.uniform(0.9, 1.1)
