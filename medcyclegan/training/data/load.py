"""Read inputs and bring them to the model grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.task import Domain, Task, Window
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr, picture_mask
from medcyclegan.imaging.plausibility import refuse_ct, refuse_image_for_mask, refuse_no_ct
from medcyclegan.imaging.preprocessing import Prepared, fit_window, on_grid, prepare, prepare_plane
from medcyclegan.imaging.resampling import AXIAL, mask_on, slice_axis, to_geometry
from medcyclegan.io.dicom.api import read_files
from medcyclegan.io.read import read_mask, read_scan
from medcyclegan.io.scan import Scan
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.inputs import Image

# A mask with less of the body that is found is told of: it may mark an organ or a lesion.
LEAST_MASKED_SHARE = 0.5
SMALL_MASK = (
    f"The body mask covers less than {LEAST_MASKED_SHARE:.0%} of what looks like the body: slabs "
    "are drawn inside the mask alone; with data.masks=none the body is found."
)
_ALIGN = "register them; unregistered, pairs are trained with data.pairs=none"


@dataclass(frozen=True, eq=False)
class Ready:
    """An image on the model grid: ``values`` float32 (D, H, W) in [-1, 1], ``body`` bool alike.

    ``normal`` is the world axis that D runs along.
    """

    values: NDArray[np.float32]
    body: NDArray[np.bool_]
    normal: int


class OtherModality(InputRefused):
    """An image that does not look like the modality of its side: a CT among MR, or the reverse."""


def read_image(image: Image, config: DataConfig, side: Side) -> list[Scan]:
    """Read an image and hold it against its domain.

    A series that is no regular volume comes as one scan a slice where that makes no difference:
    slabs are of one slice and values are not scaled by what the whole body shows.

    Raises
    ------
    OtherModality
        If it looks like a CT on a side of MR, or not like one on a side in HU.
    InputRefused
        If it cannot be read, or does not fit the domain.
    """
    domain = config.domain(side)
    slices = (
        len(image.dicom) > 1
        and config.depth == 1
        and isinstance(domain.scaling, Window)
        and len(domain.channels) < 2
    )
    try:
        scans = [_read(image, domain)]
    except InputRefused:
        if not slices:
            raise
        scans = [read_files([file], source=file.path) for file in image.dicom]
    return [replace(scan, volume=_in_unit(scan, domain)) for scan in scans]


def body_of(scan: Scan, mask: Path | None) -> tuple[Scan, Volume | None]:
    """The body mask of a volume on its own grid, from a file or else found; None of a picture.

    The scan comes back with a warning if the mask leaves out much of what looks like the body.

    Raises
    ------
    InputRefused
        If the mask cannot be read, is an image or marks nothing of the scan, or no body is found.
    """
    if scan.is_plane:
        return scan, None
    if mask is None:
        return scan, find_body(scan.volume)
    marked = read_mask(mask).volume
    refuse_image_for_mask(marked, name=str(mask), remedy="give masks, or set data.masks=none")
    body = mask_on(marked, scan.volume.geometry)
    if not body.voxels.any():
        raise InputRefused(
            f"{mask} marks nothing of {scan.source}",
            rule="a body mask lies where its image does, and is above 0 in the body",
            remedy="check that the mask belongs to this image, or set data.masks=none",
        )
    try:
        seen = find_body(scan.volume).voxels > 0
    except InputRefused:
        return scan, body
    if (body.voxels[seen] > 0).mean() < LEAST_MASKED_SHARE:
        scan = replace(scan, warnings=(*scan.warnings, SMALL_MASK))
    return scan, body


def prepare_scan(scan: Scan, body: Volume | None, task: Task) -> tuple[Ready, Prepared]:
    """Bring a scan to the model grid of ``task.source``; ``body`` None is for pictures."""
    if body is None:
        prepared = prepare_plane(scan.volume, task)
        values = prepared.values.numpy()
        return Ready(values, picture_mask(values[0])[None], AXIAL), prepared
    normal = slice_axis(scan.volume.geometry, task)
    prepared = prepare(scan.volume, body, task, normal=normal)
    moved = to_geometry(body, prepared.geometry, fill=0.0)
    return Ready(prepared.values.numpy(), moved.voxels >= 0.5, normal), prepared


def prepare_partner(
    scan: Scan, onto: Prepared, task: Task, *, first: Scan, body: Volume | None
) -> NDArray[np.float32]:
    """Bring a further image of the same anatomy to the grid of the first; (D, H, W) in [-1, 1].

    ``body``, on any grid, is where its percentiles are taken.

    Raises
    ------
    InputRefused
        If one is a picture and the other a volume, pictures differ in size, or volumes lie apart.
    """
    one, other = first.volume.geometry, scan.volume.geometry
    if scan.is_plane != first.is_plane or (scan.is_plane and one.shape != other.shape):
        raise InputRefused(
            f"{scan.source} ({_size(other.shape)}) and {first.source} ({_size(one.shape)})",
            rule="a pair, or the channels of one side, show the same anatomy, aligned: pictures of "
            "one size, or volumes",
            remedy=_ALIGN,
        )
    if body is None:
        return prepare_plane(scan.volume, task).values.numpy()
    inside = to_geometry(
        scan.volume.with_voxels(np.ones_like(scan.volume.voxels), unit="mask"),
        onto.geometry,
        fill=0.0,
    )
    if inside.voxels.mean() < 0.5:
        raise InputRefused(
            f"{scan.source} covers {inside.voxels.mean():.0%} of {first.source}",
            rule="the volumes of a pair, or of the channels of one side, lie at one place in space",
            remedy=_ALIGN,
        )
    window = fit_window(scan.volume, mask_on(body, other), task.source)
    return on_grid(scan.volume, onto.geometry, window).values.numpy()


def find_body(volume: Volume) -> Volume:
    """The body mask of a CT in HU or of an MR, on the volume's own grid."""
    return (body_mask_ct if volume.unit == "HU" else body_mask_mr)(volume)


def _read(image: Image, domain: Domain) -> Scan:
    if image.dicom:
        return read_files(list(image.dicom), source=image.source)
    return read_scan(image.paths[0], modality=domain.modality)


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
    _refuse_other_modality(scan, domain)
    window = domain.scaling
    if isinstance(window, Window) and domain.unit == "a.u.":
        _refuse_outside(scan, window)
    return volume


def _refuse_other_modality(scan: Scan, domain: Domain) -> None:
    """Refuse what a conversion would refuse: a CT for an MR, and for a CT what has no HU."""
    try:
        if domain.modality == "MR" and not scan.is_plane:
            refuse_ct(scan.volume, source=scan.source)
        if domain.unit == "HU":
            refuse_no_ct(scan.volume, source=scan.source)
    except InputRefused as error:
        raise OtherModality(error.found, rule=error.rule, remedy=error.remedy) from error


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


def _size(shape: tuple[int, int, int]) -> str:
    return " x ".join(str(n) for n in shape)
