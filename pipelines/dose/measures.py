"""Figures of two doses on one grid: DVH points, gamma, range; and the record of a comparison.

numpy and scipy alone, so that they are tested where the planning system is not installed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Spacing = tuple[float, float, float]

SCHEMA, VERSION = "medcyclegan-dose-comparison", 1
# A point is looked for in steps of a tenth of the distance: four times finer ones changed a rate of
# 84.5 % at a steep slope to 85.0 %.
_STEPS_A_DISTANCE = 10
RAY_STEP_MM = 1.0

# HU to stopping power relative to water: the default table of pyRadPlan 0.5.0 (and of matRad).
HLUT_HU = (-1024.0, -999.0, -90.0, -45.0, 0.0, 100.0, 350.0, 3000.0)
HLUT_RSP = (0.001, 0.001, 0.95, 0.99, 1.0, 1.095, 1.199, 2.505)


@dataclass(frozen=True)
class GammaCriterion:
    """``percent`` of the largest reference dose and ``distance_mm``; lower doses do not count."""

    percent: float = 2.0
    distance_mm: float = 2.0
    cutoff_percent: float = 10.0


def gamma_passes(
    reference: Array, evaluated: Array, spacing_mm: Spacing, criterion: GammaCriterion
) -> Mask:
    """Return whether gamma is 1 or less at each point that counts (n,); global normalisation.

    Low et al., Medical Physics 25 (1998) 656. ``evaluated`` is interpolated linearly around each
    point of ``reference``, nearest offsets first; points that pass are not looked at again.
    """
    norm = float(reference.max())
    points = np.argwhere(reference >= criterion.cutoff_percent / 100.0 * norm)
    passes = np.zeros(len(points), dtype=np.bool_)
    doses = reference[tuple(points.T)]
    steps = np.arange(-_STEPS_A_DISTANCE, _STEPS_A_DISTANCE + 1) / _STEPS_A_DISTANCE
    offsets = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    shares = np.linalg.norm(offsets, axis=1)  # of the distance
    for number in np.argsort(shares, kind="stable"):
        if shares[number] > 1.0:
            break
        left = np.flatnonzero(~passes)
        at = points[left] + offsets[number] * criterion.distance_mm / np.asarray(spacing_mm)
        found = ndimage.map_coordinates(evaluated, at.T, order=1, mode="nearest")
        allowed = criterion.percent / 100.0 * norm * np.sqrt(1.0 - shares[number] ** 2)
        passes[left] = np.abs(found - doses[left]) <= allowed + 1e-9 * norm
    return passes


def dose_at_volume(dose: Array, mask: Mask, percent: float) -> float:
    """D_x: the dose that ``percent`` of a structure gets at least."""
    return float(np.percentile(dose[mask], 100.0 - percent))


def volume_at_dose(dose: Array, mask: Mask, dose_gy: float) -> float:
    """V_x: the share (%) of a structure that gets a dose at least."""
    return float(100.0 * (dose[mask] >= dose_gy).mean())


def dvh(dose: Array, mask: Mask, doses_gy: Array) -> Array:
    """Return the cumulative dose-volume histogram: % of a structure at each dose or more."""
    ordered = np.sort(dose[mask])
    below = np.searchsorted(ordered, doses_gy, side="left")
    return np.asarray(100.0 * (1.0 - below / ordered.size))


def points_of(
    ct_gy: Array, sct_gy: Array, mask: Mask, *, prescribed_gy: float, is_target: bool
) -> list[dict[str, Any]]:
    """Return the points of a structure on both images, as the record has them."""

    def point(name: str, unit: str, ct: float, sct: float) -> dict[str, Any]:
        ct, sct = round(ct, 4), round(sct, 4)
        return {
            "name": name, "unit": unit, "ct": ct, "sct": sct, "difference": round(sct - ct, 4),
        }  # fmt: skip

    points = [point("mean", "Gy", float(ct_gy[mask].mean()), float(sct_gy[mask].mean()))]
    for share in (98.0, 95.0, 50.0, 2.0) if is_target else (2.0,):
        both = (dose_at_volume(dose, mask, share) for dose in (ct_gy, sct_gy))
        points.append(point(f"D{share:g}", "Gy", *both))
    if is_target:
        both = (volume_at_dose(dose, mask, 0.95 * prescribed_gy) for dose in (ct_gy, sct_gy))
        points.append(point("V95%", "%", *both))
    return points


def stopping_power(hu: Array) -> Array:
    """Proton stopping power relative to water, by the planning system's default table."""
    return np.interp(hu, HLUT_HU, HLUT_RSP)


def range_differences_mm(
    ct_hu: Array, sct_hu: Array, target: Mask, spacing_mm: Spacing, direction: Array
) -> Array:
    """Water-equivalent length to the far edge of a target, synthetic minus true CT, in mm of water.

    Parameters
    ----------
    ct_hu, sct_hu, target:
        (x, y, z) on one grid with axes along L, P, S.
    direction:
        (3,), the way of the particles along the grid's axes; any length but 0.

    Returns
    -------
    (n,), one for each voxel of the target beyond which, along the ray, there is no more target.
    """
    step = np.asarray(direction, dtype=float) / np.linalg.norm(direction)
    voxels = np.argwhere(target)
    ahead = np.round(voxels + step / np.abs(step).max()).astype(int)
    inside = ((ahead >= 0) & (ahead < target.shape)).all(axis=1)
    more = np.zeros(len(voxels), dtype=np.bool_)
    more[inside] = target[tuple(ahead[inside].T)]
    ends = voxels[~more].astype(float)
    reach_mm = float(np.linalg.norm(np.asarray(target.shape) * spacing_mm))
    difference = stopping_power(sct_hu) - stopping_power(ct_hu)
    total = np.zeros(len(ends))
    for along_mm in np.arange(0.0, reach_mm, RAY_STEP_MM):
        at = ends - along_mm * step / np.asarray(spacing_mm)
        total += ndimage.map_coordinates(difference, at.T, order=1, mode="constant", cval=0.0)
    return total * RAY_STEP_MM


def beam_direction(gantry_deg: float) -> Array:
    """The way of the particles along L, P, S, supine head first; IEC 61217, couch at 0 degrees.

    At 0 degrees the beam comes from the front, at 90 from the patient's left.
    """
    angle = np.deg2rad(gantry_deg)
    return np.array([-np.sin(angle), np.cos(angle), 0.0])


@dataclass(frozen=True)
class Planned:
    """What was planned, as the record has it."""

    modality: str
    gantry_deg: Sequence[float]
    prescribed_gy: float
    fractions: int
    spacing_mm: Spacing

    def record(self) -> dict[str, Any]:
        """Return the part of the record."""
        return {
            "modality": self.modality,
            "beams": [{"gantry_deg": float(angle), "couch_deg": 0.0} for angle in self.gantry_deg],
            "prescribed_gy": self.prescribed_gy,
            "fractions": self.fractions,
            "spacing_mm": list(self.spacing_mm),
            "hu_conversion": "default table of pyRadPlan, one for CT and synthetic CT",
        }


def gamma_record(passes: Mask, criterion: GammaCriterion) -> dict[str, Any]:
    """Return the record of a gamma comparison."""
    return {
        "dose_percent": criterion.percent,
        "distance_mm": criterion.distance_mm,
        "normalisation": "global",
        "cutoff_percent": criterion.cutoff_percent,
        "pass_rate_percent": round(float(100.0 * passes.mean()), 4),
        "points": int(passes.size),
    }


def range_record(differences_mm: Array) -> dict[str, Any]:
    """Return the record of the range error over rays."""
    return {
        "method": "water-equivalent length along each beam to the target's far edge, synthetic "
        "minus true CT, mm of water",
        "mean_mm": round(float(differences_mm.mean()), 4),
        "sd_mm": round(float(differences_mm.std()), 4),
        "p95_abs_mm": round(float(np.percentile(np.abs(differences_mm), 95.0)), 4),
        "rays": int(differences_mm.size),
    }


def structure_record(
    name: str,
    mask: Mask,
    doses_gy: tuple[Array, Array],
    planned: Planned,
    *,
    is_target: bool,
) -> dict[str, Any]:
    """Return the record of a structure; ``doses_gy`` are those on the true and synthetic CT."""
    return {
        "name": name,
        "role": "target" if is_target else "organ",
        "volume_ml": round(float(mask.sum() * np.prod(planned.spacing_mm) / 1000.0), 3),
        "points": points_of(
            *doses_gy, mask, prescribed_gy=planned.prescribed_gy, is_target=is_target
        ),
    }


def comparison_record(about: Mapping[str, Any], planned: Planned, **parts: Any) -> dict[str, Any]:
    """Return the whole record; ``about`` has case, method, engine, machine, figure and notes."""
    return {"schema": SCHEMA, "version": VERSION, **about, "plan": planned.record(), **parts}
