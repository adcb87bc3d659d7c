"""Smooth random fields on voxel grids."""

from __future__ import annotations

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
