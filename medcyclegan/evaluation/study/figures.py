"""Figures of a study, drawn one after the other so that one patient's voxels are held."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from medcyclegan.evaluation.study.figure_patients import (
    Shown,
    draw_heights,
    draw_panel,
    draw_profile,
)
from medcyclegan.evaluation.study.figure_scores import (
    draw_bland_altman,
    draw_error_histogram,
    draw_joint_histogram,
    draw_scores,
    draw_tissues,
)
from medcyclegan.evaluation.study.figure_style import Drawn
from medcyclegan.evaluation.study.load import PatientImages, load_images
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.score_columns import Metric, metrics_of
from medcyclegan.evaluation.study.statistics import Measured


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


def draw_all(scored: Scored) -> Iterator[Drawn]:
    """Yield each figure; call and save inside ``style.drawing()``."""
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
    profile = _profile(scored)
    if profile is not None:
        yield profile
    for method in scored.methods:
        yield _panel(scored, method)


def _profile(scored: Scored) -> Drawn | None:
    images = median_images(scored)
    return None if images is None else draw_profile(images, scored.methods, scored.protocol)


def median_images(scored: Scored) -> PatientImages | None:
    """Read the images of the median of the patients that every method has, by the mean MAE."""
    maes: dict[str, list[float]] = {}
    for result in scored.results:
        maes.setdefault(result.case, []).append(result.scores.mae_hu)
    complete = {c: float(np.mean(m)) for c, m in maes.items() if len(m) == len(scored.methods)}
    if not complete:
        return None
    ranked = sorted(complete, key=lambda case: complete[case])
    return load_images(patient_of(scored, ranked[_middle(ranked)]), methods=scored.methods)


def _panel(scored: Scored, method: str) -> Drawn:
    of_method = [result for result in scored.results if result.method == method]
    ranked = sorted(of_method, key=lambda result: result.scores.mae_hu)
    places = {0: "Best", len(ranked) - 1: "Worst"}
    if len(ranked) > 2:
        places[_middle(ranked)] = "Median"
    if len(ranked) == 1:
        places = {0: "Only patient"}
    shown = [
        Shown(
            places[place],
            ranked[place].scores.mae_hu,
            load_images(patient_of(scored, ranked[place].case), methods=(method,)),
        )
        for place in sorted(places)
    ]
    number = scored.methods.index(method) + 1
    name = f"patients_{number}_{re.sub(r'[^A-Za-z0-9]+', '_', method)}"
    return draw_panel(shown, method, scored.protocol, name=name)


def _middle(ranked: Sequence[object]) -> int:
    """The place of the median; of an even number, the better of the two in the middle."""
    return (len(ranked) - 1) // 2


def patient_of(scored: Scored, case: str) -> Patient:
    """The patient of that name."""
    return next(patient for patient in scored.patients if patient.case == case)
