"""Generators by name. Only tensors here: no paths, no headers, no units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from medcyclegan.networks.concat_unet import ConcatUNet
from medcyclegan.networks.resnet import ResNetGenerator
from medcyclegan.networks.shuffle_unet import ShuffleUNet
from medcyclegan.networks.unet import UNetGenerator

Width = Annotated[int, Field(ge=4, le=1024)]


class GeneratorConfig(BaseModel):
    """Which generator, and how large.

    ``widths`` are the channels at each level of a U-Net, finest first; for ``resnet`` only the
    first counts (the channels at full resolution). ``blocks`` is per level, or in all for
    ``resnet``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["shuffle_unet", "resnet", "unet", "concat_unet"] = "shuffle_unet"
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=7)] = (32, 64, 128, 192)
    blocks: Annotated[int, Field(ge=1, le=32)] = 1
    norm: Literal["channel", "instance"] = "channel"


def make_generator(config: GeneratorConfig, *, depth: int) -> nn.Module:
    """Build a generator (N, depth, H, W) -> (N, depth, H, W) with fresh weights."""
    widths, blocks, norm = config.widths, config.blocks, config.norm
    if config.kind == "resnet":
        return ResNetGenerator(depth, width=widths[0], blocks=blocks, norm=norm)
    if config.kind == "unet":
        return UNetGenerator(depth, widths=widths, blocks=blocks, norm=norm)
    if config.kind == "concat_unet":
        return ConcatUNet(depth, widths=widths, blocks=blocks, norm=norm)
    return ShuffleUNet(depth, widths=widths, blocks=blocks, norm=norm)


def least_weights(config: GeneratorConfig) -> int:
    """Return a lower bound of the number of weights, known without building the generator.

    Every block has at least one 3 x 3 convolution from its width to the same width.
    """
    widths = config.widths[:1] if config.kind == "resnet" else config.widths
    return config.blocks * sum(9 * width * width for width in widths)
