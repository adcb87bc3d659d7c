"""A structure loss by MIND, the modality independent neighbourhood descriptor.

Heinrich et al. 2012 (Medical Image Analysis 16, 1423-1435) describe every pixel x by how alike its
patch is to the patches around it:

    MIND(x, r) = exp(-D(x, x + r) / V(x)) / n,   r in R

D is the squared difference of two patches, weighted by a Gaussian; V, a local variance, is the mean
of D over the four nearest neighbours; n makes the greatest entry 1. It depends on where tissues
change and not on how bright they are. Yang et al. 2018 (arXiv 1809.04536) take the mean absolute
difference of the descriptors of input and output as a loss that keeps the anatomy in a CycleGAN.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Offsets (rows, columns) of R: a ring of 5 x 5 pixels, every second one. Yang et al. compare with
# all of 9 x 9, which costs ten times as much.
SEARCH = ((-2, -2), (-2, 0), (-2, 2), (0, -2), (0, 2), (2, -2), (2, 0), (2, 2))
NEAREST = ((-1, 0), (1, 0), (0, -1), (0, 1))

PATCH_SIGMA_PX = 1.0
PATCH_RADIUS_PX = 2

# A local variance that is noise: (0.01 of half the value range)^2. In flat air all is alike.
VARIANCE_FLOOR = 1e-4


def structure_loss(one: Tensor, other: Tensor) -> Tensor:
    """Mean absolute difference of the descriptors of two slabs (N, depth, H, W), a scalar.

    Slices are described one by one, in the plane.
    """
    return (mind(one) - mind(other)).abs().mean()


def mind(slabs: Tensor) -> Tensor:
    """Describe slabs: (N, depth, H, W) -> (N * depth, 8, H, W) in (0, 1]."""
    planes = slabs.float().flatten(0, 1)[:, None]
    with torch.autocast(slabs.device.type, enabled=False):
        variance = _distances(planes, NEAREST).mean(dim=1, keepdim=True) + VARIANCE_FLOOR
        exponent = -_distances(planes, SEARCH) / variance
    return (exponent - exponent.amax(dim=1, keepdim=True)).exp()


def _distances(planes: Tensor, offsets: tuple[tuple[int, int], ...]) -> Tensor:
    """D(x, x + r): (M, 1, H, W) -> (M, len(offsets), H, W); beyond the border the edge goes on."""
    height, width = planes.shape[-2:]
    reach = max(abs(step) for offset in offsets for step in offset)
    wide = functional.pad(planes, (reach,) * 4, mode="replicate")
    shifted = [
        wide[..., reach + row : reach + row + height, reach + column : reach + column + width]
        for row, column in offsets
    ]
    return _patch_sum((planes - torch.cat(shifted, dim=1)).square())


def _patch_sum(squares: Tensor) -> Tensor:
    """Weight the surroundings of every pixel by a Gaussian of sum 1; (M, C, H, W) -> the same."""
    at = torch.arange(-PATCH_RADIUS_PX, PATCH_RADIUS_PX + 1, device=squares.device)
    line = (-at.square() / (2.0 * PATCH_SIGMA_PX**2)).exp()
    line = line / line.sum()
    channels = squares.shape[1]
    wide = functional.pad(squares, (PATCH_RADIUS_PX,) * 4, mode="replicate")
    rows = functional.conv2d(
        wide, line.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels
    )
    columns = line.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return functional.conv2d(rows, columns, groups=channels)
