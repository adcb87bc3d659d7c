"""Maps of a physical quantity as a DICOM Parametric Map (PS3.3 A.75), written by highdicom.

One object holds all planes as float32 pixels, with a real world value mapping that says quantity
and unit, the geometry of the source's planes, and a reference from each plane to the image that it
was derived from. highdicom comes with the extra ``[maps]``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import DataElement, Dataset, dcmread
from pydicom.config import disable_value_validation
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage
from pydicom.valuerep import format_number_as_ds

from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.atomic import atomic_folder
from medcyclegan.io.dicom.attribute_access import quiet
from medcyclegan.io.dicom.derive import join_source
from medcyclegan.io.dicom.derived_attributes import PLANE
from medcyclegan.io.dicom.vr_validation import LONG_STRING, copy_required, refuse_invalid
from medcyclegan.io.targets import OUR_MANUFACTURER

FILE_NAME = "PM_0001.dcm"
_METHOD_CODES = "DeidentificationMethodCodeSequence"
# Units by UCUM and quantities by DICOM's own codes (PS3.16): value and meaning.
_UNITS = {
    "relative to water": ("1", "no units"),
    "1/cm": ("/cm", "per centimeter"),
    "g/cm3": ("g/cm3", "gram per cubic centimeter"),
}
_QUANTITIES = {
    "rsp": ("130086", "Relative Linear Stopping Power"),
    "red": ("130083", "Relative Electron Density"),
    "mu511": ("112031", "Attenuation Coefficient"),
    "density": ("112118", "Density"),
}


@dataclass(frozen=True, eq=False)
class MapSource:
    """The images that a map is derived from, one data set a slice, in the order of the k axis.

    ``frame_numbers`` are those of an enhanced object, whose slices share a SOPInstanceUID, and
    empty for plain series. ``is_resampled``: pixels lie elsewhere than in those images.
    """

    slices: Sequence[Dataset]
    frame_numbers: tuple[int, ...] = ()
    is_resampled: bool = False


@dataclass(frozen=True)
class MapMeaning:
    """What the numbers are: a key of ``_QUANTITIES`` and its title, and how they were computed.

    ``unit`` is one of ``_UNITS``; ``curve`` names the curve from HU.
    """

    name: str
    title: str
    unit: str
    curve: str


@dataclass(frozen=True)
class MapMaker:
    """Who makes a map, and when; ``new_uid`` gives another UID at each call."""

    version: str
    now: datetime
    new_uid: Callable[[], str]


def ensure_highdicom() -> None:
    """Raise UsageError if highdicom is not installed."""
    _highdicom("highdicom")


def write_map(
    values: Volume,
    meaning: MapMeaning,
    source: MapSource,
    *,
    to: Path,
    maker: MapMaker,
    overwrite: bool = False,
) -> None:
    """Write a map (i, j, k) into the folder ``to``, one file; it is read back and compared.

    Raises
    ------
    UsageError
        If highdicom is not installed.
    InputRefused
        If an attribute of the source that has to be carried over is not valid for DICOM.
    CannotWrite
        If the folder may not be replaced or the system refuses to write.
    """
    with quiet(), disable_value_validation():
        ds = _parametric_map(values, meaning, source, maker)
    with atomic_folder(to, overwrite=overwrite, record=False) as folder:
        path = folder / FILE_NAME
        with quiet(), disable_value_validation():
            ds.save_as(path, enforce_file_format=True)
        _refuse_other_content(path, values, source)


def _parametric_map(
    values: Volume, meaning: MapMeaning, source: MapSource, maker: MapMaker
) -> Dataset:
    highdicom, pm = _highdicom("highdicom"), _highdicom("highdicom.pm")
    joined = join_source(source.slices, values.geometry, maker.new_uid)
    planes, frames = _planes_of(source, joined, values, maker)
    low, high = float(values.voxels.min()), float(values.voxels.max())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values in the source, which were checked already
        ds: Dataset = pm.ParametricMap(
            source_images=planes,
            # Frames with rows of columns, as DICOM stores them.
            pixel_array=np.ascontiguousarray(values.voxels.transpose(2, 1, 0), dtype=np.float32),
            series_instance_uid=maker.new_uid(),
            series_number=joined.SeriesNumber,
            sop_instance_uid=maker.new_uid(),
            instance_number=1,
            manufacturer=OUR_MANUFACTURER,
            manufacturer_model_name="derive",
            software_versions=maker.version,
            device_serial_number="none",
            contains_recognizable_visual_features=True,  # a head has a face
            real_world_value_mappings=[_mapping(pm, meaning, low, high)],
            voi_lut_transformations=[_window(highdicom, low, high)],
            **_places(highdicom, planes, values),
            content_label=meaning.name.upper(),
            content_description=f"{meaning.title} ({meaning.unit})"[:LONG_STRING],
            content_qualification="RESEARCH",
            series_description=f"{meaning.title}, derived, not measured"[:LONG_STRING],
        )
    _refer(ds, source, frames)
    _complete(ds, joined, source, meaning, maker)
    refuse_invalid(ds)
    return ds


def _planes_of(
    source: MapSource, joined: Dataset, values: Volume, maker: MapMaker
) -> tuple[list[Dataset], dict[str, tuple[Dataset, int]]]:
    """One image a plane, as highdicom takes them; of frames also what each UID stands for."""
    planes = [_source_plane(one, joined, values) for one in source.slices]
    frames: dict[str, tuple[Dataset, int]] = {}
    if source.frame_numbers:  # highdicom takes one image a plane
        for one, plane, number in zip(source.slices, planes, source.frame_numbers, strict=True):
            for keyword, uid in (
                ("SOPClassUID", CTImageStorage),
                ("SOPInstanceUID", maker.new_uid()),
            ):  # elements of their own: those of the source are shared by its slices
                plane[keyword] = DataElement(keyword, "UI", uid)
            frames[plane.SOPInstanceUID] = (one, number)
    return planes, frames


def _source_plane(source: Dataset, joined: Dataset, values: Volume) -> Dataset:
    """What highdicom needs of a slice: whose it is, where it lies, and how it is referred to."""
    ds = Dataset()
    ds.update(joined)
    ds.update(copy_required(source, ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")))
    ds.update(copy_required(source, PLANE))
    if not ds.get("SliceThickness"):  # where it is not told, slices are held to touch
        step = format_number_as_ds(float(values.geometry.spacing_mm[2]))
        ds["SliceThickness"] = DataElement("SliceThickness", "DS", step)
    ds.Modality = str(source.get("Modality") or "CT")
    ds.Columns, ds.Rows = values.geometry.shape[:2]
    return ds


def _places(highdicom: Any, planes: list[Dataset], values: Volume) -> dict[str, Any]:
    """The positions, the orientation and the spacing of the planes, as they are in the source."""
    patient = highdicom.CoordinateSystemNames.PATIENT
    step_mm = float(values.geometry.spacing_mm[2])
    return {
        "plane_positions": [
            highdicom.PlanePositionSequence(patient, [float(x) for x in one.ImagePositionPatient])
            for one in planes
        ],
        "plane_orientation": highdicom.PlaneOrientationSequence(
            patient, [float(x) for x in planes[0].ImageOrientationPatient]
        ),
        "pixel_measures": highdicom.PixelMeasuresSequence(
            pixel_spacing=[float(mm) for mm in planes[0].PixelSpacing],
            slice_thickness=float(planes[0].SliceThickness),
            spacing_between_slices=step_mm if len(planes) > 1 else None,
        ),
    }


def _mapping(pm: Any, meaning: MapMeaning, low: float, high: float) -> Any:
    """What the stored numbers are: the quantity itself, in its unit."""
    coded = _highdicom("highdicom.sr").CodedConcept
    unit, unit_name = _UNITS[meaning.unit]
    value, name = _QUANTITIES[meaning.name]
    return pm.RealWorldValueMapping(
        lut_label=meaning.name.upper(),
        lut_explanation=f"{meaning.title}, {meaning.unit}"[:LONG_STRING],
        unit=coded(unit, "UCUM", unit_name),
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=coded(value, "DCM", name),
    )


def _window(highdicom: Any, low: float, high: float) -> Any:
    width = max(high - low, 1e-6)
    return highdicom.VOILUTTransformation(
        window_center=(low + high) / 2, window_width=width, voi_lut_function="LINEAR_EXACT"
    )


def _complete(
    ds: Dataset, joined: Dataset, source: MapSource, meaning: MapMeaning, maker: MapMaker
) -> None:
    """Put in what highdicom does not take over, and how the values came about."""
    for element in joined:
        if element.keyword not in ds:
            ds.add(element)
    if "DeidentificationMethod" in ds and not ds.DeidentificationMethod:  # may not be empty
        del ds.DeidentificationMethod
    _say_who_made_it(ds, joined, source, meaning, maker)
    is_anonymous = ds.get("PatientIdentityRemoved") == "YES"
    if is_anonymous and not ds.keys() & {Tag("DeidentificationMethod"), Tag(_METHOD_CODES)}:
        ds.DeidentificationMethod = "not told by the source"
    for stage in ("InstanceCreation", "Series", "Content"):
        setattr(ds, f"{stage}Date", maker.now.strftime("%Y%m%d"))
        setattr(ds, f"{stage}Time", maker.now.strftime("%H%M%S.%f"))


def _refer(ds: Dataset, source: MapSource, frames: dict[str, tuple[Dataset, int]]) -> None:
    """Correct the references to the source where it is one enhanced object, or was resampled.

    ``frames`` has the slice and its frame by the UID that stood for it.
    """
    for groups in ds.PerFrameFunctionalGroupsSequence:
        for derivation in groups.get("DerivationImageSequence", ()):
            for image in derivation.SourceImageSequence:
                if image.ReferencedSOPInstanceUID in frames:
                    one, number = frames[image.ReferencedSOPInstanceUID]
                    image.ReferencedSOPClassUID = one.SOPClassUID
                    image.ReferencedSOPInstanceUID = one.SOPInstanceUID
                    image.ReferencedFrameNumber = number
                if source.is_resampled:
                    image.SpatialLocationsPreserved = "NO"
    if frames:
        instance = Dataset()
        instance.ReferencedSOPClassUID = source.slices[0].SOPClassUID
        instance.ReferencedSOPInstanceUID = source.slices[0].SOPInstanceUID
        for series in ds.ReferencedSeriesSequence:
            series.ReferencedInstanceSequence = [instance]


def _say_who_made_it(
    ds: Dataset, joined: Dataset, source: MapSource, meaning: MapMeaning, maker: MapMaker
) -> None:
    """Name the scanner, the library and the curve, and whether the CT was synthetic."""
    first = source.slices[0]
    scanner = list(joined.get("ContributingEquipmentSequence") or ())
    if str(first.get("Manufacturer") or "") == OUR_MANUFACTURER:  # made here: its own source's
        scanner = list(first.get("ContributingEquipmentSequence") or ())
        ds.SyntheticData = str(first.get("SyntheticData") or "NO")
    library = list(ds.get("ContributingEquipmentSequence") or ())
    for item in library:
        item.ContributionDateTime = maker.now.strftime("%Y%m%d%H%M%S.%f")
    ds.ContributingEquipmentSequence = [*scanner, *library]
    made = "a synthetic CT" if ds.get("SyntheticData") == "YES" else "a CT"
    ds.DerivationDescription = (
        f"Computed from the HU of {made} by the curve {meaning.curve}. Made by medcyclegan "
        f"{maker.version}. Not measured. For research use only."
    )


def _highdicom(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            "A parametric map in DICOM, and highdicom is not installed",
            rule="highdicom writes it",
            remedy='install it with: pip install "medcyclegan[maps]", or add --format nifti',
        ) from error


def _refuse_other_content(path: Path, values: Volume, source: MapSource) -> None:
    """Read the file back: each frame's values and place are those that were to be written."""
    ds = dcmread(path)
    frames = np.asarray(ds.pixel_array).reshape(-1, ds.Rows, ds.Columns)
    wanted = {
        tuple(round(float(x), 3) for x in one.ImagePositionPatient): k
        for k, one in enumerate(source.slices)
    }
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        place = groups.PlanePositionSequence[0].ImagePositionPatient
        k = wanted.pop(tuple(round(float(x), 3) for x in place), None)
        if k is None or not np.array_equal(frame, values.voxels[:, :, k].T):
            raise CannotWrite(
                f"{path}: what was read back is not what was written",
                rule="every frame is read back and compared",
                remedy="check the disk",
            )
    if wanted:
        raise CannotWrite(f"{path}: {len(wanted)} planes are missing", remedy="check the disk")
