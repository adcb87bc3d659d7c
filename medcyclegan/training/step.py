"""One step: losses and gradients first, then, if all is finite, everything that they change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from medcyclegan.training.config import Precision, TrainConfig
from medcyclegan.training.cyclegan import (
    Direction,
    Losses,
    discriminator_losses,
    generator_losses,
    make_fakes,
    target_of,
    weighted_sum,
)
from medcyclegan.training.guards import check_finite
from medcyclegan.training.parallel import Crew, agreed, average_gradients
from medcyclegan.training.sample import Sample
from medcyclegan.training.state import TrainState, weights_of
from medcyclegan.translator import has_bfloat16

ALONE = Crew()


def train_step(
    state: TrainState, parts: Sequence[Sample], config: TrainConfig, *, crew: Crew = ALONE
) -> dict[str, float]:
    """Do one step on the parts of a batch; returns the mean losses by name.

    Raises
    ------
    TrainingStopped
        If a gradient is not finite; the weights are then as they were.
    """
    device = weights_of(state.generator_optimiser)[0].device
    placed = [_placed(part, device) for part in parts]
    there = [(state.generator_optimiser, config.generator_rate)]
    if state.discriminator_optimiser is not None and config.losses_at(state.step).adversarial > 0:
        there.append((state.discriminator_optimiser, config.discriminator_rate))
    for optimiser, _ in there:
        optimiser.zero_grad()
    losses, fakes = _generator_gradients(state, placed, config, device)
    if len(there) > 1:
        losses |= _discriminator_gradients(state, placed, fakes, config)
    for optimiser, rate in there:
        weights = weights_of(optimiser)
        average_gradients(weights, crew)
        norm = nn.utils.clip_grad_norm_(weights, config.clip_norm)
        check_finite(norm, losses, step=state.step + 1)
        for group in optimiser.param_groups:
            group["lr"] = rate * config.rate_factor(state.step)
    for optimiser, _ in there:
        optimiser.step()
    for way, average in state.averages.items():
        average.update_parameters(state.networks.generators[way])
    state.step += 1
    return agreed(losses, crew)


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """The context that the networks run in."""
    if precision == "bfloat16" or (precision == "auto" and has_bfloat16(device)):
        return torch.autocast(device.type, torch.bfloat16)
    return nullcontext()


def _generator_gradients(
    state: TrainState, parts: Sequence[Sample], config: TrainConfig, device: torch.device
) -> tuple[Losses, list[dict[Direction, Tensor]]]:
    """Add up the generators' gradients; returns the mean losses, and the fakes of each part."""
    weights = weights_of(state.generator_optimiser)
    wanted = config.losses_at(state.step)
    all_losses, all_fakes = [], []
    for part in parts:
        with autocast(device, config.precision):
            fakes = make_fakes(state.networks, part)
            losses = generator_losses(state.networks, part, fakes, wanted)
        total = weighted_sum(losses, wanted)
        # for the generators' weights alone: the discriminators learn from the pool
        (total / len(parts)).backward(inputs=weights)
        all_losses.append({**losses, "generator": total})
        all_fakes.append({way: fake.detach() for way, fake in fakes.items()})
    return _mean(all_losses), all_fakes


def _discriminator_gradients(
    state: TrainState,
    parts: Sequence[Sample],
    fakes: Iterable[dict[Direction, Tensor]],
    config: TrainConfig,
) -> Losses:
    """Add up the discriminators' gradients on real slabs and the pools'; returns mean losses."""
    all_losses = []
    for part, made in zip(parts, fakes, strict=True):
        shown = {
            target_of(way): state.pools[target_of(way)].exchange(fake) for way, fake in made.items()
        }
        with autocast(part.a.device, config.precision):
            losses = discriminator_losses(state.networks, part, shown)
        (sum(losses.values(), start=part.a.new_zeros(())) / len(parts)).backward()
        all_losses.append(losses)
    return _mean(all_losses)


def _mean(losses: Sequence[Losses]) -> Losses:
    return {
        name: torch.stack([some[name].detach() for some in losses]).mean() for name in losses[0]
    }


def _placed(part: Sample, device: torch.device) -> Sample:
    """Bring a part to the device, as plain tensors: MONAI's, which carry notes, would spread."""
    a, b = (
        slabs.as_subclass(Tensor)
        .to(device, non_blocking=True)
        .contiguous(memory_format=torch.channels_last)
        for slabs in (part.a, part.b)
    )
    flags = (flag.to(device, non_blocking=True) for flag in (part.paired, part.matched))
    return Sample(a, b, *flags)
