"""The classic CycleGAN generator: residual blocks between two strided and two resizing steps.

Zhu et al. 2017, arXiv 1703.10593, appendix 7.2, after Johnson et al. 2016; upsampling is by pixel
shuffle in place of transposed convolutions, which leave a checkerboard.
"""

from __future__ import annotations

from torch import Tensor, nn

from medcyclegan.networks.layers import (
    LEAK,
    ResidualBlock,
    ShuffleUp,
    in_float32,
    init_weights,
    make_norm,
    pad_to_multiple,
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
        return in_float32(self.head, features)[..., :height, :width]


def _norm_and_act(norm: str, channels: int) -> tuple[nn.Module, nn.Module]:
    return make_norm(norm, channels), nn.LeakyReLU(LEAK)
