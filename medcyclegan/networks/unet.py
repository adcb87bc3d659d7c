"""A plain U-Net at full resolution (Ronneberger et al. 2015, arXiv 1505.04597), sizes kept."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from medcyclegan.networks.layers import (
    LEAK,
    ShuffleUp,
    in_float32,
    init_weights,
    make_norm,
    pad_to_multiple,
)


class UNetGenerator(nn.Module):
    """``depth`` slices in, ``depth`` slices out.

    Parameters
    ----------
    depth:
        Slices of a slab, carried as channels.
    widths:
        Channels at 1, 1/2, 1/4, ... of the resolution; at least two levels.
    blocks:
        Pairs of convolutions at each level.
    norm:
        ``channel`` or ``instance``.
    """

    def __init__(self, depth: int, *, widths: tuple[int, ...], blocks: int, norm: str) -> None:
        super().__init__()
        self.multiple = 2 ** (len(widths) - 1)
        entering = (depth, *widths[:-1])
        self.down_blocks = nn.ModuleList(
            _stage(into, width, blocks, norm) for into, width in zip(entering, widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        pairs = list(itertools.pairwise(widths))
        self.ups = nn.ModuleList(ShuffleUp(coarse, fine) for fine, coarse in pairs)
        self.up_blocks = nn.ModuleList(_stage(2 * fine, fine, blocks, norm) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], depth, 1)
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, depth, H, W) float32, any H and W."""
        height, width = x.shape[-2:]
        features = pad_to_multiple(x, self.multiple)
        skips: list[Tensor] = []
        for level, stage in enumerate(self.down_blocks):
            features = stage(features if level == 0 else self.pool(features))
            skips.append(features)
        for level in reversed(range(len(self.ups))):
            joined = torch.cat([self.ups[level](features), skips[level]], dim=1)
            features = self.up_blocks[level](joined)
        return in_float32(self.head, features)[..., :height, :width]


def _stage(channels_in: int, channels_out: int, blocks: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(2 * blocks):
        into = channels_in if number == 0 else channels_out
        layers += [nn.Conv2d(into, channels_out, 3, padding=1), make_norm(norm, channels_out)]
        layers.append(nn.LeakyReLU(LEAK))
    return nn.Sequential(*layers)
