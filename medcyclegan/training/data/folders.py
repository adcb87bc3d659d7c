"""Where the images of a training lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcyclegan.errors import UsageError


@dataclass(frozen=True)
class Folders:
    """A folder or CSV table for each side, and for validation either none or both.

    One that is given for both sides holds both.

    Raises
    ------
    UsageError
        If only one folder for validation is given.
    """

    a: Path
    b: Path
    validation_a: Path | None = None
    validation_b: Path | None = None

    def __post_init__(self) -> None:
        if (self.validation_a is None) != (self.validation_b is None):
            given = self.validation_a or self.validation_b
            raise UsageError(
                f"Only one folder for validation is given ({given})",
                rule="both sides have one, or neither",
                remedy="give --validation-a and --validation-b, or leave both out",
            )


@dataclass(frozen=True)
class LabelMaps:
    """A folder of label maps (``.nii.gz``), of which the first ``heads`` by name are trained on.

    To prepare a head takes half a minute; in ``prepared`` they are kept, and found again.
    """

    folder: Path
    heads: int = 12
    prepared: Path | None = None
