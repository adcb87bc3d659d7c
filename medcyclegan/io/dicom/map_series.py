"""A second derived series: a map of numbers in HU on the planes of a derived CT, which is no CT.

It is a secondary capture, so that no planning system takes it for densities. Patient, study, frame
of reference and planes are those of the series that it goes with, which a secondary capture may
hold beyond its own modules; Rescale Type says the unit.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

from pydicom import Dataset
from pydicom.config import disable_value_validation
from pydicom.uid import SecondaryCaptureImageStorage

from medcyclegan.geometry import Geometry
from medcyclegan.io.dicom.derive import DerivedSeries
from medcyclegan.io.dicom.kinds import Encoding, Kind
from medcyclegan.io.dicom.valid import LONG_STRING, refuse_invalid
from medcyclegan.io.dicom.values import quiet

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
