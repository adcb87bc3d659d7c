"""MetaImage and NRRD: what SimpleITK writes is read as it is meant, and what we write as well."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import CannotWrite, InputRefused, MedcycleganError, UsageError
from medcyclegan.io.itk import image as itk_image
from medcyclegan.io.itk.image import read_itk, write_itk
from medcyclegan.io.scan import DicomSourceHeader, ItkSourceHeader
from tests.image_factory import OBLIQUE, SHAPE, all_axis_orders, ramp, volume_of

ENDINGS = [".mha", ".mhd", ".nrrd"]
LPS_TO_RAS = np.diag((-1.0, -1.0, 1.0, 1.0))
TYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
TYPES += ["float32", "float64"]


def itk_of(voxels: np.ndarray, affine: np.ndarray = OBLIQUE) -> SimpleITK.Image:
    """Return an image of ``voxels`` (i, j, k) whose grid is ``affine`` in RAS."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
    lps = LPS_TO_RAS @ affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def save(path: Path, image: SimpleITK.Image, *, packed: bool = False) -> Path:
    """Write by SimpleITK and return the path."""
    SimpleITK.WriteImage(image, str(path), packed)
    return path


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_gives_the_same_voxels(
    tmp_path: Path, dtype: str, ending: str, packed: bool
) -> None:
    path = save(tmp_path / f"a{ending}", itk_of(ramp().astype(dtype)), packed=packed)
    scan = read_itk(path)
    assert np.array_equal(scan.volume.voxels, ramp())
    assert np.allclose(scan.volume.geometry.affine_ras, OBLIQUE, rtol=0, atol=1e-12)
    # SimpleITK is the other reader.
    image = SimpleITK.ReadImage(str(path))
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).T, scan.volume.voxels)
    assert (scan.warnings, scan.volume.unit, scan.source) == ((), "a.u.", path)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("affine", [*all_axis_orders(), OBLIQUE], ids=str)
def test_grid_and_voxels_out_are_those_in(tmp_path: Path, affine: np.ndarray, ending: str) -> None:
    scan = read_itk(save(tmp_path / f"in{ending}", itk_of(ramp().astype("int16"), affine)))
    volume = volume_of(scan.volume.geometry)
    out = tmp_path / f"out{ending}"
    write_itk(volume, source_header=scan.source_header, to=out)
    again = read_itk(out).volume
    assert np.array_equal(again.voxels, volume.voxels)
    assert SimpleITK.ReadImage(str(out)).GetPixelID() == SimpleITK.sitkInt16
    difference = np.abs(again.geometry.affine_ras - scan.volume.geometry.affine_ras).max()
    assert difference < 1e-12
    if affine is not OBLIQUE:
        assert again.geometry == scan.volume.geometry
    # The control: another grid is told apart.
    assert not np.allclose(again.geometry.affine_ras, affine + 1e-9, rtol=0, atol=1e-10)


def test_other_spaces_of_nrrd(tmp_path: Path) -> None:
    path = save(tmp_path / "a.nrrd", itk_of(ramp().astype("int16"), np.diag((2.0, 3, 4, 1))))
    content = path.read_bytes()
    voxels = ramp().astype("<i2").tobytes(order="F")
    for space, signs in (("right-anterior-superior", (1, 1, 1)), ("LAS", (-1, 1, 1))):
        start = (
            "NRRD0004\ntype: short\ndimension: 3\nsizes: 20 24 10\nendian: little\n"
            f"encoding: raw\nspace: {space}\nspace directions: (2,0,0) (0,3,0) (0,0,4)\n"
            "space origin: (5,6,7)\n\n"
        )
        path.write_bytes(start.encode() + voxels)
        affine = read_itk(path).volume.geometry.affine_ras
        assert np.array_equal(np.diag(affine)[:3], np.multiply(signs, (2, 3, 4)))
        assert np.array_equal(affine[:3, 3], np.multiply(signs, (5, 6, 7)))
    path.write_bytes(content.replace(b"left-posterior-superior", b"scanner-xyz"))
    with pytest.raises(InputRefused, match="space scanner-xyz"):
        read_itk(path)


def test_an_image_without_place_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    start = "ObjectType = Image\nNDims = 3\nDimSize = 20 24 10\nElementType = MET_SHORT\n"
    voxels = ramp().astype("<i2").tobytes(order="F")
    path.write_bytes(f"{start}ElementDataFile = LOCAL\n".encode() + voxels)
    scan = read_itk(path)
    assert np.array_equal(scan.volume.voxels, ramp())
    assert "does not say where the patient lies" in scan.warnings[0]
    assert np.array_equal(scan.volume.geometry.affine_ras, LPS_TO_RAS)
    path = tmp_path / "b.nrrd"
    start = "NRRD0004\ntype: short\ndimension: 3\nsizes: 20 24 10\nendian: little\nencoding: raw\n"
    path.write_bytes(f"{start}\n".encode() + voxels)
    assert read_itk(path).warnings == scan.warnings


@pytest.mark.parametrize("ending", ENDINGS)
def test_two_dimensions_and_four(tmp_path: Path, ending: str) -> None:
    flat = SimpleITK.GetImageFromArray(ramp((24, 20)).astype("int16"))
    flat.SetSpacing((0.5, 0.7))
    flat.SetOrigin((3.0, 4.0))
    volume = read_itk(save(tmp_path / f"a{ending}", flat)).volume
    assert np.array_equal(volume.voxels[:, :, 0], ramp((24, 20)).T)
    assert volume.geometry.spacing_mm == (0.5, 0.7, 1.0)
    assert np.array_equal(volume.geometry.affine_ras[:3, 3], (-3.0, -4.0, 0.0))
    for count in (1, 2):
        four = SimpleITK.GetImageFromArray(ramp((count, 10, 24, 20)).astype("int16"), False)
        assert four.GetDimension() == 4
        path = save(tmp_path / f"b{count}{ending}", four)
        if count == 1:
            assert np.array_equal(read_itk(path).volume.voxels.T, ramp((1, 10, 24, 20))[0])
            continue
        with pytest.raises(InputRefused, match=r"2 volumes.*extract one volume"):
            read_itk(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_colour_and_complex_are_refused(tmp_path: Path, ending: str) -> None:
    colour = SimpleITK.GetImageFromArray(ramp((10, 24, 20, 3)).astype("uint8"), isVector=True)
    with pytest.raises(InputRefused, match=rf"a\{ending}"):
        read_itk(save(tmp_path / f"a{ending}", colour))


def test_not_finite_and_constant_voxels(tmp_path: Path) -> None:
    voxels = ramp().astype("float32") + 1
    voxels[0, 0, 0] = np.nan
    scan = read_itk(save(tmp_path / "a.mha", itk_of(voxels)))
    assert scan.warnings == ("1 voxel was NaN or infinite and is replaced by 1",)
    assert scan.volume.voxels[0, 0, 0] == 1
    for bad, message in ((voxels * np.nan, "are NaN"), (np.ones_like(voxels), "every voxel")):
        with pytest.raises(InputRefused, match=message):
            read_itk(save(tmp_path / "b.mha", itk_of(bad)))


def _line(key: str, value: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        lines = content.split(b"\n", 20)
        at = next(i for i, line in enumerate(lines) if line.startswith(key.encode()))
        mark = b" = " if b" = " in lines[at] else b": "
        lines[at] = key.encode() + mark + value.encode()
        return b"\n".join(lines)

    return change


@pytest.mark.parametrize(
    ("ending", "change", "message"),
    [
        (".mha", _line("DimSize", "30000 30000 30000"), "at most"),
        (".mha", _line("DimSize", "20 24 1000"), "promises 960000 bytes"),
        (".mha", _line("DimSize", "20 0 10"), "20 x 0 x 10"),
        (".mha", _line("DimSize", "20 -24 10"), "20 x -24 x 10"),
        (".mha", _line("DimSize", "20 many 10"), "DimSize should be 3 finite"),
        (".mha", _line("DimSize", "20.5 24 10"), "'20.5 24 10' stands"),
        (".mha", _line("NDims", "2"), "DimSize should be 2 finite"),
        (".mha", _line("ElementType", "MET_OTHER"), "MET_OTHER"),
        (".mha", _line("BinaryData", "False"), "BinaryData"),
        (".mha", _line("ElementSpacing", "0 1 1"), "ElementSpacing is 0, and"),
        (".mha", _line("ElementSpacing", "1e300 1 1"), "singular"),
        (".mha", _line("Offset", "nan 0 0"), "Offset should be 3 finite"),
        (".mha", _line("TransformMatrix", "1 0 0 1 0 0 0 0 1"), "singular"),
        (".mhd", _line("ElementDataFile", "/etc/passwd"), "outside its folder"),
        (".mhd", _line("ElementDataFile", "../a.raw"), "outside its folder"),
        (".mhd", _line("ElementDataFile", "LIST"), "list of data files"),
        (".mhd", _line("ElementDataFile", "a%02d.raw 1 2 1"), "list of data files"),
        (".mhd", _line("ElementDataFile", "none.raw"), "none.raw: the data file is missing"),
        (".nrrd", _line("sizes", "30000 30000 30000"), "at most"),
        (".nrrd", _line("sizes", "20 24 1000"), "promises 960000 bytes"),
        (".nrrd", _line("type", "block"), "type block"),
        (".nrrd", _line("encoding", "ascii"), "encoding ascii"),
        (".nrrd", _line("space directions", "(1,0,0) (1,0,0) (0,0,1)"), "singular"),
    ],
)
def test_damaged_headers_are_refused(
    tmp_path: Path,
    ending: str,
    change: Callable[[bytes], bytes],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = save(tmp_path / f"a{ending}", itk_of(ramp().astype("int16")))
    read_itk(path)  # the control: it is good before
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputRefused, match=message):
        read_itk(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_no_cut_and_no_flipped_byte_gives_a_foreign_exception(
    tmp_path: Path, ending: str, packed: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / f"a{ending}", itk_of(ramp().astype("int16")), packed=packed)
    content = path.read_bytes()
    for length in (*range(0, 600, 37), len(content) // 2, len(content) - 9, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputRefused):
            read_itk(path)
    rng = np.random.default_rng(0)
    for position in (*range(0, 600, 11), *rng.integers(600, len(content), 20)):
        damaged = bytearray(content)
        damaged[position] ^= int(rng.integers(1, 128))
        path.write_bytes(damaged)
        try:
            scan = read_itk(path)
        except MedcycleganError:
            continue
        assert scan.volume.voxels.shape == SHAPE
        assert position < 700 or not packed
    assert capfd.readouterr() == ("", "")


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = save(tmp_path / "a.mha", itk_of(ramp().astype("int16")), packed=True)
    head = path.read_bytes().partition(b"LOCAL\n")[0]
    bomb = zlib.compress(bytes(2**26))
    old = next(line for line in head.splitlines() if line.startswith(b"CompressedDataSize"))
    head = head.replace(old, b"CompressedDataSize = %d" % len(bomb))
    path.write_bytes(head + b"LOCAL\n" + bomb)
    with pytest.raises(InputRefused, match="more than 9600"):
        read_itk(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_metadata_are_kept(tmp_path: Path, ending: str) -> None:
    image = itk_of(ramp().astype("int16"))
    image.SetMetaData("0008|0060", "MR")
    image.SetMetaData("with space", "one value")
    scan = read_itk(save(tmp_path / f"in{ending}", image))
    kept = (("0008|0060", "MR"), ("with space", "one value"))
    assert scan.source_header == ItkSourceHeader(kept)
    write_itk(
        volume_of(scan.volume.geometry),
        source_header=scan.source_header,
        to=tmp_path / f"o{ending}",
    )
    assert read_itk(tmp_path / f"o{ending}").source_header == ItkSourceHeader(kept)
    more = (("NDims = 2", "x"), ("a\nb", "x"), ("path", "c:\\new"))
    broken = ItkSourceHeader((("note", "a\nElementDataFile = /etc/passwd"), ("empty", ""), *more))
    write_itk(volume_of(scan.volume.geometry), source_header=broken, to=tmp_path / f"p{ending}")
    expected = ItkSourceHeader((("note", "a ElementDataFile = /etc/passwd"), ("path", "c:\\new")))
    assert read_itk(tmp_path / f"p{ending}").source_header == expected


@pytest.mark.parametrize("ending", ENDINGS)
def test_refused_outputs_leave_nothing(
    tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    volume = volume_of(Geometry(SHAPE, OBLIQUE))
    to = tmp_path / f"a{ending}"
    sheared = OBLIQUE.copy()
    sheared[:3, 2] += 0.5 * sheared[:3, 1]
    with pytest.raises(CannotWrite, match="sheared"):
        write_itk(volume_of(Geometry(SHAPE, sheared)), source_header=ItkSourceHeader(), to=to)
    with pytest.raises(UsageError, match=r"\.mha, \.mhd or \.nrrd"):
        write_itk(volume, source_header=ItkSourceHeader(), to=tmp_path / "a.nhdr")
    with pytest.raises(CannotWrite, match="parent folder"):
        write_itk(volume, source_header=ItkSourceHeader(), to=tmp_path / "none" / f"a{ending}")
    with monkeypatch.context() as patch:
        patch.setattr(itk_image, "read_payload", lambda payload: bytes(payload.byte_count))
        with pytest.raises(CannotWrite, match="read back"):
            write_itk(volume, source_header=ItkSourceHeader(), to=to)
    assert not list(tmp_path.iterdir())
    write_itk(volume, source_header=DicomSourceHeader(()), to=to)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(first) == (2 if ending == ".mhd" else 1)
    with pytest.raises(CannotWrite, match="exists"):
        write_itk(volume, source_header=ItkSourceHeader(), to=to)
    write_itk(volume, source_header=ItkSourceHeader(), to=to, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first
    assert capfd.readouterr() == ("", "")
