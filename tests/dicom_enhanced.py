"""Enhanced multi-frame objects, made from plain slices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from tests.dicom_encoding import save
from tests.dicom_factory import make_series

SHAPE = (8, 6, 5)
# The order of the frames in the file is not that of their positions.
ORDER = (3, 0, 4, 1, 2)

Edit = Callable[[Dataset, list[Dataset]], None]


def make_enhanced(folder: Path, *, edit: Edit | None = None) -> Path:
    """Turn a plain series into one enhanced file; ``edit`` gets it and its frames' groups."""
    plain = make_series(folder / "plain", shape=SHAPE)
    path = folder / "enhanced" / "one.dcm"
    path.parent.mkdir()
    save_enhanced([dcmread(part) for part in plain], path, order=ORDER, edit=edit)
    return path


def save_enhanced(
    slices: list[Dataset], path: Path, *, order: tuple[int, ...], edit: Edit | None = None
) -> None:
    """Write plain slices as the frames of one file, in ``order``, rescaled frame by frame."""
    frames = []
    for k in order:
        groups = Dataset()
        groups.PlanePositionSequence = item(slices[k], "ImagePositionPatient")
        scale = Dataset()
        scale.RescaleSlope, scale.RescaleIntercept, scale.RescaleType = str(k + 1), "5", "US"
        groups.PixelValueTransformationSequence = Sequence([scale])
        frames.append(groups)
    shared = Dataset()
    whole = slices[0]
    shared.PlaneOrientationSequence = item(whole, "ImageOrientationPatient")
    shared.PixelMeasuresSequence = item(whole, "PixelSpacing", "SliceThickness")
    del whole.SpacingBetweenSlices, whole.EchoTime
    whole.SOPClassUID = EnhancedMRImageStorage
    whole.SOPInstanceUID = generate_uid()
    # Wrong on purpose: the functional groups count.
    whole.ImagePositionPatient = ["1", "2", "3"]
    whole.NumberOfFrames = len(frames)
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    whole.PerFrameFunctionalGroupsSequence = Sequence(frames)
    whole.PixelData = b"".join(slices[k].PixelData for k in order)
    if edit is not None:
        edit(whole, frames)
    save(whole, path)


def item(source: Dataset, *keywords: str) -> Sequence:
    """Move attributes into a sequence of one item."""
    moved = Dataset()
    for keyword in keywords:
        moved[keyword] = source[keyword]
        del source[keyword]
    return Sequence([moved])
