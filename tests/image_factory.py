"""Small images in files and in memory, for the tests of the readers and writers."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Unit, Volume

SHAPE = (20, 24, 10)


def _oblique() -> np.ndarray:
    """A turned grid of three spacings, mirrored, at a place that float32 must round."""
    rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    rotation *= -np.sign(np.linalg.det(rotation))
    affine = np.eye(4)
    affine[:3, :3] = rotation * (0.9375, 0.8813, 4.2113)
    affine[:3, 3] = (91.7341, -120.3347, -33.3331)
    return affine


OBLIQUE = _oblique()


def ramp(shape: tuple[int, ...] = SHAPE, most: int = 120) -> np.ndarray:
    """Whole numbers from 0 to ``most``, different in every direction, int64."""
    return np.random.default_rng(7).integers(0, most + 1, size=shape)


def all_axis_orders() -> list[np.ndarray]:
    """The 48 affines whose axes are parallel to the world's, of three spacings."""
    affines = []
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            affine = np.eye(4)
            affine[:3, :3] = 0.0
            for axis, (world, sign) in enumerate(zip(order, signs, strict=True)):
                affine[world, axis] = sign * (0.9, 1.1, 4.4)[axis]
            affine[:3, 3] = (-91.7, 12.3, 4.56)
            affines.append(affine)
    return affines


def nifti_header(
    shape: tuple[int, ...] = SHAPE,
    *,
    dtype: str = "int16",
    affine: np.ndarray = OBLIQUE,
    endianness: str = "<",
    version: int = 1,
) -> Nifti1Header:
    """Make a header with sform and qform of code 1, in millimetres."""
    header = (Nifti1Header if version == 1 else Nifti2Header)(endianness=endianness)
    header.set_data_shape(shape)
    header.set_data_dtype(dtype)
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header["xyzt_units"] = 10
    header["scl_slope"] = 1
    header["scl_inter"] = 0
    header["vox_offset"] = int(header["sizeof_hdr"]) + 4
    return header


def nifti_bytes(header: Nifti1Header, voxels: np.ndarray) -> bytes:
    """Return an uncompressed single file; the voxels go in as the header's type."""
    dtype = header.get_data_dtype()
    gap = bytes(int(header["vox_offset"]) - len(header.binaryblock))
    return header.binaryblock + gap + voxels.astype(dtype).tobytes(order="F")


def write_plain(path: Path, header: Nifti1Header, voxels: np.ndarray) -> Path:
    """Write an uncompressed single file and return its path."""
    path.write_bytes(nifti_bytes(header, voxels))
    return path


def volume_of(geometry: Geometry, *, unit: Unit = "HU") -> Volume:
    """Return whole HU, or 0 and 1 for a mask, on ``geometry``."""
    most = 1 if unit == "mask" else 3000
    voxels = ramp(geometry.shape, most=most).astype(np.float32)
    return Volume(voxels - (1000 if unit == "HU" else 0), geometry, unit)
