"""Writing of DICOM series, one folder a series: derived ones, and simulated MR."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, MedcycleganError
from medcyclegan.io.atomic import atomic_folder
from medcyclegan.io.dicom.attribute_access import quiet
from medcyclegan.io.dicom.derive import Derivation, DerivedSeries, derive_series
from medcyclegan.io.dicom.derived_attributes import PLANE, blank_identity, pixel_format, times_of
from medcyclegan.io.dicom.geometry import order_along_normal, plane_of_grid
from medcyclegan.io.dicom.header import KeptText, keep_text, with_kept_bytes, written_bytes
from medcyclegan.io.dicom.kinds import MR_BITS, StoredVoxels, unacquired_mr
from medcyclegan.io.dicom.vr_validation import LONG_STRING, refuse_odd_text
from medcyclegan.io.scan import SourceHeader
from medcyclegan.io.targets import OUR_MANUFACTURER


def write_dicom_ct(
    sct: Volume,
    *,
    source_header: SourceHeader,
    to: Path,
    derivation: Derivation,
    overwrite: bool = False,
) -> None:
    """Write a CT series, derived from the series of ``source_header``, into the folder ``to``.

    HU are rounded, and clipped to -1024 to 3071. See ``write_derived`` for the rest.

    Parameters
    ----------
    sct:
        HU on the grid (i, j, k) of the source header's slices, or on any grid with right angles
        where the source header is not of DICOM.
    source header, derivation:
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
        If the unit is not HU or the grid is not that of the source header.
    """
    series = derive_series(sct.geometry, source_header=source_header, derivation=derivation)
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


PHANTOM_NAME = "Phantom^Head"
PHANTOM_ID = "PHANTOM"


def write_dicom_mr(
    volume: Volume,
    *,
    to: Path,
    description: str,
    now: datetime,
    new_uid: Callable[[], str],
    overwrite: bool = False,
) -> None:
    """Write a simulated MR series, with a patient and a study of its own, into the folder ``to``.

    It is marked as derived and as synthetic data, for no scanner took part. The files are
    ``MR_0001.dcm`` and so on along the slice normal.

    Parameters
    ----------
    volume:
        MR signal (i, j, k), arbitrary unit, not negative, on a grid with right angles. The
        brightest voxel is stored as 4095, whatever it was.
    to:
        The folder to make; its parent must exist.
    description:
        SeriesDescription, at most 64 characters of printable ASCII.
    now:
        The time of making, of the study too.
    new_uid:
        Gives another UID at each call.
    overwrite:
        Whether a folder that medcyclegan wrote earlier is replaced.

    Raises
    ------
    InputRefused
        If the grid is sheared.
    CannotWrite
        If the folder may not be replaced or the system refuses to write.
    MedcycleganError
        If the unit is not that of MR signal, a voxel is negative, or ``description`` no DICOM text.
    """
    if volume.unit != "a.u." or volume.voxels.min() < 0:
        raise MedcycleganError(
            f"Voxels in {volume.unit} from {volume.voxels.min():g}",
            rule="MR signal is in a.u. and not negative",
        )
    refuse_odd_text("description", description, longest=LONG_STRING)
    with disable_value_validation():
        common = _patient_and_study(now, new_uid)
        common.update(_series(description, new_uid))
        common.update(_acquisition())
        common.update(times_of(now))
        common.update(pixel_format(volume.geometry, bits_stored=MR_BITS, signed=False))
        series = _slices(volume.geometry, common, new_uid)
    save_series(series, _stored(volume), to=to, prefix="MR", overwrite=overwrite)


def _slices(
    geometry: Geometry, common: Dataset, new_uid: Callable[[], str]
) -> list[tuple[int, Dataset]]:
    series = []
    for number, k in enumerate(order_along_normal(geometry), start=1):
        ds = plane_of_grid(geometry, k)
        ds.SOPInstanceUID = new_uid()
        ds.InstanceNumber = number
        ds.update(common)
        series.append((k, ds))
    return series


def _stored(volume: Volume) -> NDArray[np.uint16]:
    brightest = float(volume.voxels.max())
    factor = (2**MR_BITS - 1) / brightest if brightest > 0 else 1.0
    return np.rint(volume.voxels * factor).astype("<u2")


def _patient_and_study(now: datetime, new_uid: Callable[[], str]) -> Dataset:
    ds = blank_identity()
    ds.PatientName, ds.PatientID = PHANTOM_NAME, PHANTOM_ID
    ds.PatientPosition = "HFS"
    ds.BodyPartExamined = "HEAD"
    ds.StudyInstanceUID = new_uid()
    ds.StudyDate, ds.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ds.StudyID, ds.StudyDescription = "1", "Simulated phantom"
    return ds


def _series(description: str, new_uid: Callable[[], str]) -> Dataset:
    ds = Dataset()
    ds.SeriesInstanceUID = new_uid()
    ds.FrameOfReferenceUID = new_uid()
    ds.SeriesNumber = 1
    ds.SeriesDescription = description
    ds.Manufacturer = OUR_MANUFACTURER
    return ds


def _acquisition() -> Dataset:
    """Return how the images came about: simulated, without a scanner."""
    ds = unacquired_mr()
    ds.SyntheticData = "YES"
    ds.DerivationDescription = "Simulated from a digital phantom, not acquired."
    ds.LossyImageCompression, ds.BurnedInAnnotation = "00", "NO"
    return ds
