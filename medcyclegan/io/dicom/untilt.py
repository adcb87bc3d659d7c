"""Correct the tilt of a CT's gantry: slices that are stacked off their normal.

Each slice is right in itself, but lies a little further along its own plane than the one before.
So every slice is moved back within its plane, by linear interpolation, onto one rectangular grid
whose slices are those of the input: a shear, which the positions of the slices give. The grid is
larger by what the slices move, so that nothing is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydicom import DataElement, Dataset

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.kinds import HU_RANGE
from medcyclegan.io.dicom.plane import plane_of_grid
from medcyclegan.io.scan import DicomPassport
from medcyclegan.volume import FloatVoxels, Volume

# Gantries tilt by 30 degrees at most; beyond this, slices are in disorder.
MOST_DEGREES = 45.0


@dataclass(frozen=True)
class _Axis:
    """How slices move along one axis of their plane: voxels a slice, and what the grid grows by."""

    drift: float
    below: int
    above: int


def tilt_degrees(geometry: Geometry) -> float:
    """Return the angle between the stack of slices (k) and the normal of their planes."""
    i, j, k = geometry.directions_ras.T
    normal = np.cross(i, j)
    cosine = abs(float(normal @ k)) / float(np.linalg.norm(normal))
    return math.degrees(math.acos(min(cosine, 1.0)))


def untilted(volume: Volume, passport: DicomPassport) -> tuple[Volume, DicomPassport]:
    """Return a tilted volume on a rectangular grid, and the passport of its slices there.

    Rows, columns and normal keep their directions, pixels and slices their distances. Outside of
    what was scanned lies air, or the least value where there are no HU.

    Raises
    ------
    InputRefused
        If the slices are stacked more than 45 degrees off their normal.
    """
    degrees = tilt_degrees(volume.geometry)
    if degrees > MOST_DEGREES:
        raise InputRefused(
            f"The slices are stacked {degrees:.1f} degrees off their normal",
            rule=f"a gantry tilts by less than {MOST_DEGREES:g}",
            remedy="check the positions of the slices",
        )
    fill = float(HU_RANGE[0]) if volume.unit == "HU" else float(volume.voxels.min())
    geometry, axes = _rectangular(volume.geometry)
    voxels = volume.voxels
    for axis, moves in enumerate(axes):
        voxels = _moved(voxels, axis, moves, fill)
    slices = tuple(_at(ds, geometry, k) for k, ds in enumerate(passport.slices))
    moved = DicomPassport(slices, passport.frame_numbers, is_resampled=True)
    return Volume(voxels, geometry, volume.unit), moved


def _rectangular(tilted: Geometry) -> tuple[Geometry, tuple[_Axis, _Axis]]:
    """The grid that the slices are moved onto, and how they move along i and along j."""
    affine = tilted.affine_ras.copy()
    count = tilted.shape[2]
    # What of a step from slice to slice lies in the plane, in voxels along i and j.
    (drift_i, drift_j), *_ = np.linalg.lstsq(affine[:3, :2], affine[:3, 2], rcond=None)
    axes = tuple(_axis(drift, count) for drift in (drift_i, drift_j))
    affine[:3, 2] -= affine[:3, :2] @ np.array([drift_i, drift_j])
    affine[:3, 3] -= affine[:3, :2] @ np.array([axis.below for axis in axes], dtype=np.float64)
    grown = [n + axis.below + axis.above for n, axis in zip(tilted.shape[:2], axes, strict=True)]
    geometry = Geometry((grown[0], grown[1], count), affine, tilted.frame_of_reference_uid)
    return geometry, (axes[0], axes[1])


def _axis(drift: float, count: int) -> _Axis:
    # A drift that is rounding of the header makes no further voxel.
    total = round(drift * (count - 1), 3)
    return _Axis(drift, below=max(0, math.ceil(-total)), above=max(0, math.ceil(total)))


def _moved(voxels: FloatVoxels, axis: int, moves: _Axis, fill: float) -> FloatVoxels:
    """Grow (i, j, k) along an axis, and move each slice by its drift, linearly interpolated."""
    lines = np.moveaxis(voxels, axis, 0)
    grown = np.full(
        (lines.shape[0] + moves.below + moves.above, *lines.shape[1:]), fill, dtype=np.float32
    )
    places = np.arange(len(grown), dtype=np.float64) - moves.below
    for k in range(voxels.shape[2]):
        source = places - moves.drift * k
        whole = np.floor(source).astype(np.int64)
        share = (source - whole).astype(np.float32)[:, None]
        before, after = (_lines(lines[:, :, k], whole + step, fill) for step in (0, 1))
        grown[:, :, k] = before + share * (after - before)
    return np.ascontiguousarray(np.moveaxis(grown, 0, axis))


def _lines(plane: FloatVoxels, wanted: np.ndarray, fill: float) -> FloatVoxels:
    """Lines of a plane by their numbers; ``fill`` where there is none."""
    found = np.array(plane[np.clip(wanted, 0, len(plane) - 1)])
    found[(wanted < 0) | (wanted >= len(plane))] = fill
    return found


def _at(source: Dataset, geometry: Geometry, k: int) -> Dataset:
    """A slice's data set with its new place, as elements of their own: the source keeps its own."""
    ds = Dataset({element.tag: element for element in source.elements()})
    implicit, little_endian = source.original_encoding
    ds.set_original_encoding(implicit, little_endian, source.original_character_set)
    plane = plane_of_grid(geometry, k)
    columns, rows, _ = geometry.shape
    ds["ImagePositionPatient"] = plane["ImagePositionPatient"]
    for keyword, vr, value in (("Rows", "US", rows), ("Columns", "US", columns)):
        ds[keyword] = DataElement(keyword, vr, value)
    if "GantryDetectorTilt" in ds:
        ds["GantryDetectorTilt"] = DataElement("GantryDetectorTilt", "DS", "0")
    return ds
