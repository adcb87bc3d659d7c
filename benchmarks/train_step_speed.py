"""Time one training step of the default configuration against the reference recipe.

    python benchmarks/train_step_speed.py --threads 1 --repeats 3

The reference is CycleGAN as published (Zhu et al. 2017, arXiv 1703.10593): two generators of nine
residual blocks and 64 filters, two PatchGAN discriminators of 64 filters, float32, batch 1, one
image of 256 x 256. Both are given the same losses with the same weights, those of the default
configuration, in one process. The two take turns, so that another load on the machine meets both;
the median is reported.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.types import Sample
from medcyclegan.training.engines.base import Direction, Moment, Side
from medcyclegan.training.engines.cyclegan import (
    CycleGANSettings,
    discriminator_losses,
    generator_losses,
)
from medcyclegan.training.engines.image_pool import FakePool
from medcyclegan.training.engines.registry import make_engine
from medcyclegan.training.losses import LossWeights, weighted_sum
from medcyclegan.training.parallel import Crew
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config

REFERENCE_PX, FILTERS, BLOCKS = 256, 64, 9


def act(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """x + norm(conv(act(norm(conv(x))))), with reflected borders."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), *act(channels),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def reference_generator() -> nn.Module:
    """Zhu et al. 2017, appendix 7.2, nine blocks; (N, 1, H, W) -> the same."""
    f = FILTERS
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(1, f, 7), *act(f),
        nn.Conv2d(f, 2 * f, 3, stride=2, padding=1), *act(2 * f),
        nn.Conv2d(2 * f, 4 * f, 3, stride=2, padding=1), *act(4 * f),
        *(Residual(4 * f) for _ in range(BLOCKS)),
        nn.ConvTranspose2d(4 * f, 2 * f, 3, stride=2, padding=1, output_padding=1), *act(2 * f),
        nn.ConvTranspose2d(2 * f, f, 3, stride=2, padding=1, output_padding=1), *act(f),
        nn.ReflectionPad2d(3), nn.Conv2d(f, 1, 7), nn.Tanh(),
    )  # fmt: skip


def reference_discriminator() -> nn.Module:
    """PatchGAN of 70 pixels; (N, 1, H, W) -> scores of patches."""
    f, leak = FILTERS, nn.LeakyReLU(0.2)
    layers: list[nn.Module] = [nn.Conv2d(1, f, 4, stride=2, padding=1), leak]
    for into, out, stride in ((f, 2 * f, 2), (2 * f, 4 * f, 2), (4 * f, 8 * f, 1)):
        layers += [nn.Conv2d(into, out, 4, stride, padding=1), nn.InstanceNorm2d(out), leak]
    return nn.Sequential(*layers, nn.Conv2d(8 * f, 1, 4, padding=1))


def reference_step(weights: LossWeights, device: torch.device) -> Callable[[], None]:
    """Return a function that does one step of the reference recipe."""
    generators: dict[Direction, nn.Module] = {
        "a-to-b": reference_generator().to(device),
        "b-to-a": reference_generator().to(device),
    }
    judges: dict[Side, nn.Module] = {
        "a": reference_discriminator().to(device),
        "b": reference_discriminator().to(device),
    }
    own = [w for g in generators.values() for w in g.parameters()]
    others = [w for d in judges.values() for w in d.parameters()]
    optimisers = [torch.optim.Adam(some, lr=2e-4, betas=(0.5, 0.999)) for some in (own, others)]
    pools = {"a": FakePool(size=50, seed=0), "b": FakePool(size=50, seed=1)}
    batch = random_batch(depth=1, size_px=REFERENCE_PX, items=1, device=device)

    def step() -> None:
        for optimiser in optimisers:
            optimiser.zero_grad()
        fakes = {"a-to-b": generators["a-to-b"](batch.a), "b-to-a": generators["b-to-a"](batch.b)}
        losses = generator_losses(generators, judges, batch, fakes, weights)
        weighted_sum(losses, weights).backward(inputs=own)
        shown = {
            "b": pools["b"].exchange(fakes["a-to-b"]),
            "a": pools["a"].exchange(fakes["b-to-a"]),
        }
        for loss in discriminator_losses(judges, batch, shown).values():
            loss.backward()
        for optimiser in optimisers:
            optimiser.step()

    return step


def our_step(config: TrainConfig, device: torch.device, *, slabs: int) -> Callable[[], None]:
    """Return a function that does one step of a configuration, past any warm-up."""
    engine = make_engine(config.engine, config.setup(device, Crew()))
    batch = random_batch(
        depth=config.data.depth, size_px=config.data.size_px, items=slabs, device=device
    )
    last = Moment(step=0, share=0.99, rate_factor=1.0)
    return lambda: void(engine.step([batch], last, Crew()))


def slabs_a_step(config: TrainConfig) -> int:
    """How many slabs go through the network in a step."""
    return config.batch_size * getattr(config.data, "contrasts", 1)


def void(_: object) -> None:
    """Drop a result."""


def random_batch(*, depth: int, size_px: int, items: int, device: torch.device) -> Sample:
    """Noise in [-1, 1], said to be pairs."""
    shape = (items, depth, size_px, size_px)
    a, b = (torch.rand(shape, device=device) * 2.0 - 1.0 for _ in range(2))
    flags = torch.ones(items, dtype=torch.bool)
    return Sample(a, b, flags, torch.zeros_like(flags))


def seconds_of(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Time one step to its end: seconds on the clock, seconds of all cores together.

    With one thread on a busy machine the second is what the step would take alone.
    """
    started = time.perf_counter(), time.process_time()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started[0], time.process_time() - started[1]


def main() -> None:
    """Parse the arguments, time both in turn, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="mr_ct", help="name or file of a configuration")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3, help="timed steps, after one that warms")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    config = read_settings(find_config(arguments.config), TrainConfig)
    engine, slabs = config.engine, slabs_a_step(config)
    losses = engine.losses if isinstance(engine, CycleGANSettings) else LossWeights()
    steps = {
        "reference": reference_step(losses, device),
        config.name: our_step(config, device, slabs=slabs),
    }
    sizes = {
        "reference": (1, REFERENCE_PX**2),
        config.name: (slabs, config.data.depth * config.data.size_px**2),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for repeat in range(arguments.repeats + 1):
        for name, step in steps.items():
            taken = seconds_of(step, device)
            if repeat > 0:
                times[name].append((taken[0] / sizes[name][0], taken[1] / sizes[name][0]))
    print(f"{device.type}, {arguments.threads} thread(s), {losses}")
    print("| recipe | voxels an item | s an item | core-s an item |\n| --- | --- | --- | --- |")
    middle = {
        name: [statistics.median(column) for column in zip(*rows, strict=True)]
        for name, rows in times.items()
    }
    for name, (clock, core) in middle.items():
        print(f"| {name} | {sizes[name][1]} | {clock:.3f} | {core:.3f} |")
    clock, core = (a / b for a, b in zip(middle["reference"], middle[config.name], strict=True))
    print(f"{config.name}: {clock:.1f} times as fast by the clock, {core:.1f} times by core time")


if __name__ == "__main__":
    main()
