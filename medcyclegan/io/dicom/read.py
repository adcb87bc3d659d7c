"""Reading of one DICOM series as a scan; the tilt of a gantry is corrected on request.

Correct the tilt of a CT's gantry: slices that are stacked off their normal.
Each slice is right in itself, but lies a little further along its own plane than the one before.
So every slice is moved back within its plane, by linear interpolation, onto one rectangular grid
whose slices are those of the input: a shear, which the positions of the slices give. The grid is
larger by what the slices move, so that nothing is cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import DataElement, Dataset
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.task import modality_of
from medcyclegan.core.volume import FloatVoxels, Unit, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import text
from medcyclegan.io.dicom.find import (
    find_images,
    find_siblings,
    is_dicom,
    is_multiframe,
    refuse_linked,
)
from medcyclegan.io.dicom.frames import SliceView, views_of
from medcyclegan.io.dicom.geometry import plane_of_grid, sort_slices
from medcyclegan.io.dicom.header import DicomFile, load_header
from medcyclegan.io.dicom.kinds import HU_RANGE
from medcyclegan.io.dicom.maps import quantity_warning, synthetic_warning
from medcyclegan.io.dicom.mixed_series import scale_warnings, shared_warning
from medcyclegan.io.dicom.pixels import Layouts, layouts_of, read_voxels, unit_of
from medcyclegan.io.dicom.radiograph import is_radiograph, radiograph_geometry
from medcyclegan.io.dicom.series import choose_series, drop_duplicates
from medcyclegan.io.dicom.series_consistency import check_alike, check_one_kind, component_warning
from medcyclegan.io.scan import DicomSourceHeader, Scan

# Those that lose by their name. Some others (JPEG 2000) may lose or not: the header alone tells.
_LOSSY_SYNTAXES = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless)
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


def untilted(volume: Volume, source_header: DicomSourceHeader) -> tuple[Volume, DicomSourceHeader]:
    """Return a tilted volume on a rectangular grid, and the source header of its slices there.

    Rows, columns and normal keep their directions, pixels and slices their distances. Outside of
    what was scanned lies air, or the least value where there are no HU.

    Raises
    ------
    InputRefused
        If the slices are stacked more than 45 degrees off their normal.
    """
    geometry, axes, moved = _straightened(volume.geometry, source_header)
    fill = float(HU_RANGE[0]) if volume.unit == "HU" else float(volume.voxels.min())
    voxels = volume.voxels
    for axis, moves in enumerate(axes):
        voxels = _moved(voxels, axis, moves, fill)
    return Volume(voxels, geometry, volume.unit), moved


def _straightened(
    tilted: Geometry, source_header: DicomSourceHeader
) -> tuple[Geometry, tuple[_Axis, _Axis], DicomSourceHeader]:
    """The rectangular grid, how slices move onto it, and their headers there."""
    degrees = tilt_degrees(tilted)
    if degrees > MOST_DEGREES:
        raise InputRefused(
            f"The slices are stacked {degrees:.1f} degrees off their normal",
            rule=f"a gantry tilts by less than {MOST_DEGREES:g}",
            remedy="check the positions of the slices",
        )
    geometry, axes = _rectangular(tilted)
    slices = tuple(_at(ds, geometry, k) for k, ds in enumerate(source_header.slices))
    moved = DicomSourceHeader(slices, source_header.frame_numbers, is_resampled=True)
    return geometry, axes, moved


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


__all__ = ["is_dicom", "read_dicom", "read_files", "read_headers", "read_series"]


def read_dicom(
    path: Path,
    *,
    series_uid: str | None = None,
    modality: str | None = None,
    untilt: bool = False,
) -> Scan:
    """Read one series.

    Parameters
    ----------
    path:
        A folder that holds DICOM, subfolders included; or one file of a series, read with the files
        beside it that share its SeriesInstanceUID. An enhanced multi-frame file and a radiograph
        stand alone.
    series_uid:
        Which series to take if there are several.
    modality:
        The only modality to take, as ``"MR"`` or ``"XR"``; None or ``"image"`` for any image.
    untilt:
        Whether the tilt of a CT's gantry is corrected; the volume has a grid of its own then.

    Returns
    -------
    A scan of float32 voxels (i, j, k), k along the normal cross(i, j) in LPS, in HU for CT, else in
    arbitrary units; the affine is what the header gives, neither rounded nor snapped. MONOCHROME1
    is inverted but for CT, so that in a radiograph bone is brighter than air.

    Raises
    ------
    InputRefused
        If there is no such series, or it is no regular volume that we would vouch for.
    """
    if not path.exists():
        raise InputRefused(
            f"{path} does not exist", rule="a folder or a file is needed", remedy="check the path"
        )
    found = find_images(path) if path.is_dir() else find_siblings(path)
    files, passed_over = choose_series(
        found, series_uid=series_uid, modality=modality, where=str(path)
    )
    refuse_linked(found, files, where=path)
    warnings = found.warnings + passed_over
    return read_files(files, source=path, warnings=warnings, untilt=untilt)


def read_series(paths: tuple[Path, ...], *, source: Path, untilt: bool = False) -> Scan:
    """Read one series from its files, which were found before; ``source`` is what messages name.

    Raises
    ------
    InputRefused
        If a file is no DICOM, or if they are no regular volume that we would vouch for.
    """
    return read_files(_loaded(paths), source=source, untilt=untilt)


def _loaded(paths: tuple[Path, ...]) -> list[DicomFile]:
    files: list[DicomFile] = []
    for path in paths:
        file = load_header(path)
        if file is None:
            raise InputRefused(f"{path} is no DICOM file", rule="it was one when it was found")
        files.append(file)
    return files


def read_files(
    files: list[DicomFile],
    *,
    source: Path,
    warnings: tuple[str, ...] = (),
    untilt: bool = False,
) -> Scan:
    """Read files that are known to be one series, or one slice of it, as ``read_dicom`` does."""
    series = _in_order(files, untilt=untilt, warnings=warnings)
    voxels, about_pixels = read_voxels(
        series.slices, series.layouts, modality=series.modality, unit=series.unit
    )
    geometry, warnings = series.geometry, series.warnings
    volume = Volume(voxels, geometry, series.unit)
    source_header = _source_header(series.slices)
    if untilt and geometry.is_sheared:
        volume, source_header = untilted(volume, source_header)
        warnings += (_untilted_said(geometry, volume.geometry),)
    return Scan(
        volume=volume,
        source_header=source_header,
        source=source,
        modality=modality_of(series.modality),
        warnings=warnings + about_pixels,
        files=tuple(file.path for file in series.files),
    )


def read_headers(
    paths: tuple[Path, ...], *, untilt: bool = False
) -> tuple[Geometry, DicomSourceHeader]:
    """Check all of a series that can be checked without its pixels; its grid, and its headers.

    Raises
    ------
    InputRefused
        As ``read_series`` does, but for what is wrong with pixels.
    """
    series = _in_order(_loaded(paths), untilt=untilt, warnings=())
    source_header = _source_header(series.slices)
    if untilt and series.geometry.is_sheared:
        straight, _, source_header = _straightened(series.geometry, source_header)
        return straight, source_header
    return series.geometry, source_header


@dataclass(frozen=True, eq=False)
class _Series:
    """A series that was checked by its headers: slices by ascending k, and their grid."""

    files: list[DicomFile]
    slices: list[SliceView]
    geometry: Geometry
    layouts: Layouts
    modality: str
    unit: Unit
    warnings: tuple[str, ...]


def _in_order(files: list[DicomFile], *, untilt: bool, warnings: tuple[str, ...]) -> _Series:
    files, twice = drop_duplicates(files)
    warnings += twice
    views = [view for file in files for view in views_of(file)]
    warnings += component_warning(views[0]) + quantity_warning(views[0])
    warnings += next(filter(None, map(synthetic_warning, files)), ())
    plane = is_radiograph(files[0])
    if not plane:
        check_alike(views)
        check_one_kind(views)
    layouts = layouts_of(views)
    modality = text(views[0].dataset, "Modality", views[0].path)
    warnings += shared_warning(views) + scale_warnings(views, modality)
    ordered, geometry, about_geometry = (
        (views, *radiograph_geometry(views))
        if plane
        else sort_slices(views, may_be_tilted=untilt and modality == "CT")
    )
    unit, about_values = unit_of(ordered, modality)
    warnings += about_geometry + about_values
    return _Series(files, ordered, geometry, layouts, modality, unit, warnings)


def _untilted_said(before: Geometry, after: Geometry) -> str:
    columns, rows, _ = after.shape
    return (
        f"The gantry's tilt of {tilt_degrees(before):.2f} degrees was corrected: slices were moved "
        f"within their planes, onto a grid of {columns} x {rows} pixels."
    )


def _source_header(ordered: list[SliceView]) -> DicomSourceHeader:
    for view in ordered:
        if view.file.syntax in _LOSSY_SYNTAXES:  # whatever the header says, or does not
            view.dataset.LossyImageCompression = "01"
    frames = tuple(view.frame + 1 for view in ordered)
    return DicomSourceHeader(
        slices=tuple(view.dataset for view in ordered),
        frame_numbers=frames if any(is_multiframe(view.file) for view in ordered) else (),
    )
