"""What a scan must be for a task to take it, and where the body is in it."""

from __future__ import annotations

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.foreground import body_mask_ct, body_mask_mr
from medcyclegan.io.scan import Scan
from medcyclegan.plausibility import refuse_ct, refuse_no_ct, refuse_noise
from medcyclegan.task import Domain, Task, Window, fits_modality
from medcyclegan.transforms.resample import mask_on
from medcyclegan.volume import Volume


def check_source(scan: Scan, task: Task) -> None:
    """Refuse a scan that is not, or does not look like, what ``task`` translates.

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
        refuse_noise(scan.volume, source=scan.source)


def find_body(scan: Scan, mask: Volume | None) -> Volume:
    """Return what of the scan is looked at, as a mask on its grid.

    That is ``mask``, given on any grid, if there is one; else the body. Of pictures and
    radiographs, which may fill their frame, it is all.

    Raises
    ------
    InputRefused
        If no body is found, or a mask is given for a picture.
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
        return mask_on(mask, scan.volume.geometry)
    find = body_mask_ct if scan.volume.unit == "HU" else body_mask_mr
    return find(scan.volume)


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
