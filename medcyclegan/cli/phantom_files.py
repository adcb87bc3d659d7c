"""The files of a phantom on disk, for ``phantom`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medcyclegan.simulate.phantom import PhantomSubject


def write_phantom(
    subject: PhantomSubject, *, contrast: str, folder: Path, dicom: bool
) -> list[Path]:
    """Write MR, CT, labels and mask as NIfTI, and MR and CT as DICOM if asked; never overwrites."""
    from datetime import datetime

    from pydicom.uid import generate_uid

    from medcyclegan.errors import CannotWrite
    from medcyclegan.io.dicom_create import write_dicom_mr
    from medcyclegan.io.nifti_write import write_nifti
    from medcyclegan.io.scan import ItkPassport

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(
            f"Cannot make {folder}: {error.strerror}", remedy="name another folder"
        ) from error
    volumes = {
        f"mr_{contrast}.nii.gz": subject.mr,
        "ct.nii.gz": subject.ct,
        "labels.nii.gz": subject.labels,
        "body_mask.nii.gz": subject.body_mask,
    }
    written: list[Path] = []
    for name, volume in volumes.items():
        write_nifti(volume, passport=ItkPassport(), to=folder / name)
        written.append(folder / name)
    if dicom:
        series = folder / f"mr_{contrast}_dicom"
        write_dicom_mr(
            subject.mr,
            to=series,
            description=f"{contrast.upper()} head phantom",
            now=datetime.now().astimezone(),
            new_uid=lambda: str(generate_uid()),
        )
        written.append(series)
    return written
