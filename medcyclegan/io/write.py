"""Write a volume in the format that the name of the output asks for."""

from __future__ import annotations

from pathlib import Path

from medcyclegan.errors import UsageError
from medcyclegan.io.dicom.derive import Derivation, DerivedSeries, derive_series
from medcyclegan.io.dicom.write import write_derived
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.naming import NOT_WRITTEN
from medcyclegan.io.nifti.write import write_nifti
from medcyclegan.io.plane.write import WRITTEN_ENDINGS, write_plane
from medcyclegan.io.scan import Passport
from medcyclegan.volume import Volume

_NIFTI_ENDINGS = (".nii", ".nii.gz")
_ITK_ENDINGS = (".mha", ".mhd", ".nrrd")


def write_scan(
    volume: Volume,
    *,
    passport: Passport,
    to: Path | str,
    derivation: Derivation | DerivedSeries | None = None,
    overwrite: bool = False,
) -> None:
    """Write ``volume`` as NIfTI, MetaImage, NRRD, PNG or TIFF by the name, else as DICOM series.

    ``passport`` is that of the source scan; ``derivation``, for DICOM, says what was made and how,
    or is the series that was derived already.

    Raises
    ------
    UsageError
        If no derivation is given for DICOM, or files of the ending are not written.
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, or it cannot be written as it should.
    """
    to = Path(to)
    name = to.name.lower()
    if name.endswith(_NIFTI_ENDINGS):
        write_nifti(volume, passport=passport, to=to, overwrite=overwrite)
    elif name.endswith(_ITK_ENDINGS):
        write_itk(volume, passport=passport, to=to, overwrite=overwrite)
    elif name.endswith(WRITTEN_ENDINGS):
        write_plane(volume, passport=passport, to=to, overwrite=overwrite)
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
            series = derive_series(volume.geometry, passport=passport, derivation=series)
        write_derived(volume, series, to=to, overwrite=overwrite)
