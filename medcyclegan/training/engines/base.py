"""Training engine: what the loop asks of one, the moving average of its weights.

What the training loop asks of an engine, and what engines have in common.
An engine holds the networks, their losses, optimisers and moving averages. The loop gives it the
parts of a batch and knows nothing of what is learned from them.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from medcyclegan.core.task import Task
from medcyclegan.inference.sliding_slabs import has_bfloat16
from medcyclegan.networks.factory import GeneratorConfig, make_generator
from medcyclegan.training.data.types import Sample
from medcyclegan.training.parallel import Crew, average_gradients


class MovingAverage:
    """An exponential moving average of all weights of a network.

    Over the first steps it forgets faster than ``decay``, or it would keep the random weights that
    all began with: after n updates the decay is at most (1 + n) / (10 + n).
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.module = copy.deepcopy(network).requires_grad_(False)
        self._decay = decay
        # a plain number: a tensor on a GPU would have to be waited for in every step
        self._updates = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take up the weights of ``network``; the first ones replace all."""
        own: list[Tensor] = list(self.module.parameters())
        new: list[Tensor] = list(network.parameters())
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        if self._updates == 0:
            decay = 0.0
        torch._foreach_lerp_(own, new, 1.0 - decay)
        self._updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Weights and the number of updates."""
        return {"updates": self._updates, "weights": dict(self.module.state_dict())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._updates = int(state["updates"])
        self.module.load_state_dict(state["weights"])


Side = Literal["a", "b"]
Direction = Literal["a-to-b", "b-to-a"]
DIRECTIONS: tuple[Direction, Direction] = ("a-to-b", "b-to-a")
Precision = Literal["auto", "float32", "bfloat16"]

# Mean losses of a step by name: scalars, detached, on the device of the networks.
Losses = dict[str, Tensor]


def source_of(direction: Direction) -> Side:
    """The side that a direction starts from."""
    return "a" if direction == "a-to-b" else "b"


def target_of(direction: Direction) -> Side:
    """The side that a direction leads to."""
    return "b" if direction == "a-to-b" else "a"


class NotFinite(ArithmeticError):
    """A gradient was NaN or infinite; no weight was changed by it."""


@dataclass(frozen=True)
class Moment:
    """Where a training is: ``step`` steps were done, ``share`` of it in [0, 1).

    Learning rates are multiplied by ``rate_factor``.
    """

    step: int
    share: float
    rate_factor: float


@dataclass(frozen=True)
class Setup:
    """What every engine is built from, beside its own settings.

    ``tasks`` say what A and B are, by the direction that starts from them. ``rank`` sets apart the
    random numbers of processes. ``compile`` counts on a GPU alone.
    """

    generator: GeneratorConfig
    tasks: Mapping[Direction, Task]
    device: torch.device
    seed: int = 0
    rank: int = 0
    precision: Precision = "auto"
    compile: bool = False
    ema_decay: float = 0.999
    clip_norm: float = 1.0

    def make_generator(self, direction: Direction) -> nn.Module:
        """A generator of a direction with fresh weights, on the device, channels-last."""
        task = self.tasks[direction]
        channels = task.source.channel_count, task.target.channel_count
        made = make_generator(self.generator, depth=task.depth, channels=channels)
        return placed(made, self.device)

    def slices_of(self, side: Side) -> int:
        """How many slices a discriminator of a side sees: those of all channels."""
        task = self.tasks["a-to-b" if side == "a" else "b-to-a"]
        return task.depth * task.source.channel_count

    @property
    def compiles(self) -> bool:
        """Whether networks are compiled; on CPUs a compiled step is slower."""
        return self.compile and self.device.type == "cuda"


@dataclass(frozen=True)
class DataTraits:
    """What engines must know of the data: size of patches, whether there may be pairs, channels."""

    size_px: int
    paired: bool
    position_matched: bool
    channels: tuple[int, int] = (1, 1)


class EngineSettings(BaseModel):
    """The settings of one engine; ``kind`` is its name in the registry."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def refuse_unfit(self, generator: GeneratorConfig, data: DataTraits) -> None:
        """Raise ValueError where network or data do not fit the engine."""

    def warnings(self) -> tuple[str, ...]:
        """What is valid and yet hardly meant, in sentences."""
        return ()

    def describe(self, generator: GeneratorConfig) -> str:
        """What is learned by which losses, for the card of a model."""
        raise NotImplementedError

    @property
    def base_rate(self) -> float:
        """The learning rate that the log shows, before the schedule."""
        raise NotImplementedError


class Engine(ABC):
    """Networks, losses, optimisers and moving averages of one kind of training."""

    settings_type: ClassVar[type[EngineSettings]]

    def __init__(self, settings: EngineSettings, setup: Setup) -> None:
        del settings  # each engine takes its own
        torch.manual_seed(setup.seed)
        self.setup = setup
        self.averages: dict[Direction, MovingAverage] = {}
        self._finite = torch.ones((), dtype=torch.bool, device=setup.device)

    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module]:
        """All networks that learn, by name."""

    @abstractmethod
    def step(self, parts: Sequence[Sample], moment: Moment, crew: Crew) -> Losses:
        """Do one optimiser step on the parts of a batch; nothing here waits for a GPU.

        Raises
        ------
        NotFinite
            On a CPU, if a gradient is not finite; the weights are then as they were. On a GPU
            ``refuse_unfinite`` tells it later.
        """

    @abstractmethod
    def loss_names(self) -> Sequence[str]:
        """The losses that any step has, always in the same order."""

    @abstractmethod
    def optimisers(self) -> Mapping[str, Any]:
        """All that keeps moments, by name; each with ``state_dict`` and ``load_state_dict``."""

    def begin(self, weights: Mapping[str, Tensor]) -> None:
        """Give the generator from A to B, and its moving average, weights to begin with."""
        self.generators()["a-to-b"].load_state_dict(weights)
        self.averages["a-to-b"].module.load_state_dict(weights)

    @abstractmethod
    def generators(self) -> Mapping[Direction, nn.Module]:
        """The generators that learn."""

    def exported(self) -> dict[Direction, nn.Module]:
        """The generators with the moving average of their weights, by direction."""
        return {way: average.module for way, average in self.averages.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on and that is the same in every process."""
        return {
            "networks": {name: dict(net.state_dict()) for name, net in self.networks().items()},
            "averages": {way: average.state_dict() for way, average in self.averages.items()},
            "optimisers": {name: some.state_dict() for name, some in self.optimisers().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        for name, network in self.networks().items():
            network.load_state_dict(state["networks"][name])
        for way, average in self.averages.items():
            average.load_state_dict(state["averages"][way])
        for name, optimiser in self.optimisers().items():
            optimiser.load_state_dict(state["optimisers"][name])

    def process_state(self) -> dict[str, Any]:
        """What each process has of its own."""
        return {}

    def load_process_state(self, state: Mapping[str, Any]) -> None:
        """Take up what ``process_state`` gave; here nothing."""
        del state

    def refuse_unfinite(self) -> None:
        """Raise NotFinite if a gradient of any step so far was not finite; waits for the GPU."""
        if not bool(self._finite):
            raise NotFinite

    def settle_gradients(self, weights: Iterable[nn.Parameter], crew: Crew) -> None:
        """Average gradients over the processes and clip them; note whether all are finite."""
        weights = list(weights)
        average_gradients(weights, crew)
        norm = nn.utils.clip_grad_norm_(weights, self.setup.clip_norm)
        self._finite &= torch.isfinite(norm)
        if self.setup.device.type == "cpu":
            self.refuse_unfinite()

    def take_steps(
        self, rated: Sequence[tuple[torch.optim.Optimizer, float]], moment: Moment, crew: Crew
    ) -> None:
        """Settle the gradients of all optimisers, each with its full rate; then each steps once."""
        for optimiser, rate in rated:
            self.settle_gradients(weights_of(optimiser), crew)
            set_rate(optimiser, rate * moment.rate_factor)
        for optimiser, _ in rated:
            optimiser.step()

    def autocast(self) -> AbstractContextManager[object]:
        """The context that the networks run in: bfloat16 where the hardware multiplies it."""
        device, precision = self.setup.device, self.setup.precision
        if precision == "bfloat16" or (precision == "auto" and has_bfloat16(device)):
            return torch.autocast(device.type, torch.bfloat16)
        return nullcontext()

    def place(self, part: Sample) -> Sample:
        """Bring a part to the device, (N, C * depth, P, P), the channels one after the other.

        As plain tensors: MONAI's carry notes, which would spread.
        """
        device = self.setup.device
        a, b = (
            (slabs.flatten(1, 2) if slabs.ndim == 5 else slabs)
            .as_subclass(Tensor)
            .to(device, non_blocking=True)
            .contiguous(memory_format=torch.channels_last)
            for slabs in (part.a, part.b)
        )
        flags = (flag.to(device, non_blocking=True) for flag in (part.paired, part.matched))
        return Sample(a, b, *flags)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Bring a network to a device, its weights channels-last."""
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def mean_losses(losses: Sequence[Losses]) -> Losses:
    """The mean over the parts of a batch, detached."""
    return {
        name: torch.stack([some[name].detach() for some in losses]).mean() for name in losses[0]
    }


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Let an optimiser take its next step at a learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def weights_of(optimiser: torch.optim.Optimizer) -> list[nn.Parameter]:
    """All weights that an optimiser changes."""
    return [weight for group in optimiser.param_groups for weight in group["params"]]


def gan_adam(networks: Iterable[nn.Module], rate: float) -> torch.optim.Adam:
    """Adam as GANs take it: the mean gradient forgets fast (Radford et al. 2016, 1511.06434)."""
    weights = [weight for network in networks for weight in network.parameters()]
    fused = weights[0].device.type in ("cpu", "cuda")
    return torch.optim.Adam(weights, lr=rate, betas=(0.5, 0.999), fused=fused)
