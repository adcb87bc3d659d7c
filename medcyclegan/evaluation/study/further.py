"""Scores of a synthetic CT beyond its voxels: surfaces, and water-equivalent paths along beams."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.text import counted
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.load import Prediction, Truth, load_mask
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.surfaces import body_distance, bone_distance
from medcyclegan.evaluation.water_paths import (
    BeamErrors,
    ErrorStatistics,
    TruePaths,
    WaterPathOptions,
    path_errors,
    statistics_of,
    true_paths,
)
from medcyclegan.imaging.body_mask import body_mask_ct


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What synthetic CTs of a patient are held against, found once for all methods.

    ``body`` (i, j, k) is the body found in the reference CT, None if none was. ``paths`` is None
    if not asked for, or not to be had; ``notes`` and ``warnings`` are sentences.
    """

    body: NDArray[np.bool_] | None
    paths: TruePaths | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class BeamScore:
    """Errors along one beam, ``range_error`` None without a target.

    ``cut`` counts rays that are left out as they meet the body at the end of the image.
    """

    gantry_deg: float
    ct_mean_mm: float
    wepl: ErrorStatistics
    range_error: ErrorStatistics | None
    cut: int


@dataclass(frozen=True)
class Further:
    """Scores by column, NaN with a sentence in ``notes``; the errors of each beam."""

    values: dict[str, float]
    beams: tuple[BeamScore, ...] = ()
    notes: tuple[str, ...] = ()


def anatomy_of(
    patient: Patient, truth: Truth, options: WaterPathOptions | None, *, with_target: bool
) -> Anatomy:
    """Find the reference's body, and follow the rays through it if ``options`` are given.

    Where rays cannot be had a warning says why, and all else is scored. ``with_target`` says that
    rays of this study end behind targets: a patient without one then has none.
    """
    body = _body(patient, truth)
    if options is None or (with_target and patient.target is None):
        return Anatomy(body, None)
    try:
        target = (
            None
            if patient.target is None
            else load_mask(patient.target, truth.ct, ref_is_placed=truth.is_placed, named="target")
        )
        volume = None if target is None else target.mask
        paths = true_paths(truth.ct, truth.mask, options, target=volume)
    except InputRefused as refusal:
        return Anatomy(body, None, warnings=(f"no water-equivalent paths: {refusal}",))
    cut = sum(beam.cut for beam in paths.beams)
    notes = () if target is None else target.notes
    if cut:
        notes += (
            f"{counted(cut, 'ray')} of {cut + paths.rays} left out, as the body reaches the end of "
            "the image on the way",
        )
    return Anatomy(body, paths, notes, () if target is None else target.warnings)


def _body(patient: Patient, truth: Truth) -> NDArray[np.bool_] | None:
    if patient.mask is None:
        return np.asarray(truth.mask.voxels > 0)
    try:
        return np.asarray(body_mask_ct(truth.ct).voxels > 0)
    except InputRefused:
        return None


def further_scores(prediction: Prediction, truth: Truth, anatomy: Anatomy) -> Further:
    """Score surfaces, and paths if there are any."""
    sct, inside = prediction.sct, np.asarray(truth.mask.voxels > 0)
    bone, body = bone_distance(sct, truth.ct, inside), body_distance(sct, anatomy.body)
    values = {
        "hd95_bone_mm": bone.hd95_mm,
        "msd_bone_mm": bone.mean_mm,
        "hd95_body_mm": body.hd95_mm,
        "msd_body_mm": body.mean_mm,
    }
    notes = tuple(f"no surface distance: {s.reason}" for s in (bone, body) if s.reason)
    if anatomy.paths is None:
        return Further(values, notes=notes)
    errors = path_errors(sct, anatomy.paths)
    return Further(values | _path_values(errors), tuple(map(_beam_score, errors)), notes)


def _path_values(errors: tuple[BeamErrors, ...]) -> dict[str, float]:
    """Over all rays of all beams, each ray counting alike."""
    wepl = statistics_of(np.concatenate([beam.wepl_mm for beam in errors]))
    ranges = statistics_of(np.concatenate([beam.range_mm for beam in errors]))
    return {
        "wepl_mean_mm": wepl.mean_mm,
        "wepl_sd_mm": wepl.sd_mm,
        "wepl_p95_mm": wepl.p95_abs_mm,
        "range_mean_mm": ranges.mean_mm,
        "range_sd_mm": ranges.sd_mm,
        "range_p95_mm": ranges.p95_abs_mm,
    }


def _beam_score(errors: BeamErrors) -> BeamScore:
    return BeamScore(
        gantry_deg=errors.gantry_deg,
        ct_mean_mm=float(errors.ct_mm.mean()) if errors.ct_mm.size else math.nan,
        wepl=statistics_of(errors.wepl_mm),
        range_error=statistics_of(errors.range_mm) if errors.range_mm.size else None,
        cut=errors.cut,
    )
