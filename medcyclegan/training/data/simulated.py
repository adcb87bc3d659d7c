"""Simulated training data: pairs of slabs and low-dose patches from label maps.

Simulated pairs of slabs: what is drawn, and the data set that draws it.
Heads that label maps were made into are sampled anew for every item, so no two items are alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.core.task import Domain, Percentiles, Window
from medcyclegan.errors import InputRefused
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.targets import make_parents
from medcyclegan.simulate.datasets import label_maps_in, read_head
from medcyclegan.simulate.label_heads.anatomy import TissueSlab, draw_tissue
from medcyclegan.simulate.label_heads.label_maps import PREPARATION, HeadAnatomy
from medcyclegan.simulate.label_heads.slabs import acquired_side, clean_side, draw_water
from medcyclegan.simulate.low_dose_ct import Slices, make_dose_slices
from medcyclegan.simulate.slab_grid import Field as Values
from medcyclegan.simulate.slab_grid import Rng, draw_grid
from medcyclegan.simulate.tissues import Tissue
from medcyclegan.training.data.config import LabelMaps, Sides
from medcyclegan.training.data.types import Sample, SimulatedSource, TrainingData, ValidationCase

# Held-back slabs are drawn with this beside the seed, so that none is an item of the training.
_HELD_BACK = 7_654_321

# An item: its number, or its number and the edge of its patch.
Key = int | tuple[int, int]


class SimulatedData(Sides):
    """What is simulated of label maps: the image that is given, and the one that is learned.

    ``source`` "random" is an MR of any contrast, "t1_t2" both of them, as the two channels of A, to
    "ct". "low_dose_ct" goes to "ct" alone, by ``slices``
    that are projected and reconstructed once, before the training. ``contrasts`` is how many
    acquisitions are drawn of each anatomy; every one is an item of a batch by itself.
    ``held_back`` slabs of heads that are not trained on are drawn once, for validation.
    """

    kind: Literal["simulated"] = "simulated"
    source: Literal["random", "t1", "t2", "t1_t2", "ct", "low_dose_ct"] = "random"
    target: Literal["ct", "t1", "t2"] = "ct"
    slices: Annotated[int, Field(ge=1)] = 400
    contrasts: Annotated[int, Field(ge=1, le=16)] = 2
    held_back: Annotated[int, Field(ge=0, le=1000)] = 16

    @model_validator(mode="after")
    def _can_be_learned(self) -> Self:
        if self.source == self.target or (self.source == "low_dose_ct" and self.target != "ct"):
            raise ValueError(f"there are no pairs from {self.source} to {self.target}")
        modalities = tuple("CT" if s.endswith("ct") else "MR" for s in (self.source, self.target))
        if (self.a.modality, self.b.modality) != modalities:
            raise ValueError(
                f"{self.source} to {self.target} is {' to '.join(modalities)}, but a and b are "
                f"{self.a.modality} to {self.b.modality}"
            )
        both = self.source == "t1_t2"
        if (self.a.channel_count, self.b.channel_count) != (2 if both else 1, 1):
            raise ValueError("t1_t2 needs two a.channels, as [t1, t2], and only that has several")
        if both and self.target != "ct":
            raise ValueError(f"there are no pairs from t1_t2 to {self.target}")
        if modalities[0] == "CT" and isinstance(self.a.scaling, Percentiles):
            raise ValueError("a CT source needs a window in HU")
        if (self.spacing_mm is None) != (self.source == "low_dose_ct"):
            raise ValueError("spacing_mm is null for low_dose_ct, and only there")
        return self


class SimulatedSlabs(Dataset[Sample]):
    """Item n depends on the seed and n alone, so a resumed run sees what it would have seen.

    An item is one slab of tissue, acquired ``contrasts`` times: source and target, each (contrasts,
    depth, P, P) in [-1, 1], the target ever the same. A pair (n, P) asks for another size of patch.
    """

    def __init__(self, heads: Sequence[HeadAnatomy], config: SimulatedData, *, seed: int) -> None:
        self.heads = heads
        self.config = config
        self.seed = seed

    def __getitem__(self, key: Key) -> Sample:
        number, size_px = key if isinstance(key, tuple) else (key, self.config.size_px)
        rng = np.random.default_rng((self.seed, number))
        count = self.config.contrasts
        a, b, _ = draw_slab(self.heads, self.config, rng, size_px=size_px, contrasts=count)
        paired = torch.ones(count, dtype=torch.bool)
        return Sample(a, b.expand(count, -1, -1, -1), paired, torch.zeros_like(paired))


def draw_slab(
    heads: Sequence[HeadAnatomy], config: SimulatedData, rng: Rng, *, size_px: int, contrasts: int
) -> tuple[Tensor, Tensor, TissueSlab]:
    """Draw a slab of tissue; sources (contrasts, [C,] depth, P, P), target (1, depth, P, P)."""
    head = heads[int(rng.integers(len(heads)))]
    pixel_mm = config.spacing_mm
    assert pixel_mm is not None  # the settings have seen to it
    grid = draw_grid(rng, depth=config.depth, size_px=size_px, pixel_mm=pixel_mm)
    slab = draw_tissue(head, grid, rng)
    weighted = config.source in ("t1", "t2", "t1_t2")
    watery = weighted or "ct" not in (config.source, config.target)
    water = draw_water(slab, rng) if watery else None
    sources = [_acquired(config.source, slab, water, rng) for _ in range(contrasts)]
    target = clean_side(config.target, slab, water, rng)
    return scale_side(np.stack(sources), config.a), scale_side(target[None], config.b), slab


def _acquired(kind: str, slab: TissueSlab, water: Values | None, rng: Rng) -> Values:
    """(depth, P, P), or (2, depth, P, P) of T1 with T2."""
    if kind != "t1_t2":
        return acquired_side(kind, slab, water, rng)
    return np.stack([acquired_side(name, slab, water, rng) for name in ("t1", "t2")])


def held_back_cases(
    heads: Sequence[HeadAnatomy], config: SimulatedData, *, seed: int, size_px: int
) -> list[ValidationCase]:
    """Draw slabs of heads that are not trained on, always the same ones; none without heads."""
    cases = []
    for number in range(config.held_back if heads else 0):
        rng = np.random.default_rng((seed, _HELD_BACK, number))
        a, b, slab = draw_slab(heads, config, rng, size_px=size_px, contrasts=1)
        grid = slab.grid
        body = grid.average_sub_slices((slab.tissue != Tissue.AIR).astype(np.float32)) > 0.5
        cases.append(
            ValidationCase(f"held-back {number}", a[0], b[0], torch.from_numpy(body), paired=True)
        )
    return cases


def scale_side(values: Values, domain: Domain) -> Tensor:
    """Clip and stretch to [-1, 1], as a scan is prepared; same shape.

    Where percentiles do that for scans, ``values`` are shares of the display range already.
    """
    if isinstance(domain.scaling, Window):
        lower, upper = domain.scaling.lower, domain.scaling.upper
        values = (values - lower) / (upper - lower)
    return torch.from_numpy(np.clip(values, 0.0, 1.0).astype(np.float32) * 2.0 - 1.0)


def load_prepared(folder: Path, numbers: Sequence[int]) -> list[HeadAnatomy]:
    """Open heads that were prepared before, by number from 1; see ``prepared_path``.

    Raises
    ------
    InputRefused
        If one is missing, or was kept by another version.
    """
    heads = []
    for number in numbers:
        path = prepared_path(folder, number)
        try:
            with np.load(path) as found:
                preparation = int(found["preparation"]) if "preparation" in found else 1
                i, j, k = (float(step) for step in found["spacing_mm"])
                maps = np.ascontiguousarray(np.moveaxis(found["channels"], 0, -1))
        except (OSError, KeyError, ValueError) as error:
            raise InputRefused(
                f"{path} cannot be read ({error})",
                rule="prepared heads are kept by this version of medcyclegan",
                remedy="delete it, and prepare the label maps anew",
            ) from error
        if preparation != PREPARATION:
            raise InputRefused(
                f"{path} was prepared in another way ({preparation}, now {PREPARATION})",
                rule="training and scores take heads as this version of medcyclegan prepares them",
                remedy="delete it, and prepare the label maps anew",
            )
        heads.append(HeadAnatomy(maps, (i, j, k)))
    return heads


def keep_prepared(head: HeadAnatomy, path: Path) -> None:
    """Write a prepared head; channel by channel it takes half the room.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    channels = np.ascontiguousarray(np.moveaxis(head.maps, -1, 0))
    make_parents(path)
    with atomic_file(path, overwrite=True) as part:
        np.savez_compressed(
            part,
            channels=channels,
            spacing_mm=np.asarray(head.spacing_mm),
            preparation=np.asarray(PREPARATION),
        )


def prepared_path(folder: Path, number: int) -> Path:
    """Where a prepared head is kept."""
    return folder / f"head_{number:02d}.npz"


_log = logging.getLogger(__name__)


class DosePatches(Dataset[Sample]):
    """Item n depends on the seed and n alone: stacks of patches, noisy and noise-free.

    Both are (contrasts, depth, P, P) in [-1, 1], each stack from a place of its own; the slices of
    a stack are of one head, in any order, as their noise is independent.
    """

    def __init__(self, slices: tuple[Slices, Slices], config: SimulatedData, *, seed: int) -> None:
        self.low, self.limit = slices
        self.config = config
        self.seed = seed

    def __getitem__(self, key: Key) -> Sample:
        number, size = key if isinstance(key, tuple) else (key, self.config.size_px)
        config, count = self.config, self.config.contrasts
        rng = np.random.default_rng((self.seed, number))
        edges = (config.depth, size, size)
        sides = np.empty((2, count, *edges), np.float32)
        for stack in range(count):
            room = zip(self.low.shape, edges, strict=True)
            starts = [int(rng.integers(n - edge + 1)) for n, edge in room]
            cut = tuple(slice(n, n + edge) for n, edge in zip(starts, edges, strict=True))
            turns, step = int(rng.integers(4)), int(rng.choice((-1, 1)))
            for side, images in enumerate((self.low, self.limit)):
                sides[side, stack] = np.rot90(images[cut], turns, axes=(1, 2))[:, ::step]
        paired = torch.ones(count, dtype=torch.bool)
        a, b = scale_side(sides[0], config.a), scale_side(sides[1], config.b)
        return Sample(a, b, paired, torch.zeros_like(paired))


def dose_slices(
    heads: Sequence[HeadAnatomy], config: SimulatedData, path: Path | None, *, seed: int
) -> tuple[Slices, Slices]:
    """Return the slices kept at ``path`` (.npz), or make them and keep them there if it is given.

    Raises
    ------
    InputRefused
        If those at ``path`` are not as many as the settings ask for.
    CannotWrite
        If the system refuses.
    """
    count = config.slices
    if path is not None and path.exists():
        with np.load(path) as kept:
            low, limit = kept["low"], kept["limit"]
        if len(low) != count:
            raise InputRefused(
                f"{path} holds {len(low)} slices",
                rule=f"the settings ask for {count}",
                remedy="delete it, or set data.slices to what it holds",
            )
        return low, limit
    _log.info("projecting %d slices", count)
    low, limit = make_dose_slices(heads, seed=seed, count=count)
    if path is None:
        return low, limit
    make_parents(path)
    with atomic_file(path, overwrite=True) as part:
        np.savez_compressed(part, low=low, limit=limit)
    return low, limit


Progress = Callable[[int, int], None]

# Heads after those that are trained on which validate, if there are such.
MOST_HELD_BACK = 2


def open_simulated(
    config: SimulatedData,
    labels: LabelMaps,
    *,
    seed: int,
    kept_in: Path | None = None,
    progress: Progress | None = None,
) -> TrainingData:
    """Prepare the heads, and draw what validates; slices at a low dose are kept.

    Raises
    ------
    InputRefused
        If there are too few label maps, or one is no label map of a head.
    """
    paths = label_maps_in(labels.folder)
    if len(paths) < labels.heads:
        raise InputRefused(
            f"{labels.folder} holds {len(paths)} label maps (.nii.gz, .nii)",
            rule=f"{labels.heads} are to be trained on (--heads)",
            remedy="name another folder, or fewer heads",
        )
    wanted = paths[: labels.heads + MOST_HELD_BACK]
    heads = []
    for number, path in enumerate(wanted, start=1):
        heads.append(_head(path, number, labels.prepared))
        if progress is not None:
            progress(number, len(wanted))
    trained, others = heads[: labels.heads], heads[labels.heads :]
    source = SimulatedSource(labels.folder, len(trained), len(others))
    if config.source == "low_dose_ct":
        kept = None if kept_in is None else kept_in / "slices.npz"
        slices = dose_slices(trained, config, kept, seed=seed)
        return TrainingData(DosePatches(slices, config, seed=seed), (), source)
    cases = held_back_cases(others, config, seed=seed, size_px=config.size_px)
    return TrainingData(SimulatedSlabs(trained, config, seed=seed), cases, source)


def _head(path: Path, number: int, prepared: Path | None) -> HeadAnatomy:
    if prepared is not None and prepared_path(prepared, number).exists():
        return load_prepared(prepared, [number])[0]
    head = read_head(path)
    if prepared is not None:
        keep_prepared(head, prepared_path(prepared, number))
    return head
