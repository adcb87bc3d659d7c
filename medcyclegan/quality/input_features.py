"""Features of an input and its result that change when it is unlike the training data.

Figures of a scan and of what was made of it, which an input unlike the training's changes.
No network runs here: size and shape of the body, how it was sampled, the histogram of the values
inside it, and what the result holds. They say what an input looks like, and nothing of whether the
result is right. Which of them are measured depends on the modality; docs/trust.md lists them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import Geometry, closest_axes
from medcyclegan.core.task import BodyPart, Task, Window
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.imaging.body_mask import Factors
from medcyclegan.imaging.plausibility import BONE_HU

# Depths are found on a grid of about so many millimetres.
COARSE_MM = 4.0
# Brain, muscle and fluid, with what a network strays around them.
DEEP_SOFT_HU = (-100.0, 150.0)
# Fewer coarse voxels (64 mm3 each) than this have no histogram.
FEWEST_VOXELS = 200
# The tails of a histogram beyond these percentiles are noise and vessels.
RANGE_PERCENTILES = (5.0, 95.0)
# So much of what lies deep counts as even: in a brain white matter, which is the largest part
# without borders.
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


def soft_share_in_depth(made: Volume, depth: Depth, *, deep_mm: float) -> dict[str, float]:
    """``deep_soft``: share of -100 to 150 HU in what lies over ``deep_mm`` deep, if any does."""
    some = tuple(slice(None, None, n) for n in depth.factors)
    deep = made.voxels[some][depth.depth_mm > deep_mm]
    if not deep.size:
        return {}
    return {"deep_soft": float(((deep > DEEP_SOFT_HU[0]) & (deep < DEEP_SOFT_HU[1])).mean())}


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


def contrast_in_depth(
    mr: Volume, depth: Depth, *, depth_mm: float, height_mm: float
) -> dict[str, float]:
    """Two figures of what lies deep, in a head the brain, that tell contrasts apart.

    That is what is deeper than ``depth_mm`` and less than ``height_mm`` below the top.
    ``deep_middle`` is where the median lies between the 5th and the 95th percentile: high where
    fluid is a dark tail (T1, FLAIR), low where it is a bright one (T2). ``even_deep`` is the share
    that is darker than the most even part, in a brain white matter: high in T1, in the
    middle in FLAIR, low in T2. Neither depends on the scale of the signal. Empty where there is
    too little to tell.
    """
    deep = (depth.depth_mm > depth_mm) & (depth.height_mm < height_mm)
    if np.count_nonzero(deep) < FEWEST_VOXELS:
        return {}
    signal = thin_mean(mr.voxels, depth.factors)
    inner = signal[deep]
    low, median, high = np.percentile(inner, (RANGE_PERCENTILES[0], 50.0, RANGE_PERCENTILES[1]))
    if not low < high:
        return {}
    squares = np.zeros(signal.shape)
    for axis, mm in enumerate(depth.spacing_mm):
        if signal.shape[axis] > 1:
            squares += np.gradient(signal, mm, axis=axis) ** 2
    steepness = squares[deep]
    even = inner[steepness <= np.percentile(steepness, EVEN_PERCENT)]
    return {
        "deep_middle": float((median - low) / (high - low)),
        "even_deep": float((inner < np.median(even)).mean()),
    }


Figures = dict[str, float]
Values = NDArray[np.float32]

# Enough for shares of some per mille, however large the scan.
SAMPLED_VOXELS = 400_000
# Signal is counted on a scale from the darkest to the brightest per cent in the body.
SCALE_PERCENTILES = (1.0, 99.0)
DARK_BELOW, BRIGHT_ABOVE = 0.15, 0.7
# Between air and fat: what is thinner is air, in a result meant as air.
AIR_HU = -400.0
# Fat has -120 to -70 HU; the limits leave out what lies half in air or half in muscle.
FAT_HU = (-150.0, -40.0)
# Brain, muscle, fluid and the organs of the belly, contrast agent left out.
SOFT_HU = (-40.0, 120.0)
# From the middle half of differences to the standard deviation, if they are Gaussian.
MAD_TO_SD = 1.4826


def figures_of(
    source: Volume, body: Volume, made: Volume, task: Task, *, is_plane: bool
) -> Figures:
    """Measure ``source`` and ``made`` inside the mask ``body``, all on one grid, by name.

    A figure that is not defined is left out, as that of what lies deep where nothing does, and all
    of an empty mask.
    """
    inside = body.voxels > 0
    if not inside.any():
        return {}
    step = max(1, round(float(np.cbrt(inside.size / SAMPLED_VOXELS))))
    some = tuple(slice(None, None, step if n > step else 1) for n in inside.shape)
    if not inside[some].any():
        step, some = 1, (slice(None),) * 3
    given, result = (volume.voxels[some][inside[some]] for volume in (source, made))
    before, after = _neighbours(source, inside, step)
    found = _size_in_pixels(body) if is_plane else {**_size(inside, body), **_sampling(body)}
    found["smoothness"] = _correlation(before, after)
    if source.unit == "HU":
        found |= _tissues(given) | _noise(before, after)
    else:
        found |= _histogram(given)
    found |= _result(result, made, task)
    if source.unit == made.unit == "HU":
        found["changed_hu"] = float(np.abs(result - given).mean())
    return found if is_plane else found | _in_depth(source, inside, made, task.body_part)


def _size(inside: NDArray[np.bool_], body: Volume) -> Figures:
    """Litres of the body, and its box along R, A, S (closest axes of the grid) in mm.

    ``width_mm`` runs from side to side, ``length_mm`` from back to front, ``height_mm`` from feet
    to head. ``fill`` is the part of that box which the body takes.
    """
    lengths = np.zeros(3)
    seen_along_k = np.asarray(inside.any(axis=2))
    occupied = (seen_along_k.any(axis=1), seen_along_k.any(axis=0), inside.any(axis=(0, 1)))
    for axis, (world, _) in enumerate(closest_axes(body.geometry.directions_ras)):
        hit = np.flatnonzero(occupied[axis])
        lengths[world] = (hit[-1] - hit[0] + 1) * body.geometry.spacing_mm[axis]
    voxel_ml = float(np.prod(body.geometry.spacing_mm)) / 1e3
    litres = np.count_nonzero(inside) * voxel_ml / 1e3
    return {
        "body_litres": litres,
        "width_mm": float(lengths[0]),
        "length_mm": float(lengths[1]),
        "height_mm": float(lengths[2]),
        "fill": litres * 1e6 / float(np.prod(lengths)),
    }


def _sampling(body: Volume) -> Figures:
    """The finest and the coarsest spacing in mm, and the least number of voxels along an axis."""
    spacing_mm = body.geometry.spacing_mm
    return {
        "pixel_mm": min(spacing_mm),
        "slice_mm": max(spacing_mm),
        "slices": float(min(body.geometry.shape)),
    }


def _size_in_pixels(picture: Volume) -> Figures:
    _, shorter, longer = sorted(picture.geometry.shape)
    return {"shorter_px": float(shorter), "longer_px": float(longer)}


def _histogram(signal: Values) -> Figures:
    """Histogram from the 1st percentile (0) to the 99th (1): tails beyond 0.15 and 0.7, median."""
    low, high = np.percentile(signal, SCALE_PERCENTILES)
    scaled = (signal - low) / (float(high - low) or 1.0)
    return {
        "dark": float((scaled < DARK_BELOW).mean()),
        "middle": float(np.median(scaled)),
        "bright": float((scaled > BRIGHT_ABOVE).mean()),
    }


def _tissues(hu: Values) -> Figures:
    """Shares of the body by the HU of a CT."""
    return {
        "in_air": float((hu < AIR_HU).mean()),
        "in_fat": float(((hu > FAT_HU[0]) & (hu < FAT_HU[1])).mean()),
        "in_soft": float(((hu > SOFT_HU[0]) & (hu < SOFT_HU[1])).mean()),
        "in_bone": float((hu > BONE_HU).mean()),
    }


def _result(values: Values, made: Volume, task: Task) -> Figures:
    """Shares of a result in HU, or on the window of the target from 0 to 1."""
    if made.unit == "HU":
        return {"bone": float((values > BONE_HU).mean()), "air": float((values < AIR_HU).mean())}
    window: Window = task.target_window
    scaled = (values - window.lower) / (window.upper - window.lower)
    return {
        "out_dark": float((scaled < DARK_BELOW).mean()),
        "out_middle": float(np.median(scaled)),
        "out_bright": float((scaled > BRIGHT_ABOVE).mean()),
    }


def _in_depth(source: Volume, inside: NDArray[np.bool_], made: Volume, part: BodyPart) -> Figures:
    """Figures of what lies deep in the body; none where no surface is in view."""
    depth = depth_of(inside, source.geometry)
    if depth is None:
        return {}
    found: Figures = {}
    if source.unit != "HU" and part.contrast_depth_mm is not None:
        height_mm = part.contrast_height_mm or np.inf
        found |= contrast_in_depth(
            source, depth, depth_mm=part.contrast_depth_mm, height_mm=height_mm
        )
    if made.unit == "HU" and part.deep_mm is not None:
        found |= soft_share_in_depth(made, depth, deep_mm=part.deep_mm)
    return found


def _neighbours(source: Volume, inside: NDArray[np.bool_], step: int) -> tuple[Values, Values]:
    """Values of neighbours along the axis of the finest spacing, both in the body."""
    shape = source.geometry.shape
    long_axes = [axis for axis in range(3) if shape[axis] > 1] or [0]
    finest = min(long_axes, key=lambda axis: source.geometry.spacing_mm[axis])
    lines = np.moveaxis(source.voxels, finest, 0)[:, ::step, ::step]
    within = np.moveaxis(inside, finest, 0)[:, ::step, ::step]
    both = within[1:] & within[:-1]
    return lines[:-1][both], lines[1:][both]


def _correlation(before: Values, after: Values) -> float:
    if before.size < 2 or before.std() == 0 or after.std() == 0:
        return 1.0
    return float(np.corrcoef(before, after)[0, 1])


def _noise(before: Values, after: Values) -> Figures:
    """Standard deviation of the noise by differences of neighbours, HU, where their mean is soft.

    The mean tells nothing of the difference, so that strong noise is not cut off. Noise that
    neighbours share is not in it: that of a soft kernel comes out smaller.
    """
    mean = (before + after) / 2.0
    soft = (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])
    if not soft.any():
        return {}
    half = float(np.median(np.abs(after[soft] - before[soft])))
    return {"noise_hu": half * MAD_TO_SD / float(np.sqrt(2.0))}
