"""Open the data of a training: find, read, check, split, prepare."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.training.data.collect import Collector, Progress, plan_jobs
from medcyclegan.training.data.config import DataConfig
from medcyclegan.training.data.dataset import FolderSlabs
from medcyclegan.training.data.find import Found, find_inputs
from medcyclegan.training.data.folders import Folders
from medcyclegan.training.data.split import (
    Split,
    named_subjects,
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
        Where the images lie, at any depth, in any mixture of formats and sizes.
    seed:
        Of the split, where no folders for validation are given, and of the slabs.
    cache_folder:
        Where ``cache: disk`` keeps prepared images for the next run.
    progress:
        Called with the number of inputs that are done and their total.

    Raises
    ------
    InputRefused
        If a side has no images to train on, if files cannot be used (all are named), or if a
        subject or a file is in training and in validation.
    UsageError
        If the cache cannot be used.
    """
    started = time.monotonic()
    store = open_store(config, cache_folder)
    found = _find_all(config, folders)
    split = _split(config, found, seed=seed)
    jobs = [
        plan_jobs(split.train_a, split.train_b, paired=config.pairs == "by-name"),
        plan_jobs(split.validation_a, split.validation_b, paired=split.validation_paired),
    ]
    collector = Collector(config, store, total=sum(len(some) for some in jobs), progress=progress)
    train, validation = (collector.collect(some) for some in jobs)
    refused = [error for some in found for error in some.refused] + collector.refused
    _refuse_unfit(refused, total=sum(len(some.inputs) + len(some.refused) for some in found))
    refuse_same_files(train.digests, validation.digests)
    summary = summarise(
        config,
        folders,
        train=train,
        validation=validation,
        warnings=tuple(said for some in found for said in some.warnings) + split.warnings,
        seconds=time.monotonic() - started,
    )
    slabs = FolderSlabs(train.a, train.b, train.pairs, config=config, seed=seed)
    return TrainingData(slabs, HeldBack(validation.a, validation.b, validation.pairs), summary)


def _find_all(config: DataConfig, folders: Folders) -> list[Found]:
    """What is in the folders of A and B, and in those for validation if there are such."""
    wanted = [(folders.a, config.a), (folders.b, config.b)]
    if folders.validation_a is not None and folders.validation_b is not None:
        wanted += [(folders.validation_a, config.a), (folders.validation_b, config.b)]
    found = [find_inputs(folder, domain.modality) for folder, domain in wanted]
    for (folder, domain), some in zip(wanted, found, strict=True):
        if not some.inputs and not some.refused:
            raise InputRefused(
                f"{folder} and the folders below it hold no {domain.modality} images"
                + "".join(f"\n  {said}" for said in some.warnings),
                rule="images are DICOM, NIfTI, MetaImage, NRRD, PNG, JPEG or TIFF",
                remedy="name the folder that holds the images of this side",
            )
    return found


def _split(config: DataConfig, found: list[Found], *, seed: int) -> Split:
    inputs = [named_subjects(some.inputs, config) for some in found]
    if len(inputs) == 2:
        return split_by_subject(inputs[0], inputs[1], config, seed=seed)
    return split_by_folders(*inputs, config=config)


def _refuse_unfit(refused: Sequence[MedcycleganError], *, total: int) -> None:
    """Raise one error that names all that cannot be used."""
    if not refused:
        return
    lines = "".join(f"\n  {' '.join(str(error).split())}" for error in refused)
    raise InputRefused(
        f"{len(refused)} of {total} inputs cannot be used:{lines}",
        remedy="\nTake these files out of the folders, or mend them",
    )
