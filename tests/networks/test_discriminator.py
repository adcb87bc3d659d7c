"""The PatchGAN: shape of its judgement, how far a patch reaches, spectral norm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.networks.discriminator import Discriminator, DiscriminatorConfig


def made(depth: int = 3, **changes: object) -> Discriminator:
    torch.manual_seed(0)
    config = DiscriminatorConfig.model_validate({"width": 4, **changes})
    return Discriminator(config, depth=depth)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("layers", "size", "patches"), [(3, 128, 14), (3, 32, 2), (1, 8, 2)])
def test_one_score_a_patch(layers: int, size: int, patches: int) -> None:
    assert made(layers=layers)(noise(2, 3, size, size)).shape == (2, 1, patches, patches)
    assert DiscriminatorConfig(layers=layers).least_px <= size


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_the_least_size_leaves_some_patches_to_judge(layers: int) -> None:
    network = made(layers=layers)
    least = DiscriminatorConfig(layers=layers).least_px
    assert network(noise(1, 3, least, least)).shape[-1] >= 2


def test_a_score_sees_70_pixels() -> None:
    network = made(norm="none")
    image = noise(1, 3, 128, 128).requires_grad_()
    network(image)[0, 0, 7, 7].backward()
    assert image.grad is not None
    rows = image.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_spectral_norm_is_on_every_convolution() -> None:
    for spectral in (True, False):
        network = made(spectral_norm=spectral, norm="none")
        for _ in range(50):  # each pass brings the estimate closer
            network(noise(1, 3, 32, 32))
        norms = [
            float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), ord=2))
            for layer in network.modules()
            if isinstance(layer, nn.Conv2d)
        ]
        assert len(norms) == 5
        assert (max(abs(norm - 1.0) for norm in norms) < 0.05) is spectral
