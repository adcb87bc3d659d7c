"""A patient of a study by the paths of the images, and why one could not be scored."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcyclegan.pathtext import path_text


@dataclass(frozen=True)
class Patient:
    """The images of one patient; ``preds`` by the name of the method."""

    case: str
    ref: Path
    preds: dict[str, Path]
    mask: Path | None = None
    mr: Path | None = None


@dataclass(frozen=True)
class Refusal:
    """A patient, or a method's image of it, that could not be scored, and why."""

    case: str
    method: str
    reason: str

    def __post_init__(self) -> None:
        # Reasons quote paths, which may be no text.
        object.__setattr__(self, "reason", path_text(self.reason))
