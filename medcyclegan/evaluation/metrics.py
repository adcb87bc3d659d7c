"""Metrics of a synthetic CT: two published protocols, and quality without a reference.

How far a synthetic CT is from the true one, by two published protocols.
The protocols differ in the range that values are clipped to, and in the similarity they report:
``synthrad2023`` [-1024, 3000] HU and SSIM, ``synthrad2025`` [-1024, 3071] HU and MS-SSIM. Their
numbers must not be mixed in one table. MAE and bone Dice are clipped in neither.

Source: the evaluation code of the SynthRAD 2023 and 2025 challenges. A small error in HU does not
show that a dose computed on the image is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import FloatArray
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.similarity import ms_ssim, psnr_db, ssim
from medcyclegan.imaging.mutual_information import (
    binned_by_edges,
    joint_histogram,
    normalised_mutual_information,
)
from medcyclegan.imaging.plausibility import BONE_HU

# Bins a side of the joint histogram of input and output.
BINS = 64


@dataclass(frozen=True)
class NoReference:
    """Two measures of quality; NaN where there is nothing to compare.

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
    given, got = source.voxels[inside], made.voxels[inside]
    shared = math.nan
    if np.ptp(given) > 0 and np.ptp(got) > 0:
        joint = joint_histogram(binned_by_edges(given, BINS), binned_by_edges(got, BINS), BINS)
        shared = normalised_mutual_information(joint)
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


BoolArray = NDArray[np.bool_]
Protocol = Literal["synthrad2023", "synthrad2025"]

LOWEST_HU = -1024.0
HIGHEST_HU: dict[Protocol, float] = {"synthrad2023": 3000.0, "synthrad2025": 3071.0}

AIR_BELOW_HU = -400.0
SOFT_FROM_HU, SOFT_TO_HU = -150.0, 150.0
BONE_ABOVE_HU = BONE_HU

# Two writers of one grid differ by the rounding of their headers, far below a hundredth of a
# voxel; a shift of half a voxel is a registration error that would be scored as image error.
GRID_TOLERANCE_VOXELS = 0.01


@dataclass(frozen=True)
class Scores:
    """Scores of one synthetic CT; errors in HU, over the body mask.

    NaN where a score has nothing to be taken over: a tissue that the reference does not have
    inside the mask, a Dice without bone in either image, a mask that is nowhere far enough from
    the grid's border for a window. None for the similarity that the protocol does not report.
    ``psnr_db`` is infinite for equal images. The tissues are those of the reference: air below
    -400 HU, soft tissue -150 to 150 HU, bone above 250 HU. ``me`` is the mean of synthetic minus
    true CT, ``rmse`` the root of the mean square of it; neither is clipped.
    """

    protocol: Protocol
    mae_hu: float
    psnr_db: float
    ssim: float | None
    ms_ssim: float | None
    dice_bone: float
    mae_air_hu: float
    mae_soft_hu: float
    mae_bone_hu: float
    me_hu: float
    me_air_hu: float
    me_soft_hu: float
    me_bone_hu: float
    rmse_hu: float
    rmse_air_hu: float
    rmse_soft_hu: float
    rmse_bone_hu: float


def score(pred: Volume, ref: Volume, mask: Volume, *, protocol: Protocol) -> Scores:
    """Compare a synthetic CT with the true CT inside the body.

    Parameters
    ----------
    pred, ref:
        Synthetic and true CT in HU, on one grid.
    mask:
        The body on the same grid, everything above 0; unit ``mask``.
    protocol:
        ``synthrad2023`` or ``synthrad2025``.

    Raises
    ------
    InputRefused
        If the grids differ, the mask is empty, or the values cannot be HU.
    UsageError
        If there is no such protocol.
    """
    if protocol not in HIGHEST_HU:
        raise UsageError(f"Protocol {protocol!r}", rule=f"known are {', '.join(HIGHEST_HU)}")
    check_hu(pred, name="The synthetic CT")
    check_hu(ref, name="The reference CT")
    inside = _checked_mask(pred, ref, mask)
    pred_hu = pred.voxels[inside].astype(np.float64)
    ref_hu = ref.voxels[inside].astype(np.float64)
    error_hu = pred_hu - ref_hu
    air, soft, bone = (error_hu[region] for region in tissues(ref_hu))
    similarity = _similarity(pred, ref, inside, protocol)
    return Scores(
        protocol=protocol,
        mae_hu=_mean(np.abs(error_hu)),
        psnr_db=_psnr_db(pred_hu, ref_hu, HIGHEST_HU[protocol]),
        ssim=similarity if protocol == "synthrad2023" else None,
        ms_ssim=similarity if protocol == "synthrad2025" else None,
        dice_bone=_dice(pred_hu > BONE_ABOVE_HU, ref_hu > BONE_ABOVE_HU),
        mae_air_hu=_mean(np.abs(air)),
        mae_soft_hu=_mean(np.abs(soft)),
        mae_bone_hu=_mean(np.abs(bone)),
        me_hu=_mean(error_hu),
        me_air_hu=_mean(air),
        me_soft_hu=_mean(soft),
        me_bone_hu=_mean(bone),
        rmse_hu=_root_mean_square(error_hu),
        rmse_air_hu=_root_mean_square(air),
        rmse_soft_hu=_root_mean_square(soft),
        rmse_bone_hu=_root_mean_square(bone),
    )


def tissues(ref_hu: FloatArray) -> tuple[BoolArray, BoolArray, BoolArray]:
    """Where the true CT is air, soft tissue and bone, in the shape of ``ref_hu``."""
    return (
        ref_hu < AIR_BELOW_HU,
        (ref_hu >= SOFT_FROM_HU) & (ref_hu <= SOFT_TO_HU),
        ref_hu > BONE_ABOVE_HU,
    )


def check_hu(ct: Volume, *, name: str) -> None:
    """Refuse values that a CT in HU cannot have: another unit, grey levels 0..255, or [-1, 1].

    ``name`` begins the message. Every CT has voxels below 0 HU, of air, fat or mere noise.
    """
    remedy = "give the CT as it was reconstructed, with its rescale slope and intercept applied"
    if ct.unit != "HU":
        raise InputRefused(f"{name} is in {ct.unit}", rule="scores are taken in HU", remedy=remedy)
    low, high = float(ct.voxels.min()), float(ct.voxels.max())
    grey_levels = low >= 0.0 and high <= 255.0
    normalised = low >= -1.0 and high <= 1.0
    if grey_levels or normalised:
        raise InputRefused(
            f"{name} spans {low:g} to {high:g}",
            rule=f"that is {'[-1, 1]' if normalised else '8-bit grey levels or a density'}, not HU",
            remedy=remedy,
        )


def _checked_mask(pred: Volume, ref: Volume, mask: Volume) -> BoolArray:
    for name, other in (("synthetic CT", pred), ("mask", mask)):
        check_same_grid(ref, other, name=name)
    if mask.unit != "mask":
        raise InputRefused(f"A mask in {mask.unit}", rule="its unit must be 'mask'")
    inside = np.asarray(mask.voxels > 0)
    if not inside.any():
        raise InputRefused(
            "The mask is empty",
            rule="scores are means over the body",
            remedy="give the body mask of the reference CT",
        )
    return inside


def check_same_grid(ref: Volume, other: Volume, *, name: str) -> None:
    """Refuse a volume that is not on the reference's grid, but for the rounding of headers.

    ``name`` says in the message what the other volume is.
    """
    ours, theirs = ref.geometry, other.geometry
    remedy = f"resample the {name} onto the reference's grid first"
    if ours.shape != theirs.shape:
        raise InputRefused(
            f"The {name} has {theirs.shape} voxels, the reference {ours.shape}",
            rule="both must lie on one grid",
            remedy=remedy,
        )
    shift_mm = np.linalg.norm(ours.corners_ras_mm() - theirs.corners_ras_mm(), axis=1).max()
    if shift_mm > GRID_TOLERANCE_VOXELS * min(ours.spacing_mm):
        raise InputRefused(
            f"The {name} lies up to {shift_mm:.3g} mm off the reference's grid",
            rule=f"at most {GRID_TOLERANCE_VOXELS:g} of a voxel is rounding",
            remedy=remedy,
        )


def _similarity(pred: Volume, ref: Volume, inside: BoolArray, protocol: Protocol) -> float:
    highest_hu = HIGHEST_HU[protocol]
    x = _shifted(pred, inside, highest_hu)
    y = _shifted(ref, inside, highest_hu)
    measure = ssim if protocol == "synthrad2023" else ms_ssim
    return measure(x, y, inside, data_range=highest_hu - LOWEST_HU)


def _shifted(ct: Volume, inside: BoolArray, highest_hu: float) -> FloatArray:
    """Clip, set the outside to air, and count from the lowest HU, as both protocols do."""
    clipped = np.clip(ct.voxels.astype(np.float64), LOWEST_HU, highest_hu)
    return np.where(inside, clipped - LOWEST_HU, 0.0)


def _psnr_db(pred_hu: FloatArray, ref_hu: FloatArray, highest_hu: float) -> float:
    clipped = (np.clip(values, LOWEST_HU, highest_hu) for values in (pred_hu, ref_hu))
    return psnr_db(*clipped, data_range=highest_hu - LOWEST_HU)


def _dice(a: BoolArray, b: BoolArray) -> float:
    size = int(a.sum()) + int(b.sum())
    return 2.0 * int((a & b).sum()) / size if size else float("nan")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _root_mean_square(values: FloatArray) -> float:
    return math.sqrt(_mean(values**2))
