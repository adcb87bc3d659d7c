"""Body masks of CT and MR volumes, and the morphology they are made with.

Steps on voxel grids of unequal spacing: averaging, balls in millimetres, holes and parts.
Arrays are (i, j, k); radii are millimetres, so that 1 mm and 5 mm slices are treated alike.

Where the patient is: body masks of CT and MR volumes, with the air inside filled in.
Both masks are found on a grid of about 3 mm, where averaging has beaten the noise down and
morphology is cheap, and are then brought back to the full grid and fitted to its voxels in a thin
rim along the surface. Lengths are millimetres throughout, so that 1 mm and 5 mm slices are
treated alike; a grid's obliquity and axis order do not matter, for only its spacing is used.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import InputRefused

BoolArray = NDArray[np.bool_]
Spacing = tuple[float, float, float]
Factors = tuple[int, int, int]


def block_mean(voxels: FloatVoxels, factors: Factors) -> FloatVoxels:
    """Average blocks of ``factors`` voxels; a last, partial block is averaged over what it has."""
    for axis, factor in enumerate(factors):
        starts = np.arange(0, voxels.shape[axis], factor)
        counts = np.diff(np.append(starts, voxels.shape[axis])).astype(np.float32)
        shape = [1, 1, 1]
        shape[axis] = -1
        sums = np.add.reduceat(voxels, starts, axis=axis)
        voxels = (sums / counts.reshape(shape)).astype(np.float32)
    return voxels


def without_specks(mask: BoolArray, spacing_mm: Spacing, least_ml: float) -> BoolArray:
    """Drop the parts (voxels that share faces) smaller than ``least_ml`` millilitres."""
    labels, _ = ndimage.label(mask)
    sizes_ml = np.bincount(labels.ravel()) * float(np.prod(spacing_mm)) / 1000.0
    return np.asarray(mask & (sizes_ml >= least_ml)[labels])


def largest_after_opening(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Keep the largest part that survives erosion by a ball, with its own surface given back."""
    core = eroded(mask, spacing_mm, radius_mm)
    if not core.any():
        core = mask
    labels, count = ndimage.label(core)
    if count == 0:
        return mask
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    # A ball gives rounded corners; half a voxel more gives the corners back.
    return mask & dilated(largest, spacing_mm, radius_mm + 0.5 * max(spacing_mm))


def closed(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Close gaps by a ball; beyond the border, the image is taken to go on as it ends there."""
    widths = [(n, n) for n in (int(np.ceil(radius_mm / s)) + 1 for s in spacing_mm)]
    padded = np.pad(mask, widths, mode="edge")
    whole = eroded(dilated(padded, spacing_mm, radius_mm), spacing_mm, radius_mm)
    inner = tuple(slice(before, -after) for before, after in widths)
    return np.asarray(whole[inner] | mask)


def dilated(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Add all voxels whose centres lie within the radius of a voxel of the mask."""
    if not mask.any():
        return mask
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing_mm) <= radius_mm)


def eroded(mask: BoolArray, spacing_mm: Spacing, radius_mm: float) -> BoolArray:
    """Drop all voxels within the radius of the outside; the border of the grid counts as inside."""
    if mask.all():
        return mask
    return np.asarray(ndimage.distance_transform_edt(mask, sampling=spacing_mm) > radius_mm)


def fill_slices(mask: BoolArray) -> BoolArray:
    """Fill the holes of every slice across each axis: sinuses and airways are open in 3D.

    The background of all slices is labelled at once; what has no way to the slice's border is a
    hole.
    """
    filled = np.array(mask)
    for axis in range(3):
        plane = np.zeros((3, 3, 3), dtype=np.bool_)
        plane[tuple(1 if a == axis else slice(None) for a in range(3))] = (
            ndimage.generate_binary_structure(2, 1)
        )
        background, count = ndimage.label(~filled, structure=plane)
        is_open = np.zeros(count + 1, dtype=np.bool_)
        for across in {0, 1, 2} - {axis}:
            is_open[np.take(background, (0, -1), axis=across)] = True
        is_open[0] = False
        filled = ~is_open[background]
    return filled


def enlarged(mask: BoolArray, factors: Factors, shape: tuple[int, int, int]) -> BoolArray:
    """Repeat every voxel ``factors`` times, and cut what is beyond ``shape``."""
    for axis, factor in enumerate(factors):
        mask = np.repeat(mask, factor, axis=axis)
    return mask[: shape[0], : shape[1], : shape[2]]


# Coarse enough for speed and for averaging noise, fine enough for the scalp (about 5 mm).
WORKING_SPACING_MM = 3.0

# Between air (-1000) and the lightest tissue (fat, -120), nearer to air: lung and the partial
# volume of skin stay inside; foam cushions (about -950) and clothes (below -700) stay outside.
CT_THRESHOLD_HU = -400.0

# The shell of a couch or headrest is 1 to 3 mm thick: opening by this radius cuts it off the skin.
CT_OPENING_MM = 4.0

# Thin bridges of noise and of wrap-around artefacts are narrower than this.
MR_OPENING_MM = 3.0

# Closes the ear canals, nostrils and dark skull seams that lead outside, at twice this width.
CLOSING_MM = 6.0

# The cut lies this far up from air to the median tissue: the scalp in FLAIR and muscle in T2 reach
# a quarter of the median signal, less where a coil falls off; ghosts seldom reach as far.
MR_CONTRAST_FRACTION = 0.15

# A Gaussian background puts 1 voxel in 30 000 beyond this; largest component takes the rest.
MR_NOISE_SIGMAS = 4.0

# The rim's voxels are averaged by a Gaussian of this standard deviation before they are compared
# with the threshold. It is symmetric on any grid: a box two voxels wide shifts the surface by half
# a voxel, to a side that depends on the order in which voxels are stored.
RIM_SIGMA_MM = 0.45

# Noise above the threshold makes specks of a few working voxels (27 mm3 each); scalp that dark
# bone parts from the brain makes shells of many millilitres.
SPECK_ML = 0.5

MIN_BODY_ML = 1.0

# Of a picture, as shares of its range and of its shorter side: the rim that shows the background,
# how dark it is where it shows air, and how far above black something is shown.
_RIM_SHARE = 0.02
_DARK_RIM = 0.2
_SHOWN_ABOVE = 0.05
_RIM_DEVIATIONS = 4.0
# A median of 25 pixels lowers the spread of noise to a quarter, and keeps edges.
_MEDIAN_PX = 5
# Parts smaller than this share of the largest are specks; with less in all, nothing was found.
_LEAST_PART = 0.05
_LEAST_SHOWN = 0.01


def body_mask_ct(ct: Volume) -> Volume:
    """Find the body in a CT: skin inwards, air inside filled, couch and headrest left out.

    Parameters
    ----------
    ct:
        Volume in HU, any spacing and axis order.

    Returns
    -------
    Volume of unit ``mask`` on the same grid: 1 inside the body, 0 outside.

    Raises
    ------
    InputRefused
        If the unit is not HU, or nothing as large as 1 ml is denser than -400 HU.
    """
    if ct.unit != "HU":
        raise InputRefused(f"A volume in {ct.unit}", rule="the body of a CT is sought in HU")
    factors = _factors(ct)
    spacing_mm = _working_spacing(ct, factors)
    dense = block_mean(ct.voxels, factors) > CT_THRESHOLD_HU
    body = largest_after_opening(dense, spacing_mm, CT_OPENING_MM)
    body = fill_slices(closed(body, spacing_mm, CLOSING_MM))
    return _on_full_grid(ct, CT_THRESHOLD_HU, body, factors)


def body_mask_mr(mr: Volume) -> Volume:
    """Find the body in an MR: skin inwards, air and bone inside filled, noise outside left out.

    The threshold comes from the image (see ``mr_threshold``), so any sequence and scale will do.

    Parameters
    ----------
    mr:
        Volume of MR signal, any spacing and axis order, larger meaning more signal.

    Returns
    -------
    Volume of unit ``mask`` on the same grid: 1 inside the body, 0 outside.

    Raises
    ------
    InputRefused
        If the volume is constant, or nothing as large as 1 ml stands out from the background.
    """
    factors = _factors(mr)
    spacing_mm = _working_spacing(mr, factors)
    coarse = block_mean(mr.voxels, factors)
    threshold = mr_threshold(coarse)
    tissue = without_specks(coarse > threshold, spacing_mm, SPECK_ML)
    # Closing comes before opening here: a thin scalp over dark bone would not survive alone.
    body = fill_slices(closed(tissue, spacing_mm, CLOSING_MM))
    body = largest_after_opening(body, spacing_mm, MR_OPENING_MM)
    return _on_full_grid(mr, threshold, body, factors)


def mr_threshold(voxels: FloatVoxels) -> float:
    """Find the signal above which MR voxels (i, j, k) are tissue, in the units of the voxels.

    Otsu's threshold on the square root of the signal (which tames bright fat and fluid) parts
    air from tissue; between the medians of the two parts, the cut lies 15% of the way up, or
    above the noise where that is more, so that skin and shaded regions stay inside.
    """
    low, high = (float(p) for p in np.percentile(voxels, (0.5, 99.5)))
    if not high > low:
        raise InputRefused(
            f"An MR volume whose signal is {low:g} nearly everywhere",
            rule="a body must stand out from the background",
            remedy="check that the right series was given",
        )
    signal = np.clip(voxels.ravel(), low, high) - low
    otsu = float(threshold_otsu(np.sqrt(signal))) ** 2
    dark, bright = signal[signal <= otsu], signal[signal > otsu]
    air = float(np.median(dark))
    noise = 1.4826 * float(np.median(np.abs(dark - air)))
    contrast = float(np.median(bright)) - air
    cut = air + max(MR_CONTRAST_FRACTION * contrast, MR_NOISE_SIGMAS * noise)
    return low + min(cut, otsu)


def _on_full_grid(volume: Volume, threshold: float, body: BoolArray, factors: Factors) -> Volume:
    volume_ml = float(body.sum()) * float(np.prod(_working_spacing(volume, factors))) / 1000.0
    if volume_ml < MIN_BODY_ML:
        raise InputRefused(
            f"No body found above {threshold:g} {volume.unit}",
            rule=f"at least {MIN_BODY_ML:g} ml must stand out from the air",
            remedy="check the modality and the rescale of the values",
        )
    fitted = fill_slices(_fit_rim(volume, threshold, body, factors))
    return volume.with_voxels(fitted.astype(np.float32), unit="mask")


def _working_spacing(volume: Volume, factors: Factors) -> Spacing:
    s_i, s_j, s_k = volume.geometry.spacing_mm
    return s_i * factors[0], s_j * factors[1], s_k * factors[2]


def _factors(volume: Volume) -> Factors:
    """How many voxels along (i, j, k) make one of about the working spacing, at least one."""
    counts = [
        min(n, max(1, round(WORKING_SPACING_MM / s)))
        for n, s in zip(volume.geometry.shape, volume.geometry.spacing_mm, strict=True)
    ]
    return counts[0], counts[1], counts[2]


def _fit_rim(volume: Volume, threshold: float, body: BoolArray, factors: Factors) -> BoolArray:
    """Bring a coarse mask to the full grid; within 3 mm of its surface, the voxels decide.

    The voxels are averaged over about 1 mm first, lest noise should fray the surface.
    """
    cube = np.ones((3, 3, 3), dtype=np.bool_)
    inner = enlarged(
        ndimage.binary_erosion(body, cube, border_value=1), factors, volume.geometry.shape
    )
    outer = enlarged(ndimage.binary_dilation(body, cube), factors, volume.geometry.shape)
    sigmas = [RIM_SIGMA_MM / s for s in volume.geometry.spacing_mm]
    smooth = ndimage.gaussian_filter(volume.voxels, sigmas, mode="nearest", truncate=3.0)
    return np.asarray(inner | (outer & (smooth > threshold)))


def picture_mask(values: NDArray[np.float32]) -> BoolArray:
    """Return what a picture shows, bool (rows, columns): what is brighter than its rim, filled.

    ``values`` (rows, columns) run from -1 to 1. A scanner's noise lies in the air around a body and
    is as bright as dark tissue in single pixels: the picture is smoothed by a median, and has to
    rise above the rim by some standard deviations of the rim. Where the rim is not dark, as of
    photographs, or hardly anything is brighter, all of the picture is shown.
    """
    width = max(2, round(_RIM_SHARE * min(values.shape)))
    inside = np.zeros(values.shape, dtype=np.bool_)
    inside[width:-width, width:-width] = True
    rim = values[~inside]
    level = float(np.median(rim))
    spread = 1.4826 * float(np.median(np.abs(rim - level)))  # the standard deviation of a Gaussian
    above = _at(_SHOWN_ABOVE)
    if level < _at(_DARK_RIM):
        above = max(above, level + _RIM_DEVIATIONS * spread)
    shown = ndimage.median_filter(values, size=_MEDIAN_PX) > above
    labels, count = ndimage.label(shown)
    if count:
        sizes = np.bincount(labels.ravel())[1:]
        shown = np.concatenate([[False], sizes >= _LEAST_PART * sizes.max()])[labels]
    filled = np.asarray(ndimage.binary_fill_holes(shown), dtype=np.bool_)
    return filled if filled.mean() >= _LEAST_SHOWN else np.ones_like(filled)


def _at(share: float) -> float:
    """The value in [-1, 1] at a share of the range."""
    return -1.0 + 2.0 * share
