"""Pictures come in and go out with their grey values, their depth and their upright orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medcyclegan.core.geometry import geometry_from_spacing, plane_geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, InputRefused, UsageError
from medcyclegan.io.raster.image import read_raster, write_raster
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader, RasterSourceHeader
from medcyclegan.io.write import write_scan

ROWS, COLUMNS = 20, 30


def grey(dtype: str, most: int) -> np.ndarray:
    """(rows, columns), bright in the upper left corner alone, so that every turn shows."""
    pixels = np.random.default_rng(3).integers(0, most // 2, size=(ROWS, COLUMNS)).astype(dtype)
    pixels[0, 0] = most
    return pixels


@pytest.mark.parametrize(("dtype", "most"), [("uint8", 255), ("uint16", 65535)])
@pytest.mark.parametrize("ending", [".png", ".tif", ".tiff"])
def test_what_is_written_again_is_the_same_picture(
    tmp_path: Path, dtype: str, most: int, ending: str
) -> None:
    pixels = grey(dtype, most)
    Image.fromarray(pixels).save(tmp_path / f"a{ending}")
    scan = read_scan(tmp_path / f"a{ending}")
    assert scan.volume.voxels.shape == (COLUMNS, ROWS, 1)
    assert scan.volume.voxels[0, 0, 0] == most
    assert scan.volume.geometry.spacing_mm == (1.0, 1.0, 1.0)
    assert scan.volume.geometry.axis_codes[:2] == "LP"
    assert scan.is_plane
    assert scan.warnings == ()
    write_scan(scan.volume, source_header=scan.source_header, to=tmp_path / f"b{ending}")
    with Image.open(tmp_path / f"b{ending}") as again:
        written = np.asarray(again)
    assert written.dtype == pixels.dtype
    assert np.array_equal(written, pixels)
    # the control: a picture upside down or mirrored is not the same
    assert not np.array_equal(written, pixels[::-1])
    assert not np.array_equal(written, pixels[:, ::-1])


def test_big_endian_signed_and_float_tiff(tmp_path: Path) -> None:
    signed = grey("int16", 3000) - np.int16(1024)
    Image.fromarray(signed.astype("int32")).save(tmp_path / "wide.tif")
    Image.fromarray(signed).save(tmp_path / "signed.tif")
    Image.fromarray(signed.astype("float32") / 7).save(tmp_path / "float.tif")
    for name in ("wide.tif", "signed.tif"):
        scan = read_scan(tmp_path / name, modality="CT")
        assert np.array_equal(scan.volume.voxels[:, :, 0].T, signed)
        assert scan.volume.unit == "HU"
        write_scan(scan.volume, source_header=scan.source_header, to=tmp_path / f"again_{name}")
        assert np.array_equal(
            read_raster(tmp_path / f"again_{name}").volume.voxels[:, :, 0].T, signed
        )
    floats = read_raster(tmp_path / "float.tif")
    assert np.array_equal(floats.volume.voxels[:, :, 0].T, signed.astype("float32") / 7)


def test_a_picture_from_0_up_has_no_hu(tmp_path: Path) -> None:
    Image.fromarray(grey("uint8", 255)).save(tmp_path / "a.png")
    assert read_scan(tmp_path / "a.png", modality="CT").volume.unit == "a.u."


def test_colours_become_luminance_and_grey_stays(tmp_path: Path) -> None:
    pixels = grey("uint8", 255)
    Image.fromarray(np.stack([pixels] * 3, axis=-1)).save(tmp_path / "grey.png")
    assert np.array_equal(read_raster(tmp_path / "grey.png").volume.voxels[:, :, 0].T, pixels)
    primaries = np.zeros((2, 2, 3), dtype=np.uint8)
    primaries[0, 0], primaries[0, 1], primaries[1, 0] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    Image.fromarray(primaries).save(tmp_path / "rgb.png")
    scan = read_raster(tmp_path / "rgb.png")
    # 0.299, 0.587 and 0.114 of 255 (ITU-R BT.601)
    assert scan.volume.voxels[:, :, 0].T.ravel().tolist() == [76.0, 150.0, 29.0, 0.0]
    assert isinstance(scan.source_header, RasterSourceHeader)
    assert scan.source_header.colour


def test_palettes_alpha_and_bilevel(tmp_path: Path) -> None:
    pixels = grey("uint8", 255)
    palette = Image.fromarray(pixels).quantize(256)
    palette.save(tmp_path / "palette.png")
    expected = np.asarray(palette.convert("L"))
    assert np.array_equal(read_raster(tmp_path / "palette.png").volume.voxels[:, :, 0].T, expected)
    alpha = np.full_like(pixels, 255)
    alpha[:, 10:] = 0
    Image.merge("LA", [Image.fromarray(pixels), Image.fromarray(alpha)]).save(tmp_path / "la.png")
    seen = read_raster(tmp_path / "la.png").volume.voxels[:, :, 0].T
    assert np.array_equal(seen[:, :10], pixels[:, :10])
    assert not seen[:, 10:].any()
    Image.fromarray(pixels > 60).save(tmp_path / "bits.png")
    assert np.array_equal(
        read_raster(tmp_path / "bits.png").volume.voxels[:, :, 0].T, 255 * (pixels > 60)
    )


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((16, 24), dtype=np.uint8)
    pixels[:, :8] = 200
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    seen = read_raster(tmp_path / "a.jpg").volume.voxels[:, :, 0].T
    assert seen.shape == (24, 16)
    assert seen[:7].mean() > 190
    assert seen[9:].mean() < 10


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def _bomb(path: Path, side_px: int) -> None:
    """A PNG of a few bytes that claims many pixels."""
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(5000))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", rows)
        + _chunk(b"IEND", b"")
    )


def test_unfit_pictures_are_refused_by_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Image.fromarray(grey("uint8", 255))
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    image.save(tmp_path / "pages.tif", save_all=True, append_images=[image])
    image.save(tmp_path / "moving.png", save_all=True, append_images=[image.rotate(90)])
    for kind in ("png", "jpg", "tif"):
        image.resize((300, 300)).save(tmp_path / f"whole.{kind}")
        content = (tmp_path / f"whole.{kind}").read_bytes()
        (tmp_path / f"cut.{kind}").write_bytes(content[: len(content) // 2])
        read_raster(tmp_path / f"whole.{kind}")  # the control: it is the cut that is refused
    damaged = bytearray((tmp_path / "whole.png").read_bytes())
    damaged[200] ^= 255
    (tmp_path / "damaged.png").write_bytes(damaged)
    Image.new("L", (9, 9), 7).save(tmp_path / "flat.png")
    _bomb(tmp_path / "bomb.png", 60000)  # more than Pillow opens
    _bomb(tmp_path / "large.png", 12000)  # more than we read
    (tmp_path / "head.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(500))
    reasons = {
        "cmyk.jpg": "CMYK",
        "pages.tif": "2 pictures",
        "moving.png": "2 pictures",
        "cut.png": "PNG image, truncated",
        "cut.jpg": "JPEG image, truncated",
        "cut.tif": "TIFF image, truncated",
        "damaged.png": "PNG image, truncated",
        "flat.png": "every voxel has the value 7",
        "bomb.png": "more pixels",
        "large.png": "12000 x 12000 pixels",
        "head.png": "PNG image, truncated",
    }
    for name, reason in reasons.items():
        with pytest.raises(InputRefused, match=rf"{name}: .*{reason}") as caught:
            read_scan(tmp_path / name)
        assert caught.value.remedy, name
    assert capfd.readouterr() == ("", "")


def test_what_a_picture_cannot_hold_is_not_written(tmp_path: Path) -> None:
    plane = Volume(np.ones((4, 4, 1), np.float32), plane_geometry(4, 4), "HU")
    with pytest.raises(CannotWrite, match="from 0 up"):
        write_raster(plane, source_header=ItkSourceHeader(), to=tmp_path / "hu.png")
    write_raster(plane, source_header=ItkSourceHeader(), to=tmp_path / "hu.tif")
    with pytest.raises(CannotWrite, match="exists"):
        write_raster(plane, source_header=ItkSourceHeader(), to=tmp_path / "hu.tif")
    stack = Volume(
        np.ones((4, 4, 3), np.float32), geometry_from_spacing((4, 4, 3), (1, 1, 1)), "HU"
    )
    with pytest.raises(CannotWrite, match="3 slices"):
        write_raster(stack, source_header=ItkSourceHeader(), to=tmp_path / "stack.tif")
    with pytest.raises(UsageError, match="unknown ending"):
        write_raster(plane, source_header=ItkSourceHeader(), to=tmp_path / "hu.jpg")
    assert [path.name for path in tmp_path.iterdir()] == ["hu.tif"]
