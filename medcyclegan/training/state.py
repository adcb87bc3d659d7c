"""All that a training changes as it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from medcyclegan.training.engines.base import Engine
from medcyclegan.training.guards import DiscriminatorWatch


@dataclass(eq=False)
class Window:
    """Counts and sums of the losses since the last row of the log; sums stay on their device."""

    counts: dict[str, int] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Take up the losses of a step; not every step has all of them."""
        for name, value in losses.items():
            self.counts[name] = self.counts.get(name, 0) + 1
            before = self.sums.get(name)
            self.sums[name] = value if before is None else before + value

    def means(self) -> dict[str, Tensor]:
        """Mean losses, by name, each over the steps that had it."""
        return {name: value / self.counts[name] for name, value in self.sums.items()}


@dataclass(eq=False)
class TrainState:
    """``step`` steps were done with ``items`` items, in ``seconds``.

    ``best`` is the lowest figure of a validation so far, ``worse`` how many validations in a row
    have not been below it.
    """

    engine: Engine
    watch: DiscriminatorWatch
    step: int = 0
    items: int = 0
    seconds: float = 0.0
    window: Window = field(default_factory=Window)
    best: float | None = None
    worse: int = 0
