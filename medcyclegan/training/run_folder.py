"""Run folder and logbook: request, measurements, checkpoints and pictures of a training."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import matplotlib.image
import numpy as np
import yaml
from numpy.typing import NDArray
from tensorboardX import SummaryWriter

from medcyclegan.core.text import MOST_RECORD_BYTES, parse_json, read_text
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.targets import refusals_of
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.settings import read_settings
from medcyclegan.training.validation import Validation

# What may be changed when a run is resumed: how long it goes on, and what does not touch weights.
MAY_CHANGE = (
    "card", "checkpoint_every", "compile", "decay_from", "inference", "least_rate", "log_every",
    "minutes", "panel_every", "panel_steps", "patience",
    "rate_warmup", "steps", "summary", "validate_every",
    "validation_cases", "vanished_below", "vanished_steps", "workers",
)  # fmt: skip


# Keys that earlier versions wrote into ``config.yaml`` and checkpoints, and their names now.
FORMER_KEYS = {"begin_from": "init_from"}


@dataclass(frozen=True)
class RunFolder:
    """Paths inside a run folder."""

    root: Path

    @property
    def config(self) -> Path:
        """The settings as resolved."""
        return self.root / "config.yaml"

    @property
    def about(self) -> Path:
        """Data, machine and version, as JSON."""
        return self.root / "run.json"

    @property
    def metrics(self) -> Path:
        """A row of mean losses every ``log_every`` steps."""
        return self.root / "metrics.csv"

    @property
    def validation(self) -> Path:
        """A row for each validation and direction."""
        return self.root / "validation.csv"

    @property
    def checkpoints(self) -> Path:
        """``last.pt``, ``previous.pt``, ``best.pt``."""
        return self.root / "checkpoints"

    @property
    def panels(self) -> Path:
        """Pictures of samples, by step."""
        return self.root / "panels"

    @property
    def tensorboard(self) -> Path:
        """What TensorBoard reads."""
        return self.root / "tensorboard"


def start_run(folder: RunFolder, config: TrainConfig, about: Mapping[str, object]) -> None:
    """Make the folder of a new run.

    Raises
    ------
    CannotWrite
        If there is a run in it already, or the system refuses.
    """
    refuse_an_old_run(folder)
    with refusals_of(folder.root):
        for path in (folder.checkpoints, folder.panels):
            path.mkdir(parents=True, exist_ok=True)
    write_config(folder, config)
    with atomic_file(folder.about, overwrite=True) as temporary:
        temporary.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def refuse_an_old_run(folder: RunFolder) -> None:
    """Refuse to start a run in a folder that holds one.

    Raises
    ------
    CannotWrite
        If it does.
    """
    if folder.config.exists():
        raise CannotWrite(
            f"{folder.root} holds a run",
            rule="a run is not replaced",
            remedy="go on with it by --resume, or give another --out",
        )


def refuse_unwritable_run(folder: RunFolder) -> None:
    """Find out before any data are read that the folder of a run cannot be made or written to.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    root = folder.root.absolute()
    there = next(path for path in (root, *root.parents) if path.exists())
    # Trying is the only sure way: permissions do not tell of network shares and quotas.
    with refusals_of(folder.root), tempfile.TemporaryFile(dir=there):
        pass


def write_config(folder: RunFolder, config: TrainConfig) -> None:
    """Write the settings as resolved."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    with atomic_file(folder.config, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_run(folder: RunFolder) -> tuple[TrainConfig, dict[str, object]]:
    """Return the settings of a run, and what ``run.json`` says about it.

    Raises
    ------
    UsageError
        If it is no run folder.
    """
    if not folder.config.is_file():
        raise UsageError(
            f"{folder.root} holds no run", rule="a run folder holds config.yaml", remedy="see --out"
        )
    config = read_settings(folder.config, TrainConfig, former_keys=FORMER_KEYS)
    try:
        about = parse_json(read_text(folder.about, most_bytes=MOST_RECORD_BYTES))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder.about} cannot be read ({error})") from error
    if not isinstance(about, dict):
        raise UsageError(f"{folder.about} holds no facts about a run", rule="it holds an object")
    return config, about


def refuse_other_settings(old: TrainConfig, new: TrainConfig) -> None:
    """Refuse to resume a run with settings under which its weights mean something else.

    Raises
    ------
    UsageError
        Names the first key that differs.
    """
    before, now = old.model_dump(mode="json"), new.model_dump(mode="json")
    for key, value in before.items():
        if key not in MAY_CHANGE and now[key] != value:
            raise UsageError(
                f"{key} is {now[key]!r}, but the run has {value!r}",
                rule=f"a run keeps its settings, but for {', '.join(MAY_CHANGE)}",
                remedy="leave the change out, or start a new run with another --out",
            )


def append_row(path: Path, row: Mapping[str, object]) -> None:
    """Add a row to a CSV file; the first row's keys are the header.

    A file that an earlier version began keeps its columns.
    """
    header = list(row)
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            header = next(csv.reader(file), header)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, restval="nan", extrasaction="ignore")
        if new:
            writer.writeheader()
        writer.writerow(row)


def drop_rows_after(path: Path, step: int) -> None:
    """Take back what a stopped run logged after its last checkpoint; it is done again."""
    if not path.exists():
        return
    header, *rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if _step_of(row) <= step]
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text("".join([header, *kept]), encoding="utf-8")


def _step_of(row: str) -> float:
    """The first field; a row that was cut off in the middle counts as later than all."""
    first = row.split(",", 1)[0]
    return int(first) if first.isdigit() and row.endswith("\n") else float("inf")


def last_validation(folder: RunFolder, direction: str, *, step: int) -> dict[str, str] | None:
    """The row of a direction's validation after exactly ``step`` steps, if there was one."""
    if not folder.validation.exists():
        return None
    with folder.validation.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["direction"] == direction]
    return next((row for row in reversed(rows) if row["step"] == str(step)), None)


class Logbook:
    """Opened at a step; what was written of later steps is taken back, as they are done again."""

    def __init__(self, folder: RunFolder, *, step: int) -> None:
        self._folder = folder
        for path in (folder.metrics, folder.validation):
            drop_rows_after(path, step)
        self._board = SummaryWriter(str(folder.tensorboard), purge_step=step + 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # A full disk refuses the board too, which must not hide what was refused first.
        with suppress(OSError) if error is not None else refusals_of(self._folder.tensorboard):
            self._board.close()

    def losses(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Write the mean losses of the last steps; NaN for those that these steps do not have."""
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        row = {"step": step, "seconds": round(seconds, 1), **rounded}
        with refusals_of(self._folder.metrics):
            append_row(self._folder.metrics, row)
        for name, value in values.items():
            if np.isfinite(value):
                self._board.add_scalar(f"loss/{name}", value, step)

    def validation(self, step: int, seconds: float, results: Sequence[Validation]) -> None:
        """Write the figures of a validation, a row for each direction."""
        for result in results:
            figures = {
                name: float(f"{value:.6g}") if isinstance(value, float) else value
                for name, value in asdict(result).items()
            }
            with refusals_of(self._folder.validation):
                append_row(
                    self._folder.validation,
                    {"step": step, "seconds": round(seconds, 1), **figures},
                )
            for name in ("mae", "psnr_db", "ssim", "correlation", "bone_dice", "cycle_mae", "nmi"):
                value = getattr(result, name)
                if np.isfinite(value):
                    self._board.add_scalar(f"validation/{result.direction}/{name}", value, step)

    def panel(self, step: int, image: NDArray[np.uint8]) -> None:
        """Keep a picture (H, W, 3)."""
        path = self._folder.panels / f"step_{step:07d}.png"
        with atomic_file(path, overwrite=True) as temporary:
            matplotlib.image.imsave(temporary, image)
        self._board.add_image("samples", image, step, dataformats="HWC")
