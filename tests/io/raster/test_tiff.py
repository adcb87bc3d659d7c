"""A TIFF is read as any viewer shows it, however it lays out its numbers."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from medcyclegan.errors import InputRefused
from medcyclegan.io.raster.image import read_raster
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import RasterSourceHeader

ROWS, COLUMNS = 37, 51
ORIENTATION, COMPRESSION = 274, 259
# How a picture is stored for each orientation, from how it is shown (TIFF 6.0, Orientation).
STORED = {
    1: lambda shown: shown,
    2: lambda shown: shown[:, ::-1],
    3: lambda shown: shown[::-1, ::-1],
    4: lambda shown: shown[::-1],
    5: lambda shown: shown.T,
    6: np.rot90,
    7: lambda shown: shown[::-1, ::-1].T,
    8: lambda shown: np.rot90(shown, -1),
}


def picture(dtype: str = "uint16") -> np.ndarray:
    """(rows, columns) that no turn or mirror leaves as it is, over all of the type."""
    rows, columns = np.indices((ROWS, COLUMNS))
    share = (rows + 3 * columns) / (ROWS + 3 * COLUMNS)
    if dtype == "float32":
        return share.astype(dtype)
    limits = np.iinfo(dtype)
    return np.rint(limits.min + share * (int(limits.max) - limits.min)).astype(dtype)


def write(path: Path, stored: np.ndarray, **more: Any) -> Path:
    tifffile.imwrite(path, np.ascontiguousarray(stored), metadata=None, **more)
    return path


def seen(path: Path) -> np.ndarray:
    """(rows, columns) as they are read."""
    scan = read_scan(path)
    assert scan.warnings == ()
    return scan.volume.voxels[:, :, 0].T


@pytest.mark.parametrize(
    ("order", "big"), [("<", False), (">", False), ("<", True)], ids=["II", "MM", "BigTIFF"]
)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_is_zero(
    tmp_path: Path, order: str, compression: str | None, dtype: str, big: bool
) -> None:
    shown = picture(dtype)
    stored = np.iinfo(dtype).max - shown
    path = write(tmp_path / "a.tif", stored, photometric="miniswhite", compression=compression,
                 byteorder=order, bigtiff=big)  # fmt: skip
    assert np.array_equal(seen(path), shown)
    plain = write(tmp_path / "b.tif", shown, photometric="minisblack", bigtiff=big)
    assert np.array_equal(seen(plain), shown)
    source_headers = [read_raster(name).source_header for name in (path, plain)]
    assert source_headers[0] == source_headers[1]


def test_white_is_zero_with_a_sign(tmp_path: Path) -> None:
    shown = picture("int16")
    path = write(tmp_path / "a.tif", -1 - shown, photometric="miniswhite")
    assert np.array_equal(seen(path), shown)


def test_white_is_zero_in_two_colours(tmp_path: Path) -> None:
    shown = picture("uint8") > 100
    Image.fromarray(shown).save(tmp_path / "a.tif", compression="group4")
    with Image.open(tmp_path / "a.tif") as image:
        photometric = image.tag_v2[262]  # type: ignore[attr-defined]
    assert photometric in {0, 1}
    assert np.array_equal(seen(tmp_path / "a.tif"), 255 * shown)


def test_floats_with_white_as_zero_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", picture("float32"), photometric="miniswhite")
    with pytest.raises(InputRefused, match="floats whose least value is white"):
        read_raster(path)


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_orientation(tmp_path: Path, orientation: int, compression: str | None, dtype: str) -> None:
    shown = picture(dtype)
    path = write(tmp_path / "a.tif", STORED[orientation](shown), compression=compression,
                 extratags=[(ORIENTATION, "H", 1, orientation, True)])  # fmt: skip
    assert np.array_equal(seen(path), shown)


@pytest.mark.parametrize("orientation", STORED)
def test_orientation_as_pillow_stores_it(tmp_path: Path, orientation: int) -> None:
    shown = picture("uint8")
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](shown)))
    stored.save(tmp_path / "a.tif", tiffinfo={ORIENTATION: orientation})
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    for name in ("a.tif", "a.png"):
        assert np.array_equal(seen(tmp_path / name), shown)


def test_turned_and_white_as_zero(tmp_path: Path) -> None:
    shown = picture()
    path = write(tmp_path / "a.tif", STORED[6](65535 - shown), photometric="miniswhite",
                 byteorder=">", extratags=[(ORIENTATION, "H", 1, 6, True)])  # fmt: skip
    assert np.array_equal(seen(path), shown)


@pytest.mark.parametrize("dtype", ["int8", "uint32", "int32"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_whose_sign_pillow_drops(tmp_path: Path, dtype: str, order: str) -> None:
    shown = picture(dtype)
    path = write(tmp_path / "a.tif", shown, byteorder=order)
    if (dtype, order) == ("uint32", ">"):
        with pytest.raises(InputRefused, match="a TIFF image of 1 x"):
            read_raster(path)
        return
    assert np.array_equal(seen(path), shown.astype("float32"))


def test_tiles_and_strips(tmp_path: Path) -> None:
    shown = picture()
    for number, more in enumerate(({"tile": (16, 16)}, {"rowsperstrip": 5})):
        assert np.array_equal(seen(write(tmp_path / f"{number}.tif", shown, **more)), shown)


def recompressed(path: Path, code: int) -> Path:
    """Let the header tell of another compression."""
    data = path.read_bytes()
    old = struct.pack("<HHIHH", COMPRESSION, 3, 1, 1, 0)
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, struct.pack("<HHIHH", COMPRESSION, 3, 1, code, 0)))
    return path


@pytest.mark.parametrize(
    ("code", "name"),
    [(34712, "JPEG 2000"), (33003, "JPEG 2000"), (33005, "JPEG 2000"), (50002, "JPEG XL"),
     (12345, "compression 12345")],
)  # fmt: skip
def test_a_compression_that_is_not_read_is_named(tmp_path: Path, code: int, name: str) -> None:
    path = recompressed(write(tmp_path / "a.tif", picture()), code)
    with pytest.raises(InputRefused, match=f"compressed as {name}") as refused:
        read_scan(path)
    assert "truncated" not in str(refused.value)


def test_a_big_tiff_in_big_endian_order_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", picture(), byteorder=">", bigtiff=True)
    with pytest.raises(InputRefused, match="as BigTIFF in big-endian byte order"):
        read_scan(path)


def test_a_layout_that_is_not_read_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", picture().astype("float64"))
    with pytest.raises(InputRefused, match="1 x 64 bits a pixel"):
        read_scan(path)


def test_colours_of_16_bits_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", np.stack([picture()] * 3, axis=-1), photometric="rgb")
    (said,) = read_raster(path).warnings
    assert "16-bit colours" in said


def test_a_png_of_16_bits_with_transparency(tmp_path: Path) -> None:
    shown = picture()
    image = Image.fromarray(shown)
    image.save(tmp_path / "a.png", transparency=int(shown[4, 4]))
    scan = read_raster(tmp_path / "a.png")
    expected = np.where(shown == shown[4, 4], 0, shown)
    assert np.array_equal(scan.volume.voxels[:, :, 0].T, expected)
    assert scan.source_header == RasterSourceHeader("uint16", "PNG")


@pytest.mark.parametrize("cut", [3, 9, 17, 40, 200])
def test_a_tiff_cut_off_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.tif", picture(), photometric="miniswhite")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InputRefused):
        read_raster(path)
