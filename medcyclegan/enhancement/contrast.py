"""Steps that spread grey values: they move values, so a window of before does not fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from skimage import exposure

from medcyclegan.enhancement.step import Image, bounded, refuse


@dataclass(frozen=True)
class HistogramEqualisation:
    """Every grey value as frequent as every other (skimage ``equalize_hist``)."""

    moves_values: ClassVar[bool] = True
    bins: int = 65536  # one for each value of 16 bits

    def __post_init__(self) -> None:
        refuse("bins", self.bins, is_bad=self.bins < 2, rule="at least 2")

    def __call__(self, image: Image) -> Image:
        """Return the equalised image."""
        return bounded(exposure.equalize_hist(image, nbins=int(self.bins)))


@dataclass(frozen=True)
class Clahe:
    """Equalisation by neighbourhood, its slope limited (skimage ``equalize_adapthist``).

    ``tiles`` neighbourhoods lie along each axis; ``clip_limit`` is the share of pixels that one
    grey value may count for: the larger, the more contrast and noise. Works in 14 bits.
    """

    moves_values: ClassVar[bool] = True
    tiles: int = 8
    clip_limit: float = 0.01

    def __post_init__(self) -> None:
        refuse("tiles", self.tiles, is_bad=self.tiles < 1, rule="at least 1")
        refuse("clip_limit", self.clip_limit, is_bad=not 0 < self.clip_limit <= 1, rule="0 to 1")

    def __call__(self, image: Image) -> Image:
        """Return the equalised image."""
        size = [max(1, n // int(self.tiles)) for n in image.shape]
        equalised = exposure.equalize_adapthist(
            image, kernel_size=size, clip_limit=self.clip_limit, nbins=4096
        )
        return bounded(equalised)
