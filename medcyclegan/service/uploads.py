"""Uploads of the page: files one by one, zips unpacked without trust, one delivery an upload.

The names of files stay in the browser: what comes here is bytes and an ending. A file is kept under
its sha256, one image as ``image`` with its ending.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
import zipfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from medcyclegan.core.text import counted
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.api import load_header
from medcyclegan.io.discover import ending_of
from medcyclegan.io.held_files import sha256_of_file
from medcyclegan.service.entries import Delivery, DeliveryState
from medcyclegan.service.queue import Queue
from medcyclegan.service.receiving import HEADERS
from medcyclegan.service.settings import Limits
from medcyclegan.service.store import Store, StoreFull

# Images that are a file each; the headers with separate data are not taken.
IMAGE_ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd")
ZIP = ".zip"
# An upload that nothing comes for is dropped after this time: its sender was told nothing.
_ABANDONED_S = 3600.0
_CHUNK_BYTES = 2**20
_RULE = "one image (.nii, .nii.gz, .mha, .nrrd), DICOM files, or a zip with one of these"

_log = logging.getLogger(__name__)


@dataclass
class _Upload:
    """An upload in progress: its kinds of files, its size, and when something came last."""

    delivery: Delivery
    bytes: int = 0
    dicom: int = 0
    images: list[Path] = field(default_factory=list)
    passed_over: int = 0
    files: int = 0
    last: float = field(default_factory=time.monotonic)
    turn: threading.Lock = field(default_factory=threading.Lock)


class Uploads:
    """Takes in uploads; safe to be used from several requests at once."""

    def __init__(self, store: Store, queue: Queue, limits: Limits) -> None:
        self._store, self._queue, self._limits = store, queue, limits
        self._open: dict[str, _Upload] = {}
        for delivery in queue.deliveries(DeliveryState.RECEIVING):
            if delivery.source == "web":  # of a process that is no more
                self._drop(delivery.id)

    def begin(self) -> str:
        """Begin an upload; returns its id, that of its delivery.

        Raises
        ------
        InputRefused
            If too many are open.
        """
        if len(self._open) >= self._limits.associations:
            raise InputRefused("Too many uploads are open", remedy="wait until some have ended")
        delivery = self._queue.new_delivery("web")
        self._open[delivery.id] = _Upload(delivery)
        return delivery.id

    async def receive(self, upload: str, ending: str, chunks: AsyncIterator[bytes]) -> Path:
        """Write the bytes of a request to a temporary file, within the limits; its path.

        Raises
        ------
        InputRefused
            If it is larger than the limits, of an ending that is not taken, or unknown.
        OSError
            If it cannot be written.
        """
        entry = self._entry(upload)
        if ending not in ("", ZIP, *IMAGE_ENDINGS):
            raise InputRefused(f"A file that ends in {ending[:16]}", rule=_RULE)
        most = self._limits.delivery_bytes if ending == ZIP else self._limits.instance_bytes
        path = self._store.new_part()
        size = 0
        try:
            with _private(path) as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > most:
                        raise InputRefused("A file is too large", rule=f"at most {most} bytes")
                    if self._store.is_full(size):
                        raise StoreFull("the store is full")
                    file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        entry.last = time.monotonic()
        return path

    def add(self, upload: str, part: Path, ending: str) -> None:
        """Take a file that was received, or what is in a zip; the temporary is gone after it.

        Raises
        ------
        InputRefused
            If it is beyond the limits, or a zip that is damaged or locked.
        OSError
            If it cannot be written.
        """
        entry = self._entry(upload)
        with entry.turn:
            try:
                if ending == ZIP:
                    self._unpack(entry, part)
                else:
                    self._add(entry, part, ending)
            finally:
                part.unlink(missing_ok=True)
        entry.last = time.monotonic()

    def end(self, upload: str) -> None:
        """End an upload: its delivery is complete.

        Raises
        ------
        InputRefused
            If nothing of it can be taken, or DICOM and other images, or several, are in it.
        """
        entry = self._entry(upload)
        with entry.turn:
            if upload not in self._open:
                raise InputRefused("No such upload")
            found = f"{entry.dicom} DICOM files and {len(entry.images)} other images"
            if not entry.dicom and not entry.images:
                self.abandon(upload)
                raise InputRefused(f"{entry.passed_over} files, none of them an image", rule=_RULE)
            if len(entry.images) > 1 or (entry.dicom and entry.images):
                self.abandon(upload)
                raise InputRefused(
                    found, rule=_RULE, remedy="give other images than DICOM one by one"
                )
            files = entry.dicom + len(entry.images)
            over = counted(entry.passed_over, "file")
            said = f"{over} passed over: no images that are read" if entry.passed_over else ""
            size = (files, entry.bytes)
            self._queue.set_delivery(upload, DeliveryState.RECEIVED, said, size)
            del self._open[upload]
        _log.info("delivery %s: uploaded, %d files", upload, files)

    def abandon_open(self, upload: str) -> None:
        """Drop an upload by the word of who began it; raises InputRefused if it is not open."""
        with self._entry(upload).turn:
            self.abandon(upload)

    def abandon(self, upload: str) -> None:
        """Drop an upload with its files."""
        self._open.pop(upload, None)
        self._drop(upload)

    def tend(self) -> None:
        """Drop uploads that nothing came for in a long time."""
        for name, entry in list(self._open.items()):
            if time.monotonic() - entry.last > _ABANDONED_S:
                _log.info("delivery %s: the upload was abandoned", name)
                self.abandon(name)

    def _entry(self, upload: str) -> _Upload:
        try:
            return self._open[upload]
        except KeyError:
            raise InputRefused("No such upload", remedy="begin it again") from None

    def _drop(self, delivery: str) -> None:
        self._queue.remove_delivery(delivery)
        self._store.remove(delivery)

    def _add(self, entry: _Upload, part: Path, ending: str) -> None:
        """Keep a file if it is an image or DICOM; count it if it is not."""
        size = part.stat().st_size
        entry.files += 1
        entry.bytes += size
        limits = self._limits
        if entry.files > limits.delivery_files or entry.bytes > limits.delivery_bytes:
            raise InputRefused(
                "The upload is too large",
                rule=f"at most {limits.delivery_files} files and {limits.delivery_bytes} bytes",
            )
        if ending in IMAGE_ENDINGS:
            name = f"image{len(entry.images) or ''}{ending}"
            self._store.keep(part, entry.delivery.id, name)
            entry.images.append(Path(name))
        elif _is_dicom(part):
            entry.dicom += self._store.keep(part, entry.delivery.id, f"{sha256_of_file(part)}.dcm")
        else:
            entry.passed_over += 1

    def _unpack(self, entry: _Upload, part: Path) -> None:
        """Unpack a zip. Names in it are looked at for their ending alone; sizes are counted."""
        try:
            with zipfile.ZipFile(part) as archive:
                members = archive.infolist()
                if len(members) > self._limits.delivery_files:
                    raise InputRefused(
                        f"A zip of {len(members)} entries",
                        rule=f"at most {self._limits.delivery_files}",
                    )
                for member in members:
                    self._unpack_one(entry, archive, member)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise InputRefused("The zip is damaged, or packed in an unknown way") from error
        except RuntimeError as error:  # of zipfile: a password is asked for
            raise InputRefused("The zip is locked", remedy="pack it without a password") from error

    def _unpack_one(
        self, entry: _Upload, archive: zipfile.ZipFile, member: zipfile.ZipInfo
    ) -> None:
        kind = stat.S_IFMT(member.external_attr >> 16)
        inner = [part for part in member.filename.split("/") if part not in (".", "..")]
        is_hidden = any(part.startswith((".", "__MACOSX")) for part in inner)
        if member.is_dir() or is_hidden or kind not in (0, stat.S_IFREG):  # a link, say
            entry.passed_over += not member.is_dir()
            return
        left = self._limits.delivery_bytes - entry.bytes
        most = min(left, self._limits.instance_bytes)
        with self._store.part() as path, archive.open(member) as packed, _private(path) as file:
            _copy(packed, file, most)
            file.flush()
            self._add(entry, path, ending_of(member.filename, IMAGE_ENDINGS))


def _copy(packed: IO[bytes], to: IO[bytes], most: int) -> None:
    """Copy until the end, counting what really comes: the sizes in a zip may be lies."""
    size = 0
    while chunk := packed.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > most:
            raise InputRefused(
                "A zip unpacks to more than is taken", rule=f"at most {most} bytes more"
            )
        to.write(chunk)


def _private(path: Path) -> IO[bytes]:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    return os.fdopen(descriptor, "wb")


def _is_dicom(path: Path) -> bool:
    """Whether it is DICOM, be it damaged: then the plan refuses it by name."""
    try:
        with HEADERS:
            return load_header(path) is not None
    except InputRefused:
        return True
