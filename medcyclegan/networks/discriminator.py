"""The critic of a CycleGAN: does every patch of a slab look real?"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

# As published for pix2pix and CycleGAN.
_LEAK, _FIRST_WEIGHTS_SD = 0.2, 0.02


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
    """Convolutions of 4 x 4 with leaky ReLU, norms between them, one score a patch at the end."""

    def __init__(self, config: DiscriminatorConfig, *, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(depth, config.width, 4, stride=2, padding=1), _act()]
        channels = config.width
        for number in range(config.layers):
            stride = 1 if number == config.layers - 1 else 2
            normed = config.norm == "instance"
            conv = nn.Conv2d(channels, 2 * channels, 4, stride, padding=1, bias=not normed)
            channels *= 2
            layers += [conv, nn.InstanceNorm2d(channels), _act()] if normed else [conv, _act()]
        layers.append(nn.Conv2d(channels, 1, 4, padding=1))
        self.patches = nn.Sequential(*layers)
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.normal_(layer.weight, std=_FIRST_WEIGHTS_SD)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
                if config.spectral_norm:
                    spectral_norm(layer)

    def forward(self, slabs: Tensor) -> Tensor:
        """(N, depth, H, W) -> (N, 1, h, w), one score a patch; near 1 looks real."""
        scores: Tensor = self.patches(slabs)
        return scores


def _act() -> nn.Module:
    return nn.LeakyReLU(_LEAK)
