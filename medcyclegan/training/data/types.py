"""What ``open_data`` gives: slabs to train on, cases to validate with, and what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.training.sample import Sample

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
