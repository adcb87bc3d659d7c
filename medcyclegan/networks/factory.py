"""Generators by name. Only tensors here: no paths, no headers, no units."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from medcyclegan.networks.shuffle_unet import ShuffleUNet


class GeneratorConfig(BaseModel):
    """Which generator, and how large.

    ``widths`` are the channels at each level of a U-Net, finest first; for ``resnet`` only the
    first counts (the channels at full resolution). ``blocks`` is per level, or in all for
    ``resnet``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["shuffle_unet", "resnet", "unet"] = "shuffle_unet"
    widths: tuple[Annotated[int, Field(ge=4, le=1024)], ...] = (32, 64, 128, 192)
    blocks: Annotated[int, Field(ge=1, le=32)] = 1
    norm: Literal["channel", "instance"] = "channel"


def make_generator(config: GeneratorConfig, *, depth: int) -> nn.Module:
    """Build a generator (N, depth, H, W) -> (N, depth, H, W) with fresh weights."""
    return ShuffleUNet(depth, widths=config.widths, blocks=config.blocks, norm=config.norm)
