"""Read one DICOM series as a scan."""

from __future__ import annotations

from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.checks import check_alike
from medcyclegan.io.dicom.find import find_images, find_siblings, is_dicom, is_multiframe
from medcyclegan.io.dicom.frames import SliceView, views_of
from medcyclegan.io.dicom.geometry import sort_slices
from medcyclegan.io.dicom.header import DicomFile, load_header
from medcyclegan.io.dicom.linked import refuse_linked
from medcyclegan.io.dicom.one_kind import check_one_kind, component_warning
from medcyclegan.io.dicom.pixels import layouts_of, read_voxels, unit_of
from medcyclegan.io.dicom.radiograph import is_radiograph, radiograph_geometry
from medcyclegan.io.dicom.series import choose_series, drop_duplicates
from medcyclegan.io.dicom.untilt import tilt_degrees, untilted
from medcyclegan.io.dicom.values import text
from medcyclegan.io.scan import DicomPassport, Scan
from medcyclegan.task import modality_of
from medcyclegan.volume import Volume

__all__ = ["is_dicom", "read_dicom", "read_files", "read_series"]


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


def read_series(paths: tuple[Path, ...], *, source: Path) -> Scan:
    """Read one series from its files, which were found before; ``source`` is what messages name.

    Raises
    ------
    InputRefused
        If a file is no DICOM, or if they are no regular volume that we would vouch for.
    """
    files: list[DicomFile] = []
    for path in paths:
        file = load_header(path)
        if file is None:
            raise InputRefused(f"{path} is no DICOM file", rule="it was one when it was found")
        files.append(file)
    return read_files(files, source=source)


def read_files(
    files: list[DicomFile],
    *,
    source: Path,
    warnings: tuple[str, ...] = (),
    untilt: bool = False,
) -> Scan:
    """Read files that are known to be one series, or one slice of it, as ``read_dicom`` does."""
    files, twice = drop_duplicates(files)
    warnings += twice
    views = [view for file in files for view in views_of(file)]
    warnings += component_warning(views[0])
    plane = is_radiograph(files[0])
    if not plane:
        check_alike(views)
        check_one_kind(views)
    layouts = layouts_of(views)
    modality = text(views[0].dataset, "Modality", views[0].path)
    ordered, geometry, about_geometry = (
        (views, *radiograph_geometry(views))
        if plane
        else sort_slices(views, may_be_tilted=untilt and modality == "CT")
    )
    unit, about_values = unit_of(ordered, modality)
    voxels, about_pixels = read_voxels(ordered, layouts, modality=modality, unit=unit)
    volume, passport = Volume(voxels, geometry, unit), _passport(ordered)
    if untilt and geometry.is_sheared:
        volume, passport = untilted(volume, passport)
        about_geometry += (_untilted_said(geometry, volume.geometry),)
    return Scan(
        volume=volume,
        passport=passport,
        source=source,
        modality=modality_of(modality),
        warnings=warnings + about_geometry + about_values + about_pixels,
    )


def _untilted_said(before: Geometry, after: Geometry) -> str:
    columns, rows, _ = after.shape
    return (
        f"The gantry's tilt of {tilt_degrees(before):.2f} degrees was corrected: slices were moved "
        f"within their planes, onto a grid of {columns} x {rows} pixels."
    )


def _passport(ordered: list[SliceView]) -> DicomPassport:
    frames = tuple(view.frame + 1 for view in ordered)
    return DicomPassport(
        slices=tuple(view.dataset for view in ordered),
        frame_numbers=frames if any(is_multiframe(view.file) for view in ordered) else (),
    )
