"""One frame a slice, whether it is a file of its own or part of an enhanced object."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import DataElement, Dataset
from pydicom.sequence import Sequence

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import raw_value, text, whole
from medcyclegan.io.dicom.find import is_multiframe
from medcyclegan.io.dicom.header import DicomFile

# Functional groups and what is put from them at the top level of a frame's data set, where plain
# slices have it (PS3.3 C.7.6.16).
_PROMOTED = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "MREchoSequence": ("EffectiveEchoTime",),
    "FrameContentSequence": ("StackID", "TemporalPositionIndex"),
    "MRImageFrameTypeSequence": ("FrameType", "ComplexImageComponent"),
    "CTImageFrameTypeSequence": ("FrameType",),
    "MRDiffusionSequence": ("DiffusionBValue", "DiffusionDirectionality"),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle"),
    "MRModifierSequence": ("SpectrallySelectedSuppression",),
    "ContrastBolusUsageSequence": ("ContrastBolusAgentPhase",),
    "CardiacSynchronizationSequence": ("NominalPercentageOfCardiacPhase",),
    "RespiratorySynchronizationSequence": ("NominalPercentageOfRespiratoryPhase",),
    "CTXRayDetailsSequence": ("KVP",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
}


@dataclass(frozen=True, eq=False)
class SliceView:
    """One slice: its file, its frame in it (from 0) and its data set without pixel data."""

    file: DicomFile
    frame: int
    dataset: Dataset

    @property
    def path(self) -> Path:
        """The file that the slice is in."""
        return self.file.path

    @property
    def name(self) -> str:
        """How messages call the slice."""
        return f"{self.path} frame {self.frame + 1}" if is_multiframe(self.file) else str(self.path)


def views_of(file: DicomFile) -> list[SliceView]:
    """Split a file into its slices.

    Raises
    ------
    InputRefused
        If it is a Siemens mosaic, or a multi-frame object that does not place its frames.
    """
    _refuse_mosaic(file)
    if not is_multiframe(file):
        return [SliceView(file, 0, file.header)]
    frames = whole(file.header, "NumberOfFrames", file.path, default=1)
    if "PerFrameFunctionalGroupsSequence" not in file.header:
        raise InputRefused(
            f"{file.path} holds {frames} frames without saying where each lies",
            rule="a multi-frame object needs PerFrameFunctionalGroupsSequence",
            remedy="export it as an enhanced object or as single slices",
        )
    per_frame = _items(file.header, "PerFrameFunctionalGroupsSequence", file)
    if len(per_frame) != frames or not per_frame:
        raise InputRefused(
            f"{file.path}: NumberOfFrames is {frames}, but {len(per_frame)} are described",
            rule="every frame must be described",
            remedy="the file is damaged: export it again",
        )
    shared = _items(file.header, "SharedFunctionalGroupsSequence", file)
    common = shared[0] if shared else Dataset()
    return [
        SliceView(file, index, _frame_dataset(file, item, common))
        for index, item in enumerate(per_frame)
    ]


def _frame_dataset(file: DicomFile, own: Dataset, common: Dataset) -> Dataset:
    """The file's header with this frame's functional groups, their values at the top level."""
    ds = Dataset({element.tag: element for element in file.header.elements()})
    ds.file_meta = file.header.file_meta
    ds.set_original_encoding(file.implicit, file.little_endian, file.header.original_character_set)
    # An element of its own: the header's is that of all frames.
    name = "PerFrameFunctionalGroupsSequence"
    ds[name] = DataElement(name, "SQ", Sequence([own]))
    for group, keywords in _PROMOTED.items():
        items = _items(own, group, file) or _items(common, group, file)
        for keyword in keywords:
            # The frame's own value counts, also against another one at the top level.
            if items and raw_value(items[0], keyword, file.path) is not None:
                ds[keyword] = items[0][keyword]
    return ds


def _items(ds: Dataset, keyword: str, file: DicomFile) -> list[Dataset]:
    value = raw_value(ds, keyword, file.path)
    if value is None:
        return []
    if not isinstance(value, Sequence):
        raise InputRefused(
            f"{file.path}: {keyword} is no sequence",
            rule="it must be one",
            remedy="export the file again",
        )
    return list(value)


def _refuse_mosaic(file: DicomFile) -> None:
    """A mosaic shows all slices of a time point side by side as tiles of one image.

    Where the tiles lie stands only in private elements that are often removed with the patient's
    name, so that a wrong guess would go unseen.
    """
    if "MOSAIC" not in text(file.header, "ImageType", file.path).split("\\"):
        return
    # An enhanced object that places several frames is none, whatever a converter left in there.
    frames = whole(file.header, "NumberOfFrames", file.path, default=1)
    if frames == 1 or "PerFrameFunctionalGroupsSequence" not in file.header:
        raise InputRefused(
            f"{file.path} is a Siemens mosaic: many slices tiled into one image",
            rule="each slice must be an image or a frame of its own",
            remedy="convert it with dcm2niix and give the NIfTI file",
        )
