"""Proportions of a head: one label map deformed smoothly towards the shapes of others.

Label maps of two people have not the same labels everywhere, so that no map from the one to the
other is smooth. What differs between heads besides their size does deform smoothly: how broad and
long the skull is from jaw to vertex, how face and occiput stand to each other, how high the
braincase is for the face. The four are drawn as polynomials of the height.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medcyclegan.simulate.slab_grid import Field, Rng

# Heights are counted from the middle of the brain in this many millimetres, up to the vertex (.9)
# and down to the chin (-1.3); farther away a head is as there.
HEIGHT_MM, _HEIGHTS = 80.0, (-1.3, 1.0)
# A head's mean height squared: the quadratic terms leave the size of the whole head as it is.
_MEAN_SQUARE = 0.3
# Standard deviations of the linear and the quadratic term. Breadth and length as shares, the shift
# along the head in mm: some two thirds of those between the skulls of 16 adults' label maps
# (breadth .046 and .072, length .039 and .102, shift 3.8 and 4.7 mm; the quadratic ones hold the
# height of the vertex too). The braincase's height, of which .05 was measured. Draws end at 2 sd.
_BREADTH_SD, _LENGTH_SD, _SHIFT_SD_MM = (0.03, 0.04), (0.03, 0.05), (2.5, 3.0)
_HEIGHT_SD = 0.04
_MOST_SD = 2.0


@dataclass(frozen=True)
class Proportions:
    """Linear and quadratic terms of height: shares of breadth and length, and a shift in mm.

    ``height`` is the derivative of the scale along the height: above 0 braincases are low.
    """

    breadth: tuple[float, float]
    length: tuple[float, float]
    shift_mm: tuple[float, float]
    height: float

    def moved(
        self,
        index: list[Field],
        centre: tuple[np.float32, ...],
        spacing_mm: tuple[float, float, float],
    ) -> list[Field]:
        """Return where in the label map samples at head voxels ``index``, three arrays of one
        shape, come from; ``centre`` is the voxel in the middle of the brain.

        The map is smooth and one to one: the height depends on the height alone and rises with it,
        and at each height the plane is stretched and shifted.
        """
        height = index[2] - centre[2]
        height *= np.float32(spacing_mm[2] / HEIGHT_MM)
        np.clip(height, *_HEIGHTS, out=height)
        square = height * height
        off = square - np.float32(_MEAN_SQUARE)
        moved = []
        for axis, (linear, quadratic) in enumerate((self.breadth, self.length)):
            stretch = height * np.float32(linear)
            stretch += off * np.float32(quadratic)
            stretch *= index[axis] - centre[axis]
            stretch += index[axis]
            moved.append(stretch)
        slant, bend = (np.float32(mm / spacing_mm[1]) for mm in self.shift_mm)
        moved[1] += height * slant + off * bend
        rise = np.float32(0.5 * self.height * HEIGHT_MM / spacing_mm[2])
        return [*moved, index[2] + square * rise]


def draw_proportions(rng: Rng) -> Proportions:
    """Draw the proportions of a head."""
    terms = np.clip(rng.standard_normal(7), -_MOST_SD, _MOST_SD)
    sds = (*_BREADTH_SD, *_LENGTH_SD, *_SHIFT_SD_MM, _HEIGHT_SD)
    drawn = [float(term * sd) for term, sd in zip(terms, sds, strict=True)]
    return Proportions((drawn[0], drawn[1]), (drawn[2], drawn[3]), (drawn[4], drawn[5]), drawn[6])
