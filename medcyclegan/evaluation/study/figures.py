"""Figures of a study, drawn one after the other so that one patient's voxels are held."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medcyclegan.evaluation.study.figure_paths import draw_beams, draw_maps, errors_of
from medcyclegan.evaluation.study.figure_patients import (
    AXIAL,
    SAGITTAL,
    Plane,
    Shown,
    body_views,
    cut,
    draw_heights,
    draw_panel,
    draw_profile,
    middle_view,
)
from medcyclegan.evaluation.study.figure_scores import (
    draw_bland_altman,
    draw_error_histogram,
    draw_joint_histogram,
    draw_scores,
    draw_tissues,
)
from medcyclegan.evaluation.study.figure_style import Drawn
from medcyclegan.evaluation.study.load import load_images
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.score_columns import Metric, metrics_of
from medcyclegan.evaluation.study.statistics import Measured
from medcyclegan.evaluation.water_paths import BeamErrors, WaterPathOptions


@dataclass(frozen=True, eq=False)
class Scored:
    """What was scored: the patients, what was measured of them, the methods in their order."""

    patients: tuple[Patient, ...]
    results: tuple[Measured, ...]
    methods: tuple[str, ...]
    protocol: str
    metrics: tuple[Metric, ...] = ()

    def __post_init__(self) -> None:
        # A method of which no image could be scored is in no figure.
        scored = {result.method for result in self.results}
        object.__setattr__(self, "methods", tuple(m for m in self.methods if m in scored))


def draw_all(scored: Scored, paths: WaterPathOptions | None = None) -> Iterator[Drawn]:
    """Yield each figure; call and save inside ``style.drawing()``.

    Of the patients that are shown the images are read once more, each patient's once.
    """
    about = (scored.results, scored.methods, scored.protocol)
    yield draw_scores(*about, metrics=scored.metrics or metrics_of(scored.protocol))
    for draw in (
        draw_tissues,
        draw_bland_altman,
        draw_error_histogram,
        draw_joint_histogram,
        draw_heights,
    ):
        yield draw(*about)
    shown = _shown(scored, paths)
    if shown.profile is not None:
        yield draw_profile(shown.profile, scored.methods, scored.protocol)
    for method in scored.methods:
        yield _panel(scored, method, shown)
    with_beams = [result for result in scored.results if result.beams]
    if paths is not None and with_beams:
        yield draw_beams(with_beams, scored.methods, paths)
        for number, (method, errors) in enumerate(shown.errors.items(), start=1):
            assert shown.profile is not None  # of the same patient
            name = f"wepl_maps_{number}_{_in_name(method)}"
            yield draw_maps(errors, method, shown.profile.case, name=name)


@dataclass(frozen=True, eq=False)
class _Patients:
    """What is shown of single patients: planes by case, and of the median patient more.

    ``profile`` is its plane in the middle, None if no patient has an image of each method;
    ``errors`` are those of its paths, by method.
    """

    panels: dict[str, tuple[Plane, ...]]
    profile: Plane | None
    errors: dict[str, tuple[BeamErrors, ...]]


def _shown(scored: Scored, paths: WaterPathOptions | None) -> _Patients:
    """Read the images of the patients that are shown, and keep what is shown of them."""
    median, methods = _median_case(scored), _methods_by_case(scored)
    panels: dict[str, tuple[Plane, ...]] = {}
    profile, errors = None, dict[str, tuple[BeamErrors, ...]]()
    for patient in scored.patients:
        if patient.case not in methods:
            continue
        images = load_images(patient, methods=methods[patient.case])
        views = body_views(images.mask)
        panels[patient.case] = cut(images, (views[AXIAL], views[SAGITTAL]))
        if patient.case == median:
            (profile,) = cut(images, [middle_view(images.mask)])
            has_beams = any(r.beams for r in scored.results if r.case == median)
            if paths is not None and has_beams:
                errors = errors_of(images, patient, scored.methods, paths)
    return _Patients(panels, profile, errors)


def _methods_by_case(scored: Scored) -> dict[str, tuple[str, ...]]:
    """The methods whose images are shown, of each patient that is; the median patient's are all."""
    found: dict[str, tuple[str, ...]] = {}
    for method in scored.methods:
        for result in _ranked(scored, method).values():
            found[result.case] = (*found.get(result.case, ()), method)
    if (median := _median_case(scored)) is not None:
        found[median] = scored.methods
    return found


def _median_case(scored: Scored) -> str | None:
    """The median of the patients that every method has, by the mean MAE; None without any."""
    maes: dict[str, list[float]] = {}
    for result in scored.results:
        maes.setdefault(result.case, []).append(result.scores.mae_hu)
    complete = {c: float(np.mean(m)) for c, m in maes.items() if len(m) == len(scored.methods)}
    if not complete:
        return None
    ranked = sorted(complete, key=lambda case: complete[case])
    return ranked[_middle(ranked)]


def _ranked(scored: Scored, method: str) -> dict[str, Measured]:
    """The patients of a method that stand for the others, by what they stand for."""
    of_method = [result for result in scored.results if result.method == method]
    ranked = sorted(of_method, key=lambda result: result.scores.mae_hu)
    if len(ranked) == 1:
        return {"Only patient": ranked[0]}
    middle = {"Median": ranked[_middle(ranked)]} if len(ranked) > 2 else {}
    return {"Best": ranked[0], **middle, "Worst": ranked[-1]}


def _panel(scored: Scored, method: str, shown: _Patients) -> Drawn:
    patients = [
        Shown(rank, result.scores.mae_hu, shown.panels[result.case])
        for rank, result in _ranked(scored, method).items()
    ]
    number = scored.methods.index(method) + 1
    name = f"patients_{number}_{_in_name(method)}"
    return draw_panel(patients, method, scored.protocol, name=name)


def _in_name(method: str) -> str:
    """A method as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", method)


def _middle(ranked: Sequence[object]) -> int:
    """The place of the median; of an even number, the better of the two in the middle."""
    return (len(ranked) - 1) // 2
