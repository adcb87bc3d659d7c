"""Samples that a surface runs through: what else than their own tissue they hold, and how much.

Where a surface passes a sample's centre at a distance d, the share beyond it is 1/2 - d / h to
first order, h being the sample's width: partial volume without finer samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.simulate.fields import Field

Labels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Samples of two tissues, (n,) each: their place in the raveled slab, the second tissue, and
    the share of it, from 0 to .5."""

    place: NDArray[np.int64]
    other: Labels
    share: Field

    @classmethod
    def none(cls) -> Surfaces:
        """A slab whose samples are of one tissue each."""
        return cls(np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.float32))

    def without(self, where: NDArray[np.bool_]) -> Surfaces:
        """Those that do not lie where a slab's mask is set."""
        kept = ~where.reshape(-1)[self.place]
        return Surfaces(self.place[kept], self.other[kept], self.share[kept])

    def mix(self, values: Field, table: NDArray[np.float64]) -> Field:
        """Mix values (D * S, H, W) of samples with what the other tissue has in a table."""
        mixed = np.array(values, dtype=np.float32)
        flat = mixed.reshape(-1)
        here = flat[self.place]
        flat[self.place] = here + self.share * (table.astype(np.float32)[self.other] - here)
        return mixed


class Layers:
    """Tissues laid over one another, with the samples that their surfaces run through."""

    def __init__(self, lowest: Labels, width_mm: float) -> None:
        self.tissue = lowest.copy()
        self._other = np.zeros(lowest.size, dtype=np.uint8)
        self._share = np.zeros(lowest.size, dtype=np.float32)
        self._width_mm = np.float32(width_mm)

    def lay(self, place: NDArray[np.int64], distance_mm: Field, upper: Labels | int) -> None:
        """Lay a tissue, (n,) or one for all, where a signed distance (n,) is negative.

        ``place`` (n,) holds places in the raveled slab, each once. Of several surfaces in a sample
        the nearest is kept, but what a layer fills holds no more of those below it.
        """
        reached = np.flatnonzero(distance_mm < 0.5 * self._width_mm)
        place, distance_mm = place[reached], distance_mm[reached]
        above = upper[reached] if isinstance(upper, np.ndarray) else np.uint8(upper)
        beyond = np.maximum(np.float32(0.5) - np.abs(distance_mm) / self._width_mm, 0.0)
        flat = self.tissue.reshape(-1)
        below, inside = flat[place], distance_mm < 0.0
        replaced = inside | (beyond > self._share[place])
        flat[place] = np.where(inside, above, below)
        self._share[place] = np.where(replaced, beyond, self._share[place])
        self._other[place] = np.where(replaced, np.where(inside, below, above), self._other[place])

    def surfaces(self) -> Surfaces:
        """The samples of two tissues."""
        mixed = self._share > 0.0
        mixed &= self._other != self.tissue.reshape(-1)
        place = np.flatnonzero(mixed)
        return Surfaces(place, self._other[place], self._share[place])
