"""How far apart the results of slightly changed inputs lie, and the error to expect from that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from medcyclegan.models.reference_ranges import SpreadCalibration
from medcyclegan.transforms.prepare import Prepared

# Exponents of the signal, on its scale from 0 to 1: about what another coil or echo time does.
GAMMAS = (0.8, 1.25)


class Spread:
    """Standard deviation of images of one shape, given one by one (Welford 1962)."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = torch.zeros(())
        self._squares = torch.zeros(())

    def add(self, image: Tensor) -> None:
        """Take another image into account; all have the same shape."""
        self._count += 1
        step = image - self._mean
        self._mean = self._mean + step / self._count
        self._squares = self._squares + step * (image - self._mean)

    def result(self) -> Tensor:
        """Return the standard deviation at each voxel; 0 of a single image."""
        return (self._squares / max(1, self._count - 1)).clamp(min=0.0).sqrt()


def variants(ready: Prepared) -> Iterator[Prepared]:
    """Yield (D, H, W) in [-1, 1] with its signal bent a little, darker and brighter."""
    for gamma in GAMMAS:
        bent = ((ready.values + 1.0) / 2.0).clamp(0.0, 1.0) ** gamma
        yield replace(ready, values=2.0 * bent - 1.0)


def expected_error(spread: Tensor, calibration: SpreadCalibration) -> Tensor:
    """Turn a spread into the absolute error that goes with it in the mean, in the same unit."""
    error = np.interp(spread.numpy(), calibration.spread, calibration.error)
    return torch.from_numpy(error.astype(np.float32))
