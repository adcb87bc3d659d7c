"""What the headers of MetaImage and NRRD have in common: numbers in text, and refusals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import FloatArray
from medcyclegan.io.itk.payload import Payload


@dataclass(frozen=True)
class ItkHeader:
    """A checked header.

    ``dtype`` is that of the stored voxels, byte order included; ``affine_lps`` (4, 4) leads from
    (i, j, k) to LPS mm; ``is_placed`` says whether the file tells where the patient lies.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    affine_lps: FloatArray
    is_placed: bool
    metadata: tuple[tuple[str, str], ...]
    payload: Payload


def floats(text: str) -> list[float]:
    """Return the numbers in ``text``; none if one of them is no finite number."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return []
    return numbers if all(math.isfinite(number) for number in numbers) else []


def integers(text: str, path: Path) -> tuple[int, ...]:
    """Return the whole numbers in ``text``; refuse anything else."""
    try:
        return tuple(int(word) for word in text.split())
    except ValueError as error:
        raise damaged(path, f"{text[:40]!r} stands where whole numbers should") from error


def integer(text: str, path: Path) -> int:
    """Return the first whole number in ``text``, or 0 where there is none."""
    numbers = integers(text, path)
    return numbers[0] if numbers else 0


def damaged(path: Path, what: str) -> InputRefused:
    """Make the error of a header that cannot be right."""
    return InputRefused(
        f"{path}: the header is damaged, {what}", remedy="copy or export the file again"
    )


def not_grey(path: Path, what: str) -> InputRefused:
    """Make the error of voxels that are not one real number each."""
    return InputRefused(
        f"{path}: {what}",
        rule="one real number a voxel is read, of 8 to 64 bits",
        remedy="convert the image to a grey-level one of float32",
    )


def variant(path: Path, what: str) -> InputRefused:
    """Make the error of a variant of the formats that is not read."""
    return InputRefused(
        f"{path}: {what}",
        rule="one binary data file is read, raw or compressed, in LPS, RAS or LAS",
        remedy="write the image again with ITK or 3D Slicer",
    )
