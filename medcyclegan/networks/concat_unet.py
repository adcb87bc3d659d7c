"""A U-Net of residual blocks that join by concatenation, for one MR contrast into another."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcyclegan.networks.layers import (
    LEAK,
    ShuffleUp,
    in_float32,
    init_weights,
    make_norm,
    pad_to_multiple,
)


class ConcatBlock(nn.Module):
    """act(fuse([x, norm(conv(act(norm(conv(x)))))])): the input beside the second convolution.

    Both convolutions are 3 x 3; ``fuse``, 1 x 1, brings the joined channels to ``channels_out``.
    """

    def __init__(self, channels_in: int, channels_out: int, *, norm: str) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels_out, 3, padding=1)
        self.first_norm = make_norm(norm, channels_out)
        self.second = nn.Conv2d(channels_out, channels_out, 3, padding=1)
        self.second_norm = make_norm(norm, channels_out)
        self.fuse = nn.Conv2d(channels_in + channels_out, channels_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H, W)."""
        hidden = functional.leaky_relu(self.first_norm(self.first(x)), LEAK)
        hidden = self.second_norm(self.second(hidden))
        return functional.leaky_relu(self.fuse(torch.cat([x, hidden], dim=1)), LEAK)


class ConcatUNet(nn.Module):
    """``depth`` slices in, ``depth`` slices out, in (-1, 1) by a tanh.

    Parameters
    ----------
    depth:
        Slices of a slab, carried as channels.
    widths:
        Channels at 1, 1/2, 1/4, ... of the resolution.
    blocks:
        Residual blocks at each level on the way down, and at each on the way up.
    norm:
        ``channel`` or ``instance``.
    """

    def __init__(self, depth: int, *, widths: tuple[int, ...], blocks: int, norm: str) -> None:
        super().__init__()
        self.multiple = 2 ** (len(widths) - 1)
        self.stem = nn.Conv2d(depth, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(_stage(width, width, blocks, norm) for width in widths)
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 4, stride=2, padding=1) for fine, coarse in pairs
        )
        self.ups = nn.ModuleList(ShuffleUp(coarse, fine) for fine, coarse in pairs)
        self.up_blocks = nn.ModuleList(_stage(2 * fine, fine, blocks, norm) for fine, _ in pairs)
        self.head = nn.Conv2d(widths[0], depth, 3, padding=1)
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, depth, H, W) float32, any H and W."""
        height, width = x.shape[-2:]
        features = self.stem(pad_to_multiple(x, self.multiple))
        skips: list[Tensor] = []
        for level, stage in enumerate(self.down_blocks):
            features = stage(features if level == 0 else self.downs[level - 1](features))
            skips.append(features)
        for level in reversed(range(len(self.ups))):
            joined = torch.cat([self.ups[level](features), skips[level]], dim=1)
            features = self.up_blocks[level](joined)
        return in_float32(self.head, features).tanh()[..., :height, :width]


def _stage(channels_in: int, channels_out: int, blocks: int, norm: str) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConcatBlock(channels_in if number == 0 else channels_out, channels_out, norm=norm)
            for number in range(blocks)
        )
    )
