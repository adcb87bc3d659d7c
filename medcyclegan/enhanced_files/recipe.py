"""What is done to each image, and where its output goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcyclegan.enhancement.step import Step
from medcyclegan.errors import UsageError
from medcyclegan.io.dicom.read import is_dicom
from medcyclegan.io.naming import suffix_for
from medcyclegan.models.store import Model

SUFFIX = "_enhanced"
_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
_WRITTEN = (".png", ".tif", ".tiff")


@dataclass(frozen=True)
class Recipe:
    """What is done to each image: the steps, named as the user named them, then a model.

    The steps and their names are of one length, and there is one at least.
    """

    names: tuple[str, ...]
    steps: tuple[Step, ...]
    model: Model | None = None

    def __post_init__(self) -> None:
        if not self.steps or len(self.names) != len(self.steps):
            raise UsageError(
                f"{len(self.steps)} steps with {len(self.names)} names",
                rule="at least one step, and a name for each, are needed",
            )

    @property
    def titles(self) -> tuple[str, ...]:
        """What the columns of a contact sheet show."""
        last = () if self.model is None else (self.model.card.name,)
        return ("before", *self.names, *last)

    @property
    def suffix(self) -> str:
        """What follows the input's name in that of the output."""
        return SUFFIX if self.model is None else SUFFIX + suffix_for(self.model.card.name)


def output_for(source: Path, *, suffix: str) -> Path:
    """Return where the output of a file goes, beside it.

    A picture gives one of its kind (JPEG: PNG), a DICOM file a folder with a series.
    """
    ending = source.suffix.lower()
    is_picture = ending in _PICTURES and not is_dicom(source)
    stem = source.name[: -len(ending)] if is_picture or ending == ".dcm" else source.name
    name = f"{stem}{suffix}"
    if is_picture:
        name += source.suffix if ending in _WRITTEN else ".png"
    return source.with_name(name)
