"""Writing a volume in the format of the output's name, once it is known to fit there."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from medcyclegan.core.task import Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import UsageError
from medcyclegan.io.dicom.derive import Derivation, DerivedSeries, derive_series
from medcyclegan.io.dicom.write import write_derived
from medcyclegan.io.discover import ITK_WRITTEN, NIFTI_WRITTEN, PICTURES_WRITTEN
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.naming import NOT_WRITTEN, is_picture
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.raster.image import spread, write_raster
from medcyclegan.io.scan import Scan, SourceHeader
from medcyclegan.io.voxel_rules import HU_RANGE


def write_scan(
    volume: Volume,
    *,
    source_header: SourceHeader,
    to: Path | str,
    derivation: Derivation | DerivedSeries | None = None,
    overwrite: bool = False,
    sidecar: str | None = None,
) -> None:
    """Write ``volume`` as NIfTI, MetaImage, NRRD, PNG or TIFF by the name, else as DICOM series.

    ``source_header`` is that of the source scan; ``derivation``, for DICOM, says what was made and
    how, or is the series that was derived already. ``sidecar`` is the text of the JSON file that a
    NIfTI gets beside it (``medcyclegan.io.sidecar``); other formats get none.

    Raises
    ------
    UsageError
        If no derivation is given for DICOM, or files of the ending are not written.
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, or it cannot be written as it should.
    """
    to = Path(to)
    name = to.name.lower()
    if name.endswith(NIFTI_WRITTEN):
        write_nifti(
            volume, source_header=source_header, to=to, overwrite=overwrite, sidecar=sidecar
        )
    elif name.endswith(ITK_WRITTEN):
        write_itk(volume, source_header=source_header, to=to, overwrite=overwrite)
    elif name.endswith(PICTURES_WRITTEN):
        write_raster(volume, source_header=source_header, to=to, overwrite=overwrite)
    elif name.endswith(NOT_WRITTEN):
        raise UsageError(
            f"{to}: files ending in {to.suffix} are not written",
            rule="what is written is .nii, .nii.gz, .mha, .mhd, .nrrd, .png, .tif, and DICOM "
            "into a folder",
            remedy="name the output accordingly",
        )
    elif derivation is None:
        raise UsageError(
            f"{to}: no derivation is given",
            rule="a DICOM series says how it was made",
            remedy="pass derivation=, or name a .nii.gz file",
        )
    else:
        series = derivation
        if isinstance(series, Derivation):
            series = derive_series(volume.geometry, source_header=source_header, derivation=series)
        write_derived(volume, series, to=to, overwrite=overwrite)


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
    return spread(image, task.target_window, source_header=scan.source_header)


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
