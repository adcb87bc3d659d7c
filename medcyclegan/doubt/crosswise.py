"""Signs that take a network: do other views agree, and does the way back lead to the input?"""

from __future__ import annotations

from dataclasses import dataclass

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
# Bins of the recovered signal: fine enough for tissues, and each well filled.
CYCLE_BINS = 32


@dataclass(frozen=True, eq=False)
class Translated:
    """What a network was given and what it made of it, both (D, H, W) in [-1, 1] on one grid."""

    ready: Prepared
    fake: Tensor
    body: Volume


def view_disagreement_hu(done: Translated, model: Model, *, device: torch.device) -> float | None:
    """Mean absolute difference of the result from what two other views make of a few planes.

    In the target's unit, inside the body; None where there are too few slices to cut across.
    """
    window = model.task.target_window
    found: list[NDArray[np.float32]] = []
    for plane, inside in _planes(done):
        slab = plane.slab(done.ready.values, model.task.depth)
        other = _through(model, slab, plane, done, device)
        ours = plane.slab(done.fake, 1)[0]
        found.append(np.abs((other - ours).numpy())[inside])
    return _mean(found, (window.upper - window.lower) / 2.0)


def cycle_error(
    done: Translated, model: Model, reverse: Model, *, device: torch.device
) -> float | None:
    """One minus the correlation ratio of the input and what ``reverse`` makes of the result.

    0 if the input's signal is a function of the recovered signal, whichever that is, so that
    another contrast is no error; 1 if the one tells nothing of the other. Of all the planes'
    voxels in the body together. None where planes cannot be cut, or the body has one value.
    """
    forward, backward = WindowScaling(model.task.target_window), reverse.task.source.scaling
    if isinstance(backward, Percentiles):
        return None
    back = WindowScaling(backward)
    given: list[NDArray[np.float32]] = []
    recovered: list[NDArray[np.float32]] = []
    for plane, inside in _planes(done):
        slab = plane.slab(done.fake, reverse.task.depth)
        scaled = torch.as_tensor(back(forward.inverse(slab)))
        recovered.append(_through(reverse, scaled, plane, done, device).numpy()[inside])
        given.append(plane.slab(done.ready.values, 1)[0].numpy()[inside])
    if not given:
        return None
    return unexplained(np.concatenate(given), np.concatenate(recovered))


def unexplained(signal: NDArray[np.float32], by: NDArray[np.float32]) -> float | None:
    """Share of the variance of ``signal`` (n,) that no function of ``by`` (n,) accounts for.

    That is 1 - the correlation ratio (Roche et al., MICCAI 1998), over bins of ``by`` that hold as
    many voxels each. None if ``signal`` does not vary.
    """
    total = float(signal.var()) if signal.size else 0.0
    if total <= 0.0:
        return None
    edges = np.unique(np.quantile(by, np.linspace(0.0, 1.0, CYCLE_BINS + 1)[1:-1]))
    of = np.searchsorted(edges, by, side="right")
    counts = np.bincount(of)
    sums, squares = np.bincount(of, signal), np.bincount(of, np.square(signal, dtype=np.float64))
    within = float((squares - sums**2 / np.maximum(counts, 1)).sum()) / signal.size
    return min(1.0, max(0.0, within / total))


def _planes(done: Translated) -> list[tuple[Plane, NDArray[np.bool_]]]:
    if done.fake.shape[0] < FEWEST_SLICES:
        return []
    grid = done.ready.geometry
    return [(plane, plane.inside(done.body, grid)) for plane in planes_across(grid)]


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
