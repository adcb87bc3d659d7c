"""Which kind of image a derived series is, by what is made and from what."""

from __future__ import annotations

from typing import Literal, get_args

from pydicom import Dataset

from medcyclegan.errors import MedcycleganError
from medcyclegan.io.dicom.kinds import Kind, ct, ct_of_ct, mr
from medcyclegan.io.dicom.pictures import capture_of, radiograph_of

KindName = Literal["CT", "MR", "XR", "SC"]

# What networks give for MR signal where a model says nothing else.
SIGNAL_RANGE = (0.0, 1000.0)


def kind_of(name: KindName, source: Dataset, *, value_range: tuple[float, float] | None) -> Kind:
    """Return the kind of image by its name.

    Parameters
    ----------
    name:
        ``CT`` in HU, ``MR`` signal, ``XR`` for a radiograph, ``SC`` for a secondary capture.
    source:
        A slice of the source; empty where the source is not of DICOM.
    value_range:
        But for CT: the values that are stored as 0 and as the largest number. None for pictures
        whose values are stored as they are.

    Raises
    ------
    MedcycleganError
        If there is no such kind.
    """
    if name == "CT":
        return ct_of_ct(source) if source.get("Modality") == "CT" else ct()
    if name == "MR":
        return mr(value_range or SIGNAL_RANGE)
    if name == "XR":
        return radiograph_of(source, value_range)
    if name == "SC":
        return capture_of(source, value_range)
    raise MedcycleganError(f"kind = {name!r}", rule=f"it must be one of {get_args(KindName)}")
