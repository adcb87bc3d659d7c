"""Training data opened: found, read, checked, split, prepared, summed up."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import overload

from medcyclegan.errors import InputRefused, MedcycleganError, UsageError
from medcyclegan.training.data.case import Case, Facts
from medcyclegan.training.data.collect import (
    Cases,
    Collector,
    Matched,
    Progress,
    match,
    plan_jobs,
    refuse_no_pair,
)
from medcyclegan.training.data.config import DataConfig, Folders, Side
from medcyclegan.training.data.dataset import FolderSlabs
from medcyclegan.training.data.find import find_inputs
from medcyclegan.training.data.inputs import Found, shown, wanted_of
from medcyclegan.training.data.load import OtherModality
from medcyclegan.training.data.split import (
    Split,
    all_digests,
    joined_subjects,
    named_subjects,
    on_both_sides,
    refuse_same_files,
    split_by_folders,
    split_by_subject,
)
from medcyclegan.training.data.store import open_store
from medcyclegan.training.data.types import (
    DataSummary,
    Range,
    SideSummary,
    TrainingData,
    ValidationCase,
)

# A side of many alike files gives many alike warnings; each is told once with its count.
_MOST_WARNINGS = 20


def summarise(
    config: DataConfig,
    found: Sequence[Found],
    *,
    train: Cases,
    validation: Cases,
    warnings: Sequence[str],
    seconds: float,
) -> DataSummary:
    """Count and measure; ``found`` begins with A and B, ``warnings`` are those of finding."""
    everything = [
        facts
        for some in (train, validation)
        for case in (*some.a, *some.b, *some.pairs)
        for facts in case.meta.facts
    ]
    trained = {"a": (*train.a, *train.pairs), "b": (*train.b, *train.pairs)}
    held = {"a": (*validation.a, *validation.pairs), "b": (*validation.b, *validation.pairs)}
    mixed = (*_mixed("A", trained["a"]), *_mixed("B", trained["b"]))
    return DataSummary(
        _side("a", config, found[0], trained["a"], held["a"]),
        _side("b", config, found[1], trained["b"], held["b"]),
        training_pairs=len(train.pairs),
        validation_pairs=len(validation.pairs),
        warnings=(*warnings, *mixed, *_counted(everything)),
        seconds=seconds,
    )


def _side(
    side: Side, config: DataConfig, found: Found, trained: Sequence[Case], held: Sequence[Case]
) -> SideSummary:
    cases = (*trained, *held)
    facts = [some for case in cases for some in case.meta.facts_of(side)]
    return SideSummary(
        folder=found.place,
        unit=config.domain(side).unit,
        formats=dict(sorted(Counter(case.format for case in cases).items())),
        shape=tuple(_range([some.shape[axis] for some in facts]) for axis in range(3)),
        spacing_mm=tuple(_range([some.spacing_mm[axis] for some in facts]) for axis in range(3)),
        values=_range([value for some in facts for value in some.values]),
        training_inputs=len(trained),
        training_subjects=len({case.subject for case in trained}),
        validation_inputs=len(held),
        validation_subjects=len({case.subject for case in held}),
        layout=found.layout,
        channels=config.domain(side).channels,
        masks=sum(one.mask is not None for one in found.inputs),
    )


def _mixed(side: str, cases: Sequence[Case]) -> tuple[str, ...]:
    """A sentence if there are pictures among the volumes of a side, as screenshots may be."""
    planes = [case.name for case in cases if case.meta.plane]
    if not planes or len(planes) == len(cases):
        return ()
    return (
        f"Side {side} has pictures among its volumes: {len(planes)} ({shown(planes)}); their "
        "pixels count as 1 mm.",
    )


def _range(values: Sequence[float]) -> Range:
    return min(values), max(values)


def _counted(facts: Sequence[Facts]) -> list[str]:
    """The readers' warnings, each once, the most frequent first."""
    counts = Counter(said for some in facts for said in some.warnings).most_common()
    shown = [f"{said} ({count} inputs)" for said, count in counts[:_MOST_WARNINGS]]
    left = len(counts) - len(shown)
    return [*shown, f"Other warnings of readers: {left}."] if left > 0 else shown


class HeldBack(Sequence[ValidationCase]):
    """Pairs first, then the images of A and of B alone; each is unpacked when it is asked for."""

    def __init__(self, a: Sequence[Case], b: Sequence[Case], pairs: Sequence[Case]) -> None:
        self.cases = (*pairs, *a, *b)

    def __len__(self) -> int:
        return len(self.cases)

    @overload
    def __getitem__(self, index: int) -> ValidationCase: ...
    @overload
    def __getitem__(self, index: slice) -> list[ValidationCase]: ...
    def __getitem__(self, index: int | slice) -> ValidationCase | list[ValidationCase]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        case = self.cases[index]
        return ValidationCase(
            name=case.name,
            a=case.values("a"),
            b=case.values("b"),
            mask=case.body(),
            paired=case.meta.paired,
        )


def open_data(
    config: DataConfig,
    folders: Folders,
    *,
    seed: int,
    cache_folder: Path | None = None,
    progress: Progress | None = None,
) -> TrainingData:
    """Find, read and prepare every image of a training, once.

    Parameters
    ----------
    config:
        The two sides, their grid and how slabs are drawn.
    folders:
        Where the images lie, at any depth, in any mixture of formats and sizes, or the tables that
        list them.
    seed:
        Of the split, where no folders for validation are given, and of the slabs.
    cache_folder:
        Where ``cache: disk`` keeps prepared images for the next run.
    progress:
        Called with the number of inputs that are done and their total.

    Raises
    ------
    InputRefused
        If a side has no images to train on, if files cannot be used (all are named), if pairs are
        asked for and there are none, or if a subject or a file is in training and in validation.
    UsageError
        If the cache cannot be used, or one folder is given for two sides that look alike.
    """
    started = time.monotonic()
    store = open_store(config, cache_folder)
    found = _find_all(config, folders)
    count = sum(len(some.inputs) + len(some.refused) for some in found)
    refused: list[tuple[Side, MedcycleganError]] = [
        ("a", e) for some in found for e in some.refused
    ]
    try:
        parts, warnings = _matched(config, _split(config, found, seed=seed))
    except InputRefused:
        _refuse_unfit(refused, config, total=count)  # what cannot be read may be what lacks
        raise
    jobs = [plan_jobs(part) for part in parts]
    collector = Collector(config, store, total=sum(len(some) for some in jobs), progress=progress)
    train, validation = (collector.collect(some) for some in jobs)
    _refuse_unfit(refused + collector.refused, config, total=count)
    refuse_same_files(all_digests(train), all_digests(validation))
    said = [sentence for some in found for sentence in some.warnings]
    unique = dict.fromkeys((*said, *warnings, *on_both_sides(train)))
    summary = summarise(
        config,
        found,
        train=train,
        validation=validation,
        warnings=tuple(unique),
        seconds=time.monotonic() - started,
    )
    slabs = FolderSlabs(train.a, train.b, train.pairs, config=config, seed=seed)
    return TrainingData(slabs, HeldBack(validation.a, validation.b, validation.pairs), summary)


def _find_all(config: DataConfig, folders: Folders) -> list[Found]:
    """What there is of A and B, and of those for validation if there are such."""
    places = [folders.a, folders.b]
    if folders.validation_a is not None and folders.validation_b is not None:
        places += [folders.validation_a, folders.validation_b]
    sides: tuple[Side, Side] = ("a", "b")
    found = []
    for first, second in zip(places[::2], places[1::2], strict=True):
        is_shared = os.path.realpath(first) == os.path.realpath(second)
        if is_shared:
            _refuse_unnamed_sides(config, first)
        found += [
            find_inputs(place, wanted_of(config, side, shared=is_shared))
            for side, place in zip(sides, (first, second), strict=True)
        ]
    empty = [
        f"{some.place} and the folders below it hold no {config.domain(side).modality} images"
        f" for side {side.upper()}" + "".join(f"\n  {said}" for said in some.warnings)
        for side, some in zip(sides * 2, found, strict=False)
        if not some.inputs and not some.refused
    ]
    if empty:
        raise InputRefused(
            "\n".join(empty),
            rule="images are DICOM, NIfTI, MetaImage, NRRD, PNG, JPEG or TIFF",
            remedy="name the folder that holds the images of each side",
        )
    return found


def _refuse_unnamed_sides(config: DataConfig, place: Path) -> None:
    """Refuse one tree for two sides that names cannot tell apart."""
    a, b = config.a, config.b
    by_modality = a.modality != b.modality and {a.modality, b.modality} == {"MR", "CT"}
    if by_modality or (a.channels and b.channels) or place.suffix.lower() == ".csv":
        return
    raise UsageError(
        f"{place} is given for both sides, which are {a.modality} and {b.modality}",
        rule="in one folder the sides are told by the names of files, as mr.nii.gz and ct.nii.gz",
        remedy="say by which names, as data.a.channels=[cbct] data.b.channels=[ct], or give two "
        "folders or a table",
    )


def _split(config: DataConfig, found: list[Found], *, seed: int) -> Split:
    inputs = [named_subjects(some.inputs, config) for some in found]
    if config.pairs == "by-name":
        matched = match(inputs[0], inputs[1])
        refuse_no_pair(matched)
        inputs[:2] = joined_subjects(inputs[0], inputs[1], matched.pairs)
    has_parts = any(one.part == "validation" for some in inputs for one in some)
    if len(inputs) == 4:
        if has_parts:
            raise UsageError(
                "Folders for validation are given, and a table that says what validation is",
                rule="one of the two says it",
                remedy="leave out --validation-a and --validation-b, or the column split",
            )
        split = split_by_folders(*inputs, config=config)
    elif has_parts:
        trained = [[one for one in some if one.part != "validation"] for some in inputs]
        held = [[one for one in some if one.part == "validation"] for some in inputs]
        split = split_by_folders(*trained, *held, config=config)
    else:
        split = split_by_subject(inputs[0], inputs[1], config, seed=seed)
    if not split.train_a or not split.train_b:
        raise InputRefused(
            "A side has no image to train on: all are for validation",
            rule="each side has one at least",
            remedy="change the column split",
        )
    return split


def _matched(config: DataConfig, split: Split) -> tuple[tuple[Matched, Matched], tuple[str, ...]]:
    """The pairs of what is trained on and of what is held back, and what is to be said of them."""
    train = Matched((), split.train_a, split.train_b)
    held = Matched((), split.validation_a, split.validation_b)
    said = list(split.warnings)
    if config.pairs == "by-name":
        train = match(split.train_a, split.train_b)
        refuse_no_pair(train)
        said += train.said()
    if split.validation_paired:
        held = match(split.validation_a, split.validation_b)
        said += [f"For validation: {sentence}" for sentence in held.said()]
        if config.pairs == "by-name" and (held.a or held.b) and not held.pairs:
            said.append("For validation: not one pair by name.")
    return (train, held), tuple(said)


def _refuse_unfit(
    refused: Sequence[tuple[Side, MedcycleganError]], config: DataConfig, *, total: int
) -> None:
    """Raise one error that names all that cannot be used."""
    if not refused:
        return
    lines = "".join(f"\n  {' '.join(str(error).split())}" for _, error in refused)
    remedy = "Take these files out of the folders, or mend them"
    of_others = {side for side, error in refused if isinstance(error, OtherModality)}
    if of_others == {"a", "b"} and config.a.modality != config.b.modality:
        remedy = "A and B look swapped: give as --data-a what is now --data-b, and the reverse"
    raise InputRefused(f"{len(refused)} of {total} inputs cannot be used:{lines}\n{remedy}")
