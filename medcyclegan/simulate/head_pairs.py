"""Pairs of images of one phantom head: MR with CT, and T1 with T2, on one grid.

A subject is a number: anatomy, pose, tissue values and noise all follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.simulate.acquisition import (
    SEQUENCES,
    TissueTable,
    ct_image,
    ct_table,
    mr_image,
    mr_table,
)
from medcyclegan.simulate.acquisition import Sequence as MrSequence
from medcyclegan.simulate.label_heads.slabs import draw_sequence
from medcyclegan.simulate.phantom.anatomy import draw_anatomy
from medcyclegan.simulate.phantom.head import default_geometry, label_points
from medcyclegan.simulate.phantom.shapes import Sampled, sample_grid

Rng = np.random.Generator
CONTRASTS = (*SEQUENCES, "random")

# Rows of pixels run to the left and to the back, slices to the head, as in axial DICOM: a slice
# is then seen as radiology shows it.
_LPS = np.diag([-1.0, -1.0, 1.0])
# How far heads lie off the middle and turned, standard deviations of clinical positioning.
_SHIFT_MM = 4.0
_TURN_DEG = 4.0


@dataclass(frozen=True)
class Pair:
    """Two images of one subject on one grid."""

    a: Volume
    b: Volume


@dataclass(frozen=True)
class HeadGrid:
    """The grid that heads are seen on: ``size`` voxels of ``spacing_mm`` along L, P, S.

    ``height_mm`` is where its middle lies above the middle of the head.
    """

    spacing_mm: tuple[float, float, float]
    size: tuple[int, int, int]
    height_mm: float = 0.0

    def posed(self, rng: Rng) -> Geometry:
        """Return the grid around a head that lies a little off the middle and turned."""
        shift_mm = np.clip(rng.standard_normal(3), -2.0, 2.0) * _SHIFT_MM
        turns_deg = np.clip(rng.standard_normal(3), -2.0, 2.0) * _TURN_DEG
        affine = np.eye(4)
        affine[:3, :3] = rotation(turns_deg) @ _LPS * np.asarray(self.spacing_mm)
        centre_mm = shift_mm + np.array([0.0, 0.0, self.height_mm])
        affine[:3, 3] = centre_mm - affine[:3, :3] @ ((np.asarray(self.size) - 1) / 2.0)
        return Geometry(self.size, affine)


def refuse_unknown(what: str, value: str, known: Sequence[str]) -> None:
    """Raise UsageError if ``value`` is not among those known."""
    if value not in known:
        raise UsageError(f"{what} {value!r}", rule=f"it must be one of {', '.join(known)}")


def whole_head_size(spacing_mm: tuple[float, float, float]) -> tuple[int, int, int]:
    """Return how many voxels along L, P, S hold the largest head."""
    whole = default_geometry()
    lengths = np.asarray(whole.shape) * np.asarray(whole.spacing_mm)
    i, j, k = (max(1, round(mm / step)) for mm, step in zip(lengths, spacing_mm, strict=True))
    return i, j, k


def rotation(turns_deg: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 3), turns about the R, A and S axis, one after the other."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(turns_deg)):
        first, second = [a for a in range(3) if a != axis]
        step = np.eye(3)
        step[first, first] = step[second, second] = np.cos(angle)
        step[first, second], step[second, first] = -np.sin(angle), np.sin(angle)
        turn = step @ turn
    return turn


def streams(seed: int, subject: int, count: int) -> list[Rng]:
    """Return generators of random numbers that depend on the seed and the subject alone."""
    root = np.random.SeedSequence((seed, subject))
    return [np.random.default_rng(child) for child in root.spawn(count)]


def sample_head(geometry: Geometry, tables: Sequence[TissueTable], rng: Rng) -> Sampled:
    """Draw a subject's anatomy and average tables over its voxels: value, texture, value, ..."""
    anatomy = draw_anatomy(rng)
    rows = [row for table in tables for row in (table.value, table.texture)]
    return sample_grid(partial(label_points, anatomy=anatomy), geometry, tables=np.stack(rows))


@dataclass(frozen=True)
class MrCtHeads:
    """MR of a contrast, drawn anew for each subject if ``random``, and CT in HU."""

    grid: HeadGrid
    contrast: str = "random"

    def __post_init__(self) -> None:
        refuse_unknown("Contrast", self.contrast, CONTRASTS)

    def pair(self, seed: int, subject: int) -> Pair:
        """Return MR (a.u.) and CT (HU) of a subject."""
        anatomy_rng, pose_rng, mr_rng, ct_rng = streams(seed, subject, 4)
        geometry = self.grid.posed(pose_rng)
        sequence = draw_sequence(mr_rng) if self.contrast == "random" else SEQUENCES[self.contrast]
        tables = (mr_table(sequence, mr_rng), ct_table(ct_rng))
        means = sample_head(geometry, tables, anatomy_rng).means
        noise_hu = ct_rng.uniform(8.0, 15.0)
        ct = ct_image(means[2], means[3], geometry=geometry, noise_hu=noise_hu, rng=ct_rng)
        mr = acquired_mr(means[0], means[1], geometry, mr_rng)
        return Pair(mr, Volume(ct, geometry, "HU"))


@dataclass(frozen=True)
class T1T2Heads:
    """T1- and T2-weighted MR of the same tissue, each with its own shading and noise."""

    grid: HeadGrid

    def pair(self, seed: int, subject: int) -> Pair:
        """Return T1 and T2 (a.u.) of a subject."""
        anatomy_rng, pose_rng, t1_rng, t2_rng = streams(seed, subject, 4)
        geometry = self.grid.posed(pose_rng)
        tables = [_same_tissue(SEQUENCES[name], seed, subject) for name in ("t1", "t2")]
        means = sample_head(geometry, tables, anatomy_rng).means
        return Pair(
            acquired_mr(means[0], means[1], geometry, t1_rng),
            acquired_mr(means[2], means[3], geometry, t2_rng),
        )


def _same_tissue(sequence: MrSequence, seed: int, subject: int) -> TissueTable:
    """A subject's signal: relaxation times are drawn alike for every sequence."""
    return mr_table(sequence, streams(seed, subject, 5)[4])


def acquired_mr(
    mean: NDArray[np.float32], texture: NDArray[np.float32], geometry: Geometry, rng: Rng
) -> Volume:
    """Add a coil's shading and noise of a usual strength to the mean signal (i, j, k)."""
    noise_sd, bias = rng.uniform(8.0, 20.0), rng.uniform(0.1, 0.45)
    voxels = mr_image(mean, texture, geometry=geometry, noise_sd=noise_sd, bias=bias, rng=rng)
    # whole numbers, as scanners store them: they compress to half
    return Volume(np.rint(voxels), geometry, "a.u.")
