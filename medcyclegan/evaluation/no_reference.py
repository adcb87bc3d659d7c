"""Signs of quality that need no true image: they tell what deserves a look, not what is right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.volume import Volume

# Bins a side of the joint histogram of input and output.
BINS = 64


@dataclass(frozen=True)
class NoReference:
    """Two signs; NaN where there is nothing to compare.

    ``mutual_information`` of input and output, normalised (Studholme et al. 1999): 1 if they are
    independent, 2 if one is a function of the other. ``continuity`` is the mean absolute step
    between neighbouring slices by that between neighbouring pixels in the plane: with slices as
    near as pixels, much above 1 means stripes.
    """

    mutual_information: float
    continuity: float


def no_reference(source: Volume, made: Volume, body: Volume) -> NoReference:
    """Compare what was made with its input, inside a mask; slices run along the widest spacing.

    Raises
    ------
    InputRefused
        If the three are not on one grid.
    """
    for other in (made, body):
        if not other.geometry.same_grid(source.geometry):
            raise InputRefused(
                "Input, output and mask lie on different grids", rule="they must share one grid"
            )
    inside = body.voxels > 0
    if not inside.any():
        return NoReference(math.nan, math.nan)
    # It loads scipy.stats, which takes half a second that a run without a report can spare.
    from skimage.metrics import normalized_mutual_information

    both = (source.voxels[inside], made.voxels[inside])
    varied = all(np.ptp(values) > 0 for values in both)
    shared = float(normalized_mutual_information(*both, bins=BINS)) if varied else math.nan
    return NoReference(shared, _continuity(made, inside))


def _continuity(made: Volume, inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    slices = int(np.argmax(made.geometry.spacing_mm))
    steps = [_mean_step(made.voxels, inside, axis) for axis in range(3)]
    in_plane = [step for axis, step in enumerate(steps) if axis != slices]
    mean = float(np.mean(in_plane))
    return steps[slices] / mean if mean > 0 else math.nan


def _mean_step(
    voxels: np.ndarray[tuple[int, ...], np.dtype[np.float32]],
    inside: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    axis: int,
) -> float:
    """Mean absolute difference of neighbours along an axis, both inside."""
    n = voxels.shape[axis]
    first, second = (
        tuple(slice(start, start + n - 1) if a == axis else slice(None) for a in range(3))
        for start in (0, 1)
    )
    both = inside[first] & inside[second]
    if not both.any():
        return math.nan
    return float(np.abs(voxels[second][both] - voxels[first][both]).mean())
