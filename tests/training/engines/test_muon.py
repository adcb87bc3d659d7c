"""Muon for kernels: they change in place, a resumed run goes on exactly, and it learns."""

from __future__ import annotations

import copy
import statistics

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.networks.generators import ShuffleUNet
from medcyclegan.training.engines.muon import ConvMuon, newton_schulz, orthogonalised

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


def spread(change: Tensor) -> float:
    """The largest singular value by the smallest, of a kernel as a matrix."""
    values = torch.linalg.svdvals(change.permute(0, 2, 3, 1).flatten(1))
    return float(values.max() / values.min())


def test_steps_of_kernels_are_nearly_orthogonal_and_their_gradients_are_not() -> None:
    generator = network()
    inner = [layer.weight for stage in (*generator.down_blocks, *generator.up_blocks)
             for block in stage for layer in (block.first, block.second)]  # fmt: skip
    before = [weight.detach().clone() for weight in inner]
    step(generator, optimiser_of(generator), 0)
    decay = 1.0 - 0.01 * RATE
    steps = [spread(a.detach() - decay * b) for a, b in zip(inner, before, strict=True)]
    gradients = [spread(weight.grad) for weight in inner if weight.grad is not None]
    assert statistics.median(steps) < 3.0
    assert statistics.median(gradients) > 6.0


def test_kernels_that_are_not_channels_last_are_refused() -> None:
    torch.manual_seed(0)
    generator = make_generator(GeneratorConfig(widths=(4, 6)), depth=1)
    assert isinstance(generator, ShuffleUNet)
    with pytest.raises(ValueError, match="channels-last"):
        optimiser_of(generator)


def test_a_step_is_that_of_torch_and_together_as_one_by_one() -> None:
    rng = torch.Generator().manual_seed(1)
    shapes = [(6, 54), (6, 54), (24, 6), (6, 54)]
    matrices = [torch.randn(shape, generator=rng) for shape in shapes]
    one_by_one = orthogonalised(matrices)
    parameters = [nn.Parameter(matrix.clone()) for matrix in matrices]
    theirs = torch.optim.Muon(parameters, lr=1.0, weight_decay=0.0, momentum=0.0, nesterov=False)
    for parameter, matrix in zip(parameters, matrices, strict=True):
        parameter.grad = matrix
    theirs.step()
    for matrix, parameter, way in zip(matrices, parameters, one_by_one, strict=True):
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        torch.testing.assert_close(
            matrix - parameter.detach(), scale * way.float(), rtol=0, atol=1e-6
        )
    alike = torch.stack([matrices[n].bfloat16() for n in (0, 1, 3)])
    together = newton_schulz(alike)
    for n, way in zip((0, 1, 3), together, strict=True):
        torch.testing.assert_close(way, one_by_one[n], rtol=0, atol=0.02)  # rounding of bfloat16


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
    losses = [step(generator, optimiser, number) for number in range(150)]
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
