"""What lies deep in a body: in a head the brain, whose contrast tells a T1 from a T2."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.geometry import Geometry, closest_axes
from medcyclegan.morphology import Factors
from medcyclegan.volume import FloatVoxels, Volume

# Depths are found on a grid of about so many millimetres.
COARSE_MM = 4.0
# In a head what lies so deep is brain, or skull base and airways below it.
DEEP_MM = 30.0
# Brain, muscle and fluid, with what a network strays around them.
SOFT_HU = (-100.0, 150.0)
# Within so much below the top of a head lies the brain, and no airway; nearer to the surface than
# this there is bone.
BRAIN_HEIGHT_MM, BRAIN_DEPTH_MM = 100.0, 20.0
# Fewer coarse voxels (64 mm3 each) than this have no histogram.
FEWEST_VOXELS = 200
# The tails of a histogram beyond these percentiles are noise and vessels.
RANGE_PERCENTILES = (5.0, 95.0)
# So much of the brain counts as even: white matter, which is the largest part without borders.
EVEN_PERCENT = 20.0


@dataclass(frozen=True, eq=False)
class Depth:
    """Depth below the body's surface, mm, (i, j, k) on a coarse grid; 0 outside the body.

    ``height_mm`` is the distance from the body's top, of the same shape if broadcast. ``factors``
    are voxels of the image along each axis for one of this grid.
    """

    depth_mm: NDArray[np.float64]
    height_mm: NDArray[np.float64]
    factors: Factors
    spacing_mm: tuple[float, ...]


def depth_of(inside: NDArray[np.bool_], grid: Geometry) -> Depth | None:
    """Find the depth in a mask (i, j, k); the border of the image is no surface.

    None where no surface is in view.
    """
    factors = [max(1, round(COARSE_MM / mm)) for mm in grid.spacing_mm]
    coarse = inside[tuple(slice(None, None, n) for n in factors)]
    if coarse.all() or not coarse.any():
        return None
    spacing_mm = tuple(n * mm for n, mm in zip(factors, grid.spacing_mm, strict=True))
    depth_mm = ndimage.distance_transform_edt(coarse, sampling=spacing_mm)
    worlds = closest_axes(grid.directions_ras)
    up = [world for world, _ in worlds].index(2)
    hit = np.flatnonzero(coarse.any(axis=tuple(axis for axis in range(3) if axis != up)))
    top = hit[-1] if worlds[up][1] > 0 else hit[0]
    height_mm = np.abs(np.arange(coarse.shape[up]) - top) * spacing_mm[up]
    shape = [1, 1, 1]
    shape[up] = -1
    i, j, k = factors
    return Depth(depth_mm, height_mm.reshape(shape), (i, j, k), spacing_mm)


def soft_share_in_depth(made: Volume, depth: Depth) -> dict[str, float]:
    """``deep_soft``: share of -100 to 150 HU in what lies over 30 mm deep, if anything does."""
    some = tuple(slice(None, None, n) for n in depth.factors)
    deep = made.voxels[some][depth.depth_mm > DEEP_MM]
    if not deep.size:
        return {}
    return {"deep_soft": float(((deep > SOFT_HU[0]) & (deep < SOFT_HU[1])).mean())}


def thin_mean(voxels: FloatVoxels, factors: Factors) -> FloatVoxels:
    """Average eight voxels of each block of ``factors``: enough against noise, and quick."""
    mean = np.zeros([-(-n // factor) for n, factor in zip(voxels.shape, factors, strict=True)])
    for corner in np.ndindex(2, 2, 2):
        at = [
            np.minimum(np.arange(0, n, factor) + half * (factor // 2), n - 1)
            for n, factor, half in zip(voxels.shape, factors, corner, strict=True)
        ]
        mean += voxels[np.ix_(*at)] / 8.0
    return np.asarray(mean, dtype=np.float32)


def contrast_in_depth(mr: Volume, depth: Depth) -> dict[str, float]:
    """Two figures of the brain, or what lies where it does, that tell contrasts apart.

    ``deep_middle`` is where the median lies between the 5th and the 95th percentile: high where
    fluid is a dark tail (T1, FLAIR), low where it is a bright one (T2). ``even_deep`` is the share
    of the brain that is darker than its most even part, which is white matter: high in T1, in the
    middle in FLAIR, low in T2. Neither depends on the scale of the signal. Empty where there is
    too little to tell.
    """
    deep = (depth.depth_mm > BRAIN_DEPTH_MM) & (depth.height_mm < BRAIN_HEIGHT_MM)
    if np.count_nonzero(deep) < FEWEST_VOXELS:
        return {}
    signal = thin_mean(mr.voxels, depth.factors)
    brain = signal[deep]
    low, median, high = np.percentile(brain, (RANGE_PERCENTILES[0], 50.0, RANGE_PERCENTILES[1]))
    if not low < high:
        return {}
    squares = np.zeros(signal.shape)
    for axis, mm in enumerate(depth.spacing_mm):
        if signal.shape[axis] > 1:
            squares += np.gradient(signal, mm, axis=axis) ** 2
    steepness = squares[deep]
    even = brain[steepness <= np.percentile(steepness, EVEN_PERCENT)]
    return {
        "deep_middle": float((median - low) / (high - low)),
        "even_deep": float((brain < np.median(even)).mean()),
    }
