"""What was read: a volume, and the passport that is needed to write its like.

The passport stays here from the reader to the writer. Nothing in it reaches a network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from medcyclegan.volume import Volume


@dataclass(frozen=True)
class NiftiPassport:
    """The header as it stood on disk.

    ``header`` holds the raw bytes of a NIfTI-1 or NIfTI-2 header (348 or 540 bytes) as nibabel
    gives them, byte order included; ``extensions`` pairs of (code, content).
    """

    header: bytes
    version: int
    big_endian: bool
    extensions: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True)
class DicomPassport:
    """One data set a slice, pixel data removed, in the order of the volume's k axis.

    For an enhanced multi-frame or mosaic source there is still one data set a slice, with the
    frame's position, orientation and spacing put at its top level, and the same SOPInstanceUID.
    ``frame_numbers`` holds the 1-based frame of each slice then, and is empty for plain series.
    """

    slices: tuple[Dataset, ...]
    frame_numbers: tuple[int, ...] = ()


@dataclass(frozen=True)
class ItkPassport:
    """Metadata of a .mha, .mhd or .nrrd file: its key-value pairs as they stand there."""

    metadata: tuple[tuple[str, str], ...] = ()


Passport = NiftiPassport | DicomPassport | ItkPassport


@dataclass(frozen=True)
class Scan:
    """A volume, its passport, where it came from and what the reader has to say about it.

    ``modality`` is the DICOM term (``"MR"``, ``"CT"``) where the source tells it, else empty.
    ``warnings`` are sentences for the user, without patient data.
    """

    volume: Volume
    passport: Passport
    source: Path
    modality: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
