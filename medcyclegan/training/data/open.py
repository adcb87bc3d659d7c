"""Open the data of a training: find, read, check, split, prepare."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from medcyclegan.errors import InputRefused, MedcycleganError, UsageError
from medcyclegan.training.data.collect import Collector, Progress, plan_jobs
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.dataset import FolderSlabs
from medcyclegan.training.data.find import find_inputs
from medcyclegan.training.data.folders import Folders
from medcyclegan.training.data.inputs import Found, wanted_of
from medcyclegan.training.data.load import OtherModality
from medcyclegan.training.data.match import Matched, match, refuse_no_pair
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
from medcyclegan.training.data.summary import summarise
from medcyclegan.training.data.types import TrainingData
from medcyclegan.training.data.validation import HeldBack


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
