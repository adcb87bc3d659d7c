"""How much of a 2-pixel grid an image holds: the energy at the Nyquist frequency of smooth areas.

A grid that a generator leaves has the same phase over many pixels, noise has not. So an image is
multiplied by +1 and -1 in turn, along rows, along columns, and as a chessboard, which brings the
grid to frequency 0, and is smoothed: what is left of noise is small, of a grid all.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

# Smoothing after the demodulation; of the image before its slope is taken; of the border between
# smooth and not, where a sharp one would let edges in. Pixels.
_WINDOW_PX, _SCALE_PX, _RAMP_PX = 4.0, 3.0, 3.0
# The share of an image, the flattest one, that counts as smooth, and the frame that does not.
_FLAT_SHARE, _FRAME_PX = 0.5, 16

Plane = NDArray[np.float64]


def grid_share(images: Tensor, given: Tensor) -> float:
    """The amplitude of the grid, RMS, in the smooth areas of ``given``, over the images' spread.

    ``images`` (N, D, H, W) were made of ``given`` (N, D', H, W), whose first slice tells where it
    is smooth. The greatest of the grids along rows, along columns and as a chessboard.
    """
    spread = float(images.double().std())
    energies = [
        _energies(plane.double().numpy(), _smooth(slab[0].double().numpy()))
        for image, slab in zip(images, given, strict=True)
        for plane in image
    ]
    return float(np.sqrt(np.mean(energies, axis=0).max())) / spread


def with_grid(images: Tensor, share: float) -> Tensor:
    """The images with a chessboard of 2 pixels, its amplitude a share of their spread."""
    rows, columns = (torch.arange(extent) for extent in images.shape[-2:])
    signs = 1.0 - 2.0 * ((rows[:, None] + columns) % 2)
    return images + share * images.std() * signs


def _smooth(plane: Plane) -> Plane:
    """Near 1 where an image (H, W) is smooth, else 0, with soft borders."""
    slope = ndimage.gaussian_gradient_magnitude(plane, _SCALE_PX)
    inner = np.zeros(plane.shape, dtype=bool)
    inner[_FRAME_PX:-_FRAME_PX, _FRAME_PX:-_FRAME_PX] = True
    flat = inner & (slope <= np.quantile(slope[inner], _FLAT_SHARE))
    return ndimage.gaussian_filter(flat.astype(np.float64), _RAMP_PX)


def _energies(plane: Plane, smooth: Plane) -> tuple[float, ...]:
    """Those of the three grids in the smooth areas of an image (H, W); edges count for little."""
    row, column = np.indices(plane.shape)
    fine = plane - ndimage.gaussian_filter(plane, _SCALE_PX)
    weight = ndimage.gaussian_filter(smooth, _WINDOW_PX)
    inside = smooth > _FLAT_SHARE
    energies = []
    for number in (row, column, row + column):
        turned = np.where(number % 2, -fine, fine) * smooth
        grid = ndimage.gaussian_filter(turned, _WINDOW_PX)[inside] / weight[inside]
        energies.append(float(np.square(grid).mean()))
    return tuple(energies)
