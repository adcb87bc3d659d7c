"""Where prepared images are kept: in memory, or on disk so that the next run finds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from medcyclegan.core.text import MOST_RECORD_BYTES, read_text
from medcyclegan.errors import UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.discover import VOXEL_ENDINGS
from medcyclegan.training.data.case import (
    Images,
    InMemory,
    Meta,
    OnDisk,
    Stored,
    forget_mapped,
)
from medcyclegan.training.data.config import DataConfig, Side

# Of the way images are prepared and stored; a change of it makes all entries anew.
VERSION = 3
_PIECE_BYTES = 2**20

Entry = list[tuple[Meta, Images]]


class Store(Protocol):
    """Prepared images by key."""

    def get(self, key: str) -> Entry | None:
        """What is there under a key, None if nothing that can be trusted."""

    def put(self, key: str, prepared: list[tuple[Meta, Stored]]) -> Entry:
        """Keep images and say where they are."""


class MemoryStore:
    """Keeps nothing from run to run."""

    def get(self, key: str) -> Entry | None:
        """Nothing."""
        return None

    def put(self, key: str, prepared: list[tuple[Meta, Stored]]) -> Entry:
        """The images as they are."""
        return [(meta, InMemory(voxels)) for meta, voxels in prepared]


class _Record(BaseModel):
    """Written last: what belongs to a key, and the digests of its files."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    parts: tuple[Meta, ...]
    sha256: tuple[str, ...]


@dataclass(frozen=True)
class DiskStore:
    """A .npy file an image in ``folder``, and a record a key; trusted only if the digests fit."""

    folder: Path

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"{self.folder}: the cache cannot be made there ({error.strerror})",
                rule="it is a folder that may be written to",
                remedy="name another, or set cache: memory",
            ) from error

    def get(self, key: str) -> Entry | None:
        """The images of a key; None if one is missing, changed or damaged."""
        try:
            text = read_text(self._record(key), most_bytes=MOST_RECORD_BYTES)
            record = _Record.model_validate_json(text)
            paths = [self._image(key, number) for number in range(len(record.parts))]
            if tuple(digest_of([path]) for path in paths) != record.sha256:
                return None
        except (OSError, ValueError):  # damage among them
            return None
        return [(meta, OnDisk(path)) for meta, path in zip(record.parts, paths, strict=True)]

    def put(self, key: str, prepared: list[tuple[Meta, Stored]]) -> Entry:
        """Write images, then their record; two runs that do so at once write the same."""
        digests: list[str] = []
        entry: Entry = []
        for number, (meta, voxels) in enumerate(prepared):
            path = self._image(key, number)
            with atomic_file(path, overwrite=True) as temporary:
                np.save(temporary, voxels)
                digests.append(digest_of([temporary]))
            entry.append((meta, OnDisk(path)))
        record = _Record(parts=tuple(meta for meta, _ in prepared), sha256=tuple(digests))
        with atomic_file(self._record(key), overwrite=True) as temporary:
            temporary.write_text(record.model_dump_json(indent=1) + "\n")
        forget_mapped()
        return entry

    def _record(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _image(self, key: str, number: int) -> Path:
        return self.folder / f"{key}-{number}.npy"


def open_store(config: DataConfig, folder: Path | None) -> Store:
    """The store that a configuration asks for.

    Raises
    ------
    UsageError
        If it is to be on disk, and no folder is given or it cannot be made.
    """
    if config.cache == "memory":
        return MemoryStore()
    if folder is None:
        raise UsageError(
            "cache: disk without a folder for it", remedy="name one, or set cache: memory"
        )
    return DiskStore(folder)


def digest_of(paths: Iterable[Path]) -> str:
    """The sha256 of files one after the other, with the voxels of headers that are files alone."""
    digest = hashlib.sha256()
    for path in paths:
        stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
        beside = [path.with_name(stem + ending) for ending in VOXEL_ENDINGS]
        for part in (path, *(other for other in beside if other != path and other.is_file())):
            with part.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
    return digest.hexdigest()


def key_of(contents: Iterable[str], config: DataConfig, sides: Iterable[Side]) -> str:
    """A key from the digests of inputs and the settings that decide what becomes of them."""
    settings = {
        "version": VERSION,
        "contents": list(contents),
        "domains": [config.domain(side).model_dump(mode="json") for side in sides],
        "spacing_mm": config.spacing_mm,
        "thick_slice_mm": config.thick_slice_mm,
        "plane_px": config.plane_px,
        "single_slices": config.depth == 1,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]
