"""The data sets of a derived CT series, without pixels.

What is taken over from the source is an allow-list (``io.dicom.tags``); the rest is made here. The
clock and the maker of UIDs are passed in, so that a run can be repeated to the last byte.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import CTImageStorage, generate_uid

from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.common import blank_identity, pixel_format, times_of
from medcyclegan.io.dicom.plane import order_along_normal, plane_of_grid, refuse_other_grid
from medcyclegan.io.dicom.source import (
    copy_required,
    derived_series_number,
    description_of,
    equipment_of,
    identity_of,
    pixel_history_of,
    plane_of,
    references_to,
)
from medcyclegan.io.dicom.valid import LONG_STRING, refuse_invalid, refuse_odd_text
from medcyclegan.io.dicom.values import quiet
from medcyclegan.io.scan import DicomPassport, Passport

# What 12 bits with the usual intercept hold: what planning systems expect of a CT.
HU_RANGE = (-1024, 3071)


@dataclass(frozen=True)
class Derivation:
    """Who made the series, how and when.

    Parameters
    ----------
    model_name, model_sha256:
        The model; both are empty where no model took part, as for a phantom.
    software_version:
        The version of medcyclegan.
    method:
        One sentence for DerivationDescription.
    now:
        The time of making.
    new_uid:
        Gives another UID at each call.
    series_label:
        The beginning of SeriesDescription; the source's description follows.

    Raises
    ------
    MedcycleganError
        If a text is too long, holds a backslash or anything but printable ASCII.
    """

    model_name: str
    model_sha256: str
    software_version: str
    method: str
    now: datetime
    new_uid: Callable[[], str]
    series_label: str = "sCT (synthetic, not acquired)"

    def __post_init__(self) -> None:
        for name in ("model_name", "model_sha256", "software_version", "series_label"):
            refuse_odd_text(name, getattr(self, name), longest=LONG_STRING)
        # Half of what ShortText holds leaves room for model, version and use.
        refuse_odd_text("method", self.method, longest=512)

    @property
    def description(self) -> str:
        """DerivationDescription: method, model, version, and what the images are not for."""
        model = f" Model {self.model_name}" if self.model_name else ""
        digest = f", sha256 {self.model_sha256}" if self.model_sha256 else ""
        return (
            f"{self.method.rstrip('.')}.{model}{digest}{'.' if model or digest else ''}"
            f" Made by medcyclegan {self.software_version}."
            " Synthetic, not acquired. For research use only."
        )


def seeded_uid_maker(seed: str) -> Callable[[], str]:
    """Return a maker of UIDs that gives the same series of UIDs for the same ``seed``."""
    counter = itertools.count()
    return lambda: str(generate_uid(entropy_srcs=[seed, str(next(counter))]))


def derive_series(
    geometry: Geometry, *, passport: Passport, derivation: Derivation
) -> list[tuple[int, Dataset]]:
    """Make the data sets of a CT series on the grid of its source.

    Parameters
    ----------
    geometry:
        The grid (i, j, k) of the CT; with a DICOM passport, that of the passport's slices.
    passport:
        What was read. Without one of DICOM, patient and study are left empty and the planes are
        made from the grid.
    derivation:
        Who made it, how and when.

    Returns
    -------
    list of (k, data set without pixels), in the order of InstanceNumber, which runs from 1 along
    the slice normal.

    Raises
    ------
    InputRefused
        If a value of the source is not valid for DICOM, or if a grid without DICOM is sheared.
    MedcycleganError
        If the grid is not that of the passport's slices.
    """
    # pydicom would warn of each bad value and show it; refuse_invalid names the attribute alone.
    with quiet(), disable_value_validation():
        if isinstance(passport, DicomPassport):
            refuse_other_grid(passport.slices, geometry)
            common = _from_dicom(passport.slices[0], geometry, derivation)
        else:
            common = _from_grid(geometry, derivation)
        common.update(_made(derivation))
        common.update(times_of(derivation.now))
        common.update(pixel_format(geometry, bits_stored=16, signed=True))
        refuse_invalid(common)
        series = []
        for number, k in enumerate(order_along_normal(geometry), start=1):
            ds = _of_slice(geometry, k, passport)
            ds.SOPInstanceUID = derivation.new_uid()
            ds.InstanceNumber = number
            refuse_invalid(ds)
            ds.update(common)
            series.append((k, ds))
    return series


def _from_dicom(source: Dataset, geometry: Geometry, derivation: Derivation) -> Dataset:
    ds = identity_of(source)
    ds.update(pixel_history_of(source))
    ds.update(equipment_of(source))
    ds.update(copy_required(source, ("FrameOfReferenceUID",)))
    if not ds.get("FrameOfReferenceUID"):
        ds.FrameOfReferenceUID = geometry.frame_of_reference_uid or derivation.new_uid()
    ds.SeriesNumber = derived_series_number(source)
    ds.SeriesDescription = _series_description(derivation, description_of(source))
    return ds


def _from_grid(geometry: Geometry, derivation: Derivation) -> Dataset:
    ds = blank_identity()
    ds.StudyInstanceUID = derivation.new_uid()
    ds.FrameOfReferenceUID = geometry.frame_of_reference_uid or derivation.new_uid()
    ds.update(pixel_history_of(Dataset()))
    ds.Laterality = ""
    ds.SeriesNumber = derived_series_number(Dataset())
    ds.SeriesDescription = _series_description(derivation, "")
    return ds


def _series_description(derivation: Derivation, source_text: str) -> str:
    return f"{derivation.series_label} {source_text}"[:LONG_STRING].rstrip()


def _of_slice(geometry: Geometry, k: int, passport: Passport) -> Dataset:
    if not isinstance(passport, DicomPassport):
        return plane_of_grid(geometry, k)
    source = passport.slices[k]
    ds = plane_of(source)
    frame_number = passport.frame_numbers[k] if passport.frame_numbers else None
    ds.update(references_to(source, frame_number))
    return ds


def _made(derivation: Derivation) -> Dataset:
    """Return what is the same in every derived CT: its kind, its maker, how to read its values."""
    ds = Dataset()
    ds.SOPClassUID = CTImageStorage
    ds.Modality = "CT"
    ds.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    ds.SyntheticData = "YES"
    ds.SeriesInstanceUID = derivation.new_uid()
    ds.AcquisitionNumber = ds.KVP = None
    ds.Manufacturer = "medcyclegan"
    if derivation.model_name:
        ds.ManufacturerModelName = derivation.model_name
    versions = (derivation.software_version, derivation.model_sha256)
    ds.SoftwareVersions = list(filter(None, versions))
    ds.DerivationDescription = derivation.description
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    return ds
