"""Whether a file can hold what a translation makes, found out before the network runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medcyclegan.errors import UsageError
from medcyclegan.io.naming import is_picture
from medcyclegan.io.plane.spread import spread
from medcyclegan.io.scan import Scan
from medcyclegan.io.voxel_rules import HU_RANGE
from medcyclegan.task import Task
from medcyclegan.volume import Volume


def refuse_unwritable(output: Path, scan: Scan, task: Task) -> None:
    """Raise UsageError if ``output`` is a picture that cannot hold the result of ``task``."""
    if not is_picture(output):
        return
    slices = scan.volume.geometry.shape[2]
    if slices != 1:
        raise UsageError(
            f"{output} for {slices} slices",
            rule="a picture holds one slice",
            remedy="name a .nii.gz or .mha file with --out",
        )
    if task.target.unit == "HU" and output.suffix.lower() == ".png":
        raise UsageError(
            f"{output} for HU",
            rule="PNG holds whole numbers from 0 up",
            remedy="name a .tif or .nii.gz file with --out",
        )


def refuse_report(scan: Scan) -> None:
    """Raise UsageError if a report cannot show what ``scan`` is."""
    if scan.is_plane:
        raise UsageError(
            f"A report on {scan.source}",
            rule="it shows planes through volumes, and this is one plane",
            remedy="leave out --report, and look at the two images",
        )


def as_stored(image: Volume, output: Path, scan: Scan, task: Task) -> Volume:
    """Return the values that the file will hold: HU as they are stored, a picture's grey values
    spread over what it stores; other images as they are.
    """
    if image.unit == "HU":
        return image.with_voxels(np.clip(np.rint(image.voxels), *HU_RANGE).astype(np.float32))
    if not is_picture(output):
        return image
    return spread(image, task.target_window, passport=scan.passport)


def clipped_warning(image: Volume) -> tuple[str, ...]:
    """Return a sentence if HU lie beyond what is stored, else nothing."""
    if image.unit != "HU":
        return ()
    low, high = HU_RANGE
    beyond = int((np.rint(image.voxels) > high).sum() + (np.rint(image.voxels) < low).sum())
    if not beyond:
        return ()
    least, most = float(image.voxels.min()), float(image.voxels.max())
    return (
        f"{beyond} voxels lie beyond {low} to {high} HU, what is stored (from {least:.0f} to "
        f"{most:.0f} HU): they are stored as its ends.",
    )
