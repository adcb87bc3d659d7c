"""The critic of a CycleGAN: does every patch of a slab look real?"""

from __future__ import annotations

from typing import Annotated, Literal

from monai.networks.nets import PatchDiscriminator
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class DiscriminatorConfig(BaseModel):
    """A PatchGAN discriminator (Isola et al. 2017, arXiv 1611.07004).

    ``width`` is the number of filters of the first layer, doubled by each of the ``layers`` that
    follow; all but the last of them halve the resolution. Three layers judge patches of 70 pixels.
    ``spectral_norm`` bounds the slope of every layer (Miyato et al. 2018, arXiv 1802.05957).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    width: Annotated[int, Field(ge=4, le=512)] = 64
    layers: Annotated[int, Field(ge=1, le=5)] = 3
    norm: Literal["instance", "none"] = "instance"
    spectral_norm: bool = False

    @property
    def least_px(self) -> int:
        """The smallest edge of a slab that leaves at least 2 x 2 patches to judge."""
        return int(4 * 2**self.layers)


class Discriminator(nn.Module):
    """MONAI's ``PatchDiscriminator``, its last output alone."""

    def __init__(self, config: DiscriminatorConfig, *, depth: int) -> None:
        super().__init__()
        self.patches = PatchDiscriminator(
            spatial_dims=2,
            channels=config.width,
            in_channels=depth,
            num_layers_d=config.layers,
            norm="INSTANCE" if config.norm == "instance" else None,
            bias=config.norm == "none",
        )
        if config.spectral_norm:
            for layer in list(self.patches.modules()):
                if isinstance(layer, nn.Conv2d):
                    spectral_norm(layer)

    def forward(self, slabs: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, 1, h, w), one score a patch; near 1 looks real."""
        scores: Tensor = self.patches(slabs)[-1]
        return scores
