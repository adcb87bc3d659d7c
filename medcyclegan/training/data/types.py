"""Types of training data: samples, slabs to train on, cases to validate with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate


class Sample(NamedTuple):
    """One item of training data, or a batch of them.

    ``a`` and ``b`` are slabs (depth, P, P) in [-1, 1] of the two sides, (C, depth, P, P) of one
    with several channels, with a batch axis in front once collated. ``paired`` is bool, () or (N,):
    whether both show the same anatomy, aligned, so that they may be compared voxel by voxel.
    ``matched``, bool, () or (N,): whether they show the same place in two bodies, brought to one
    size, so that they are alike in the mean.

    An item may hold several slabs of one anatomy, as a simulation draws it in several contrasts:
    then it has the batch axis already, ``paired`` too.
    """

    a: Tensor
    b: Tensor
    paired: Tensor
    matched: Tensor = torch.tensor(False)


def collate(items: Sequence[Sample]) -> Sample:
    """Make a batch of items, (N, depth, P, P); those of several slabs are joined end to end."""
    if items[0].paired.ndim == 0:
        batch: Sample = default_collate(list(items))
        return batch
    return Sample(*(torch.cat(tensors) for tensors in zip(*items, strict=True)))


def first_slab(item: Sample) -> Sample:
    """The item, or the first slab of one that holds several; all without a batch axis."""
    return item if item.paired.ndim == 0 else Sample(*(part[0] for part in item))


Range = tuple[float, float]


@dataclass(frozen=True, eq=False)
class ValidationCase:
    """One held-back image of a side, or a pair of both; tensors (D, H, W) on the model grid.

    ``a`` and ``b`` are float32 in [-1, 1]; at least one is there; a side of several channels is
    (C, D, H, W). ``mask`` is bool, the body of ``a`` (of ``b`` where there is no ``a``), as given
    or as found. ``paired``: both show the same anatomy, aligned.
    """

    name: str
    a: Tensor | None
    b: Tensor | None
    mask: Tensor | None
    paired: bool


@dataclass(frozen=True)
class SideSummary:
    """What was found for one side, training and validation together.

    ``formats`` counts inputs by format. ``shape`` (voxels) and ``spacing_mm`` hold the least and
    the greatest of all inputs along i, j and k, ``values`` those in ``unit``. ``layout`` is how the
    folder is laid out, ``channels`` as ``Domain`` has them, ``masks`` how many body masks were
    found with the images.
    """

    folder: Path
    unit: str
    formats: dict[str, int]
    shape: tuple[Range, ...]
    spacing_mm: tuple[Range, ...]
    values: Range
    training_inputs: int
    training_subjects: int
    validation_inputs: int
    validation_subjects: int
    layout: str = "folders"
    channels: tuple[str, ...] = ()
    masks: int = 0


@dataclass(frozen=True)
class DataSummary:
    """Both sides, the number of pairs, and warnings: sentences for the user, without patient data.

    ``seconds`` is what opening took.
    """

    a: SideSummary
    b: SideSummary
    training_pairs: int
    validation_pairs: int
    warnings: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class SimulatedSource:
    """What simulated data are drawn from: label maps, some of them held back to validate with."""

    labels: Path
    heads: int
    held_back_heads: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class TrainingData:
    """``train`` is map-style and endless: item n depends on the seed and n alone.

    So a resumed run starts at the index it has come to, and a sharded one takes every n-th index;
    no sampler has a state to keep.
    """

    train: Dataset[Sample]
    validation: Sequence[ValidationCase]
    summary: DataSummary | SimulatedSource
