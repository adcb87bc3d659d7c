"""A study from folders to the finished report."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.evaluation.study.doubts import doubt_warning, doubts_of
from medcyclegan.evaluation.study.groups import read_groups
from medcyclegan.evaluation.study.load import load_prediction, load_truth
from medcyclegan.evaluation.study.measure import Measured, measure
from medcyclegan.evaluation.study.output import ensure_study_writable, write_study
from medcyclegan.evaluation.study.plan import Patient, Plan, Refusal, StudyRequest, make_plan
from medcyclegan.evaluation.study.result import Study
from medcyclegan.evaluation.study.statistics import compare, metrics_of, summarise

# Called with the number of steps done and their total: a step a patient, and one for the report.
Progress = Callable[[int, int], None]


def evaluate_study(
    request: StudyRequest, *, version: str, now: datetime, progress: Progress | None = None
) -> Study:
    """Score the synthetic CTs of one or several methods, and write tables, figures and report.

    One patient's voxels are held at a time. A patient that cannot be scored does not stop the
    others; it is in the result's ``refused``, and in the report.

    Parameters
    ----------
    request:
        What to score against what, by which protocol, and the folder to make.
    version, now:
        Of medcyclegan, and the time that the report names.
    progress:
        Called with (done, total).

    Raises
    ------
    InputRefused
        If no patient can be matched or scored.
    CannotWrite
        If the folder cannot be made; this is found before anything is read.
    """
    ensure_study_writable(request)
    plan = make_plan(request)
    groups = read_groups(request.groups) if request.groups else {}
    tell = progress or (lambda done, total: None)
    steps = len(plan.patients) + 1
    results: list[Measured] = []
    refused: list[Refusal] = []
    notes: dict[str, tuple[str, ...]] = {}
    for done, patient in enumerate(plan.patients):
        tell(done, steps)
        _score_patient(patient, request, results, refused, notes)
    tell(steps - 1, steps)
    _refuse_nothing_scored(results, refused)
    study = _concluded(request, plan, (results, refused, notes), groups, (version, now))
    write_study(study)
    tell(steps, steps)
    return study


def _score_patient(
    patient: Patient,
    request: StudyRequest,
    results: list[Measured],
    refused: list[Refusal],
    notes: dict[str, tuple[str, ...]],
) -> None:
    """Score every method of one patient; adds to the lists."""
    try:
        truth = load_truth(patient)
    except MedcycleganError as error:
        refused += [Refusal(patient.case, method, str(error)) for method in patient.preds]
        return
    notes[patient.case] = truth.notes
    for method, path in patient.preds.items():
        try:
            prediction = load_prediction(path, truth)
            found = measure(patient.case, method, truth, prediction, protocol=request.protocol)
        except MedcycleganError as error:
            refused.append(Refusal(patient.case, method, str(error)))
        else:
            results.append(found)


def _refuse_nothing_scored(results: list[Measured], refused: list[Refusal]) -> None:
    if results:
        return
    first = refused[0]
    raise InputRefused(
        f"None of {len(refused)} synthetic CTs could be scored. The first, {first.case} of "
        f"{first.method}: {first.reason.rstrip('.')}"
    )


_Found = tuple[list[Measured], list[Refusal], dict[str, tuple[str, ...]]]


def _concluded(
    request: StudyRequest,
    plan: Plan,
    found: _Found,
    groups: dict[str, str],
    made: tuple[str, datetime],
) -> Study:
    results, refused, notes = found
    metrics = metrics_of(request.protocol)
    scored = {result.case for result in results}
    doubts = doubts_of(plan.patients, request)
    return Study(
        request=request,
        version=made[0],
        made_at=made[1],
        patients=tuple(patient for patient in plan.patients if patient.case in scored),
        results=tuple(results),
        unmatched=plan.refusals,
        refused=tuple(refused),
        notes={case: told + doubts.get(case, ()) for case, told in notes.items()},
        warnings=doubt_warning(doubts, scored) + _warnings(results, request, groups),
        groups=groups,
        summaries=tuple(summarise(results, metrics=metrics, groups=groups)),
        comparisons=tuple(compare(results, metrics=metrics)),
    )


def _warnings(
    results: list[Measured], request: StudyRequest, groups: dict[str, str]
) -> tuple[str, ...]:
    found = []
    cases = list(dict.fromkeys(result.case for result in results))
    resampled = sum(result.resampled for result in results)
    if resampled:
        found.append(
            f"{resampled} of {len(results)} synthetic CTs were on another grid than the reference "
            "and were resampled to it (linear interpolation), which blurs them a little."
        )
    if len(cases) < 6 and len(request.methods) > 1:
        found.append(
            f"With {len(cases)} patients no Wilcoxon test can fall below p = "
            f"{2.0 / 2 ** len(cases):.3g}."
        )
    lacking = [case for case in cases if groups and not groups.get(case)]
    if lacking:
        found.append(f"No group is given for {len(lacking)} patients: {', '.join(lacking)}.")
    return tuple(found)
