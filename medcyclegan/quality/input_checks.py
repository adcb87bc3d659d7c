"""Checks of an input before it is translated: modality, size, voxels, body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from medcyclegan.core.task import Domain, Percentiles, Task, Window, fits_modality
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr
from medcyclegan.imaging.plausibility import (
    refuse_ct,
    refuse_image_for_mask,
    refuse_no_ct,
    refuse_noise,
)
from medcyclegan.imaging.resampling import mask_on
from medcyclegan.io.scan import Scan

# Signal of scanners and of programs that normalise it: left as it is.
_USUAL_SIGNAL = (1.0, 2.0**17)
_HIGH_PERCENTILE = 99.5
# What other signal is brought to, in powers of two; and what squares may be taken of in float32.
_USUAL_EXPONENT, _LARGEST_EXPONENT = 11, 40


def check_source(scan: Scan, task: Task, mask: Volume | None = None) -> None:
    """Refuse a scan that is not, or does not look like, what ``task`` translates.

    ``mask``, on the scan's grid, is one that the user gave: noise is looked for inside it.

    Raises
    ------
    InputRefused
        If modality, unit or values are others than those of the task's source.
    """
    wanted = task.source
    if scan.modality and not fits_modality(scan.modality, wanted.modality):
        raise InputRefused(
            f"{scan.source} is of modality {scan.modality}",
            rule=f"the model translates {wanted.modality}",
            remedy=f"give {_named(wanted)}, or another --model",
        )
    _refuse_other_unit(scan, wanted)
    _refuse_brighter(scan, wanted)
    if wanted.modality == "MR":
        refuse_ct(scan.volume, source=scan.source)
    if wanted.unit == "HU":
        refuse_no_ct(scan.volume, source=scan.source)
    if wanted.modality != "image":  # a picture may be anything, fine grain too
        refuse_noise(scan.volume, source=scan.source, mask=mask, shown=task.body_part.name)


def at_usual_scale(scan: Scan, task: Task) -> Scan:
    """Return the scan with signal of some thousands, if its scale is far from that.

    MR signal has no unit, and percentiles of it are what a network is given, so that any scale
    gives the same. It is changed by a power of two, which is exact: sums and squares of what
    float32 just holds would overflow.
    """
    if not isinstance(task.source.scaling, Percentiles) or scan.volume.unit != "a.u.":
        return scan
    size = np.abs(scan.volume.voxels)
    high = float(np.percentile(size, _HIGH_PERCENTILE)) or float(size.max())
    if high == 0.0 or _USUAL_SIGNAL[0] <= high <= _USUAL_SIGNAL[1]:
        return scan
    exponent = _USUAL_EXPONENT - int(np.frexp(high)[1])
    # A single voxel may be far above the percentile.
    exponent = min(exponent, _LARGEST_EXPONENT - int(np.frexp(float(size.max()))[1]))
    voxels = np.ldexp(scan.volume.voxels.astype(np.float64), exponent).astype(np.float32)
    return replace(scan, volume=scan.volume.with_voxels(voxels))


def find_body(scan: Scan, mask: Volume | None, *, mask_name: str = "given") -> Volume:
    """Return what of the scan is looked at, as a mask on its grid.

    That is ``mask``, given on any grid, if there is one; else the body. ``mask_name`` is what
    messages call it. Of pictures and
    radiographs, which may fill their frame, it is all.

    Raises
    ------
    InputRefused
        If no body is found, the mask is an image or marks nothing of the scan, or it is given for a
        picture.
    """
    if scan.is_plane:
        if mask is not None:
            raise InputRefused(
                f"A mask for {scan.source}",
                rule="all of a picture or radiograph is looked at",
                remedy="leave out --mask",
            )
        return scan.volume.with_voxels(np.ones_like(scan.volume.voxels), unit="mask")
    if mask is not None:
        refuse_image_for_mask(mask, name=mask_name, remedy="give the mask, or leave out --mask")
        body = mask_on(mask, scan.volume.geometry)
        _refuse_mask_beside(body, mask, scan, mask_name)
        return body
    find = body_mask_ct if scan.volume.unit == "HU" else body_mask_mr
    return find(scan.volume)


def _refuse_mask_beside(body: Volume, mask: Volume, scan: Scan, name: str) -> None:
    """Refuse a mask that marks nothing of the scan, and say which of the two is to blame."""
    if body.voxels.any():
        return
    if not (mask.voxels > 0).any():
        raise InputRefused(
            f"The mask {name} marks no voxel: none is above 0",
            rule="it marks the body by values above 0",
            remedy="check the mask",
        )
    raise InputRefused(
        f"The mask {name} lies beside the scan {scan.source}: no voxel of it is marked",
        rule="both must lie in one frame of reference, in millimetres",
        remedy="give the mask of this scan, and check the position in the mask's header",
    )


def _refuse_other_unit(scan: Scan, wanted: Domain) -> None:
    unit = scan.volume.unit
    if wanted.unit == "HU" and unit != "HU":
        raise InputRefused(
            f"{scan.source} has values in {unit}",
            rule="the model takes CT in HU",
            remedy="give the CT as DICOM, NIfTI, MetaImage or NRRD with its HU",
        )
    if wanted.unit != "HU" and unit == "HU" and isinstance(wanted.scaling, Window):
        raise InputRefused(
            f"{scan.source} has values in HU",
            rule=f"the model takes grey values from {wanted.scaling.lower:g} to "
            f"{wanted.scaling.upper:g}",
            remedy="give pictures like those that it was trained on, or another --model",
        )


def _refuse_brighter(scan: Scan, wanted: Domain) -> None:
    """Refuse pictures most of which a fixed window would turn white, as 16 bits given for 8."""
    if not scan.is_plane or not isinstance(wanted.scaling, Window):
        return
    median = float(np.median(scan.volume.voxels))
    if median > wanted.scaling.upper:
        raise InputRefused(
            f"{scan.source}: half of its grey values are {median:g} or more",
            rule=f"the model takes grey values from {wanted.scaling.lower:g} to "
            f"{wanted.scaling.upper:g}",
            remedy="save the picture with as many bits as the model was trained on",
        )


def _named(domain: Domain) -> str:
    names = {"MR": "an MR", "CT": "a CT", "XR": "a radiograph", "image": "a picture"}
    return names[domain.modality]
