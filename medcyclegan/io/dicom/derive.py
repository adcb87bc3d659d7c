"""Data sets of derived series, and of maps beside them.

The data sets of a derived CT series, without pixels.
What is taken over from the source is an allow-list (``io.dicom.derived_attributes``); the rest is
made here. The clock and the maker of UIDs are passed in, so that a run can be repeated to the last
byte.

A second derived series: a map of numbers in HU on the planes of a derived CT, which is no CT.
It is a secondary capture, so that no planning system takes it for densities. Patient, study, frame
of reference and planes are those of the series that it goes with, which a secondary capture may
hold beyond its own modules; Rescale Type says the unit.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import quiet
from medcyclegan.io.dicom.derived_attributes import blank_identity, times_of
from medcyclegan.io.dicom.geometry import order_along_normal, plane_of_grid, refuse_other_grid
from medcyclegan.io.dicom.kinds import Encoding, Kind, KindName, kind_of
from medcyclegan.io.dicom.source import (
    derived_series_number,
    description_of,
    equipment_of,
    identity_of,
    is_synthetic,
    pixel_history_of,
    plane_of,
    references_to,
)
from medcyclegan.io.dicom.vr_validation import (
    LONG_STRING,
    copy_required,
    refuse_invalid,
    refuse_odd_text,
)
from medcyclegan.io.scan import DicomSourceHeader, RasterSourceHeader, SourceHeader
from medcyclegan.io.targets import OUR_MANUFACTURER


def join_source(
    sources: Sequence[Dataset], geometry: Geometry, new_uid: Callable[[], str]
) -> Dataset:
    """Return patient, study, scanner and space of ``sources``, the slices of a DICOM series."""
    source = sources[0]
    ds = identity_of(source)
    ds.update(pixel_history_of(sources))
    ds.update(equipment_of(source))
    ds.update(copy_required(source, ("FrameOfReferenceUID",)))
    if not ds.get("FrameOfReferenceUID"):
        ds.FrameOfReferenceUID = geometry.frame_of_reference_uid or new_uid()
    ds.SeriesNumber = derived_series_number(source)
    return ds


def stand_alone(geometry: Geometry, new_uid: Callable[[], str]) -> Dataset:
    """Return blanks for patient and study, and a study and space of one's own."""
    ds = blank_identity()
    ds.StudyInstanceUID = new_uid()
    ds.FrameOfReferenceUID = geometry.frame_of_reference_uid or new_uid()
    ds.update(pixel_history_of(()))
    ds.Laterality = ""
    ds.SeriesNumber = derived_series_number(Dataset())
    return ds


def has_place(source_header: SourceHeader) -> bool:
    """Whether the source lies in space; pictures and radiographs do not."""
    if isinstance(source_header, DicomSourceHeader):
        return "ImagePositionPatient" in source_header.slices[0]
    return not isinstance(source_header, RasterSourceHeader)


def without_place(ds: Dataset, kind: Kind) -> None:
    """Take out of ``ds`` what only images that lie in space have.

    Raises
    ------
    InputRefused
        If ``kind`` needs a place.
    """
    if kind.needs_place:
        raise InputRefused(
            "The source has no place in space, as pictures and radiographs have none",
            rule=f"a DICOM series of {kind.prefix} needs one",
            remedy="write NIfTI, PNG or TIFF",
        )
    for keyword in ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"):
        if keyword in ds:
            delattr(ds, keyword)


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
    shown:
        Stored values that are shown from black to white, where these are others than those of the
        source's window.

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
    shown: tuple[float, float] | None = None

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
    geometry: Geometry, *, source_header: SourceHeader, derivation: Derivation
) -> DerivedSeries:
    """Make the data sets of a series on the grid of its source.

    Parameters
    ----------
    geometry:
        The grid (i, j, k) of the series; with a DICOM source header, that of the source header's
        slices.
    source header:
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
        If the grid is not that of the source header's slices.
    """
    # pydicom would warn of each bad value and show it; refuse_invalid names the attribute alone.
    with quiet(), disable_value_validation():
        first = (
            source_header.slices[0] if isinstance(source_header, DicomSourceHeader) else Dataset()
        )
        kind = kind_of(derivation.kind, first, value_range=derivation.value_range)
        common = _of_series(geometry, source_header, derivation)
        common.update(kind.header)
        common.update(kind.encoding.pixel_format(geometry))
        if not has_place(source_header):
            without_place(common, kind)
        if derivation.shown is not None:
            _show(common, *derivation.shown)
        refuse_invalid(common)
        slices = []
        for number, k in enumerate(order_along_normal(geometry), start=1):
            own = _of_slice(geometry, k, source_header, kind)
            own.SOPInstanceUID = derivation.new_uid()
            own.InstanceNumber = number
            refuse_invalid(own)
            ds = Dataset()
            ds.update(common)
            ds.update(own)
            slices.append((k, ds))
    return DerivedSeries(slices, kind)


def _of_series(geometry: Geometry, source_header: SourceHeader, derivation: Derivation) -> Dataset:
    """Return what is the same in every slice, whatever kind of image it is."""
    if isinstance(source_header, DicomSourceHeader):
        if has_place(source_header):
            refuse_other_grid(source_header.slices, geometry)
        of_source = source_header.slices
        ds = join_source(of_source, geometry, derivation.new_uid)
        text = description_of(of_source[0])
    else:
        of_source = ()
        ds = stand_alone(geometry, derivation.new_uid)
        text = ""
    ds.SeriesDescription = f"{derivation.series_label} {text}"[:LONG_STRING].rstrip()
    ds.update(_made(derivation))
    if any(map(is_synthetic, of_source)):
        ds.SyntheticData = "YES"
    ds.update(times_of(derivation.now))
    return ds


def _show(ds: Dataset, low: float, high: float) -> None:
    """Set the window of ``ds``, by elements of its own: those that are there are the source's."""
    for keyword in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation"):
        ds.pop(keyword, None)
    # PS3.3 C.11.2.1.2: black up to centre - 0.5 - (width - 1) / 2
    ds.WindowCenter, ds.WindowWidth = f"{(low + high + 1.0) / 2.0:g}", f"{high - low + 1.0:g}"


def _of_slice(geometry: Geometry, k: int, source_header: SourceHeader, kind: Kind) -> Dataset:
    if not isinstance(source_header, DicomSourceHeader):
        return plane_of_grid(geometry, k) if has_place(source_header) else Dataset()
    source = source_header.slices[k]
    step_mm = geometry.spacing_mm[2] if geometry.shape[2] > 1 else None
    ds = plane_of(source, step_mm=step_mm) if has_place(source_header) else Dataset()
    ds.update(kind.of_acquisition(source))
    frame_number = source_header.frame_numbers[k] if source_header.frame_numbers else None
    ds.update(references_to(source, frame_number, same_places=not source_header.is_resampled))
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


# Whole HU from 0 up; no error inside a CT's range is larger.
MAP_BITS = 12
MAP_WINDOW = ("150", "300")
# Of the CT that the map goes with, and told of no map.
_OF_CT_ALONE = ("KVP", "AcquisitionNumber", "WindowCenterWidthExplanation")


def map_kind() -> Kind:
    """Return the kind of a map in HU: a secondary capture whose numbers are HU as stored."""
    ds = Dataset()
    ds.SOPClassUID, ds.Modality = SecondaryCaptureImageStorage, "OT"
    ds.ImageType = ["DERIVED", "SECONDARY"]
    ds.ConversionType = "WSD"  # made on a workstation
    # Must be there in a class that needs no place in space; the planes tell it better.
    ds.PatientOrientation = None
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "0", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = MAP_WINDOW
    return Kind("HU", "MAP", Encoding(MAP_BITS, 0, 2**MAP_BITS - 1), ds)


def derive_map(
    series: DerivedSeries, geometry: Geometry, *, label: str, method: str,
    new_uid: Callable[[], str],
) -> DerivedSeries:  # fmt: skip
    """Make the data sets of a map beside ``series``, whose data sets stay as they are.

    Parameters
    ----------
    series:
        The derived CT, without pixels yet.
    geometry:
        Its grid (i, j, k).
    label, method:
        SeriesDescription, and what DerivationDescription begins with.
    new_uid:
        Gives another UID at each call.
    """
    kind, series_uid = map_kind(), new_uid()
    header = copy.deepcopy(kind.header)
    header.update(kind.encoding.pixel_format(geometry))
    slices = []
    with quiet(), disable_value_validation():
        for k, source in series.slices:
            ds = copy.deepcopy(source)
            for keyword in _OF_CT_ALONE:
                if keyword in ds:
                    delattr(ds, keyword)
            ds.update(copy.deepcopy(header))
            ds.SOPInstanceUID, ds.SeriesInstanceUID = new_uid(), series_uid
            ds.SeriesNumber = int(source.SeriesNumber or 0) + 1
            ds.SeriesDescription = label[:LONG_STRING]
            ds.DerivationDescription = f"{method} {source.DerivationDescription}"
            refuse_invalid(ds)
            slices.append((k, ds))
    return DerivedSeries(slices, kind)
