"""What a run writes about itself: CSV rows, TensorBoard, panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Self

import matplotlib.image
import numpy as np
from numpy.typing import NDArray
from tensorboardX import SummaryWriter

from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.targets import refusals_of
from medcyclegan.training.run_folder import RunFolder, append_row, drop_rows_after
from medcyclegan.training.validation import Validation


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
            for name in ("mae", "psnr_db", "ssim", "bone_dice", "cycle_mae", "nmi"):
                value = getattr(result, name)
                if np.isfinite(value):
                    self._board.add_scalar(f"validation/{result.direction}/{name}", value, step)

    def panel(self, step: int, image: NDArray[np.uint8]) -> None:
        """Keep a picture (H, W, 3)."""
        path = self._folder.panels / f"step_{step:07d}.png"
        with atomic_file(path, overwrite=True) as temporary:
            matplotlib.image.imsave(temporary, image)
        self._board.add_image("samples", image, step, dataformats="HWC")
