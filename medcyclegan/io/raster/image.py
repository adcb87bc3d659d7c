"""PNG, JPEG and TIFF images as scans of one slice: reading, and writing in as many bits.

Read a PNG, JPEG or TIFF image as a scan of one slice.
Column and row of the picture are i and j of the volume, which are taken to run to the patient's
left and back, as in an axial slice of DICOM: so what is up in the file stays up. The distance of
pixels is 1 mm: the resolution that such files tell is that of a print, not of the anatomy.
"""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from medcyclegan.core.geometry import plane_geometry
from medcyclegan.core.task import Window
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, InputRefused, UsageError
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.discover import PICTURES_WRITTEN
from medcyclegan.io.held_files import open_file
from medcyclegan.io.raster import tiff
from medcyclegan.io.scan import RasterSourceHeader, Scan, SourceHeader
from medcyclegan.io.voxel_rules import memory_refusals, mend_voxels

SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", *tiff.STARTS)
# Six times the pixels of the largest radiographs (about 20 million); 0.5 GiB as float32.
MAX_PIXELS = 2**27


_FORMATS = ("PNG", "JPEG", "TIFF")
_COLOUR = ("RGB", "RGBA", "P", "PA", "RGBX")
# Pillow's modes of one number a pixel.
_WIDE = ("I;16", "I;16B", "I", "F")
_GREY = ("1", "L", "LA", *_WIDE)
# A picture of the most pixels in 32 bits, and what is beside it in the file.
_MOST_BYTES = 5 * MAX_PIXELS
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
_PNG_COLOUR_TYPES = (2, 4, 6)  # colours, grey with transparency, both


def read_raster(path: Path, *, may_be_constant: bool = False) -> Scan:
    """Read one picture as float32 (columns, rows, 1) in a.u.: its grey values as they are stored.

    Colours become luminance, rounded; transparent pixels are laid on black; the EXIF orientation of
    photographs is applied. Only a mask ``may_be_constant``.

    Raises
    ------
    InputRefused
        If the file is damaged, holds several pictures, is too large, or has no grey values to it.
    DeviceError
        If memory does not suffice.
    """
    try:
        layout = _tiff_layout(path)
        with memory_refusals(path), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow: on sizes, which are checked here, and EXIF
            with _source(path, layout) as source, Image.open(source, formats=_FORMATS) as image:
                _check(image, path)
                values, source_header, said = _decode(image, path, layout)
    except UnidentifiedImageError as error:
        raise _unknown_layout(path, layout) from error
    except Image.DecompressionBombError as error:
        raise _too_large(path, "more pixels than Pillow opens") from error
    except _DAMAGED as error:
        raise _damaged(path, f"truncated or damaged ({type(error).__name__})") from error
    voxels = np.ascontiguousarray(values.T[:, :, None], dtype=np.float32)
    more, mended = mend_voxels(voxels, path, may_be_constant=may_be_constant)
    volume = Volume(voxels, plane_geometry(voxels.shape[0], voxels.shape[1]), "a.u.")
    warned = (*said, *more)
    return Scan(volume, source_header, path, warnings=warned, files=(path,), mended=mended)


def _tiff_layout(path: Path) -> tiff.TiffLayout | None:
    """Read how a TIFF is laid out, None for other files; refuse what is not decoded by its name."""
    with open_file(path) as file:
        if not file.read(4).startswith(tiff.STARTS):
            return None
    layout = tiff.tiff_layout(path)
    if layout is None:
        return None
    if layout.unread:
        raise InputRefused(
            f"{path}: a TIFF image, stored {layout.unread}",
            rule="TIFF is read uncompressed, or as LZW, deflate, PackBits, JPEG or CCITT",
            remedy="save it uncompressed or with LZW",
        )
    if layout.white_is_zero and layout.is_float:
        raise InputRefused(
            f"{path}: a TIFF image of floats whose least value is white",
            rule="floats have no largest value to turn them by",
            remedy="save it with black as the least value",
        )
    return layout


def _source(path: Path, layout: tiff.TiffLayout | None) -> BinaryIO:
    """Open a picture as a stream, as Pillow maps what it opens by name, in the wrong shape where
    the orientation turns it; where the least value is white, as if it were black.
    """
    if layout is None or not layout.white_is_zero:
        return open_file(path)
    with open_file(path) as file:
        size_bytes = file.seek(0, io.SEEK_END)
        if size_bytes > _MOST_BYTES:
            raise _too_large(path, f"{size_bytes} bytes")
        file.seek(0)
        return io.BytesIO(layout.black_is_zero(file.read()))


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
    if image.mode not in (*_GREY, *_COLOUR):
        raise InputRefused(
            f"{path}: a picture in {image.mode} colours",
            rule="grey, RGB and palette pictures are read, without or with transparency",
            remedy="convert it to grey",
        )


def _decode(
    image: Image.Image, path: Path, layout: tiff.TiffLayout | None
) -> tuple[NDArray[np.float32], RasterSourceHeader, list[str]]:
    """(rows, columns) grey values, the source header, and what has to be said."""
    file_format, said = image.format or "", []
    upright = ImageOps.exif_transpose(image)
    colour = upright.mode in _COLOUR
    with_alpha = upright.mode in ("LA", "PA", "RGBA")
    if (colour or with_alpha) and _has_16_bits(path, file_format, layout):
        said.append(
            f"A {file_format} of 16-bit colours, or with transparency, was read with 8 bits; plain "
            "16-bit grey ones keep theirs."
        )
    dtype = "uint8"
    values: NDArray[np.generic]
    if with_alpha or ("transparency" in upright.info and upright.mode not in _WIDE):
        values = _on_black(upright)
    elif colour:
        values = _luminance(np.asarray(upright.convert("RGB"), dtype=np.float64))
    else:
        values = _grey(upright, layout)
        dtype = _type_of(values)
    if layout is not None and layout.white_is_zero and (colour or with_alpha):
        raise InputRefused(
            f"{path}: a TIFF image with colours or transparency whose least value is white",
            rule="only grey values are turned",
            remedy="save it as PNG",
        )
    return values.astype(np.float32), RasterSourceHeader(dtype, file_format, colour), said


def _grey(image: Image.Image, layout: tiff.TiffLayout | None) -> NDArray[np.generic]:
    """(rows, columns) of a picture of one number a pixel, in the type that holds them."""
    values: NDArray[np.generic] = np.asarray(image.convert("L") if image.mode == "1" else image)
    if layout is not None:
        values = layout.values(values)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        return np.where(values == transparent, 0, values)  # on black
    return values


def _type_of(values: NDArray[np.generic]) -> str:
    """Numpy's name of the type that grey values are stored in."""
    if values.dtype.kind == "f":
        return "float32"
    if values.dtype.itemsize == 1 and values.dtype.kind == "u":
        return "uint8"
    for name in ("uint16", "int16"):
        limits = np.iinfo(name)
        if limits.min <= values.min() and values.max() <= limits.max:
            return name
    return "float32"


def _luminance(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, columns, 3) -> (rows, columns), whole numbers, so that grey stays what it was."""
    return np.asarray(np.rint(rgb @ _LUMA))


def _on_black(image: Image.Image) -> NDArray[np.float64]:
    rgba = np.asarray(image.convert("RGBA"), dtype=np.float64)
    return np.asarray(np.rint(_luminance(rgba[..., :3]) * rgba[..., 3] / 255.0))


def _has_16_bits(path: Path, file_format: str, layout: tiff.TiffLayout | None) -> bool:
    """A PNG by its IHDR chunk: bit depth, then colour type (PNG, third edition, 11.2.1)."""
    if layout is not None:
        return layout.bits > 8
    if file_format != "PNG":
        return False
    with open_file(path) as file:
        start = file.read(26)
    return start[24] == 16 and start[25] in _PNG_COLOUR_TYPES


def _too_large(path: Path, found: str) -> InputRefused:
    return InputRefused(
        f"{path}: {found}",
        rule=f"at most {MAX_PIXELS} pixels are read",
        remedy="the header is damaged, or the picture must be made smaller before",
    )


def _unknown_layout(path: Path, layout: tiff.TiffLayout | None) -> InputRefused:
    if layout is None:
        return _damaged(path, "truncated or damaged (UnidentifiedImageError)")
    return InputRefused(
        f"{path}: a TIFF image of {layout.samples} x {layout.bits} bits a pixel (photometric "
        f"interpretation {layout.photometric}, sample format {layout.sample_format}), which is not "
        "read, or damaged",
        rule="grey of 8, 16 or 32 bits and colours of 8 bits are read",
        remedy="save it as PNG, or as a grey TIFF of 16 bits",
    )


def _damaged(path: Path, found: str) -> InputRefused:
    kinds = {b"\x89PNG": "a PNG image", b"\xff\xd8\xff": "a JPEG image"}
    with open_file(path) as file:
        start = file.read(4)
    kind = next((name for mark, name in kinds.items() if start.startswith(mark)), "a TIFF image")
    return InputRefused(
        f"{path}: {kind}, {found}",
        rule="a picture must decode to its end",
        remedy="copy or export the file again, or save it as PNG",
    )


_PNG_TYPES = ("uint8", "uint16")


def write_raster(
    volume: Volume, *, source_header: SourceHeader, to: Path, overwrite: bool = False
) -> None:
    """Write ``volume``, (columns, rows, 1), as ``.png``, ``.tif`` or ``.tiff``, or not at all.

    The type is that of the source's picture; for other sources int16 for HU, uint8 for a mask, else
    uint16. Whole-number types round and clip.

    Raises
    ------
    CannotWrite
        If there is more than one slice, PNG cannot hold the type, ``to`` exists and ``overwrite``
        is false, the system refuses, or what was read back differs.
    UsageError
        If ``to`` has another ending.
    """
    ending = to.suffix.lower()
    if ending not in PICTURES_WRITTEN:
        raise UsageError(f"{to}: unknown ending", rule="pictures end in .png, .tif or .tiff")
    if volume.geometry.shape[2] != 1:
        raise CannotWrite(
            f"{to}: a volume of {volume.geometry.shape[2]} slices",
            rule="a picture holds one slice",
            remedy="name a .nii.gz file",
        )
    dtype = stored_type(volume, source_header)
    if ending == ".png" and dtype not in _PNG_TYPES:
        raise CannotWrite(
            f"{to}: values of type {dtype} ({volume.unit})",
            rule="PNG holds whole numbers from 0 up",
            remedy="name a .tif or .nii.gz file",
        )
    pixels = _stored(volume, dtype)
    kind = "PNG" if ending == ".png" else "TIFF"
    with atomic_file(to, overwrite=overwrite) as temporary:
        Image.fromarray(pixels).save(temporary, format=kind, **_compression(kind))
        with Image.open(temporary, formats=(kind,)) as written:
            if not np.array_equal(np.asarray(written), pixels):
                raise CannotWrite(
                    f"{to}: what was read back is not what was written",
                    rule="the pixels must be equal",
                    remedy="check the disk, or write to another one",
                )


def stored_type(volume: Volume, source_header: SourceHeader) -> str:
    """Return numpy's name of the type that a picture of ``volume`` is stored in."""
    if volume.unit == "HU":
        return "int16"
    if volume.unit == "mask":
        return "uint8"
    return source_header.dtype if isinstance(source_header, RasterSourceHeader) else "uint16"


def _stored(volume: Volume, dtype: str) -> NDArray[np.generic]:
    """(rows, columns) as they are stored."""
    values = np.ascontiguousarray(volume.voxels[:, :, 0].T)
    if dtype == "float32":
        return values
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)


def _compression(kind: str) -> dict[str, str]:
    return {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}


def spread(volume: Volume, window: Window, *, source_header: SourceHeader) -> Volume:
    """Spread ``window`` over all that the source's kind of picture stores: 0 to 255, 0 to 65535.

    So a model's output fills a picture of 8 bits as well as one of 16, and nothing is cut off.
    Where the values are stored as real or signed numbers they stay as they are.
    """
    dtype = stored_type(volume, source_header)
    if dtype not in ("uint8", "uint16"):
        return volume
    share = (volume.voxels - window.lower) / (window.upper - window.lower)
    return volume.with_voxels((share * np.iinfo(dtype).max).astype(np.float32))
