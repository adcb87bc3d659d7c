"""Figures of a scan and of what was made of it, which an input unlike the training's changes.

No network runs here: size and shape of the body, the histogram of the signal inside it, and what
the result holds. They say what an input looks like, and nothing of whether the result is right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.geometry import closest_axes
from medcyclegan.plausibility import BONE_HU
from medcyclegan.volume import Volume

# Enough for shares of some per mille, however large the scan.
SAMPLED_VOXELS = 400_000
# Signal is counted on a scale from the darkest to the brightest per cent in the body.
SCALE_PERCENTILES = (1.0, 99.0)
DARK_BELOW, BRIGHT_ABOVE = 0.15, 0.7
# Between air and fat: what is thinner in a result is meant as air.
AIR_HU = -400.0
# Brain, muscle and fluid, with what a network strays around them.
SOFT_HU = (-100.0, 150.0)
# In a head what lies so deep is brain, or skull base and airways below it.
DEEP_MM = 30.0
# Depths are found on a grid of about so many millimetres.
COARSE_MM = 4.0


@dataclass(frozen=True)
class Looks:
    """What a scan looks like; lengths along the patient's axes, shares of the body's voxels.

    ``width_mm`` runs from side to side, ``length_mm`` from back to front, ``height_mm`` from feet
    to head. ``fill`` is the part of that box which the body takes. ``dark``, ``middle`` and
    ``bright`` describe the histogram of the signal in the body, from its 1st percentile (0) to its
    99th (1): the share below 0.15, the median, the share above 0.7. ``smoothness`` is the
    correlation of neighbouring voxels there. ``bone``, ``air`` and ``deep_soft`` are of the
    result: shares above 250 HU and below -400 HU, and that of -100 to 150 HU more than 30 mm deep.
    """

    body_litres: float
    width_mm: float
    length_mm: float
    height_mm: float
    fill: float
    dark: float
    middle: float
    bright: float
    smoothness: float
    bone: float
    air: float
    deep_soft: float | None


def looks_of(source: Volume, body: Volume, made: Volume) -> Looks:
    """Measure ``source`` (MR signal) and ``made`` (HU) inside the mask ``body``, all on one grid.

    The mask must not be empty. ``deep_soft`` is None if nothing lies so deep.
    """
    inside = body.voxels > 0
    spacing_mm = np.asarray(body.geometry.spacing_mm)
    litres = float(inside.sum()) * float(np.prod(spacing_mm)) / 1e6
    box_mm = _box_mm(inside, body)
    step = max(1, round(float(np.cbrt(inside.size / SAMPLED_VOXELS))))
    some = (slice(None, None, step),) * 3
    sampled = inside[some]
    low, high = np.percentile(source.voxels[some][sampled], SCALE_PERCENTILES)
    signal = (source.voxels[some][sampled] - low) / (float(high - low) or 1.0)
    hu = made.voxels[some][sampled]
    return Looks(
        body_litres=litres,
        width_mm=float(box_mm[0]),
        length_mm=float(box_mm[1]),
        height_mm=float(box_mm[2]),
        fill=litres * 1e6 / float(np.prod(box_mm)),
        dark=float((signal < DARK_BELOW).mean()),
        middle=float(np.median(signal)),
        bright=float((signal > BRIGHT_ABOVE).mean()),
        smoothness=_smoothness(source, inside, step),
        bone=float((hu > BONE_HU).mean()),
        air=float((hu < AIR_HU).mean()),
        deep_soft=_deep_soft(made, inside),
    )


def _box_mm(inside: NDArray[np.bool_], body: Volume) -> NDArray[np.float64]:
    """Lengths of the box around the body along R, A, S (closest axes of the grid), mm."""
    lengths = np.zeros(3)
    for axis, (world, _) in enumerate(closest_axes(body.geometry.directions_ras)):
        hit = np.flatnonzero(inside.any(axis=tuple(a for a in range(3) if a != axis)))
        lengths[world] = (hit[-1] - hit[0] + 1) * body.geometry.spacing_mm[axis]
    return lengths


def _smoothness(source: Volume, inside: NDArray[np.bool_], step: int) -> float:
    """Correlation of neighbours along the axis of the finest spacing, both in the body."""
    finest = int(np.argmin(source.geometry.spacing_mm))
    lines = np.moveaxis(source.voxels, finest, 0)[:, ::step, ::step]
    within = np.moveaxis(inside, finest, 0)[:, ::step, ::step]
    both = within[1:] & within[:-1]
    before, after = lines[:-1][both], lines[1:][both]
    if before.size < 2 or before.std() == 0 or after.std() == 0:
        return 1.0
    return float(np.corrcoef(before, after)[0, 1])


def _deep_soft(made: Volume, inside: NDArray[np.bool_]) -> float | None:
    """Share of soft tissue in what lies deep in the body; the border of the image is no surface.

    None where no surface is in view, or nothing lies so deep.
    """
    steps = [max(1, round(COARSE_MM / mm)) for mm in made.geometry.spacing_mm]
    some = tuple(slice(None, None, step) for step in steps)
    spacing = [n * mm for n, mm in zip(steps, made.geometry.spacing_mm, strict=True)]
    if inside[some].all():
        return None
    depth = ndimage.distance_transform_edt(inside[some], sampling=spacing)
    deep = made.voxels[some][depth > DEEP_MM]
    return float(((deep > SOFT_HU[0]) & (deep < SOFT_HU[1])).mean()) if deep.size else None
