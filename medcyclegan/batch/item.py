"""One piece of a batch's work, how it ended, and what all pieces share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from medcyclegan.batch.words import Contrast
from medcyclegan.conversion import Maker
from medcyclegan.io.naming import SUFFIX, Format
from medcyclegan.pathtext import path_text
from medcyclegan.synthesis import Options

STATE_FOLDER = ".medcyclegan"


class Status(StrEnum):
    """How it stands with an input; ``waiting`` only while a batch runs, or if it was killed.

    ``doubtful``: done, but the input is not like what the model knows; the output is there.
    """

    WAITING = "waiting"
    DONE = "done"
    DOUBTFUL = "doubtful"
    UP_TO_DATE = "skipped-up-to-date"
    REFUSED = "refused"
    FAILED = "failed"
    SET_ASIDE = "set-aside"


class Row(BaseModel):
    """What the record of a batch says of one input; paths are relative, and there is no header.

    Bytes of a name that are no UTF-8 are escaped, as ``path_text`` does it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("source", "series", "reason", "output", "report", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Names on disk may be no text, which neither JSON nor CSV could hold."""
        return path_text(value) if isinstance(value, str) else value

    @field_validator("warnings", "doubts", mode="before")
    @classmethod
    def _all_as_text(cls, value: Any) -> Any:
        return tuple(map(cls._as_text, value))

    source: str
    series: str = ""
    status: Status
    reason: str = ""
    contrast: Contrast = "other"
    output: str = ""
    report: str = ""
    seconds: float | None = None
    seconds_by_step: dict[str, float] = {}
    model: str = ""
    model_sha256: str = ""
    input_sha256: str = ""
    qa: dict[str, float] = {}
    warnings: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Item:
    """An input to translate; paths are relative, to the tree of inputs and that of outputs."""

    source: Path
    files: tuple[Path, ...]
    series_uid: str
    series_name: str
    contrast: Contrast
    output: Path

    @property
    def key(self) -> str:
        """A short name of its own among the items of a batch, the same in every run."""
        return hashlib.sha256(self.output.as_posix().encode(errors="surrogateescape")).hexdigest()[
            :24
        ]

    def row(self, status: Status, reason: str = "", **facts: Any) -> Row:
        """Say how it stands with it; ``facts`` are more of the row's fields."""
        return Row(
            source=self.source.as_posix(),
            series=self.series_name,
            status=status,
            reason=reason,
            contrast=self.contrast,
            output=self.output.as_posix(),
            **facts,
        )


@dataclass(frozen=True)
class Settings:
    """What holds for all items of a run; it travels to the workers.

    Parameters
    ----------
    root, out:
        The trees of inputs and outputs, absolute; every worker must see them.
    model, model_sha256:
        Name of a shipped model or a folder that every worker sees, and its weights' sha256.
    run:
        A name that no other run has.
    suffix, unit:
        What follows the input's name in that of the output, and the unit of what is made. A
        PNG holds no HU: such pictures become TIFF.
    threads:
        Cores for the network in each worker process; 0 for as many as the worker has threads.
    methods:
        What each image is enhanced by before it is translated, as the user named it. With them the
        model may be none, an empty name.
    """

    root: Path
    out: Path
    model: str
    model_sha256: str
    options: Options
    maker: Maker
    run: str
    suffix: str = SUFFIX
    unit: str = "HU"
    format: Format | None = None
    report: bool = False
    overwrite: bool = False
    threads: int = 0
    methods: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        """The folder of the records."""
        return self.out / STATE_FOLDER

    def fingerprint(self) -> dict[str, str]:
        """What an output depends on beside its input: other values make it stale.

        The device is left out: the images that devices make differ by rounding alone. A map of
        uncertainty does not change the image.
        """
        chosen = {
            f.name: str(getattr(self.options, f.name))
            for f in fields(self.options)
            if f.name not in ("device", "mask", "mask_name", "notes", "uncertainty")
        }
        return {
            **chosen,
            **({"methods": " ".join(self.methods)} if self.methods else {}),
            "model_sha256": self.model_sha256,
            "version": self.maker.version,
        }
