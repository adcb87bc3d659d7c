"""Read a scan, whatever file format it comes in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.io.byte_source import content_name, open_bytes
from medcyclegan.io.dicom.read import is_dicom, read_dicom
from medcyclegan.io.discover import ITK_WRITTEN, NIFTI_WRITTEN, PAIR_ENDINGS, refuse_irregular
from medcyclegan.io.itk.image import read_itk
from medcyclegan.io.nifti.image import read_nifti
from medcyclegan.io.raster.image import SIGNATURES, read_raster
from medcyclegan.io.scan import RasterSourceHeader, Scan

_NIFTI_ENDINGS = (*NIFTI_WRITTEN, *PAIR_ENDINGS)
_ITK_ENDINGS = (*ITK_WRITTEN, ".nhdr")
_NIFTI_SIZES = (348, 540)  # the first number of a header, by which NIfTI is told
_FORMATS = (
    "a folder or file of DICOM, .nii, .nii.gz, .hdr with .img, .mha, .mhd, .nrrd, .nhdr, .png, "
    ".jpg, .tif"
)


def read_scan(
    path: Path | str,
    *,
    series_uid: str | None = None,
    modality: str | None = None,
    untilt: bool = False,
) -> Scan:
    """Read a DICOM series, NIfTI, MetaImage, NRRD or picture; the content decides, then the name.

    ``series_uid`` chooses among several DICOM series; other formats have none. ``modality`` is
    that of what is expected, as a ``Domain`` names it: DICOM of another modality is refused, and
    other formats, which do not tell theirs, are taken for it. If it is ``"CT"`` the unit is HU, but
    for pictures of whole numbers from 0 up, as HU are not. With ``untilt`` the tilt of the gantry
    of a CT in DICOM is corrected.

    Raises
    ------
    InputRefused
        If there is no such file, it is not a regular one, its format is not read, or it is
        damaged.
    """
    path = Path(path)
    refuse_irregular(path)
    if path.is_dir() or is_dicom(path):
        return read_dicom(path, series_uid=series_uid, modality=modality, untilt=untilt)
    scan = _reader(path)(path)
    if modality is None:
        return scan
    unit = "HU" if modality == "CT" and _may_be_hu(scan) else scan.volume.unit
    volume = Volume(scan.volume.voxels, scan.volume.geometry, unit)
    return replace(scan, volume=volume, modality=modality)


def read_mask(path: Path | str) -> Scan:
    """Read an image that marks by > 0, as ``read_scan`` does; it may mark all, or nothing."""
    path = Path(path)
    refuse_irregular(path)
    if path.is_dir() or is_dicom(path):
        return read_dicom(path)
    return _reader(path)(path, may_be_constant=True)


def _may_be_hu(scan: Scan) -> bool:
    """Whether the stored type can hold HU, which go below 0."""
    source_header = scan.source_header
    return not isinstance(source_header, RasterSourceHeader) or source_header.dtype in (
        "int16",
        "float32",
    )


def refuse_unknown(path: Path) -> None:
    """Refuse a file of a format that is not read, before anything else is said of it.

    Raises
    ------
    InputRefused
        If it is no image that is read, by its first bytes and its name.
    """
    refuse_irregular(path)
    if path.is_file() and not is_dicom(path):
        _reader(path)


class _Reader(Protocol):
    def __call__(self, path: Path, *, may_be_constant: bool = False) -> Scan: ...


def _reader(path: Path) -> _Reader:
    """Choose the reader of a file that is not DICOM."""
    with open_bytes(path) as source:
        start = source.up_to(512)
    name = path.name.lower()
    if start.startswith((b"NRRD", b"ObjectType", b"NDims")):
        return read_itk
    if start.startswith(SIGNATURES) and not name.endswith((*_NIFTI_ENDINGS, *_ITK_ENDINGS)):
        return read_raster
    sizes = {int.from_bytes(start[:4], "little"), int.from_bytes(start[:4], "big")}
    if sizes.intersection(_NIFTI_SIZES) or name.endswith(_NIFTI_ENDINGS):
        return read_nifti
    if name.endswith(_ITK_ENDINGS):
        return read_itk
    content = content_name(start)
    is_archive = "archive" in content
    raise InputRefused(
        f"{path}: {content}",
        rule=f"what is read is {_FORMATS}",
        remedy="unpack it, and give the folder or the file in it" if is_archive else "convert it",
    )
