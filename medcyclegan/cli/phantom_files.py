"""The files of a phantom on disk, for ``phantom`` and ``demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medcyclegan.conversion import Maker
    from medcyclegan.simulate.phantom import PhantomSubject


def write_phantom(
    subject: PhantomSubject, *, contrast: str, folder: Path, maker: Maker, dicom: bool
) -> list[Path]:
    """Write MR, CT, labels and mask as NIfTI, and MR and CT as DICOM if asked; never overwrites."""
    from medcyclegan.errors import CannotWrite
    from medcyclegan.io.nifti.write import write_nifti
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
    for name in (*volumes, f"mr_{contrast}_dicom", "ct_dicom"):
        if (folder / name).exists():
            raise CannotWrite(
                f"{folder / name} exists already",
                rule="nothing is replaced unasked",
                remedy="name another --out",
            )
    for name, volume in volumes.items():
        write_nifti(volume, passport=ItkPassport(), to=folder / name)
    written = [folder / name for name in volumes]
    if dicom:
        written += _write_series(subject, contrast=contrast, folder=folder, maker=maker)
    return written


def _write_series(
    subject: PhantomSubject, *, contrast: str, folder: Path, maker: Maker
) -> tuple[Path, Path]:
    """Write MR and CT as two series of one study."""
    from medcyclegan.io.dicom.create import write_dicom_mr
    from medcyclegan.io.dicom.derive import Derivation
    from medcyclegan.io.dicom.read import read_dicom
    from medcyclegan.io.dicom.write import write_dicom_ct

    mr, ct = folder / f"mr_{contrast}_dicom", folder / "ct_dicom"
    write_dicom_mr(
        subject.mr,
        to=mr,
        description=f"{contrast.upper()} head phantom",
        now=maker.now(),
        new_uid=maker.new_uid,
    )
    derivation = Derivation(
        model_name="",
        model_sha256="",
        software_version=maker.version,
        method="CT of a head phantom, simulated from its tissues",
        now=maker.now(),
        new_uid=maker.new_uid,
        series_label="CT phantom (simulated, not acquired)",
    )
    write_dicom_ct(subject.ct, passport=read_dicom(mr).passport, to=ct, derivation=derivation)
    return mr, ct
