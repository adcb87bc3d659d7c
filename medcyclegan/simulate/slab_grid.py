"""Grids of slabs, their samples, and smooth random fields on voxel grids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int, int], cells: tuple[int, int, int]
) -> Field:
    """Draw a field of zero mean and unit variance at its knots, linear between them.

    Parameters
    ----------
    rng:
        Source of randomness.
    shape:
        (D, H, W) of the field.
    cells:
        Number of knots along each axis, at least 2: the fewer, the smoother.

    Returns
    -------
    (D, H, W) float32.
    """
    field = rng.standard_normal(cells).astype(np.float32)
    depth, height, width = (_interpolation(n, knots) for n, knots in zip(shape, cells, strict=True))
    field = np.tensordot(depth, field, axes=(1, 0))
    field = np.matmul(height, field)
    return np.asarray(np.matmul(field, width.T), dtype=np.float32)


def cells_for(
    shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], scale_mm: float
) -> tuple[int, int, int]:
    """Return how many knots give a field that changes over about ``scale_mm``."""
    depth, height, width = (
        max(2, round(n * mm / scale_mm) + 1) for n, mm in zip(shape, spacing_mm, strict=True)
    )
    return depth, height, width


def _interpolation(n: int, knots: int) -> Field:
    """(n, knots) matrix that interpolates linearly from knots to n samples."""
    position = np.linspace(0.0, knots - 1.0, n) if n > 1 else np.array([(knots - 1) / 2.0])
    below = np.minimum(position.astype(int), knots - 2)
    share = position - below
    matrix = np.zeros((n, knots), dtype=np.float32)
    matrix[np.arange(n), below] = 1.0 - share
    matrix[np.arange(n), below + 1] = share
    return matrix


Rng = np.random.Generator

_SUB_SLICE_MM, _MOST_SUB_SLICES = 1.3, 4


@dataclass(frozen=True)
class SlabGrid:
    """What a slab looks like: ``depth`` slices of ``size_px`` squared pixels."""

    depth: int
    size_px: int
    pixel_mm: float
    slice_spacing_mm: float
    slice_thickness_mm: float
    normal_axis: int  # 0 sagittal, 1 coronal, 2 axial, as R, A, S count
    fewest_sub_slices: int = 1

    @property
    def sub_slices(self) -> int:
        """Sub-slices about 1.3 mm apart, at most 4."""
        wanted = np.ceil(self.slice_thickness_mm / _SUB_SLICE_MM)
        return int(np.clip(wanted, self.fewest_sub_slices, _MOST_SUB_SLICES))

    @property
    def sampled_shape(self) -> tuple[int, int, int]:
        """(D * S, H, W)."""
        return self.depth * self.sub_slices, self.size_px, self.size_px

    @property
    def sampled_spacing_mm(self) -> tuple[float, float, float]:
        """Mean spacing of the samples along (D * S, H, W)."""
        return self.slice_spacing_mm / self.sub_slices, self.pixel_mm, self.pixel_mm

    def average_sub_slices(self, samples: Field) -> Field:
        """(D * S, H, W) -> (D, H, W)."""
        split = samples.reshape(self.depth, self.sub_slices, self.size_px, self.size_px)
        return np.asarray(split.mean(axis=1), dtype=np.float32)

    def field(self, rng: Rng, scale_mm: float) -> Field:
        """Draw a smooth field (D * S, H, W) that changes over ``scale_mm``."""
        shape, spacing = self.sampled_shape, self.sampled_spacing_mm
        return smooth_field(rng, shape, cells_for(shape, spacing, scale_mm))


def draw_grid(rng: Rng, *, depth: int, size_px: int, pixel_mm: float) -> SlabGrid:
    """Draw slice axis, spacing and thickness: half of the slabs thin, half 1.8 to 6.5 mm apart.

    Thin slices have two sub-slices, which stand apart in the plane: what is finer than a pixel is
    averaged over it.
    """
    thin = rng.random() < 0.5
    spacing_mm = rng.uniform(0.8, 1.3) if thin else rng.uniform(1.8, 6.5)
    return SlabGrid(
        depth=depth,
        size_px=size_px,
        pixel_mm=pixel_mm,
        slice_spacing_mm=spacing_mm,
        slice_thickness_mm=spacing_mm * rng.uniform(0.7, 1.0),
        normal_axis=int(rng.choice(3, p=(0.2, 0.2, 0.6))),
        fewest_sub_slices=2,
    )
