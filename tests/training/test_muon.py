"""Muon for kernels: they change in place, a resumed run goes on exactly, and it learns."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.networks.shuffle_unet import ShuffleUNet
from medcyclegan.training.muon import ConvMuon

RATE = 1e-2


def network(seed: int = 0) -> ShuffleUNet:
    torch.manual_seed(seed)
    made = make_generator(GeneratorConfig(widths=(4, 6)), depth=1)
    assert isinstance(made, ShuffleUNet)
    return made.to(memory_format=torch.channels_last)


def optimiser_of(generator: ShuffleUNet) -> ConvMuon:
    return ConvMuon(generator, rate=RATE, ends=(generator.stem, generator.head))


def step(generator: ShuffleUNet, optimiser: ConvMuon, number: int, *, rate: float = RATE) -> float:
    x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(number))
    loss = (generator(x) + 0.5 * x).square().mean()
    generator.zero_grad()
    loss.backward()
    optimiser.step(rate)
    return float(loss.detach())


def weights(generator: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in generator.named_parameters()}


def test_every_weight_changes_in_place_and_none_without_a_rate() -> None:
    generator = network()
    optimiser = optimiser_of(generator)
    places = {name: value.data_ptr() for name, value in generator.named_parameters()}
    before = weights(generator)
    step(generator, optimiser, 0, rate=0.0)
    step(generator, optimiser, 1, rate=0.0)
    assert all(torch.equal(value, before[name]) for name, value in weights(generator).items())
    step(generator, optimiser, 1)
    after = weights(generator)
    assert [name for name in after if torch.equal(after[name], before[name])] == []
    assert places == {name: value.data_ptr() for name, value in generator.named_parameters()}


def test_a_step_of_a_kernel_is_orthogonal() -> None:
    """Muon's steps have singular values of about one size; those of AdamW do not."""
    generator = network()
    before = generator.bottom[0].first.weight.detach().clone()
    stem = generator.stem.weight.detach().clone()
    step(generator, optimiser_of(generator), 0)

    def spread(change: Tensor) -> float:
        values = torch.linalg.svdvals(change.permute(0, 2, 3, 1).flatten(1))
        return float(values.max() / values.min())

    inner = generator.bottom[0].first.weight.detach() - before * (1.0 - RATE * 0.01)
    assert spread(inner) < 2.5
    assert spread(generator.stem.weight.detach() - stem) > 3.0  # an end: AdamW's


def test_kernels_that_are_not_channels_last_are_refused() -> None:
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig(widths=(4, 6)), depth=1)
    assert isinstance(generator, ShuffleUNet)
    with pytest.raises(ValueError, match="channels-last"):
        optimiser_of(generator)


def test_a_resumed_run_goes_on_exactly() -> None:
    generator = network()
    optimiser = optimiser_of(generator)
    for number in range(3):
        step(generator, optimiser, number)
    state, copied = copy.deepcopy(optimiser.state_dict()), weights(generator)
    for number in range(3, 6):
        step(generator, optimiser, number)

    def go_on(held: dict[str, object] | None) -> ShuffleUNet:
        resumed = network(seed=1)
        resumed.load_state_dict(copied)
        taken_up = optimiser_of(resumed)
        if held is not None:
            taken_up.load_state_dict(held)
        for number in range(3, 6):
            step(resumed, taken_up, number)
        return resumed

    wanted = weights(generator)
    same = weights(go_on(state))
    assert all(torch.equal(same[name], value) for name, value in wanted.items())
    forgetful = weights(go_on(None))  # the control
    assert sum(not torch.equal(forgetful[name], value) for name, value in wanted.items()) > 10


def test_it_learns() -> None:
    generator = network()
    optimiser = optimiser_of(generator)
    losses = [step(generator, optimiser, number) for number in range(60)]
    assert sum(losses[-10:]) < 0.3 * sum(losses[:10])
