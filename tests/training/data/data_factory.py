"""Small heads and pictures in files, for the tests of training data.

Grids are of 5 mm, so that all is quick; a head is an ellipsoid with a smooth pattern in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.training.data.config import DataConfig, Folders

SHAPE = (30, 34, 24)
MR: dict[str, Any] = {
    "modality": "MR",
    "unit": "a.u.",
    "scaling": {"kind": "percentiles", "lower": 0.5, "upper": 99.5},
}
MR_WINDOW: dict[str, Any] = {**MR, "scaling": {"kind": "window", "lower": 0, "upper": 1000}}
CT: dict[str, Any] = {
    "modality": "CT",
    "unit": "HU",
    "scaling": {"kind": "window", "lower": -1000, "upper": 2000},
}
PICTURES: dict[str, Any] = {
    "modality": "image",
    "unit": "a.u.",
    "scaling": {"kind": "window", "lower": 0, "upper": 255},
}
STILL = {"flip": 0, "turn_deg": 0, "scale": 0, "shift_px": 0, "gamma": 0, "bias": 0}


def config(**changes: Any) -> DataConfig:
    """MR and CT in slabs of three slices and patches of 20 pixels of 5 mm."""
    settings: dict[str, Any] = {
        "a": MR,
        "b": CT,
        "spacing_mm": 5.0,
        "thick_slice_mm": 12.0,
        "depth": 3,
        "size_px": 20,
        "validation_share": 0.0,
    }
    return DataConfig.model_validate({**settings, **changes})


def inside(shape: tuple[int, int, int] = SHAPE) -> NDArray[np.bool_]:
    """The ellipsoid that is the head."""
    axes = [np.linspace(-1.3, 1.3, n) for n in shape]
    i, j, k = np.meshgrid(*axes, indexing="ij")
    return np.asarray(i**2 + j**2 + k**2 < 1.0)


def texture(seed: int, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A smooth pattern from 0 to 1."""
    rough = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(rough, 2.0)
    return np.asarray((smooth - smooth.min()) / np.ptp(smooth))


def mr_values(seed: int, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """Signal from 400 to 900 in the head, 0 around it."""
    return np.where(inside(shape), 400 + 500 * texture(seed, shape), 0.0).astype(np.float32)


def ct_values(seed: int, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """HU from 0 to 600 in the head, -1000 around it."""
    return np.where(inside(shape), 600 * texture(seed, shape), -1000.0).astype(np.float32)


def write_volume(path: Path, values: NDArray[np.float32], spacing_mm: float = 5.0) -> Path:
    """Write (i, j, k) as NIfTI on an axial grid."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = geometry_from_spacing(values.shape, (spacing_mm,) * 3)  # type: ignore[arg-type]
    write_nifti(Volume(values, grid, "a.u."), source_header=ItkSourceHeader(), to=path)
    return path


def write_picture(path: Path, seed: int, *, size: tuple[int, int] = (40, 30)) -> Path:
    """Write a grey picture of (columns, rows), 8 bit, 16 bit or colour by the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (40 + 200 * texture(seed, size[::-1])).astype(np.uint8)
    if seed % 3 == 1:
        Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(path)
    elif seed % 3 == 2 and path.suffix == ".png":
        Image.fromarray(pixels.astype(np.uint16)).save(path)
    else:
        Image.fromarray(pixels).save(path)
    return path


def heads(root: Path, *, a: int = 3, b: int = 3) -> Folders:
    """Folders of MR and CT of different subjects."""
    for n in range(a):
        write_volume(root / "a" / f"mr{n:02d}_t1.nii.gz", mr_values(n))
    for n in range(b):
        write_volume(root / "b" / f"ct{n:02d}.nii.gz", ct_values(100 + n))
    return Folders(root / "a", root / "b")
