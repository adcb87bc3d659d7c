"""A study from folders to the finished output folder."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from medcyclegan.core.text import counted, was_or_were
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.evaluation.dose import Doses, doses_of
from medcyclegan.evaluation.study.batch_records import (
    Batches,
    out_of_distribution_warning,
    records_of,
    refuse_no_hu,
)
from medcyclegan.evaluation.study.further import anatomy_of
from medcyclegan.evaluation.study.load import PatientImages, load_prediction, load_truth
from medcyclegan.evaluation.study.output import ensure_study_writable, write_study
from medcyclegan.evaluation.study.page import patient_viewer
from medcyclegan.evaluation.study.patient import Copies, Patient, Refusal, read_groups, refuse_copy
from medcyclegan.evaluation.study.plan import Plan, StudyRequest, make_plan
from medcyclegan.evaluation.study.score_columns import metrics_of
from medcyclegan.evaluation.study.signals import (
    MeasuredSignal,
    load_made_signal,
    load_true_signal,
    measure_signal,
    resolved,
    scale_warning,
)
from medcyclegan.evaluation.study.statistics import (
    REGIONS,
    Measured,
    Pair,
    compare,
    measure,
    summarise,
)
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.evaluation.study.undefined import why_undefined
from medcyclegan.evaluation.viewer import Viewer
from medcyclegan.io.case_names import words
from medcyclegan.io.held_files import held_files

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
    """Score the images of one or several methods, and write tables, figures and report.

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
    UsageError
        If options do not go with the kind of images.
    CannotWrite
        If the folder cannot be made; this is found before anything is read.
    """
    ensure_study_writable(request)
    batches = records_of(request)
    request = resolved(request, units=tuple(batches.units.values()))
    if request.kind == "ct":
        refuse_no_hu(request, batches)
    plan = make_plan(request, kinds=_kinds(request, batches))
    groups = read_groups(request.groups) if request.groups else {}
    tell = progress or (lambda done, total: None)
    steps = len(plan.patients) + 1
    found = _Found()
    score_patient = _score_patient if request.kind == "ct" else _score_signals
    for done, patient in enumerate(plan.patients):
        tell(done, steps)
        with held_files():
            images = score_patient(patient, request, found)
        if images is not None and request.kind != "picture":
            found.viewers[patient.case] = patient_viewer(images, patients=len(plan.patients))
    tell(steps - 1, steps)
    _refuse_nothing_scored(found)
    study = _concluded(request, plan, found, batches, groups, (version, now))
    write_study(study)
    tell(steps, steps)
    return study


def _kinds(request: StudyRequest, batches: Batches) -> frozenset[str]:
    """Words that tell a kind of image: translated MRs are named after the model that made them."""
    if request.kind == "ct":
        return frozenset()
    return frozenset(word for model in batches.models.values() for word in words(model))


@dataclass
class _Found:
    """What was scored and refused, and sentences by patient: notes, and warnings among them."""

    results: list[Measured | MeasuredSignal] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    copies: Copies = field(default_factory=Copies)
    viewers: dict[str, Viewer] = field(default_factory=dict)

    def warn(self, case: str, sentences: Iterable[str]) -> None:
        """Keep warnings of a patient."""
        self.warnings[case] = (*self.warnings.get(case, ()), *sentences)

    def warn_undefined(self, result: Measured | MeasuredSignal, ref: Volume) -> None:
        """Keep why scores of a patient are not defined."""
        metrics = metrics_of(result.scores.protocol)
        said = why_undefined(result, metrics, ref.geometry.shape)
        self.warn(result.case, (f"{result.method}: {text}" for text in said))

    def all_notes(self, outside: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        """All sentences on each patient, with those on features outside the reference ranges."""
        return {
            case: told + self.warnings.get(case, ()) + outside.get(case, ())
            for case, told in self.notes.items()
        }


def _score_patient(patient: Patient, request: StudyRequest, found: _Found) -> PatientImages | None:
    """Score every synthetic CT of one patient; adds to what was found.

    Returns the images that were scored, None if there is none.
    """
    case, scts = patient.case, dict[str, Volume]()
    try:
        truth = load_truth(patient)
    except MedcycleganError as error:
        found.refused += [Refusal(case, method, str(error)) for method in patient.preds]
        return None
    with_target = request.target is not None
    anatomy = anatomy_of(patient, truth, request.water_paths, with_target=with_target)
    found.notes[case] = truth.notes + anatomy.notes
    found.warn(case, truth.warnings + anatomy.warnings)
    found.warn(case, found.copies.of(patient.ref, "reference CT", case))
    for method, path in patient.preds.items():
        try:
            refuse_copy(path, patient.ref)
            prediction = load_prediction(path, truth)
            result = measure(
                Pair(case, method), truth, prediction, protocol=request.protocol, anatomy=anatomy
            )
        except MedcycleganError as error:
            found.refused.append(Refusal(case, method, str(error)))
        else:
            scts[method] = prediction.sct
            found.results.append(result)
            found.warn(case, (f"{method}: {said}" for said in prediction.warnings))
            copies = found.copies.of(path, "synthetic CT", case)
            found.warn(case, (f"{method}: {said}" for said in copies))
            found.warn(case, (*_too_good(result), *_offset(result)))
            found.warn_undefined(result, truth.ct)
    return PatientImages(case, truth.ct, truth.mask, truth.mr, scts) if scts else None


def _score_signals(patient: Patient, request: StudyRequest, found: _Found) -> PatientImages | None:
    """As ``_score_patient``, of translated MRs or pictures."""
    case, kind, intensities = patient.case, request.kind, request.intensities
    images: dict[str, Volume] = {}
    assert kind is not None  # the request is resolved
    assert intensities is not None
    try:
        truth = load_true_signal(patient, kind)
    except MedcycleganError as error:
        found.refused += [Refusal(case, method, str(error)) for method in patient.preds]
        return None
    found.notes[case] = truth.notes
    found.warn(case, truth.warnings)
    found.warn(case, found.copies.of(patient.ref, "reference", case))
    for method, path in patient.preds.items():
        try:
            refuse_copy(path, patient.ref)
            made = load_made_signal(path, truth, kind)
            result = measure_signal(Pair(case, method), truth, made, intensities)
        except MedcycleganError as error:
            found.refused.append(Refusal(case, method, str(error)))
        else:
            images[method] = made.image
            found.results.append(result)
            copies = found.copies.of(path, "translated image", case)
            scale = scale_warning(made, truth, intensities)
            found.warn(case, (f"{method}: {said}" for said in (*made.warnings, *copies, *scale)))
            found.warn_undefined(result, truth.image)
    return PatientImages(case, truth.image, truth.mask, None, images) if images else None


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
        f"None of the images ({len(found.refused)}) could be scored. The first, {first.case} "
        f"of {first.method}: {first.reason.rstrip('.')}"
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
    scored = {result.case for result in results}
    outside = batches.out_of_distribution_of(plan.patients)
    for case, sentences in batches.warnings_of(plan.patients).items():
        found.warn(case, sentences)
    doses = _doses(request, scored, results)
    study = Study(
        request=request,
        version=made[0],
        made_at=made[1],
        patients=tuple(patient for patient in plan.patients if patient.case in scored),
        results=tuple(results),
        unmatched=plan.refusals,
        refused=tuple(found.refused),
        notes=found.all_notes(outside),
        warnings=plan.warnings
        + out_of_distribution_warning(outside, scored)
        + _warnings(results, request, groups)
        + _alike(results)
        + doses.warnings
        + _by_sentence({c: said for c, said in found.warnings.items() if c in scored}),
        groups=groups,
        doses=doses.results,
        viewers=found.viewers,
    )
    return replace(
        study,
        summaries=tuple(summarise(results, metrics=study.metrics, groups=groups)),
        comparisons=tuple(compare(results, metrics=study.metrics)),
    )


def _doses(
    request: StudyRequest, scored: set[str], results: Sequence[Measured | MeasuredSignal]
) -> Doses:
    if request.dose_from is None:
        return Doses()
    methods = tuple(dict.fromkeys(result.method for result in results))
    return doses_of(request.dose_from, cases=scored, methods=methods)


def _by_sentence(warned: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The warnings of patients, each once with all whom it is of."""
    cases: dict[str, list[str]] = {}
    for case, sentences in warned.items():
        for sentence in sentences:
            cases.setdefault(sentence, []).append(case)
    return tuple(f"{', '.join(of)}: {said.rstrip('.')}." for said, of in cases.items())


def _alike(results: Sequence[Measured | MeasuredSignal]) -> tuple[str, ...]:
    """Name methods whose scores are equal to the last digit: their images are one and the same."""
    by_method: dict[str, dict[str, str]] = {}
    for result in results:  # as text, in which a score that is not defined is equal to itself
        by_method.setdefault(result.method, {})[result.case] = repr(result.scores)
    found = []
    for (first, ours), (second, theirs) in itertools.combinations(by_method.items(), 2):
        both = ours.keys() & theirs.keys()
        if both and all(ours[case] == theirs[case] for case in both):
            found.append(
                f"{first} and {second} have the same scores to the last digit: the images of the "
                "two methods are the same."
            )
    return tuple(found)


def _least_shared(results: Sequence[Measured | MeasuredSignal]) -> int | None:
    """The fewest patients that any two methods have in common; None of a single method."""
    cases: dict[str, set[str]] = {}
    for result in results:
        cases.setdefault(result.method, set()).add(result.case)
    return min(
        (len(one & other) for one, other in itertools.combinations(cases.values(), 2)), default=None
    )


def _warnings(
    results: Sequence[Measured | MeasuredSignal], request: StudyRequest, groups: dict[str, str]
) -> tuple[str, ...]:
    found = []
    cases = list(dict.fromkeys(result.case for result in results))
    resampled = sum(result.resampled for result in results)
    if resampled:
        kind = "synthetic CT" if request.kind == "ct" else "translated image"
        found.append(
            f"{resampled} of {counted(len(results), kind)} {was_or_were(resampled)} on another "
            f"grid than the reference and {was_or_were(resampled)} resampled to it (linear "
            f"interpolation), which blurs {'it' if resampled == 1 else 'them'} a little."
        )
    shared = _least_shared(results)
    if shared is not None and 0 < shared < 6:
        found.append(
            f"Two methods have {counted(shared, 'patient')} in common: no Wilcoxon test of them "
            f"can fall below p = {2.0 / 2**shared:.3g}."
        )
    lacking = [case for case in cases if groups and not groups.get(case)]
    if lacking:
        found.append(
            f"No group is given for {counted(len(lacking), 'patient')}: {', '.join(lacking)}."
        )
    return tuple(found)
