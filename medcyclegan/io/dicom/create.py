"""Writing a simulated MR series, as the phantom makes it, for trials and demonstrations."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.config import disable_value_validation

from medcyclegan.errors import MedcycleganError
from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.common import blank_identity, pixel_format, times_of
from medcyclegan.io.dicom.kinds import MR_BITS, unacquired_mr
from medcyclegan.io.dicom.plane import order_along_normal, plane_of_grid
from medcyclegan.io.dicom.valid import LONG_STRING, refuse_odd_text
from medcyclegan.io.dicom.write import save_series
from medcyclegan.io.targets import OUR_MANUFACTURER
from medcyclegan.volume import Volume

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
