"""What a step of enhancement is, and a chain of them.

Images are float64 (rows, columns), black 0 and white 1; what a step makes beyond that is clipped.
Steps are frozen sets of parameters: lengths in pixels, values in shares of the range from black to
white.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import UsageError

Image = NDArray[np.float64]


class Step(Protocol):
    """One enhancement. ``moves_values``: the same tissue has other grey values afterwards."""

    @property
    def moves_values(self) -> bool:
        """Whether a window of the original no longer fits."""
        ...

    def __call__(self, image: Image) -> Image:
        """Return the enhanced image, of the same shape."""
        ...


def enhance(image: Image, steps: Sequence[Step]) -> list[Image]:
    """Return the image after each step, one after the other."""
    stages = []
    for step in steps:
        image = step(image)
        stages.append(image)
    return stages


def bounded(image: NDArray[np.floating]) -> Image:
    """Clip to black and white."""
    return np.clip(np.asarray(image, dtype=np.float64), 0.0, 1.0)


def refuse(name: str, value: float, *, is_bad: bool, rule: str) -> None:
    """Raise UsageError for a parameter ``is_bad``."""
    if is_bad:
        raise UsageError(f"{name} = {value:g}", rule=f"it must be {rule}")


def refuse_not_positive(name: str, value: float) -> None:
    """Raise UsageError for a parameter that is not above 0."""
    refuse(name, value, is_bad=not value > 0, rule="above 0")
