"""Consistency of a translation: with other orientations, and with the way back.

A few planes across the slabs of a translation, where another view of it can be had cheaply.
All is done on the model grid, in planes along its second and third axes: a slab of neighbouring
planes is cut from what the network was given, and run through it as a view along that axis would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medcyclegan.core.geometry import Geometry, closest_axes
from medcyclegan.core.task import Percentiles
from medcyclegan.core.volume import Volume
from medcyclegan.imaging.mutual_information import (
    binned,
    joint_histogram,
    normalised_mutual_information,
)
from medcyclegan.imaging.preprocessing import WindowScaling
from medcyclegan.inference.slab_orientation import View
from medcyclegan.inference.sliding_slabs import run_slab
from medcyclegan.models.store import Model

# Where planes lie across the body, as shares of its box: through the eyes' height of both halves
# and the middle. Three each way keep the cost at some 3 % of a whole head's.
PLACES = (0.35, 0.5, 0.65)


@dataclass(frozen=True)
class Plane:
    """One plane across a model grid (D, H, W): along ``axis`` (1 or 2), at ``index``.

    ``order`` brings the grid's axes into the order that a network along ``axis`` is given: the
    normal first, then the others as R, A, S count.
    """

    axis: int
    index: int
    order: tuple[int, int, int]

    def slab(self, values: Tensor, depth: int) -> Tensor:
        """Cut (D, H, W) into the (depth, rows, columns) around the plane; edge planes repeat."""
        last = values.shape[self.axis] - 1
        around = range(self.index - depth // 2, self.index + depth // 2 + 1)
        wanted = torch.tensor([min(max(n, 0), last) for n in around])
        return values.index_select(self.axis, wanted).permute(self.order)

    def inside(self, body: Volume, grid: Geometry) -> NDArray[np.bool_]:
        """(rows, columns), where the plane's points lie in the mask ``body``, by nearest voxel."""
        axes = [np.arange(n, dtype=float) for n in grid.shape]
        axes[self.axis] = np.array([float(self.index)])
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        to_body = np.linalg.solve(body.geometry.affine_ras, grid.affine_ras)
        at = np.rint(points @ to_body[:3, :3].T + to_body[:3, 3]).astype(int)
        within = ((at >= 0) & (at < body.geometry.shape)).all(axis=-1)
        at = np.where(within[..., None], at, 0)
        hit = within & (body.voxels[at[..., 0], at[..., 1], at[..., 2]] > 0)
        return np.asarray(hit.transpose(self.order)[0])


def planes_across(grid: Geometry) -> Iterator[Plane]:
    """Yield the planes that are looked at on a model grid (D, H, W)."""
    worlds = [world for world, _ in closest_axes(grid.directions_ras)]
    for axis in (1, 2):
        rest = sorted((a for a in range(3) if a != axis), key=lambda a: worlds[a])
        for place in PLACES:
            index = round(place * (grid.shape[axis] - 1))
            yield Plane(axis, index, (axis, rest[0], rest[1]))


def squared(slab: Tensor, plane: Plane, grid: Geometry) -> Tensor:
    """Interpolate (depth, rows, columns) so that its pixels are squares, of the finer spacing.

    Rows or columns that run across thick slices are as far apart as those.
    """
    spacing = np.asarray(grid.spacing_mm)[list(plane.order[1:])]
    lengths = (np.asarray(slab.shape[1:]) - 1) * spacing
    size = tuple(int(n) for n in np.round(lengths / spacing.min()) + 1)
    return resized(slab, size)


def resized(slab: Tensor, size: tuple[int, ...]) -> Tensor:
    """Interpolate (depth, rows, columns) to other rows and columns, the outermost staying."""
    if tuple(slab.shape[1:]) == size:
        return slab
    return functional.interpolate(slab[None], size=size, mode="bilinear", align_corners=True)[0]


# Fewer slices than this make no plane to look at from the side.
FEWEST_SLICES = 8
# Bins a side of the joint histogram: fine enough for tissues, and each well filled.
BINS = 32


# A plane that is looked at, and where the body is in it.
Seen = tuple[Plane, NDArray[np.bool_]]


def planes_in(view: View, body: Volume) -> list[Seen]:
    """Return the planes across a view that are looked at, none where there are too few slices."""
    if view.fake.shape[0] < FEWEST_SLICES:
        return []
    grid = view.ready.geometry
    return [(plane, plane.inside(body, grid)) for plane in planes_across(grid)]


def view_disagreement_hu(
    view: View, planes: list[Seen], model: Model, *, device: torch.device
) -> float | None:
    """Mean absolute difference of the result from what two other views make of a few planes.

    In the target's unit, inside the body; None where there are no planes.
    """
    window = model.task.target_window
    found: list[NDArray[np.float32]] = []
    for plane, inside in planes:
        slab = plane.slab(view.ready.values, model.task.depth)
        other = _through(model, slab, plane, view, device)
        ours = plane.slab(view.fake, 1)[0]
        found.append(np.abs((other - ours).numpy())[inside])
    return _mean(found, (window.upper - window.lower) / 2.0)


def cycle_information(
    view: View, planes: list[Seen], model: Model, reverse: Model, *, device: torch.device
) -> float | None:
    """How much the input shares with what ``reverse`` makes of the result, as ``shared`` has it.

    Of all the planes' voxels in the body together; contrasts may differ. None where there are no
    planes, one of the two has no contrast, or ``reverse`` takes no fixed window of HU.
    """
    forward, backward = WindowScaling(model.task.target_window), reverse.task.source.scaling
    if isinstance(backward, Percentiles):
        return None
    back = WindowScaling(backward)
    given: list[NDArray[np.float32]] = []
    recovered: list[NDArray[np.float32]] = []
    for plane, inside in planes:
        slab = plane.slab(view.fake, reverse.task.depth)
        scaled = back(forward.inverse(slab))
        recovered.append(_through(reverse, scaled, plane, view, device).numpy()[inside])
        given.append(plane.slab(view.ready.values, 1)[0].numpy()[inside])
    return shared(np.concatenate(given), np.concatenate(recovered)) if given else None


def shared(first: NDArray[np.float32], second: NDArray[np.float32]) -> float | None:
    """Normalised mutual information of two signals (n,) in [-1, 1], less one (Studholme 1999).

    0 if the one tells nothing of the other, 1 if each is a function of the other, whichever that
    is: so another contrast is no error as such. None if either has one value alone.
    """
    # what networks give beyond [-1, 1] counts at the border
    one, other = (binned(values, BINS, within=(-1.0, 1.0)) for values in (first, second))
    if not first.size or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return normalised_mutual_information(joint_histogram(one, other, BINS)) - 1.0


def _through(model: Model, slab: Tensor, plane: Plane, view: View, device: torch.device) -> Tensor:
    """Run a slab (depth, rows, columns) through a network; returns its middle plane."""
    square = squared(slab, plane, view.ready.geometry)
    made = run_slab(model.generator, square, device=device)
    return resized(made, tuple(slab.shape[1:]))[slab.shape[0] // 2]


def _mean(found: list[NDArray[np.float32]], scale: float) -> float | None:
    values = np.concatenate(found) if found else np.empty(0, np.float32)
    return float(values.mean()) * scale if values.size else None
