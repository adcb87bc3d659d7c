"""Writing a series of single-frame DICOM files, one folder a series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medcyclegan.errors import CannotWrite, MedcycleganError
from medcyclegan.io.atomic import atomic_folder
from medcyclegan.io.dicom.derive import Derivation, DerivedSeries, derive_series
from medcyclegan.io.dicom.kept_text import KeptText, keep_text, with_kept_bytes, written_bytes
from medcyclegan.io.dicom.kinds import StoredVoxels
from medcyclegan.io.dicom.tags import PLANE
from medcyclegan.io.dicom.values import quiet
from medcyclegan.io.scan import Passport
from medcyclegan.volume import Volume


def write_dicom_ct(
    sct: Volume,
    *,
    passport: Passport,
    to: Path,
    derivation: Derivation,
    overwrite: bool = False,
) -> None:
    """Write a CT series, derived from the series of ``passport``, into the folder ``to``.

    HU are rounded, and clipped to -1024 to 3071. See ``write_derived`` for the rest.

    Parameters
    ----------
    sct:
        HU on the grid (i, j, k) of the passport's slices, or on any grid with right angles where
        the passport is not of DICOM.
    passport, derivation:
        See ``derive_series``.
    to:
        The folder to make; its parent must exist.
    overwrite:
        Whether a folder that medcyclegan wrote earlier is replaced.

    Raises
    ------
    InputRefused
        See ``derive_series``.
    CannotWrite
        If the folder may not be replaced or the system refuses to write.
    MedcycleganError
        If the unit is not HU or the grid is not that of the passport.
    """
    series = derive_series(sct.geometry, passport=passport, derivation=derivation)
    write_derived(sct, series, to=to, overwrite=overwrite)


def write_derived(
    volume: Volume, series: DerivedSeries, *, to: Path, overwrite: bool = False
) -> None:
    """Write the voxels of ``volume`` with the data sets that were derived for its grid.

    The files are ``CT_0001.dcm`` or ``MR_0001.dcm`` and so on in the order of InstanceNumber.
    Values are rounded and clipped to what the kind of image stores. Nothing stands at ``to`` before
    every file was read back and compared. The pixels are put into the data sets: a derived series
    is written once.

    Raises
    ------
    CannotWrite
        If the folder may not be replaced or the system refuses to write.
    MedcycleganError
        If the unit is not that of the kind of image.
    """
    kind = series.kind
    if volume.unit != kind.unit:
        raise MedcycleganError(
            f"A {kind.prefix} in {volume.unit}", rule=f"its values are in {kind.unit}"
        )
    stored = kind.encoding.stored(volume.voxels)
    save_series(series.slices, stored, to=to, prefix=kind.prefix, overwrite=overwrite)


def save_series(
    series: list[tuple[int, Dataset]],
    stored: StoredVoxels,
    *,
    to: Path,
    prefix: str,
    overwrite: bool,
) -> None:
    """Write data sets with their pixels into a folder that appears once all is read back.

    Parameters
    ----------
    series:
        (k, data set without pixels) in the order in which the files are numbered.
    stored:
        (i, j, k) 16 bit little endian.
    to, overwrite:
        See ``write_dicom_ct``.
    prefix:
        The beginning of the file names.
    """
    digits = max(4, len(str(len(series))))
    # Slices with rows of columns, as DICOM stores them: (k, j, i).
    frames = np.ascontiguousarray(stored.transpose(2, 1, 0))
    with (
        atomic_folder(to, overwrite=overwrite, record=False) as folder,
        quiet(),
        disable_value_validation(),
    ):
        for number, (k, ds) in enumerate(series, start=1):
            path = folder / f"{prefix}_{number:0{digits}d}.dcm"
            _save(ds, frames[k].tobytes(), path)
            _refuse_other_content(path, ds)


def _save(ds: Dataset, pixels: bytes, path: Path) -> None:
    ds.add_new("PixelData", "OW", pixels)
    made = with_kept_bytes(ds)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta = meta
    dcmwrite(path, made, enforce_file_format=True)


def _refuse_other_content(path: Path, ds: Dataset) -> None:
    """Read the file back and raise CannotWrite unless it holds the pixels, place and names."""
    found = dcmread(path)
    keep_text(found)
    kept = ("SOPInstanceUID", "PixelData", "PatientName", "PatientID", *PLANE)
    for keyword in kept:
        if _as_written(found, keyword) != _as_written(ds, keyword):
            raise CannotWrite(
                f"{keyword} of {path.name} reads back otherwise than it was written",
                remedy="check the disk and write again",
            )


def _as_written(ds: Dataset, keyword: str) -> str | bytes:
    """The value as text or bytes; empty where it is absent, as the place of a radiograph is."""
    if keyword not in ds:
        return ""
    element = ds[keyword]
    if isinstance(element, KeptText) and element.is_unchanged:
        return written_bytes(element)
    return element.value if isinstance(element.value, bytes) else str(element.value)
