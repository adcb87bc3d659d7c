"""A study from folders to the finished report."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.evaluation.metrics import Scores
from medcyclegan.evaluation.study.batches import Batches, doubt_warning, records_of
from medcyclegan.evaluation.study.groups import read_groups
from medcyclegan.evaluation.study.load import load_prediction, load_truth
from medcyclegan.evaluation.study.measure import REGIONS, Measured, measure
from medcyclegan.evaluation.study.output import ensure_study_writable, write_study
from medcyclegan.evaluation.study.patient import Patient, Refusal
from medcyclegan.evaluation.study.plan import Plan, StudyRequest, make_plan
from medcyclegan.evaluation.study.result import Study
from medcyclegan.evaluation.study.roles import Copies, refuse_copy
from medcyclegan.evaluation.study.statistics import compare, metrics_of, summarise

# Called with the number of steps done and their total: a step a patient, and one for the report.
Progress = Callable[[int, int], None]
# The mean of what rounding to whole HU changes is a quarter.
ROUNDING_HU = 0.5
# A CT that is stored from 0 up lies 1000 or 1024 HU too high; bone in the place of all soft tissue
# would hardly lie half as high.
OFFSET_HU = 500.0


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
    batches = records_of(request)
    plan = make_plan(request)
    groups = read_groups(request.groups) if request.groups else {}
    tell = progress or (lambda done, total: None)
    steps = len(plan.patients) + 1
    found = _Found()
    for done, patient in enumerate(plan.patients):
        tell(done, steps)
        _score_patient(patient, request, found)
    tell(steps - 1, steps)
    _refuse_nothing_scored(found)
    study = _concluded(request, plan, found, batches, groups, (version, now))
    write_study(study)
    tell(steps, steps)
    return study


@dataclass
class _Found:
    """What was scored and refused, and sentences by patient: notes, and warnings among them."""

    results: list[Measured] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    copies: Copies = field(default_factory=Copies)

    def warn(self, case: str, sentences: Iterable[str]) -> None:
        """Keep warnings of a patient."""
        self.warnings[case] = (*self.warnings.get(case, ()), *sentences)


def _score_patient(patient: Patient, request: StudyRequest, found: _Found) -> None:
    """Score every method of one patient; adds to what was found."""
    case = patient.case
    try:
        truth = load_truth(patient)
    except MedcycleganError as error:
        found.refused += [Refusal(case, method, str(error)) for method in patient.preds]
        return
    found.notes[case] = truth.notes
    found.warn(case, truth.warnings)
    found.warn(case, found.copies.of(patient.ref, "reference CT", case))
    for method, path in patient.preds.items():
        try:
            refuse_copy(path, patient.ref)
            prediction = load_prediction(path, truth)
            result = measure(case, method, truth, prediction, protocol=request.protocol)
        except MedcycleganError as error:
            found.refused.append(Refusal(case, method, str(error)))
        else:
            found.results.append(result)
            found.warn(case, (f"{method}: {said}" for said in prediction.warnings))
            copies = found.copies.of(path, "synthetic CT", case)
            found.warn(case, (f"{method}: {said}" for said in copies))
            found.warn(case, (*_too_good(result), *_offset(result)))


def _too_good(result: Measured) -> tuple[str, ...]:
    """Say that a score is perfect, but for what rounding to whole HU makes."""
    if result.scores.mae_hu > ROUNDING_HU:
        return ()
    return (
        f"{result.method}: a perfect score: its MAE of {result.scores.mae_hu:.2g} HU is no more "
        "than rounding makes; is it a copy of the reference CT?",
    )


def _offset(result: Measured) -> tuple[str, ...]:
    """Say that a synthetic CT seems to be stored from 0 up, where padding hides it."""
    sct_hu, ct_hu = result.region_means_hu[REGIONS.index("soft tissue")]
    if not sct_hu - ct_hu > OFFSET_HU:  # NaN without soft tissue
        return ()
    return (
        f"{result.method}: where the true CT has soft tissue, the synthetic CT lies more than "
        f"{OFFSET_HU:g} HU higher in the mean; is it stored with an offset of 1000 or 1024?",
    )


def _refuse_nothing_scored(found: _Found) -> None:
    if found.results:
        return
    first = found.refused[0]
    raise InputRefused(
        f"None of {len(found.refused)} synthetic CTs could be scored. The first, {first.case} of "
        f"{first.method}: {first.reason.rstrip('.')}"
    )


def _concluded(
    request: StudyRequest,
    plan: Plan,
    found: _Found,
    batches: Batches,
    groups: dict[str, str],
    made: tuple[str, datetime],
) -> Study:
    results = found.results
    metrics = metrics_of(request.protocol)
    scored = {result.case for result in results}
    doubts = batches.doubts_of(plan.patients)
    for case, sentences in batches.warnings_of(plan.patients).items():
        found.warn(case, sentences)
    warned = {case: said for case, said in found.warnings.items() if case in scored}
    notes = {
        case: told + found.warnings.get(case, ()) + doubts.get(case, ())
        for case, told in found.notes.items()
    }
    return Study(
        request=request,
        version=made[0],
        made_at=made[1],
        patients=tuple(patient for patient in plan.patients if patient.case in scored),
        results=tuple(results),
        unmatched=plan.refusals,
        refused=tuple(found.refused),
        notes=notes,
        warnings=plan.warnings
        + doubt_warning(doubts, scored)
        + _warnings(results, request, groups)
        + _alike(results)
        + _by_sentence(warned),
        groups=groups,
        summaries=tuple(summarise(results, metrics=metrics, groups=groups)),
        comparisons=tuple(compare(results, metrics=metrics)),
    )


def _by_sentence(warned: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The warnings of patients, each once with all whom it is of."""
    cases: dict[str, list[str]] = {}
    for case, sentences in warned.items():
        for sentence in sentences:
            cases.setdefault(sentence, []).append(case)
    return tuple(f"{', '.join(of)}: {said.rstrip('.')}." for said, of in cases.items())


def _alike(results: list[Measured]) -> tuple[str, ...]:
    """Name methods whose scores are equal to the last digit: their images are one and the same."""
    by_method: dict[str, dict[str, Scores]] = {}
    for result in results:
        by_method.setdefault(result.method, {})[result.case] = result.scores
    found = []
    for (first, ours), (second, theirs) in itertools.combinations(by_method.items(), 2):
        both = ours.keys() & theirs.keys()
        if both and all(ours[case] == theirs[case] for case in both):
            found.append(
                f"{first} and {second} have the same scores to the last digit: the images of the "
                "two methods are the same."
            )
    return tuple(found)


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
