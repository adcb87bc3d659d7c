"""Read a PNG, JPEG or TIFF image as a scan of one slice.

Column and row of the picture are i and j of the volume, which are taken to run to the patient's
left and back, as in an axial slice of DICOM: so what is up in the file stays up. The distance of
pixels is 1 mm: the resolution that such files tell is that of a print, not of the anatomy.
"""

from __future__ import annotations

import struct
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medcyclegan.errors import DeviceError, InputRefused
from medcyclegan.geometry import Geometry
from medcyclegan.io.scan import PlanePassport, Scan
from medcyclegan.io.voxel_rules import mend_voxels
from medcyclegan.volume import Volume

SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*")
# Six times the pixels of the largest radiographs (about 20 million); 0.5 GiB as float32.
MAX_PIXELS = 2**27
PIXEL_MM = 1.0

_FORMATS = ("PNG", "JPEG", "TIFF")
_COLOUR = ("RGB", "RGBA", "P", "PA", "RGBX")
# Pillow's modes of one number a pixel, and the type that their values are stored in.
_GREY = {"1": "uint8", "L": "uint8", "LA": "uint8", "I;16": "uint16", "I;16B": "uint16"}
# Luma of ITU-R BT.601-7, 2.5.1: what "grey" means in JPEG and in most programs.
_LUMA = np.array([0.299, 0.587, 0.114])
# What Pillow was seen to raise for damaged files.
_DAMAGED = (
    OSError,
    SyntaxError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    struct.error,
)
_PNG_COLOUR_TYPES = (2, 6)


def read_plane(path: Path) -> Scan:
    """Read one picture as float32 (columns, rows, 1) in a.u.: its grey values as they are stored.

    Colours become luminance, rounded; transparent pixels are laid on black; the EXIF orientation of
    photographs is applied.

    Raises
    ------
    InputRefused
        If the file is damaged, holds several pictures, is too large, or has no grey values to it.
    DeviceError
        If memory does not suffice.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: on sizes, which are checked here, and EXIF
            with Image.open(path, formats=_FORMATS) as image:
                _check(image, path)
                values, passport, said = _decode(image, path)
    except Image.DecompressionBombError as error:
        raise _too_large(path, "more pixels than Pillow opens") from error
    except _DAMAGED as error:
        raise _damaged(path, f"truncated or damaged ({type(error).__name__})") from error
    except MemoryError as error:
        raise DeviceError(
            f"{path}: memory does not suffice for the picture", remedy="free some memory"
        ) from error
    voxels = np.ascontiguousarray(values.T[:, :, None], dtype=np.float32)
    more, mended = mend_voxels(voxels, path)
    volume = Volume(voxels, plane_geometry(voxels.shape[0], voxels.shape[1]), "a.u.")
    return Scan(volume, passport, source=path, warnings=(*said, *more), mended=mended)


def plane_geometry(
    columns: int, rows: int, pixel_mm: tuple[float, float] = (PIXEL_MM, PIXEL_MM)
) -> Geometry:
    """The grid of an image without a place: columns run to the left, rows to the back.

    ``pixel_mm`` is the distance of columns, then of rows; the slice is as thick as a column.
    """
    affine = np.diag([-pixel_mm[0], -pixel_mm[1], pixel_mm[0], 1.0])
    return Geometry((columns, rows, 1), affine)


def _check(image: Image.Image, path: Path) -> None:
    """Refuse what its header shows to be unfit, before memory is taken."""
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(path, f"{image.width} x {image.height} pixels")
    frames = int(getattr(image, "n_frames", 1))
    if frames > 1:
        raise InputRefused(
            f"{path}: {frames} pictures in one file (animated, or a TIFF of several pages)",
            rule="one picture a file is read",
            remedy="export each as a file of its own, or a stack as NIfTI",
        )
    if image.mode not in (*_GREY, *_COLOUR, "I", "F"):
        raise InputRefused(
            f"{path}: a picture in {image.mode} colours",
            rule="grey, RGB and palette pictures are read, without or with transparency",
            remedy="convert it to grey",
        )


def _decode(image: Image.Image, path: Path) -> tuple[NDArray[np.float32], PlanePassport, list[str]]:
    """(rows, columns) grey values, the passport, and what has to be said."""
    file_format, said = image.format or "", []
    upright = ImageOps.exif_transpose(image)
    colour = upright.mode in _COLOUR
    if colour and _is_16_bit_png(path, file_format):
        said.append("A PNG of 16-bit colours was read with 8 bits; 16-bit grey ones keep theirs.")
    if upright.mode in ("LA", "PA", "RGBA") or "transparency" in upright.info:
        values, dtype = _on_black(upright), "uint8"
    elif colour:
        values, dtype = _luminance(np.asarray(upright.convert("RGB"), dtype=np.float64)), "uint8"
    else:
        dtype = _GREY.get(upright.mode) or _type_of(upright)
        values = np.asarray(upright.convert("L") if upright.mode == "1" else upright)
    return values.astype(np.float32), PlanePassport(dtype, file_format, colour), said


def _type_of(image: Image.Image) -> str:
    """The type of the values of Pillow's wide modes, I (whole numbers) and F."""
    if image.mode == "F":
        return "float32"
    least, most = image.getextrema()
    for name in ("uint16", "int16"):
        limits = np.iinfo(name)
        if limits.min <= float(least) and float(most) <= limits.max:  # type: ignore[arg-type]
            return name
    return "float32"


def _luminance(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, columns, 3) -> (rows, columns), whole numbers, so that grey stays what it was."""
    return np.asarray(np.rint(rgb @ _LUMA))


def _on_black(image: Image.Image) -> NDArray[np.float64]:
    rgba = np.asarray(image.convert("RGBA"), dtype=np.float64)
    return np.asarray(np.rint(_luminance(rgba[..., :3]) * rgba[..., 3] / 255.0))


def _is_16_bit_png(path: Path, file_format: str) -> bool:
    """By its IHDR chunk: bit depth, then colour type (PNG, third edition, 11.2.1)."""
    if file_format != "PNG":
        return False
    with path.open("rb") as file:
        start = file.read(26)
    return start[24] == 16 and start[25] in _PNG_COLOUR_TYPES


def _too_large(path: Path, found: str) -> InputRefused:
    return InputRefused(
        f"{path}: {found}",
        rule=f"at most {MAX_PIXELS} pixels are read",
        remedy="the header is damaged, or the picture must be made smaller before",
    )


def _damaged(path: Path, found: str) -> InputRefused:
    kinds = {b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image"}
    with path.open("rb") as file:
        start = file.read(4)
    kind = next((name for mark, name in kinds.items() if start.startswith(mark)), "a TIFF image")
    return InputRefused(
        f"{path}: {kind}, {found}",
        rule="a picture must decode to its end",
        remedy="copy or export the file again, or save it as PNG",
    )
