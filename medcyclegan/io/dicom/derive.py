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
from pydicom.uid import generate_uid

from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.choose_kind import KindName, kind_of
from medcyclegan.io.dicom.common import times_of
from medcyclegan.io.dicom.joining import has_place, join_source, stand_alone, without_place
from medcyclegan.io.dicom.kinds import Kind
from medcyclegan.io.dicom.plane import order_along_normal, plane_of_grid, refuse_other_grid
from medcyclegan.io.dicom.source import description_of, plane_of, references_to
from medcyclegan.io.dicom.valid import LONG_STRING, refuse_invalid, refuse_odd_text
from medcyclegan.io.dicom.values import quiet
from medcyclegan.io.scan import DicomPassport, Passport
from medcyclegan.io.targets import OUR_MANUFACTURER


@dataclass(frozen=True)
class Derivation:
    """Who made the series, what, how and when.

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
    kind:
        What is made: ``CT`` in HU, ``MR``, ``XR`` (a radiograph) or ``SC`` (a secondary capture).
    value_range:
        The values, but for HU, that are stored as 0 and as the largest number; see ``kind_of``.
    synthetic:
        Whether the image shows what was not acquired; not so for one whose grey values alone
        were changed.

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
    kind: KindName = "CT"
    value_range: tuple[float, float] | None = None
    synthetic: bool = True

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
            f"{' Synthetic, not acquired.' if self.synthetic else ''} For research use only."
        )


def seeded_uid_maker(seed: str) -> Callable[[], str]:
    """Return a maker of UIDs that gives the same series of UIDs for the same ``seed``."""
    counter = itertools.count()
    return lambda: str(generate_uid(entropy_srcs=[seed, str(next(counter))]))


@dataclass(frozen=True, eq=False)
class DerivedSeries:
    """The data sets of a series, without pixels, and what its voxels are stored as.

    ``slices`` holds (k, data set) in the order of InstanceNumber, which runs from 1 along the slice
    normal.
    """

    slices: list[tuple[int, Dataset]]
    kind: Kind


def derive_series(
    geometry: Geometry, *, passport: Passport, derivation: Derivation
) -> DerivedSeries:
    """Make the data sets of a series on the grid of its source.

    Parameters
    ----------
    geometry:
        The grid (i, j, k) of the series; with a DICOM passport, that of the passport's slices.
    passport:
        What was read. Without one of DICOM, patient and study are left empty and the planes are
        made from the grid.
    derivation:
        Who made it, what, how and when.

    Raises
    ------
    InputRefused
        If a value of the source is not valid for DICOM, if a grid without DICOM is sheared, or if
        the source has no place in space and what is made needs one.
    MedcycleganError
        If the grid is not that of the passport's slices.
    """
    # pydicom would warn of each bad value and show it; refuse_invalid names the attribute alone.
    with quiet(), disable_value_validation():
        first = passport.slices[0] if isinstance(passport, DicomPassport) else Dataset()
        kind = kind_of(derivation.kind, first, value_range=derivation.value_range)
        common = _of_series(geometry, passport, derivation)
        common.update(kind.header)
        common.update(kind.encoding.pixel_format(geometry))
        if not has_place(passport):
            without_place(common, kind)
        refuse_invalid(common)
        slices = []
        for number, k in enumerate(order_along_normal(geometry), start=1):
            own = _of_slice(geometry, k, passport, kind)
            own.SOPInstanceUID = derivation.new_uid()
            own.InstanceNumber = number
            refuse_invalid(own)
            ds = Dataset()
            ds.update(common)
            ds.update(own)
            slices.append((k, ds))
    return DerivedSeries(slices, kind)


def _of_series(geometry: Geometry, passport: Passport, derivation: Derivation) -> Dataset:
    """Return what is the same in every slice, whatever kind of image it is."""
    if isinstance(passport, DicomPassport):
        if has_place(passport):
            refuse_other_grid(passport.slices, geometry)
        ds = join_source(passport.slices[0], geometry, derivation.new_uid)
        text = description_of(passport.slices[0])
    else:
        ds = stand_alone(geometry, derivation.new_uid)
        text = ""
    ds.SeriesDescription = f"{derivation.series_label} {text}"[:LONG_STRING].rstrip()
    ds.update(_made(derivation))
    ds.update(times_of(derivation.now))
    return ds


def _of_slice(geometry: Geometry, k: int, passport: Passport, kind: Kind) -> Dataset:
    if not isinstance(passport, DicomPassport):
        return plane_of_grid(geometry, k) if has_place(passport) else Dataset()
    source = passport.slices[k]
    step_mm = geometry.spacing_mm[2] if geometry.shape[2] > 1 else None
    ds = plane_of(source, step_mm=step_mm) if has_place(passport) else Dataset()
    ds.update(kind.of_acquisition(source))
    frame_number = passport.frame_numbers[k] if passport.frame_numbers else None
    ds.update(references_to(source, frame_number, same_places=not passport.is_resampled))
    return ds


def _made(derivation: Derivation) -> Dataset:
    """Return what is the same in every derived series: its maker, and whether it was acquired."""
    ds = Dataset()
    if derivation.synthetic:
        ds.SyntheticData = "YES"
    ds.SeriesInstanceUID = derivation.new_uid()
    ds.Manufacturer = OUR_MANUFACTURER
    if derivation.model_name:
        ds.ManufacturerModelName = derivation.model_name
    versions = (derivation.software_version, derivation.model_sha256)
    ds.SoftwareVersions = list(filter(None, versions))
    ds.DerivationDescription = derivation.description
    return ds
