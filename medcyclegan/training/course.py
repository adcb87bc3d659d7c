"""How far a training is: by its steps, or by its time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from medcyclegan.training.config import TrainConfig


class Course:
    """Where a training is, from ``seconds`` spent before on; the clock runs from now."""

    def __init__(
        self, config: TrainConfig, *, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._config, self._before, self._clock = config, seconds, clock
        self._start = clock()

    @property
    def seconds(self) -> float:
        """All time spent so far."""
        return self._before + self._clock() - self._start

    def share(self, step: int) -> float:
        """The share in [0, 1] that is done after ``step`` steps."""
        if self._config.minutes is None:
            return min(1.0, step / self._config.steps)
        return min(1.0, self.seconds / (60.0 * self._config.minutes))

    def is_over(self, step: int) -> bool:
        """Whether nothing is left to do after ``step`` steps."""
        return self.share(step) >= 1.0

    def is_late(self, step: int) -> bool:
        """Whether the step after ``step`` steps has the late patches and batches."""
        late = self._config.late
        return late is not None and self.share(step) >= late.from_share

    def seconds_left(self, step: int) -> float:
        """About how long it still takes; NaN before the first step."""
        share = self.share(step)
        return self.seconds * (1.0 - share) / share if share > 0.0 else math.nan
