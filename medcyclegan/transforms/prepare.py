"""A scan's volume made ready for the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from medcyclegan.geometry import Geometry
from medcyclegan.task import Task, Window
from medcyclegan.transforms.grid import model_geometry, plane_model_geometry
from medcyclegan.transforms.resample import to_geometry
from medcyclegan.transforms.scaling import WindowScaling, fit_window
from medcyclegan.volume import Volume


@dataclass(frozen=True, eq=False)
class Prepared:
    """``values`` is (D, H, W) float32 in [-1, 1] on ``geometry``; D runs along the slabs."""

    values: Tensor
    geometry: Geometry
    window: Window


def prepare(volume: Volume, body: Volume, task: Task, *, normal: int) -> Prepared:
    """Resample to the model grid for slabs along the world axis ``normal``, scale to [-1, 1].

    ``body`` is a mask on the volume's grid; it sets the field of view and the percentiles.
    """
    window = fit_window(volume, body, task.source)
    return on_grid(volume, model_geometry(volume.geometry, body, task, normal=normal), window)


def prepare_plane(volume: Volume, task: Task) -> Prepared:
    """Bring a picture or radiograph to the model grid, scaled to [-1, 1]; D is 1.

    It has no place in space and may fill its frame, so all of it counts for the percentiles.
    """
    everything = volume.with_voxels(np.ones_like(volume.voxels), unit="mask")
    window = fit_window(volume, everything, task.source)
    return on_grid(volume, plane_model_geometry(volume.geometry, task), window)


def on_grid(volume: Volume, geometry: Geometry, window: Window) -> Prepared:
    """Resample to a grid (D, H, W), and scale ``window`` to [-1, 1]."""
    resampled = to_geometry(volume, geometry, fill=window.lower)
    values = WindowScaling(window)(torch.from_numpy(np.array(resampled.voxels)))
    return Prepared(torch.as_tensor(values), geometry, window)


def go_home(values: Tensor, prepared: Prepared, task: Task, home: Geometry) -> Volume:
    """Turn network output (D, H, W) in [-1, 1] into physical values on the grid ``home``.

    Outside the model grid lies the lowest value of the target's window: air for a CT.
    """
    window = task.target_window
    physical = np.asarray(WindowScaling(window).inverse(values))
    on_grid = Volume(physical, prepared.geometry, task.target.unit)
    return to_geometry(on_grid, home, fill=window.lower)
