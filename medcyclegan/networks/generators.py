"""Generators: plain U-Net, U-Net by concatenation, ResNet and the pixel-unshuffle U-Net.

The classic CycleGAN generator: residual blocks between two strided and two resizing steps.
Zhu et al. 2017, arXiv 1703.10593, appendix 7.2, after Johnson et al. 2016; upsampling is by pixel
shuffle in place of transposed convolutions, which leave a checkerboard.

The default generator: a residual U-Net behind a pixel-unshuffle stem.
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
    LEAK,
    LevelHead,
    ResidualBlock,
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
        self.notch: nn.Module = nn.Identity()  # the factory puts a ``GridNotch`` in its place
        self.multiple = 2 ** (len(widths) - 1)
        entering = (depth, *widths[:-1])
        self.down_blocks = nn.ModuleList(
            _plain_stage(into, width, blocks, norm)
            for into, width in zip(entering, widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)
        pairs = list(itertools.pairwise(widths))
        self.ups = nn.ModuleList(ShuffleUp(coarse, fine) for fine, coarse in pairs)
        self.up_blocks = nn.ModuleList(
            _plain_stage(2 * fine, fine, blocks, norm) for fine, _ in pairs
        )
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
        return self.notch(in_float32(self.head, features))[..., :height, :width]  # type: ignore[no-any-return]


def _plain_stage(channels_in: int, channels_out: int, blocks: int, norm: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for number in range(2 * blocks):
        into = channels_in if number == 0 else channels_out
        layers += [nn.Conv2d(into, channels_out, 3, padding=1), make_norm(norm, channels_out)]
        layers.append(nn.LeakyReLU(LEAK))
    return nn.Sequential(*layers)


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
        self.notch: nn.Module = nn.Identity()  # the factory puts a ``GridNotch`` in its place
        self.multiple = 2 ** (len(widths) - 1)
        self.stem = nn.Conv2d(depth, widths[0], 3, padding=1)
        self.down_blocks = nn.ModuleList(
            _concat_stage(width, width, blocks, norm) for width in widths
        )
        pairs = list(itertools.pairwise(widths))
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 4, stride=2, padding=1) for fine, coarse in pairs
        )
        self.ups = nn.ModuleList(ShuffleUp(coarse, fine) for fine, coarse in pairs)
        self.up_blocks = nn.ModuleList(
            _concat_stage(2 * fine, fine, blocks, norm) for fine, _ in pairs
        )
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
        return self.notch(in_float32(self.head, features)).tanh()[..., :height, :width]  # type: ignore[no-any-return]


def _concat_stage(channels_in: int, channels_out: int, blocks: int, norm: str) -> nn.Sequential:
    return nn.Sequential(
        *(
            ConcatBlock(channels_in if number == 0 else channels_out, channels_out, norm=norm)
            for number in range(blocks)
        )
    )


class ResNetGenerator(nn.Module):
    """``depth`` slices in, ``depth`` slices out.

    Parameters
    ----------
    depth:
        Slices of a slab, carried as channels.
    width:
        Channels at full resolution; twice and four times as many below.
    blocks:
        Residual blocks at a quarter of the resolution (9 in the paper at 256 x 256).
    norm:
        ``channel`` or ``instance``.
    """

    multiple = 4

    def __init__(self, depth: int, *, width: int = 64, blocks: int = 9, norm: str) -> None:
        super().__init__()
        self.notch: nn.Module = nn.Identity()  # the factory puts a ``GridNotch`` in its place
        self.layers = nn.Sequential(
            nn.Conv2d(depth, width, 7, padding=3),
            *_norm_and_act(norm, width),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            *_norm_and_act(norm, 2 * width),
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1),
            *_norm_and_act(norm, 4 * width),
            *(ResidualBlock(4 * width, norm=norm) for _ in range(blocks)),
            ShuffleUp(4 * width, 2 * width, kernel=3),
            *_norm_and_act(norm, 2 * width),
            ShuffleUp(2 * width, width, kernel=3),
            *_norm_and_act(norm, width),
        )
        self.head = nn.Conv2d(width, depth, 7, padding=3)
        init_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, depth, H, W) float32, any H and W."""
        height, width = x.shape[-2:]
        features = self.layers(pad_to_multiple(x, self.multiple))
        return self.notch(in_float32(self.head, features))[..., :height, :width]  # type: ignore[no-any-return]


def _norm_and_act(norm: str, channels: int) -> tuple[nn.Module, nn.Module]:
    return make_norm(norm, channels), nn.LeakyReLU(LEAK)


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
        self.down_blocks = nn.ModuleList(_shuffle_stage(width, blocks, norm) for width in widths)
        self.downs = nn.ModuleList(
            nn.Conv2d(fine, coarse, 2, stride=2) for fine, coarse in itertools.pairwise(widths)
        )
        self.bottom = _shuffle_stage(widths[-1], blocks + 1, norm)
        self.ups = nn.ModuleList(
            ShuffleUp(coarse, fine) for fine, coarse in itertools.pairwise(widths)
        )
        self.up_blocks = nn.ModuleList(_shuffle_stage(width, blocks, norm) for width in widths[:-1])
        self.head: nn.Module = (
            LevelHead(widths[0], made, levels=levels)
            if levels
            else ShuffleUp(widths[0], made, kernel=3)
        )
        init_weights(self)
        self.notch: nn.Module = nn.Identity()  # the factory puts a ``GridNotch`` in its place
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
        out: Tensor = self.notch(in_float32(self.head, features))[..., :height, :width]
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


def _shuffle_stage(channels: int, blocks: int, norm: str) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(channels, norm=norm) for _ in range(blocks)))
