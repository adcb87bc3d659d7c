"""Read inputs and bring them to the model grid."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import InputRefused
from medcyclegan.foreground import body_mask_ct, body_mask_mr
from medcyclegan.io.dicom.read import read_files
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import Scan
from medcyclegan.plausibility import refuse_ct
from medcyclegan.task import Domain, Task, Window
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.find import Input
from medcyclegan.transforms.grid import AXIAL, slice_axis
from medcyclegan.transforms.prepare import Prepared, on_grid, prepare, prepare_plane
from medcyclegan.transforms.resample import to_geometry
from medcyclegan.transforms.scaling import fit_window
from medcyclegan.volume import Volume

# Above the value of background by this much of the range, a pixel of a picture shows something.
PLANE_BODY_ABOVE = 0.05
# With less of the picture above it, all of the picture is drawn from.
PLANE_BODY_LEAST_SHARE = 0.01


@dataclass(frozen=True, eq=False)
class Ready:
    """An image on the model grid: ``values`` float32 (D, H, W) in [-1, 1], ``body`` bool alike.

    ``normal`` is the world axis that D runs along.
    """

    values: NDArray[np.float32]
    body: NDArray[np.bool_]
    normal: int


def read_input(found: Input, config: DataConfig, side: Side) -> list[Scan]:
    """Read an input and hold it against its domain.

    A series that is no regular volume comes as one scan a slice where that makes no difference:
    slabs are of one slice and values are not scaled by what the whole body shows.

    Raises
    ------
    InputRefused
        If it cannot be read, or does not fit the domain.
    """
    domain = config.domain(side)
    slices = len(found.dicom) > 1 and config.depth == 1 and isinstance(domain.scaling, Window)
    try:
        scans = [_read(found, domain)]
    except InputRefused:
        if not slices:
            raise
        scans = [read_files([file], source=file.path) for file in found.dicom]
    return [replace(scan, volume=_in_unit(scan, domain)) for scan in scans]


def prepare_scan(scan: Scan, task: Task) -> tuple[Ready, Prepared]:
    """Find the body and bring a scan to the model grid of ``task.source``."""
    if scan.is_plane:
        prepared = prepare_plane(scan.volume, task)
        values = prepared.values.numpy()
        return Ready(values, _plane_body(values), AXIAL), prepared
    body = find_body(scan.volume)
    normal = slice_axis(scan.volume.geometry, task)
    prepared = prepare(scan.volume, body, task, normal=normal)
    moved = to_geometry(body, prepared.geometry, fill=0.0)
    return Ready(prepared.values.numpy(), moved.voxels >= 0.5, normal), prepared


def prepare_partner(
    scan: Scan, onto: Prepared, task: Task, *, partner_of: Scan
) -> NDArray[np.float32]:
    """Bring the second image of a pair to the grid of the first; (D, H, W) in [-1, 1].

    Raises
    ------
    InputRefused
        If one is a picture and the other a volume, pictures differ in size, or volumes lie apart.
    """
    first, second = partner_of.volume.geometry, scan.volume.geometry
    if scan.is_plane != partner_of.is_plane or (scan.is_plane and first.shape != second.shape):
        raise InputRefused(
            f"{scan.source} ({_size(second.shape)}) and {partner_of.source} ({_size(first.shape)})",
            rule="a pair shows the same anatomy, aligned: pictures of one size, or two volumes",
            remedy="align them, or set pairs: none",
        )
    if scan.is_plane:
        return prepare_plane(scan.volume, task).values.numpy()
    inside = to_geometry(
        scan.volume.with_voxels(np.ones_like(scan.volume.voxels), unit="mask"),
        onto.geometry,
        fill=0.0,
    )
    if inside.voxels.mean() < 0.5:
        raise InputRefused(
            f"{scan.source} covers {inside.voxels.mean():.0%} of {partner_of.source}",
            rule="the two volumes of a pair lie at one place in space",
            remedy="register them, or set pairs: none",
        )
    window = fit_window(scan.volume, find_body(scan.volume), task.source)
    return on_grid(scan.volume, onto.geometry, window).values.numpy()


def find_body(volume: Volume) -> Volume:
    """The body mask of a CT in HU or of an MR, on the volume's own grid."""
    return (body_mask_ct if volume.unit == "HU" else body_mask_mr)(volume)


def _read(found: Input, domain: Domain) -> Scan:
    if found.dicom:
        return read_files(list(found.dicom), source=found.source)
    return read_scan(found.paths[0], modality=domain.modality)


def _in_unit(scan: Scan, domain: Domain) -> Volume:
    """The volume in the unit of the domain, if its values can be that."""
    volume = scan.volume
    if domain.modality == "image":
        volume = volume.with_voxels(volume.voxels, unit="a.u.")
    if volume.unit != domain.unit:
        raise InputRefused(
            f"{scan.source}: values in {volume.unit}",
            rule=f"this side of the training has the unit {domain.unit}",
            remedy="take the file out, or change the unit and scaling in the configuration",
        )
    if domain.modality == "MR" and not scan.is_plane:
        refuse_ct(volume, source=scan.source)
    window = domain.scaling
    if isinstance(window, Window) and domain.unit == "a.u.":
        _refuse_outside(scan, window)
    return volume


def _refuse_outside(scan: Scan, window: Window) -> None:
    """Refuse 16 bits in a window of 8, and the like: half of what is seen would be clipped."""
    voxels = scan.volume.voxels
    above = float((voxels > window.upper).mean())
    if above > 0.5 or float(voxels.max()) <= window.lower:
        raise InputRefused(
            f"{scan.source}: values from {voxels.min():g} to {voxels.max():g}",
            rule=f"the scaling of this side is a window from {window.lower:g} to {window.upper:g}",
            remedy="convert the file, or change the scaling in the configuration",
        )


def _plane_body(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    body = values > -1.0 + 2.0 * PLANE_BODY_ABOVE
    return body if body.mean() >= PLANE_BODY_LEAST_SHARE else np.ones_like(body)


def _size(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(n) for n in shape)
