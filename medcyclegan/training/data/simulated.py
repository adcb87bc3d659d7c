"""Simulated pairs of slabs: what is drawn, and the data set that draws it.

Heads that label maps were made into are sampled anew for every item, so no two items are alike.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.utils.data import Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.simulate.fields import Field as Values
from medcyclegan.simulate.labelmaps import HeadAnatomy
from medcyclegan.simulate.slab_anatomy import TissueSlab, draw_tissue
from medcyclegan.simulate.slab_grid import Rng, draw_grid
from medcyclegan.simulate.slab_sides import acquired_side, clean_side, draw_water
from medcyclegan.simulate.tissues import Tissue
from medcyclegan.task import Domain, Percentiles, Window
from medcyclegan.training.data.config import Sides
from medcyclegan.training.data.types import ValidationCase
from medcyclegan.training.sample import Sample

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
    water = None if "ct" in (config.source, config.target) else draw_water(slab, rng)
    if config.source == "t1_t2":
        water = draw_water(slab, rng)
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
                i, j, k = (float(step) for step in found["spacing_mm"])
                maps = np.ascontiguousarray(np.moveaxis(found["channels"], 0, -1))
        except (OSError, KeyError, ValueError) as error:
            raise InputRefused(
                f"{path} cannot be read ({error})",
                rule="prepared heads are kept by this version of medcyclegan",
                remedy="delete it, and prepare the label maps anew",
            ) from error
        heads.append(HeadAnatomy(maps, (i, j, k)))
    return heads


def keep_prepared(head: HeadAnatomy, path: Path) -> None:
    """Write a prepared head under a temporary name, then rename it.

    Channel by channel it takes half the room.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.npz")
    channels = np.ascontiguousarray(np.moveaxis(head.maps, -1, 0))
    np.savez_compressed(temporary, channels=channels, spacing_mm=np.asarray(head.spacing_mm))
    os.replace(temporary, path)


def prepared_path(folder: Path, number: int) -> Path:
    """Where a prepared head is kept."""
    return folder / f"head_{number:02d}.npz"
