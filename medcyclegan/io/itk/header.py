"""What the text header of a MetaImage or NRRD file says.

ITK takes damaged numbers in such headers for 0, fills some truncated images with zeros, and prints
to stderr: so these files are read and written without it.
"""

from __future__ import annotations

from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.byte_source import content_name, open_bytes
from medcyclegan.io.itk.fields import ItkHeader
from medcyclegan.io.itk.meta_header import read_meta_header
from medcyclegan.io.itk.nrrd_header import read_nrrd_header

# Headers are some hundred bytes; metadata from DICOM can make them some thousand.
_MOST_HEADER_BYTES = 2**20


def read_itk_header(path: Path) -> ItkHeader:
    """Check the header of a MetaImage or NRRD file.

    Raises
    ------
    InputRefused
        If the file is neither, damaged, in a variant that is not read, or holds several volumes
        or components.
    """
    with open_bytes(path) as source:
        start = b"" if source.is_gzip else source.up_to(_MOST_HEADER_BYTES)
    if start.startswith(b"NRRD"):
        return read_nrrd_header(start, path)
    if b"ElementDataFile" in start:
        return read_meta_header(start, path)
    raise InputRefused(
        f"{path}: not a MetaImage or NRRD file, it holds {content_name(start)}",
        rule="these start with a text header",
        remedy="give the file its right ending, or export it as .nii.gz",
    )
