"""MR-like volumes that are no heads, or not the whole of one, for the checks of inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from medcyclegan.simulate.tissues import Tissue

Field = NDArray[np.floating[Any]]
NOISE = 12.0
BRAIN = (Tissue.CSF, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)


def bottle(spacing_mm: float) -> Volume:
    """A ball of water, 160 mm wide, as phantoms for the quality of images are."""
    geometry, (x, y, z) = _grid((220, 220, 220), spacing_mm)
    return _acquired(600.0 * (x**2 + y**2 + z**2 < 80.0**2), geometry)


def cylinder_with_holes(spacing_mm: float) -> Volume:
    """A cylinder of water, 190 mm wide and 150 mm high, with rods of plastic and of oil in it."""
    geometry, (x, y, z) = _grid((240, 240, 200), spacing_mm)
    water = (x**2 + y**2 < 95.0**2) & (np.abs(z) < 75.0)
    signal = 600.0 * water
    for turn in range(6):
        across, along = 60.0 * np.cos(turn), 60.0 * np.sin(turn)
        rod = (x - across) ** 2 + (y - along) ** 2 < (6.0 + 2.0 * turn) ** 2
        signal[rod & water & (np.abs(z) < 60.0)] = 0.0 if turn % 2 else 950.0
    return _acquired(signal, geometry)


def cube(spacing_mm: float) -> Volume:
    """A cube of gel, 150 mm a side."""
    geometry, (x, y, z) = _grid((210, 210, 210), spacing_mm)
    return _acquired(600.0 * (np.maximum(np.maximum(abs(x), abs(y)), abs(z)) < 75.0), geometry)


def chest(spacing_mm: float) -> Volume:
    """A trunk with skin fat, muscle, two lungs, heart, spine, aorta and ribs, as in T1."""
    geometry, (x, y, z) = _grid((400, 280, 260), spacing_mm)
    trunk = _ellipse(x, y, 165.0, 105.0)
    signal = np.where(trunk < 1.0, 850.0, 0.0)  # fat
    signal[_ellipse(x, y, 150.0, 92.0) < 1.0] = 350.0  # muscle
    ribs = (np.abs(_ellipse(x, y, 138.0, 82.0) - 1.0) < 0.07) & ((z + 0.2 * y) % 26.0 < 11.0)
    signal[ribs] = 250.0
    for side in (-1.0, 1.0):
        lung = ((x - side * 68.0) / 52.0) ** 2 + (y / 70.0) ** 2 + (z / 115.0) ** 2
        signal[lung < 1.0] = 25.0
    heart = ((x + 22.0) / 48.0) ** 2 + ((y - 30.0) / 40.0) ** 2 + ((z + 25.0) / 55.0) ** 2
    signal[heart < 1.0] = 300.0
    signal[heart < 0.45] = 120.0  # flowing blood
    signal[(x + 20.0) ** 2 + (y + 45.0) ** 2 < 12.0**2] = 60.0
    _spine(signal, x, y + 62.0, z)
    return _acquired(signal, geometry)


def abdomen(spacing_mm: float) -> Volume:
    """A belly with fat, liver, spleen, kidneys, gut with gas and spine, as in T1."""
    geometry, (x, y, z) = _grid((400, 280, 260), spacing_mm)
    trunk = _ellipse(x, y, 165.0, 110.0)
    signal = np.where(trunk < 1.0, 850.0, 0.0)
    signal[_ellipse(x, y, 146.0, 92.0) < 1.0] = 350.0
    signal[_ellipse(x, y, 136.0, 82.0) < 1.0] = 800.0  # fat in the belly
    liver = ((x - 70.0) / 68.0) ** 2 + ((y - 5.0) / 68.0) ** 2 + ((z - 50.0) / 80.0) ** 2
    spleen = ((x + 98.0) / 32.0) ** 2 + ((y + 22.0) / 42.0) ** 2 + ((z - 50.0) / 55.0) ** 2
    signal[(liver < 1.0)], signal[spleen < 1.0] = 480.0, 380.0
    for side in (-1.0, 1.0):
        kidney = ((x - side * 60.0) / 26.0) ** 2 + ((y + 42.0) / 28.0) ** 2 + (z / 55.0) ** 2
        signal[kidney < 1.0] = 330.0
    gut = np.sin(x / 13.0) + np.sin(y / 11.0) + np.sin(z / 12.0)
    is_gut = (_ellipse(x, y - 30.0, 105.0, 42.0) < 1.0) & (z < 20.0)
    signal[is_gut & (gut > 0.0)], signal[is_gut & (gut > 1.4)] = 300.0, 10.0
    _spine(signal, x, y + 62.0, z)
    return _acquired(signal, geometry)


def ct_as_mr(spacing_mm: float) -> Volume:
    """The CT of a head stored from 0 up, as scanners store it, without a rescale."""
    ct = make_phantom(default_geometry(spacing_mm), contrast="t1", seed=3).ct
    return Volume(np.maximum(ct.voxels + 1024.0, 0.0), ct.geometry, "a.u.")


def noise(spacing_mm: float) -> Volume:
    """The magnitude of nothing but noise."""
    geometry, (x, _, _) = _grid((200, 200, 200), spacing_mm)
    return _acquired(np.zeros_like(x), geometry)


def empty(spacing_mm: float) -> Volume:
    """No signal at all."""
    geometry, (x, _, _) = _grid((200, 200, 200), spacing_mm)
    return Volume(np.zeros(x.shape, np.float32), geometry, "a.u.")


def whole_head(spacing_mm: float) -> Volume:
    """The head of the demo: the control."""
    return make_phantom(default_geometry(spacing_mm), contrast="t1", seed=3).mr


def head_slab(spacing_mm: float) -> Volume:
    """The 30 mm above the middle of a head."""
    mr = whole_head(spacing_mm)
    first = mr.geometry.shape[2] // 2
    voxels = mr.voxels[:, :, first : first + round(30.0 / spacing_mm)]
    affine = mr.geometry.affine_ras.copy()
    affine[:3, 3] = mr.geometry.to_world(np.array([0.0, 0.0, float(first)]))
    i, j, k = voxels.shape
    return Volume(voxels.copy(), Geometry((i, j, k), affine), "a.u.")


def bare_brain(spacing_mm: float) -> Volume:
    """A head of which all but the brain was set to 0, as programs for brain research do."""
    subject = make_phantom(default_geometry(spacing_mm), contrast="t1", seed=3)
    brain = np.isin(subject.labels.voxels, [int(tissue) for tissue in BRAIN])
    return subject.mr.with_voxels(np.where(brain, subject.mr.voxels, 0.0).astype(np.float32))


ODD: dict[str, Callable[[float], Volume]] = {
    "chest-like MR": chest,
    "abdomen-like MR": abdomen,
    "ball of water": bottle,
    "cylinder with rods": cylinder_with_holes,
    "cube of gel": cube,
    "CT stored from 0 up": ct_as_mr,
    "noise": noise,
    "empty": empty,
    "head cropped to 30 mm": head_slab,
    "brain without skull": bare_brain,
}


def _spine(signal: Field, x: Field, y: Field, z: Field) -> None:
    """Draw vertebrae, discs and canal around x = y = 0."""
    signal[(x**2 + y**2 < 20.0**2) & (z % 32.0 < 25.0)] = 550.0
    signal[(x**2 + y**2 < 20.0**2) & (z % 32.0 >= 25.0)] = 280.0
    signal[x**2 + (y + 30.0) ** 2 < 9.0**2] = 200.0


def _ellipse(x: Field, y: Field, width: float, length: float) -> Field:
    return np.asarray((x / width) ** 2 + (y / length) ** 2)


def _grid(size_mm: tuple[float, float, float], spacing_mm: float) -> tuple[Geometry, list[Field]]:
    """A grid of that extent around the origin, and x, y, z of its voxels in mm."""
    i, j, k = (round(length / spacing_mm) for length in size_mm)
    geometry = geometry_from_spacing((i, j, k), (spacing_mm, spacing_mm, spacing_mm))
    world = geometry.to_world(np.moveaxis(np.indices((i, j, k)), 0, -1).astype(float))
    return geometry, [world[..., axis] for axis in range(3)]


def _acquired(signal: Field, geometry: Geometry) -> Volume:
    """The magnitude of a signal with noise in both of its parts."""
    rng = np.random.default_rng(5)
    real = signal + rng.normal(0.0, NOISE, signal.shape)
    other = rng.normal(0.0, NOISE, signal.shape)
    return Volume(np.hypot(real, other).astype(np.float32), geometry, "a.u.")
