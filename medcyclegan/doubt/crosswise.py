"""Signs that take a network: do other views agree, and does the way back lead to the input?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medcyclegan.doubt.planes import Plane, planes_across, resized, squared
from medcyclegan.models.store import Model
from medcyclegan.task import Percentiles
from medcyclegan.transforms.prepare import Prepared
from medcyclegan.transforms.scaling import WindowScaling
from medcyclegan.translator import run_slab
from medcyclegan.volume import Volume

# Fewer slices than this make no plane to look at from the side.
FEWEST_SLICES = 8
# Bins a side of the joint histogram: fine enough for tissues, and each well filled.
BINS = 32


@dataclass(frozen=True, eq=False)
class Translated:
    """What a network was given and what it made of it, both (D, H, W) in [-1, 1] on one grid."""

    ready: Prepared
    fake: Tensor
    body: Volume

    @cached_property
    def planes(self) -> list[tuple[Plane, NDArray[np.bool_]]]:
        """The planes that are looked at, each with where the body is in it."""
        if self.fake.shape[0] < FEWEST_SLICES:
            return []
        grid = self.ready.geometry
        return [(plane, plane.inside(self.body, grid)) for plane in planes_across(grid)]


def view_disagreement_hu(done: Translated, model: Model, *, device: torch.device) -> float | None:
    """Mean absolute difference of the result from what two other views make of a few planes.

    In the target's unit, inside the body; None where there are too few slices to cut across.
    """
    window = model.task.target_window
    found: list[NDArray[np.float32]] = []
    for plane, inside in done.planes:
        slab = plane.slab(done.ready.values, model.task.depth)
        other = _through(model, slab, plane, done, device)
        ours = plane.slab(done.fake, 1)[0]
        found.append(np.abs((other - ours).numpy())[inside])
    return _mean(found, (window.upper - window.lower) / 2.0)


def cycle_information(
    done: Translated, model: Model, reverse: Model, *, device: torch.device
) -> float | None:
    """How much the input shares with what ``reverse`` makes of the result, as ``shared`` has it.

    Of all the planes' voxels in the body together; contrasts may differ. None where planes cannot
    be cut, one of the two has no contrast, or ``reverse`` takes no fixed window of HU.
    """
    forward, backward = WindowScaling(model.task.target_window), reverse.task.source.scaling
    if isinstance(backward, Percentiles):
        return None
    back = WindowScaling(backward)
    given: list[NDArray[np.float32]] = []
    recovered: list[NDArray[np.float32]] = []
    for plane, inside in done.planes:
        slab = plane.slab(done.fake, reverse.task.depth)
        scaled = torch.as_tensor(back(forward.inverse(slab)))
        recovered.append(_through(reverse, scaled, plane, done, device).numpy()[inside])
        given.append(plane.slab(done.ready.values, 1)[0].numpy()[inside])
    return shared(np.concatenate(given), np.concatenate(recovered)) if given else None


def shared(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """Normalised mutual information of two signals (n,) in [-1, 1], less one (Studholme 1999).

    0 if the one tells nothing of the other, 1 if each is a function of the other, whichever that
    is: so another contrast is no error as such. None if either has one value alone.
    """
    one, other = (_binned(values) for values in (first, second))
    counts = np.bincount(one * BINS + other, minlength=BINS**2).reshape(BINS, BINS)
    apart = [_entropy(counts.sum(axis=axis)) for axis in (0, 1)]
    return sum(apart) / _entropy(counts) - 1.0 if min(apart) > 0.0 else None


def _binned(values: NDArray[np.float32]) -> NDArray[np.intp]:
    """Number the bins of values in [-1, 1]; what networks give beyond counts at the border."""
    return np.asarray(np.clip((values + 1.0) * (BINS / 2.0), 0, BINS - 1), dtype=np.intp)


def _entropy(counts: NDArray[np.intp]) -> float:
    share = counts[counts > 0] / max(1.0, float(counts.sum()))
    return float(-(share * np.log(share)).sum())


def _through(
    model: Model, slab: Tensor, plane: Plane, done: Translated, device: torch.device
) -> Tensor:
    """Run a slab (depth, rows, columns) through a network; returns its middle plane."""
    square = squared(slab, plane, done.ready.geometry)
    made = run_slab(model.generator, square, device=device)
    return resized(made, tuple(slab.shape[1:]))[slab.shape[0] // 2]


def _mean(found: list[NDArray[np.float32]], scale: float) -> float | None:
    values = np.concatenate(found) if found else np.empty(0, np.float32)
    return float(values.mean()) * scale if values.size else None
