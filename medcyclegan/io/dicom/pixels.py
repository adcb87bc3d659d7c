"""From the files of a series to its voxels in physical values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.codec import check_syntax, decoded_frames
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.layout import PixelLayout, Stored, check_total, layout_of
from medcyclegan.io.dicom.padding import padded_pixels, padding_of, without_padding
from medcyclegan.io.dicom.values import number, raw_value, text
from medcyclegan.volume import FloatVoxels, Unit

Layouts = Mapping[DicomFile, PixelLayout]


@dataclass(frozen=True)
class Rescale:
    """From stored to physical values: stored * slope + intercept (PS3.3 C.11.1)."""

    slope: float
    intercept: float


def layouts_of(views: Sequence[SliceView]) -> Layouts:
    """Read and check how the pixels of each file are laid out, before any memory is taken.

    Raises
    ------
    InputRefused
        If pixels are coloured, too many, or of an unknown transfer syntax.
    """
    layouts: dict[DicomFile, PixelLayout] = {}
    for view in views:
        if view.file not in layouts:
            check_syntax(view.file)
            layouts[view.file] = layout_of(view.file)
    check_total(layouts.values(), str(views[0].path.parent))
    return layouts


def read_voxels(
    ordered: Sequence[SliceView], layouts: Layouts, *, modality: str, unit: Unit
) -> tuple[FloatVoxels, tuple[str, ...]]:
    """Decode slices and turn them into physical values; padding becomes air, or no signal.

    Parameters
    ----------
    ordered:
        The slices in the order of k, all of one matrix.
    layouts:
        Of their files.
    modality, unit:
        Of the series. MONOCHROME1 is inverted, but for CT, whose HU say themselves what they mean.

    Returns
    -------
    (float32 (i, j, k), finite; warnings)

    Raises
    ------
    InputRefused
        If pixel data are missing, truncated or damaged, or nothing but padding.
    """
    place = {(view.file, view.frame): k for k, view in enumerate(ordered)}
    scales = [rescale_of(view) for view in ordered]
    paddings = [padding_of(view, layouts[view.file]) for view in ordered]
    layout = layouts[ordered[0].file]
    shape = (len(ordered), layout.rows, layout.columns)
    voxels, padded = np.empty(0, dtype=np.float32), np.zeros(0, dtype=np.bool_)
    doubtful = 0
    for frame in decoded_frames(layouts):
        if not voxels.size:  # not before a frame is there: a header may claim any size
            voxels = np.empty(shape, dtype=np.float32)
            padded = np.zeros(shape if any(paddings) else 0, dtype=np.bool_)
        k, layout, stored = place[frame.file, frame.index], layouts[frame.file], frame.stored
        invert = layout.inverted and modality != "CT"
        voxels[k] = _physical(layout.invert(stored) if invert else stored, scales[k])
        if (padding := paddings[k]) is not None:
            padded[k], count = padded_pixels(frame, padding)
            doubtful += count
    if padded.any():
        where = str(ordered[0].path.parent)
        without_padding(voxels, padded, modality=modality, unit=unit, where=where)
    return voxels.transpose(2, 1, 0), _about_padding(doubtful)


def rescale_of(view: SliceView) -> Rescale:
    """Return a slice's rescale slope and intercept; 1 and 0 where absent.

    Raises
    ------
    InputRefused
        If the slope is 0, or a look-up table stands in its place.
    """
    if raw_value(view.dataset, "ModalityLUTSequence", view.path) is not None:
        raise InputRefused(
            f"{view.name} has a Modality LUT",
            rule="stored values must become physical ones by RescaleSlope and RescaleIntercept",
            remedy="export the series without one",
        )
    slope = number(view.dataset, "RescaleSlope", view.path)
    intercept = number(view.dataset, "RescaleIntercept", view.path)
    if slope == 0.0:
        raise InputRefused(
            f"{view.name}: RescaleSlope is 0",
            rule="it may not be",
            remedy="export the series again",
        )
    return Rescale(1.0 if slope is None else slope, intercept or 0.0)


def unit_of(ordered: Sequence[SliceView], modality: str) -> tuple[Unit, tuple[str, ...]]:
    """Return the unit of the voxels and what has to be said about their values."""
    said = []
    inverted = sum(
        text(view.dataset, "PhotometricInterpretation", view.path) == "MONOCHROME1"
        for view in ordered
    )
    if inverted:
        what = "kept, as HU need no inversion" if modality == "CT" else "inverted"
        said.append(f"Slices stored as MONOCHROME1 were {what}: {inverted}.")
    if modality != "CT":
        if len({rescale_of(view).slope for view in ordered}) > 1:
            said.append("The rescale slope differs from slice to slice; each was applied.")
        return "a.u.", tuple(said)
    kinds = {text(view.dataset, "RescaleType", view.path) for view in ordered}
    if kinds - {"", "HU", "US"}:
        said.append("The CT's rescale type is not HU; its values have no unit.")
        return "a.u.", tuple(said)
    if any(number(view.dataset, "RescaleIntercept", view.path) is None for view in ordered):
        said.append("The CT has no RescaleIntercept; its stored values were taken as HU.")
    return "HU", tuple(said)


def _about_padding(doubtful: int) -> tuple[str, ...]:
    if not doubtful:
        return ()
    return (
        f"{doubtful} pixels inside the image have the value that marks padding (PixelPaddingValue) "
        "and lies among those of the image; they were kept as they are.",
    )


def _physical(stored: Stored, scale: Rescale) -> FloatVoxels:
    return np.asarray(stored * scale.slope + scale.intercept, dtype=np.float32)
