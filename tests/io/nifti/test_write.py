"""NIfTI out: the source's header to the last byte, but for what the voxels decide."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from nibabel.nifti1 import Nifti1Header

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.nifti import image as nifti_write
from medcyclegan.io.nifti.image import read_nifti, write_nifti
from medcyclegan.io.scan import (
    DicomSourceHeader,
    ItkSourceHeader,
    NiftiSourceHeader,
    Scan,
    SourceHeader,
)
from tests.image_factory import (
    OBLIQUE,
    SHAPE,
    all_axis_orders,
    nifti_header,
    ramp,
    volume_of,
    write_plain,
)

# The voxels decide these; every other byte of a header must stay.
FORCED = {"datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "cal_max", "cal_min"}
AFFINE_FIELDS = (
    *("srow_x", "srow_y", "srow_z", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "pixdim", "sform_code", "qform_code"),
)


def raw_header(path: Path) -> Nifti1Header:
    """Parse the bytes on the disk without nibabel's mending."""
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    order = "<" if content[1] < 3 and content[0] in (0x5C, 0x1C) else ">"
    is_two = 540 in struct.unpack("<i", content[:4]) + struct.unpack(">i", content[:4])
    kind = nibabel.nifti2.Nifti2Header if is_two else Nifti1Header
    return kind(content[: 540 if is_two else 348], order, check=False)


def written(scan: Scan, path: Path, *, unit: Any = "HU") -> Path:
    """Write an sCT on the grid of ``scan`` and return its path."""
    write_nifti(
        volume_of(scan.volume.geometry, unit=unit), source_header=scan.source_header, to=path
    )
    return path


def assert_fields_kept(before: Nifti1Header, after: Nifti1Header) -> None:
    """All bytes equal but those of the forced fields."""
    assert before.endianness == after.endianness
    assert before.template_dtype == after.template_dtype
    for field in before.template_dtype.names:
        if field not in FORCED:
            assert before[field].tobytes() == after[field].tobytes(), field


@pytest.mark.parametrize("name", ["out.nii", "out.nii.gz"])
@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("endianness", ["<", ">"])
def test_header_is_the_sources(tmp_path: Path, endianness: str, version: int, name: str) -> None:
    header = nifti_header(dtype="float32", endianness=endianness, version=version)
    for field, value in (
        *(("descrip", b"MR, kept"), ("aux_file", b"aux"), ("intent_code", 1001)),
        *(("intent_name", b"n"), ("intent_p1", 2.5), ("toffset", 3.25), ("slice_duration", 0.5)),
        *(("dim_info", 0b110110), ("slice_code", 3), ("slice_start", 1), ("slice_end", 8)),
        *(("cal_max", 900), ("cal_min", 3), ("scl_slope", 2.5), ("scl_inter", -7)),
        *(("qform_code", 2), ("sform_code", 4), ("xyzt_units", 2 + 16)),
    ):
        header[field] = value
    scan = read_nifti(write_plain(tmp_path / "in.nii", header, ramp()))
    out = written(scan, tmp_path / name)
    after = raw_header(out)
    assert_fields_kept(header, after)
    assert {field: after[field].item() for field in FORCED - {"vox_offset"}} == {
        **{"datatype": 4, "bitpix": 16, "scl_slope": 1, "scl_inter": 0},
        **{"cal_max": 0, "cal_min": 0},
    }
    # nibabel is the other reader.
    image = nibabel.load(out)
    assert np.array_equal(image.get_fdata(), volume_of(scan.volume.geometry).voxels)
    assert image.get_data_dtype() == np.dtype(f"{endianness}i2")
    # The control: a field that changes is seen.
    after["qoffset_x"] += 1
    with pytest.raises(AssertionError, match="qoffset_x"):
        assert_fields_kept(header, after)


@pytest.mark.parametrize("affine", [*all_axis_orders(), OBLIQUE], ids=str)
def test_affine_stays_to_the_bit(tmp_path: Path, affine: np.ndarray) -> None:
    header = nifti_header(affine=affine)
    for i, (sform, qform) in enumerate(((1, 1), (0, 3), (4, 0), (0, 0))):
        header["sform_code"], header["qform_code"] = sform, qform
        scan = read_nifti(write_plain(tmp_path / f"in{i}.nii", header, ramp()))
        out = written(scan, tmp_path / f"out{i}.nii.gz")
        assert read_nifti(out).volume.geometry == scan.volume.geometry
        after = raw_header(out)
        for field in AFFINE_FIELDS:
            assert after[field].tobytes() == header[field].tobytes()


@pytest.mark.parametrize("unit", [1, 3, 5])
def test_units_stay_those_of_the_source(tmp_path: Path, unit: int) -> None:
    header = nifti_header()
    header["xyzt_units"] = unit
    header["pixdim"][0] = 0  # also mended in reading, and not in the output
    scan = read_nifti(write_plain(tmp_path / "in.nii", header, ramp()))
    assert scan.warnings
    out = written(scan, tmp_path / "out.nii")
    assert_fields_kept(header, raw_header(out))
    assert read_nifti(out).volume.geometry == scan.volume.geometry


def test_shear_stays(tmp_path: Path) -> None:
    affine = OBLIQUE.copy()
    affine[:3, 2] += 0.5 * affine[:3, 1]
    scan = read_nifti(write_plain(tmp_path / "in.nii", nifti_header(affine=affine), ramp()))
    assert scan.volume.geometry.is_sheared
    out = written(scan, tmp_path / "out.nii")
    assert read_nifti(out).volume.geometry == scan.volume.geometry


@pytest.mark.parametrize("shape", [SHAPE[:2], (*SHAPE, 1), (*SHAPE, 1, 1)])
def test_dimensions_stay(tmp_path: Path, shape: tuple[int, ...]) -> None:
    header = nifti_header(shape)
    scan = read_nifti(write_plain(tmp_path / "in.nii", header, ramp(shape)))
    out = written(scan, tmp_path / "out.nii")
    assert_fields_kept(header, raw_header(out))
    assert nibabel.load(out).shape == shape


@pytest.mark.parametrize("endianness", ["<", ">"])
def test_extensions_stay(tmp_path: Path, endianness: str) -> None:
    header = nifti_header(endianness=endianness)
    header["vox_offset"] = 352 + 32 + 48
    pack = struct.Struct(f"{endianness}2i").pack
    extensions = pack(32, 6) + b"hello".ljust(24, b"\x00") + pack(48, 4711) + b"q" * 40
    content = header.binaryblock + b"\x01\0\0\0" + extensions
    path = tmp_path / "in.nii"
    path.write_bytes(content + ramp().astype(f"{endianness}i2").tobytes(order="F"))
    out = written(read_nifti(path), tmp_path / "out.nii")
    assert out.read_bytes()[348 : 352 + 80] == b"\x01\0\0\0" + extensions
    assert read_nifti(out).source_header == NiftiSourceHeader(
        raw_header(out).binaryblock,
        1,
        endianness == ">",
        ((6, extensions[8:32]), (4711, b"q" * 40)),
    )


def test_odd_extension_is_padded(tmp_path: Path) -> None:
    header = nifti_header()
    source_header = NiftiSourceHeader(header.binaryblock, 1, False, ((6, b"odd"), (6, b"")))
    geometry = Geometry(SHAPE, header.get_best_affine())
    write_nifti(volume_of(geometry), source_header=source_header, to=tmp_path / "out.nii")
    extensions = nibabel.load(tmp_path / "out.nii").header.extensions
    assert [extension.text for extension in extensions] == ["odd", ""]
    assert raw_header(tmp_path / "out.nii")["vox_offset"] == 352 + 32


def test_pair_becomes_a_single_file(tmp_path: Path) -> None:
    header = nifti_header()
    header["magic"], header["vox_offset"] = b"ni1", 0
    (tmp_path / "in.hdr").write_bytes(header.binaryblock)
    (tmp_path / "in.img").write_bytes(ramp().astype("<i2").tobytes(order="F"))
    scan = read_nifti(tmp_path / "in.hdr")
    out = written(scan, tmp_path / "out.nii")
    after = raw_header(out)
    assert after["magic"].item() == b"n+1"
    assert after["vox_offset"] == 352
    assert read_nifti(out).volume.geometry == scan.volume.geometry


@pytest.mark.parametrize(
    ("unit", "values", "dtype", "expected"),
    [
        ("HU", (-5000.0, -0.6, 0.4, 9000.0), "int16", (-1024, -1, 0, 3071)),
        ("mask", (0.0, 1.0, 255.0, 1.0), "uint8", (0, 1, 255, 1)),
        ("label", (0.0, 300.0, -2.0, 14175.0), "int16", (0, 300, -2, 14175)),
        ("a.u.", (0.25, -1e30, 3.0, 4.0), "float32", (0.25, np.float32(-1e30), 3, 4)),
        ("normalised", (-1.0, 0.5, 1.0, 0.0), "float32", (-1, 0.5, 1, 0)),
    ],
)
def test_each_unit_has_its_type(
    tmp_path: Path, unit: Any, values: tuple[float, ...], dtype: str, expected: tuple[float, ...]
) -> None:
    voxels = np.zeros((2, 2, 1), np.float32)
    voxels[:] = np.reshape(values, (2, 2, 1))
    volume = Volume(voxels, Geometry((2, 2, 1), np.eye(4)), unit)
    write_nifti(volume, source_header=ItkSourceHeader(), to=tmp_path / "a.nii.gz")
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.get_data_dtype() == dtype
    assert np.array_equal(np.asarray(image.dataobj).ravel(), expected)


@pytest.mark.parametrize(("unit", "value"), [("mask", 256), ("mask", -1), ("label", 0.5)])
def test_values_that_do_not_fit_are_refused(tmp_path: Path, unit: Any, value: float) -> None:
    voxels = np.zeros((2, 2, 2), np.float32)
    voxels[0] = value
    volume = Volume(voxels, Geometry((2, 2, 2), np.eye(4)), unit)
    with pytest.raises(CannotWrite, match=f"{unit} values from .*whole numbers"):
        write_nifti(volume, source_header=ItkSourceHeader(), to=tmp_path / "a.nii")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source_header", [ItkSourceHeader(), DicomSourceHeader(())])
@pytest.mark.parametrize("affine", [*all_axis_orders()[::5], OBLIQUE], ids=str)
def test_fresh_header(tmp_path: Path, affine: np.ndarray, source_header: SourceHeader) -> None:
    volume = volume_of(Geometry(SHAPE, affine))
    path = tmp_path / "a.nii.gz"
    write_nifti(volume, source_header=source_header, to=path)
    scan = read_nifti(path)
    assert scan.warnings == ()
    expected = affine.astype(np.float32).astype(np.float64)
    assert np.array_equal(scan.volume.geometry.affine_ras, expected)
    assert np.array_equal(scan.volume.voxels, volume.voxels)
    header = raw_header(path)
    assert (header["sform_code"], header["qform_code"], header["xyzt_units"]) == (1, 1, 2)
    assert np.allclose(header["pixdim"][1:4], volume.geometry.spacing_mm)
    # ITK is another reader: LPS, so the first two axes are turned.
    image = SimpleITK.ReadImage(str(path))
    assert np.allclose(image.GetOrigin(), affine[:3, 3] * (-1, -1, 1), atol=1e-4)
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), volume.voxels)


def test_fresh_header_of_a_sheared_grid_has_no_qform(tmp_path: Path) -> None:
    affine = OBLIQUE.copy()
    affine[:3, 2] += 0.5 * affine[:3, 1]
    path = tmp_path / "a.nii"
    write_nifti(volume_of(Geometry(SHAPE, affine)), source_header=ItkSourceHeader(), to=path)
    assert raw_header(path)["qform_code"] == 0
    assert np.allclose(read_nifti(path).volume.geometry.affine_ras, affine, atol=1e-4)


def test_fresh_header_of_a_long_image_is_nifti2(tmp_path: Path) -> None:
    volume = volume_of(Geometry((40000, 1, 2), np.eye(4)))
    write_nifti(volume, source_header=ItkSourceHeader(), to=tmp_path / "a.nii")
    assert raw_header(tmp_path / "a.nii")["sizeof_hdr"] == 540
    assert np.array_equal(read_nifti(tmp_path / "a.nii").volume.voxels, volume.voxels)


def test_an_affine_beyond_float32_is_refused(tmp_path: Path) -> None:
    affine = OBLIQUE.copy()
    affine[0, 3] = 1e6 + 0.02
    with pytest.raises(CannotWrite, match=r"a\.nii.*mm in the float32"):
        write_nifti(
            volume_of(Geometry(SHAPE, affine)),
            source_header=ItkSourceHeader(),
            to=tmp_path / "a.nii",
        )


def test_another_grid_is_refused(tmp_path: Path) -> None:
    scan = read_nifti(write_plain(tmp_path / "in.nii", nifti_header(), ramp()))
    affine = scan.volume.geometry.affine_ras.copy()
    affine[0, 3] = np.nextafter(affine[0, 3], 1e9)
    for geometry in (Geometry(SHAPE, affine), Geometry(SHAPE[::-1], affine)):
        with pytest.raises(CannotWrite, match="to the last bit"):
            write_nifti(
                volume_of(geometry), source_header=scan.source_header, to=tmp_path / "out.nii"
            )
    assert not (tmp_path / "out.nii").exists()


def test_other_endings_existing_files_and_missing_folders(tmp_path: Path) -> None:
    volume = volume_of(Geometry(SHAPE, OBLIQUE))
    with pytest.raises(UsageError, match=r"\.nii or \.nii\.gz"):
        write_nifti(volume, source_header=ItkSourceHeader(), to=tmp_path / "a.mha")
    with pytest.raises(CannotWrite, match="parent folder"):
        write_nifti(volume, source_header=ItkSourceHeader(), to=tmp_path / "none" / "a.nii")
    path = tmp_path / "a.nii.gz"
    write_nifti(volume, source_header=ItkSourceHeader(), to=path)
    first = path.read_bytes()
    with pytest.raises(CannotWrite, match="exists"):
        write_nifti(volume, source_header=ItkSourceHeader(), to=path)
    write_nifti(volume, source_header=ItkSourceHeader(), to=path, overwrite=True)
    assert path.read_bytes() == first  # the same volume, the same bytes
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("fault", ["shorter", "other"])
def test_what_reads_back_wrong_never_gets_its_name(
    tmp_path: Path, name: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_bytes = nifti_write.open_bytes

    def open_damaged(path: Path) -> Any:
        content = bytearray(path.read_bytes())
        if fault == "shorter":
            del content[-200:]
        elif name.endswith(".gz"):
            content[-300] ^= 1
        else:
            content[-1] ^= 1
        path.write_bytes(content)
        return open_bytes(path)

    monkeypatch.setattr(nifti_write, "open_bytes", open_damaged)
    with pytest.raises(CannotWrite, match=rf"{name}: what was read back"):
        write_nifti(
            volume_of(Geometry(SHAPE, OBLIQUE)), source_header=ItkSourceHeader(), to=tmp_path / name
        )
    assert not list(tmp_path.iterdir())
