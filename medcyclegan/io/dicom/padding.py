"""Pixels that hold no image but fill up the frame (PS3.3 C.7.5.1.1.2).

They lie outside the circle that a CT is reconstructed in, or beyond the field of view.
PixelPaddingValue and PixelPaddingRangeLimit tell which stored values mark them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import InputRefused
from medcyclegan.io.dicom.codec import Frame
from medcyclegan.io.dicom.frames import SliceView
from medcyclegan.io.dicom.kinds import HU_RANGE
from medcyclegan.io.dicom.layout import PixelLayout
from medcyclegan.io.dicom.values import number
from medcyclegan.volume import FloatVoxels, Unit

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
