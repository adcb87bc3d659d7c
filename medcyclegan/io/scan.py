"""What was read: a volume, and the source header that is needed to write its like.

The source header stays here from the reader to the writer. Nothing in it reaches a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused


@dataclass(frozen=True)
class NiftiSourceHeader:
    """The header as it stood on disk.

    ``header`` holds the raw bytes of a NIfTI-1 or NIfTI-2 header (348 or 540 bytes) as nibabel
    gives them, byte order included; ``extensions`` pairs of (code, content). ``is_placed``: sform
    or qform say where the voxels lie.
    """

    header: bytes
    version: int
    big_endian: bool
    extensions: tuple[tuple[int, bytes], ...] = ()
    is_placed: bool = True


@dataclass(frozen=True)
class DicomSourceHeader:
    """One data set a slice, pixel data removed, in the order of the volume's k axis.

    For an enhanced multi-frame or mosaic source there is still one data set a slice, with the
    frame's position, orientation and spacing put at its top level, and the same SOPInstanceUID.
    ``frame_numbers`` holds the 1-based frame of each slice then, and is empty for plain series.
    ``is_resampled``: the slices were moved to other places than the source has them at.
    """

    slices: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...] = ()
    is_resampled: bool = False


@dataclass(frozen=True)
class ItkSourceHeader:
    """Metadata of a .mha, .mhd or .nrrd file: its key-value pairs as they stand there."""

    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class RasterSourceHeader:
    """How a PNG, JPEG or TIFF stored its grey values.

    ``dtype`` is numpy's name of their type (uint8, uint16, int16, float32); ``file_format`` is
    Pillow's name; ``colour`` says that they are the luminance of colours.
    """

    dtype: str
    file_format: str
    colour: bool = False


SourceHeader = NiftiSourceHeader | DicomSourceHeader | ItkSourceHeader | RasterSourceHeader


@dataclass(frozen=True)
class Scan:
    """A volume, its source header, where it came from and what the reader has to say about it.

    ``modality`` is ``"MR"``, ``"CT"``, ``"XR"`` for radiographs of all kinds, or the DICOM term of
    another kind, where the source tells it, else empty. ``is_plane``: a picture or radiograph,
    which has no place in space, and whose pixels may have any size in the anatomy.
    ``warnings`` are sentences for the user, without patient data. ``mended`` tells where (i, j, k)
    the file held NaN or infinity, which the reader replaced; None if nowhere. ``channels`` are
    further images of the same subject, where a model takes several. ``files`` are all that a reader
    read for it: slices of a series, or the one or two of an image.
    """

    volume: Volume
    source_header: SourceHeader
    source: Path
    modality: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
    mended: NDArray[np.bool_] | None = field(default=None, compare=False)
    channels: tuple[Scan, ...] = ()
    files: tuple[Path, ...] = ()

    @property
    def is_plane(self) -> bool:
        """Whether this is a picture or a radiograph."""
        return isinstance(self.source_header, RasterSourceHeader) or self.modality == "XR"

    @property
    def is_placed(self) -> bool:
        """Whether the source says where the volume lies; a NIfTI file with codes of 0 does not."""
        return not isinstance(self.source_header, NiftiSourceHeader) or self.source_header.is_placed


@contextmanager
def telling_warnings(scan: Scan) -> Iterator[None]:
    """Have refusals of a scan tell what its reader warned of: a wrong unit may be their cause."""
    try:
        yield
    except InputRefused as error:
        if not scan.warnings:
            raise
        said = " ".join(f"{warning.rstrip('.')}." for warning in scan.warnings)
        remedy = f"{error.remedy.rstrip('.')}; when it was read: {said}".removeprefix("; ")
        raise InputRefused(error.found, rule=error.rule, remedy=remedy) from error
