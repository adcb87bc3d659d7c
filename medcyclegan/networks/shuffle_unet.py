"""The default generator: a residual U-Net behind a pixel-unshuffle stem.

The stem folds 2 x 2 pixels into channels, so that no convolution runs at full resolution and yet
no detail is thrown away; a sub-pixel convolution unfolds them at the end (Shi et al. 2016,
arXiv 1609.05158).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from medcyclegan.networks.layers import (
    LevelHead,
    ResidualBlock,
    ShuffleUp,
    in_float32,
    init_weights,
    pad_to_multiple,
)

# The last layer of a residual generator starts at this share of its usual size.
_FIRST_CORRECTION = 0.01


class ShuffleUNet(nn.Module):
    """Some slices in, some out, carried as channels.

    Parameters
    ----------
    slices:
        How many in, and how many out: those of a slab, of every image that is given or made.
    widths:
        Channels at 1/2, 1/4, 1/8, ... of the resolution.
    blocks:
        Residual blocks at each level on the way down, and at each on the way up.
    norm:
        ``channel`` (each pixel by itself) or ``instance`` (each image by itself).
    levels:
        Normalised values that the output is a weighted mean of; without them it is any value.
    residual:
        The output is the input and a correction, which is next to nothing at first.
    """

    def __init__(
        self,
        slices: tuple[int, int],
        *,
        widths: tuple[int, ...] = (32, 64, 128, 192),
        blocks: int = 1,
        norm: str = "channel",
        levels: tuple[float, ...] = (),
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.multiple = 2 ** len(widths)
        given, made = slices
        self.stem = nn.Conv2d(4 * given, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(_stage(width, blocks, norm) for width in widths)
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in itertools.pairwise(widths)
        )
        self.bottom = _stage(widths[-1], blocks + 1, norm)
        self.ups = nn.ModuleList(
            ShuffleUp(coarse, fine) for fine, coarse in itertools.pairwise(widths)
        )
        self.up_blocks = nn.ModuleList(_stage(width, blocks, norm) for width in widths[:-1])
        self.head: nn.Module = (
            LevelHead(widths[0], made, levels=levels)
            if levels
            else ShuffleUp(widths[0], made, kernel=3)
        )
        init_weights(self)
        self.residual = residual
        if residual:
            with torch.no_grad():
                for weight in self.head.parameters():
                    weight.mul_(_FIRST_CORRECTION)

    def forward(self, x: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, depth, H, W) float32, any H and W."""
        return self.values(self.features(x), x)

    def values(self, features: Tensor, x: Tensor) -> Tensor:
        """What ``forward`` gives for ``x``, from its ``features``."""
        height, width = x.shape[-2:]
        out = in_float32(self.head, features)[..., :height, :width]
        return x.float() + out if self.residual else out

    def features(self, x: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, widths[0], h, w), what the last layer sees at half resolution."""
        *skips, coarsest = self.encode(x)
        features: Tensor = self.bottom(coarsest)
        for level in reversed(range(len(self.ups))):
            features = self.up_blocks[level](self.ups[level](features) + skips[level])
        return features

    def encode(self, x: Tensor) -> list[Tensor]:
        """(N, depth, H, W) -> the features of each level on the way down, finest first."""
        folded = functional.pixel_unshuffle(pad_to_multiple(x, self.multiple), 2)
        features: Tensor = self.stem(folded)
        levels: list[Tensor] = []
        for level, stage in enumerate(self.down_blocks):
            levels.append(stage(features))
            if level < len(self.downs):
                features = self.downs[level](levels[-1])
        return levels


def _stage(channels: int, blocks: int, norm: str) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, norm=norm) for _ in range(blocks)))
