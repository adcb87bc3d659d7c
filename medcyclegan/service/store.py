"""The folder of the service: where what arrives is kept, and what is made of it.

    store/queue.sqlite         the queue
    store/part/                what is being written; emptied when the service starts
    store/deliveries/ID/in     what arrived
    store/deliveries/ID/out    what was made, with the records of the batch's workers

Names are random or a sha256: nothing of a patient is in them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from medcyclegan.errors import CannotWrite
from medcyclegan.io.leftovers import flush_folder
from medcyclegan.io.targets import refusals_of


class StoreFull(OSError):
    """The store holds as much as its limit allows."""


class Store:
    """The folders of one service; ``most_bytes`` bounds what may lie in them.

    Raises
    ------
    CannotWrite
        If the system refuses to make them, or another service uses the folder.
    """

    def __init__(self, root: Path, *, most_bytes: int) -> None:
        self.root = Path(os.path.realpath(root))
        self._part = self.root / "part"
        self._most_bytes = most_bytes
        self._counting = threading.Lock()
        with refusals_of(self.root):
            for folder in (self.root, self._part, self.root / "deliveries"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
        self._lock = FileLock(self.root / "lock", timeout=0)
        try:
            self._lock.acquire()
        except Timeout as error:
            raise CannotWrite(
                f"The store {root} is in use by another service",
                rule="one service at a time",
                remedy="stop the other, or name another --store",
            ) from error
        for left in self._part.iterdir():  # of a process that was killed
            left.unlink(missing_ok=True)
        self.used_bytes = 0
        self.count()

    def close(self) -> None:
        """Let go of the lock."""
        self._lock.release()

    @property
    def queue(self) -> Path:
        """The file of the queue."""
        return self.root / "queue.sqlite"

    def home(self, delivery: str) -> Path:
        """The folder of a delivery; its id is one of ours, and is checked to be no path."""
        if not delivery.isalnum():
            raise ValueError("no id of a delivery")
        return self.root / "deliveries" / delivery

    def homes(self) -> list[str]:
        """The ids of all deliveries that have a folder."""
        return [path.name for path in (self.root / "deliveries").iterdir()]

    def arrived(self, delivery: str) -> Path:
        """The folder of what arrived, which is made if it is missing."""
        folder = self.home(delivery) / "in"
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flush_folder(folder.parent)
            flush_folder(folder.parent.parent)
        return folder

    def made(self, delivery: str) -> Path:
        """The folder of what was made."""
        return self.home(delivery) / "out"

    def count(self) -> None:
        """Measure anew how many bytes the store holds."""
        self.used_bytes = sum(_size(entry) for entry in _files(self.root))

    def is_full(self, more_bytes: int = 0) -> bool:
        """Whether so many more bytes would be beyond the limit."""
        return self.used_bytes + more_bytes > self._most_bytes

    def new_part(self) -> Path:
        """Return a new name for a temporary file."""
        return self._part / secrets.token_hex(12)

    @contextmanager
    def part(self) -> Iterator[Path]:
        """Give the name of a new temporary file, which is gone after the block."""
        path = self.new_part()
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, part: Path, delivery: str, name: str) -> bool:
        """Flush a temporary file and give it its name among what arrived; False if it was there.

        After a return it outlives a loss of power.

        Raises
        ------
        OSError
            If the system refuses.
        """
        target = self.arrived(delivery) / name
        if target.exists():
            return False
        size = part.stat().st_size
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        flush_folder(target.parent)
        with self._counting:
            self.used_bytes += size
        return True

    def arrived_size(self, delivery: str) -> tuple[int, int]:
        """How many files arrived, and their bytes."""
        folder = self.home(delivery) / "in"
        sizes = [_size(entry) for entry in _files(folder)]
        return len(sizes), sum(sizes)

    def remove(self, delivery: str) -> None:
        """Remove all files of a delivery."""
        home = self.home(delivery)
        if home.exists():
            shutil.rmtree(home)
        self.count()


def write_part(path: Path, content: bytes) -> str:
    """Write a temporary file that only this user may read; returns the sha256 of its content."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """All files below a folder; what vanishes meanwhile is passed over."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        elif entry.is_file(follow_symlinks=False):
            yield entry
