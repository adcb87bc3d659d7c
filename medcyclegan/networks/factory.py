"""Generators by name. Only tensors here: no paths, no headers, no units."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from medcyclegan.networks.generators import ConcatUNet, ResNetGenerator, ShuffleUNet, UNetGenerator
from medcyclegan.networks.layers import GridNotch

Width = Annotated[int, Field(ge=4, le=1024)]
Level = Annotated[float, Field(ge=-1, le=1)]


class GeneratorConfig(BaseModel):
    """Which generator, and how large.

    ``widths`` are the channels at each level of a U-Net, finest first; for ``resnet`` only the
    first counts (the channels at full resolution). ``blocks`` is per level, or in all for
    ``resnet``. ``levels``, for ``shuffle_unet`` alone, are normalised values in [-1, 1], ascending,
    that the output is a weighted mean of. ``residual``, for it alone too, gives the input and a
    correction. ``notch`` takes a grid of 2 pixels out of the output, for generators without levels.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["shuffle_unet", "resnet", "unet", "concat_unet"] = "shuffle_unet"
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=7)] = (32, 64, 128, 192)
    blocks: Annotated[int, Field(ge=1, le=32)] = 1
    norm: Literal["channel", "instance"] = "channel"
    levels: Annotated[tuple[Level, ...], Field(max_length=32)] = ()
    residual: bool = False
    notch: bool = False

    @model_validator(mode="after")
    def _outputs_fit(self) -> Self:
        if (self.levels or self.residual) and self.kind != "shuffle_unet":
            raise ValueError(f"levels and residual need shuffle_unet, not {self.kind}")
        if self.levels and self.residual:
            raise ValueError("levels are values, residual gives corrections: take one of them")
        if self.levels and self.notch:
            raise ValueError("notch leaves the range that levels keep: take one of them")
        if len(self.levels) == 1 or list(self.levels) != sorted(set(self.levels)):
            raise ValueError("levels must be two or more, ascending")
        return self


def make_generator(
    config: GeneratorConfig, *, depth: int, channels: tuple[int, int] = (1, 1)
) -> nn.Module:
    """Build a generator with fresh weights.

    It takes (N, channels[0] * depth, H, W) and gives (N, channels[1] * depth, H, W); the slices of
    one channel lie together.

    Raises
    ------
    ValueError
        If it cannot have so many channels.
    """
    if channels != (1, 1) and config.kind != "shuffle_unet":
        raise ValueError(f"several channels need generator.kind shuffle_unet, not {config.kind}")
    if config.residual and channels[0] != channels[1]:
        raise ValueError("generator.residual needs as many channels of A as of B")
    made = _make(config, depth, channels)
    if config.notch:
        made.notch = GridNotch()
    return made


def _make(config: GeneratorConfig, depth: int, channels: tuple[int, int]) -> nn.Module:
    widths, blocks, norm = config.widths, config.blocks, config.norm
    if config.kind == "resnet":
        return ResNetGenerator(depth, width=widths[0], blocks=blocks, norm=norm)
    if config.kind == "unet":
        return UNetGenerator(depth, widths=widths, blocks=blocks, norm=norm)
    if config.kind == "concat_unet":
        return ConcatUNet(depth, widths=widths, blocks=blocks, norm=norm)
    levels, residual = config.levels, config.residual
    return ShuffleUNet(
        (channels[0] * depth, channels[1] * depth),
        widths=widths,
        blocks=blocks,
        norm=norm,
        levels=levels,
        residual=residual,
    )


def least_weights(config: GeneratorConfig) -> int:
    """Return a lower bound of the number of weights, known without building the generator.

    Every block has at least one 3 x 3 convolution from its width to the same width.
    """
    widths = config.widths[:1] if config.kind == "resnet" else config.widths
    return config.blocks * sum(9 * width * width for width in widths)
