"""What a training shows as it goes on: a bar, or lines where there is no terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

import click
from rich.progress import Progress

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.loop import Progress as TrainingProgress
from medcyclegan.training.loop import Watcher
from medcyclegan.training.validation import Validation

# Lines of progress in all where no bar can be shown.
LINES = 20


class TrainingView(Watcher):
    """Shows losses, the time left and the figures of validations on stderr."""

    def __init__(self, config: TrainConfig, bar: Progress, *, quiet: bool, lines: bool) -> None:
        self._config, self._bar, self._quiet, self._lines = config, bar, quiet, lines
        self._task = bar.add_task("", total=1.0)
        self._next_share = 1.0 / LINES

    def step(self, progress: TrainingProgress) -> None:
        """Show how far it is."""
        if self._quiet:
            return
        text = "  ".join(f"{name} {value:.3g}" for name, value in progress.losses.items())
        of = "" if self._config.minutes else f" of {self._config.steps}"
        line = f"step {progress.step}{of}, {_time(progress.seconds_left)} left  {text}"
        share = progress.share
        self._bar.update(self._task, completed=share, description=line)
        if self._lines and (share >= 1.0 or share >= self._next_share):
            self._next_share = (math.floor(share * LINES) + 1) / LINES
            click.echo(line, err=True)

    def validated(self, step: int, results: Sequence[Validation]) -> None:
        """Show the figures of a validation, a line for each direction."""
        if self._quiet:
            return
        for result in results:
            names = ("mae", "psnr_db", "ssim", "correlation", "bone_dice", "cycle_mae", "nmi")
            figures = [
                f"{n} {getattr(result, n):.4g}" for n in names if not math.isnan(getattr(result, n))
            ]
            self._bar.console.print(f"step {step}: {result.direction} {'  '.join(figures)}")


def _time(seconds: float) -> str:
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
