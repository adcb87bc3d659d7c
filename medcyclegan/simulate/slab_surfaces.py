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


def layered(
    layers: list[tuple[Field, NDArray[np.bool_], Labels]], tissue: Labels, width_mm: float
) -> tuple[Labels, Surfaces]:
    """Lay tissues over one another, and find the samples that their surfaces run through.

    ``tissue`` (D * S, H, W) lies lowest. A layer is a signed distance in mm (negative inside),
    where it counts at all, and its tissue. Of several surfaces in a sample the nearest is kept.
    """
    tissue = tissue.copy()
    flat = tissue.reshape(-1)
    other = np.zeros(flat.size, dtype=np.uint8)
    share = np.zeros(flat.size, dtype=np.float32)
    for distance, counts, upper in layers:
        reach = np.flatnonzero(counts & (distance < 0.5 * width_mm))
        beyond = np.clip(0.5 - np.abs(distance.reshape(-1)[reach]) / np.float32(width_mm), 0.0, 0.5)
        below, above = flat[reach], upper.reshape(-1)[reach]
        inside = distance.reshape(-1)[reach] < 0.0
        flat[reach] = np.where(inside, above, below)
        replaced = inside | (beyond > share[reach])
        # A sample that this layer fills holds no more of what was below than the layer leaves.
        share[reach] = np.where(replaced, beyond, share[reach])
        other[reach] = np.where(replaced, np.where(inside, below, above), other[reach])
    place = np.flatnonzero((share > 0.0) & (other != flat))
    return tissue, Surfaces(place, other[place], share[place])
