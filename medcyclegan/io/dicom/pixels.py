"""Pixel data of a series: decoded, freed of padding, in physical values.

Pixels that hold no image but fill up the frame (PS3.3 C.7.5.1.1.2).
They lie outside the circle that a CT is reconstructed in, or beyond the field of view.
PixelPaddingValue and PixelPaddingRangeLimit tell which stored values mark them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from medcyclegan.core.volume import FloatVoxels, Unit
from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.attribute_access import (
    PYDICOM_ERRORS,
    number,
    quiet,
    raw_value,
    text,
    uid_name,
)
from medcyclegan.io.dicom.decoder_process import decode_apart
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.header import DicomFile
from medcyclegan.io.dicom.kinds import HU_RANGE
from medcyclegan.io.dicom.maps import quantity_of
from medcyclegan.io.dicom.pixel_layout import (
    GDCM_SYNTAXES,
    PixelLayout,
    Stored,
    bits_warning,
    check_codestreams,
    check_total,
    layout_of,
    pixel_bytes,
    pixel_dataset,
    truncated,
)

_NATIVE = frozenset(
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
    }
)
# Two bytes of run-length code give 128 bytes at most (PS3.5 G.3.1).
_RLE_GROWTH = 64


def check_syntax(file: DicomFile) -> None:
    """Refuse a missing, private or unknown transfer syntax."""
    if file.syntax in _NATIVE or file.syntax in GDCM_SYNTAXES or file.syntax == RLELossless:
        return
    raise InputRefused(
        f"{file.path}: the transfer syntax is {uid_name(file.syntax)}",
        rule="it must be one of the uncompressed, deflated, RLE, JPEG, JPEG-LS or JPEG 2000 ones",
        remedy="export the series as explicit VR little endian",
    )


@dataclass(frozen=True, eq=False)
class Frame:
    """One decoded frame of a file, counted from 0.

    ``words`` is (rows, columns), unsigned, with all bits that were stored or coded; ``layout``
    says which of them are the value.
    """

    file: DicomFile
    index: int
    words: Stored
    layout: PixelLayout

    @property
    def stored(self) -> Stored:
        """The stored values, (rows, columns)."""
        return self.layout.clean(self.words)


def decoded_frames(layouts: Mapping[DicomFile, PixelLayout]) -> Iterator[Frame]:
    """Yield all frames of all files.

    Raises
    ------
    InputRefused
        If the data are truncated, damaged or of another size than the header says; this is found
        before memory is taken for an image.
    """
    apart = {file: layout for file, layout in layouts.items() if file.syntax in GDCM_SYNTAXES}
    for file, layout in layouts.items():
        if file not in apart:
            frames = _rle_frames if file.syntax == RLELossless else _native_frames
            for index, words in enumerate(frames(file, layout)):
                yield Frame(file, index, words, layout)
    if apart:
        yield from _gdcm_frames(apart)


def _native_frames(file: DicomFile, layout: PixelLayout) -> Iterator[Stored]:
    data = pixel_bytes(file)
    expected = layout.frames * layout.frame_bytes
    if expected > len(data):
        raise truncated(file.path, f"{expected} bytes are expected, {len(data)} are there")
    dtype = np.dtype(f"{'<' if file.little_endian else '>'}u{layout.sample_bytes}")
    for index in range(layout.frames):
        frame = np.frombuffer(
            data, dtype, count=layout.rows * layout.columns, offset=index * layout.frame_bytes
        )
        yield frame.reshape(layout.rows, layout.columns)


def _rle_frames(file: DicomFile, layout: PixelLayout) -> Iterator[Stored]:
    try:
        with quiet():
            source = pixel_dataset(file)
            if layout.frames * layout.frame_bytes > _RLE_GROWTH * len(pixel_bytes(file)):
                raise truncated(file.path, "they cannot hold that many pixels")
            decoder = get_decoder(RLELossless)
            decoded = list(
                decoder.iter_array(
                    source, raw=True, decoding_plugin="pydicom", correct_unused_bits=False
                )
            )
    except PYDICOM_ERRORS as error:
        raise _undecodable(file) from error
    yield from (frame for frame, _ in decoded)


def _gdcm_frames(layouts: Mapping[DicomFile, PixelLayout]) -> Iterator[Frame]:
    file = next(iter(layouts))
    coded: dict[DicomFile, PixelLayout] = {}
    try:
        with quiet():
            for file, layout in layouts.items():
                coded[file] = check_codestreams(file, layout)
        frames = decode_apart(coded)
        for file, layout in coded.items():
            for index in range(layout.frames):
                yield Frame(file, index, next(frames)[1], layout)
    except PYDICOM_ERRORS as error:
        raise _undecodable(file) from error


def _undecodable(file: DicomFile) -> InputRefused:
    return InputRefused(
        f"{file.path}: the {uid_name(file.syntax)} pixel data cannot be decoded",
        rule="they must be complete and of a kind that the decoder knows",
        remedy="export the series as explicit VR little endian",
    )


Marked = NDArray[np.bool_]


@dataclass(frozen=True)
class Padding:
    """Which stored values mark padding, from ``first`` to ``last``, in either order.

    Values that the stored bits cannot hold, as some scanners use them, are those of the words with
    their unused bits; ``of_words`` says that they are meant.
    """

    first: int
    last: int
    of_words: bool = False

    def marked(self, frame: Frame) -> Marked:
        """Return which pixels of a frame have such a value, (rows, columns)."""
        values = frame.words if self.of_words else frame.stored
        low, high = sorted((self.first, self.last))
        return np.asarray((values >= low) & (values <= high))


def padding_of(view: SliceView, layout: PixelLayout) -> Padding | None:
    """Return what marks padding in a slice, None if nothing does."""
    value = number(view.dataset, "PixelPaddingValue", view.path)
    if value is None:
        return None
    limit = number(view.dataset, "PixelPaddingRangeLimit", view.path)
    ends = [int(value), int(value if limit is None else limit)]
    # Either sign is met with pixels of the other one: what counts are the bits.
    words = [end % 2 ** (8 * layout.sample_bytes) for end in ends]
    first, last = (_value(word, layout) for word in words)
    if first is None or last is None:
        return Padding(words[0], words[1], of_words=True)
    return Padding(first, last)


def _value(word: int, layout: PixelLayout) -> int | None:
    """Return the value that a word stands for, None if the stored bits cannot hold it."""
    full, allocated = 2**layout.bits_stored, 2 ** (8 * layout.sample_bytes)
    if not layout.signed:
        return word if word < full else None
    value = word - allocated if word >= allocated // 2 else word
    if -full // 2 <= value < full // 2:
        return value
    return word - full if word < full else None


def padded_pixels(frame: Frame, padding: Padding) -> tuple[Marked, int]:
    """Return which pixels of a frame are padding, and how many look like it but are not.

    A value beyond all others of the frame is padding wherever it is. One that lies among them, as 0
    HU, which some headers name, is so only where nothing but padding lies between it and an edge.
    """
    marked = padding.marked(frame)
    if not marked.any() or marked.all():
        return marked, 0
    stored = frame.stored
    rest, own = stored[~marked], stored[marked]
    if own.max() < rest.min() or own.min() > rest.max():
        return marked, 0
    outer = np.zeros_like(marked)
    for axis in (0, 1):
        outer |= np.logical_and.accumulate(marked, axis=axis)
        outer |= np.flip(np.logical_and.accumulate(np.flip(marked, axis), axis=axis), axis)
    return outer, int(np.count_nonzero(marked & ~outer))


def without_padding(
    voxels: FloatVoxels, padded: Marked, *, modality: str, unit: Unit, where: str
) -> None:
    """Give padding the value of air or of no signal, in place; both arrays have the same shape.

    That is the least that CT scanners store for HU, no signal for MR, else the least of the others.

    Raises
    ------
    InputRefused
        If there is nothing but padding.
    """
    if padded.all():
        raise InputRefused(
            f"{where}: every pixel is marked as padding",
            rule="an image must hold more than that",
            remedy="check PixelPaddingValue, or export the series again",
        )
    smallest = float(voxels.min(where=~padded, initial=np.inf))
    none = {"HU": float(HU_RANGE[0])}.get(
        unit, min(0.0, smallest) if modality == "MR" else smallest
    )
    voxels[padded] = none


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
    return voxels.transpose(2, 1, 0), _about_padding(doubtful) + bits_warning(layouts)


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
    if quantity := quantity_of(ordered[0]):
        said.append(f"The CT is marked as {quantity}, and not as HU; its values have no unit.")
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
