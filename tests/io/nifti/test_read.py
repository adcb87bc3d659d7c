"""NIfTI in: every variant gives the same volume, and nothing damaged passes for an image."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

from medcyclegan.errors import DeviceError, InputRefused, MedcycleganError
from medcyclegan.io import byte_source
from medcyclegan.io.nifti import image as nifti_read
from medcyclegan.io.nifti.image import read_nifti, write_nifti
from medcyclegan.io.scan import NiftiSourceHeader
from tests.image_factory import (
    OBLIQUE,
    SHAPE,
    all_axis_orders,
    nifti_bytes,
    nifti_header,
    ramp,
    write_plain,
)

REAL_TYPES = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
REAL_TYPES += ["float32", "float64"]
DATA = Path(__file__).parents[4] / "shared" / "data" / "mr"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("endianness", ["<", ">"])
@pytest.mark.parametrize("dtype", REAL_TYPES)
def test_every_type_order_and_version_gives_the_same_voxels(
    tmp_path: Path, dtype: str, endianness: str, version: int
) -> None:
    header = nifti_header(dtype=dtype, endianness=endianness, version=version)
    path = write_plain(tmp_path / "a.nii", header, ramp())
    scan = read_nifti(path)
    assert np.array_equal(scan.volume.voxels, ramp())
    assert np.array_equal(scan.volume.geometry.affine_ras, nibabel.load(path).affine)
    assert scan.warnings == ()
    assert scan.volume.unit == "a.u."
    assert scan.source == path
    assert scan.source_header == NiftiSourceHeader(header.binaryblock, version, endianness == ">")
    # The control: other bytes must not give these voxels.
    other = write_plain(tmp_path / "b.nii", header, ramp()[::-1])
    assert not np.array_equal(read_nifti(other).volume.voxels, ramp())


@pytest.mark.parametrize("affine", [*all_axis_orders(), OBLIQUE], ids=str)
def test_affine_is_nibabels_to_the_bit(tmp_path: Path, affine: np.ndarray) -> None:
    header = nifti_header(affine=affine)
    for sform, qform in ((1, 1), (0, 1), (2, 0)):
        header["sform_code"], header["qform_code"] = sform, qform
        path = write_plain(tmp_path / "a.nii", header, ramp())
        geometry = read_nifti(path).volume.geometry
        expected = nibabel.load(path).affine
        assert geometry.affine_ras.tobytes() == expected.astype(np.float64).tobytes()
        assert np.allclose(geometry.affine_ras[:3, 3], affine[:3, 3], atol=1e-3)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii"])
def test_content_decides_whether_it_is_gzip(tmp_path: Path, name: str) -> None:
    plain = nifti_bytes(nifti_header(), ramp())
    for content in (plain, gzip.compress(plain)):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_nifti(tmp_path / name).volume.voxels, ramp())


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("asked", [".hdr", ".img"])
def test_pair(tmp_path: Path, asked: str, zipped: bool) -> None:
    header = nifti_header()
    header["magic"] = b"ni1"
    header["vox_offset"] = 32
    end = ".gz" if zipped else ""
    pack: Callable[[bytes], bytes] = gzip.compress if zipped else bytes
    (tmp_path / f"a.hdr{end}").write_bytes(pack(header.binaryblock + bytes(4)))
    voxels = ramp().astype("<i2").tobytes(order="F")
    (tmp_path / f"a.img{end}").write_bytes(pack(bytes(32) + voxels))
    path = tmp_path / f"a{asked}{end}"
    assert np.array_equal(read_nifti(path).volume.voxels, ramp())
    (tmp_path / f"a.{'img' if asked == '.hdr' else 'hdr'}{end}").unlink()
    with pytest.raises(InputRefused, match="missing"):
        read_nifti(path)


@pytest.mark.parametrize(
    ("slope", "inter", "expected"),
    [(2.0, -5.0, (2.0, -5.0)), (0.0, 3.0, (1.0, 0.0)), (math.nan, math.nan, (1.0, 0.0))],
)
def test_slope_and_intercept(
    tmp_path: Path, slope: float, inter: float, expected: tuple[float, float]
) -> None:
    header = nifti_header()
    header["scl_slope"], header["scl_inter"] = slope, inter
    path = write_plain(tmp_path / "a.nii", header, ramp())
    voxels = read_nifti(path).volume.voxels
    assert np.array_equal(voxels, ramp() * expected[0] + expected[1])
    assert np.array_equal(voxels, nibabel.load(path).get_fdata(dtype=np.float32))


@pytest.mark.parametrize(("code", "factor"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_units_are_turned_into_mm(tmp_path: Path, code: int, factor: float) -> None:
    affine = OBLIQUE.copy()
    affine[:3] /= factor
    header = nifti_header(affine=affine)
    header["xyzt_units"] = code + 8
    scan = read_nifti(write_plain(tmp_path / "a.nii", header, ramp()))
    assert np.allclose(scan.volume.geometry.affine_ras, OBLIQUE, rtol=1e-6)
    assert any("mm" in text for text in scan.warnings) == (factor != 1.0)
    assert isinstance(scan.source_header, NiftiSourceHeader)
    assert scan.source_header.header == header.binaryblock


def test_two_dimensions_and_four_with_one_volume(tmp_path: Path) -> None:
    flat = read_nifti(write_plain(tmp_path / "a.nii", nifti_header(SHAPE[:2]), ramp(SHAPE[:2])))
    assert flat.volume.voxels.shape == (20, 24, 1)
    long = write_plain(tmp_path / "b.nii", nifti_header((*SHAPE, 1)), ramp())
    assert np.array_equal(read_nifti(long).volume.voxels, ramp())
    many = write_plain(tmp_path / "c.nii", nifti_header((*SHAPE, 2)), ramp((*SHAPE, 2)))
    with pytest.raises(InputRefused, match=r"c\.nii.*2 volumes.*extract one volume"):
        read_nifti(many)


def test_shear_is_read(tmp_path: Path) -> None:
    affine = OBLIQUE.copy()
    affine[:3, 2] += 0.5 * affine[:3, 1]
    scan = read_nifti(write_plain(tmp_path / "a.nii", nifti_header(affine=affine), ramp()))
    assert scan.volume.geometry.is_sheared
    assert np.allclose(scan.volume.geometry.affine_ras, affine, atol=1e-5)


def test_few_not_finite_voxels_are_mended(tmp_path: Path) -> None:
    voxels = ramp().astype(np.float32) + 1
    voxels[0, 0, 0], voxels[1, 0, 0], voxels[2, 0, 0] = math.nan, math.inf, -math.inf
    path = write_plain(tmp_path / "a.nii", nifti_header(dtype="float32"), voxels)
    scan = read_nifti(path)
    assert scan.warnings == ("3 voxels were NaN or infinite and are replaced by 1",)
    assert (scan.volume.voxels[:3, 0, 0] == 1).all()
    assert np.array_equal(scan.volume.voxels[3:], voxels[3:])


def _warnings_of(tmp_path: Path, header: Nifti1Header) -> str:
    return "; ".join(read_nifti(write_plain(tmp_path / "a.nii", header, ramp())).warnings)


def test_half_a_turn_in_float32_is_no_disagreement(tmp_path: Path) -> None:
    # An oblique head CT of 256 x 256 pixels, nearly half a turn about the third axis.
    affine = np.array(
        [[-0.99928, 0.00022, -0.18923, 123.0], [0.00173, -0.99867, -0.2574, 130.4],
         [-0.03781, -0.05151, 4.98978, 10.2], [0.0, 0.0, 0.0, 1.0]]
    )  # fmt: skip
    for turned_rad, is_told in ((0.0, False), (0.01, True)):
        voxels = np.arange(256 * 256 * 16, dtype=np.int32).reshape(256, 256, 16)
        image = nibabel.Nifti1Image(voxels, affine)
        turn = np.eye(4)
        turn[:2, :2] = [[1.0, -turned_rad], [turned_rad, 1.0]]
        image.set_sform(affine @ turn, 1)
        image.set_qform(affine, 1)
        path = tmp_path / f"{turned_rad}.nii"
        image.to_filename(path)
        assert ("disagree" in "; ".join(read_nifti(path).warnings)) == is_told


def test_what_was_assumed_is_said(tmp_path: Path) -> None:
    header = nifti_header()
    assert _warnings_of(tmp_path, header) == ""
    header["qoffset_x"] += 0.2
    assert _warnings_of(tmp_path, header) == ""
    header["qoffset_x"] += 0.2
    assert "disagree by up to 0.4 mm: the sform" in _warnings_of(tmp_path, header)
    header = nifti_header()
    header["quatern_b"] = 1.5
    assert "disagree" in _warnings_of(tmp_path, header)
    header = nifti_header()
    header["sform_code"] = header["qform_code"] = 0
    assert "sform_code and qform_code are 0" in _warnings_of(tmp_path, header)
    header = nifti_header()
    header["sform_code"] = 77
    assert "sform_code is 77" in _warnings_of(tmp_path, header)
    header = nifti_header()
    header["xyzt_units"] = 1
    assert "check the header's unit" in _warnings_of(tmp_path, header)
    header["xyzt_units"] = 5
    assert "code 5" in _warnings_of(tmp_path, header)
    header = nifti_header()
    header["sform_code"] = 0
    header["pixdim"][0] = 0
    assert _warnings_of(tmp_path, header) == ""
    header["pixdim"][0] = 0.5
    assert "pixdim[0] is 0.5" in _warnings_of(tmp_path, header)


def test_trailing_bytes_are_said(tmp_path: Path) -> None:
    content = nifti_bytes(nifti_header(), ramp()) + b"x" * 7
    (tmp_path / "a.nii").write_bytes(content)
    assert read_nifti(tmp_path / "a.nii").warnings == ("7 bytes after the last voxel are not read",)


def test_endless_files_and_small_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(nifti_bytes(nifti_header(), ramp()) + bytes(2**21)))
    assert read_nifti(path).warnings == ("2097152 bytes after the last voxel are not read",)
    with monkeypatch.context() as patch:
        patch.setattr(byte_source, "_MOST_TRAILING_BYTES", 2**20)
        with pytest.raises(InputRefused, match=r"a\.nii\.gz: more than 1048576 bytes follow"):
            read_nifti(path)

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(nifti_read, "to_float32", refuse)
    with pytest.raises(DeviceError, match=r"a\.nii\.gz: memory does not suffice"):
        read_nifti(path)


def test_extensions_are_kept_raw_and_a_damaged_one_dropped(tmp_path: Path) -> None:
    header = nifti_header(endianness=">")
    comment = b"a comment, with NUL\x00\x00\x00\x00\x00"
    other = b"unknown".ljust(24, b"\x00")
    extensions = struct.pack(">2i", 32, 6) + comment + struct.pack(">2i", 32, 9999) + other
    for damage, kept in ((32, ((6, comment), (9999, other))), (5000, ((6, comment),))):
        tail = extensions.replace(struct.pack(">2i", 32, 9999), struct.pack(">2i", damage, 9999))
        header["vox_offset"] = 352 + 64
        body = ramp().astype(">i2").tobytes(order="F")
        (tmp_path / "a.nii").write_bytes(header.binaryblock + b"\x01\0\0\0" + tail + body)
        scan = read_nifti(tmp_path / "a.nii")
        assert isinstance(scan.source_header, NiftiSourceHeader)
        assert scan.source_header.extensions == kept
        assert np.array_equal(scan.volume.voxels, ramp())
        assert bool(scan.warnings) == (damage != 32)


def _dims(*dims: int) -> Callable[[Nifti1Header], None]:
    def change(header: Nifti1Header) -> None:
        header["dim"] = [*dims, *[1] * (8 - len(dims))]

    return change


def _field(name: str, value: object) -> Callable[[Nifti1Header], None]:
    def change(header: Nifti1Header) -> None:
        header[name] = value

    return change


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_dims(3, 32767, 32767, 32767), "32767 x 32767 x 32767.*at most"),
        (_dims(3, 1000, 1000, 1000), "truncated or its header is damaged.*asks for 2000000352"),
        (_dims(3, 0, 24, 10), "0 x 24 x 10"),
        (_dims(3, -1, 1, 1), "-1 x 1 x 1"),
        (_dims(0, 20, 24, 10), "dimensions missing"),
        (_dims(-3, 20, 24, 10), "dimensions missing"),
        (_dims(9, 20, 24, 10), "dimensions missing"),
        (_dims(1, 4800), "4800"),
        (_dims(5, 20, 24, 1, 1, 10), "10 volumes"),
        (_field("datatype", 128), r"128 \(RGB\)"),
        (_field("datatype", 2304), r"RGBA"),
        (_field("datatype", 32), "complex64"),
        (_field("datatype", 1), "1 bit"),
        (_field("datatype", 999), r"999 \(no real number"),
        (_field("vox_offset", -16), "vox_offset -16"),
        (_field("vox_offset", math.nan), "vox_offset nan"),
        (_field("vox_offset", 100), "vox_offset 100"),
        (_field("vox_offset", 1e9), "vox_offset 1e"),
        (_field("vox_offset", 7000), "truncated"),
        (_field("scl_inter", math.inf), "scl_inter inf"),
        (_field("srow_x", math.nan), "affine holds NaN"),
        (_field("srow_x", 0), "affine is singular"),
        (_field("srow_x", math.inf), "affine holds NaN or infinity"),
        (_field("sizeof_hdr", 0), "not a NIfTI file"),
        (_field("sizeof_hdr", 540), "magic"),
        (_field("magic", b"\x00"), "Analyze"),
        (_field("magic", b"ni1"), "in a file beside it"),
    ],
)
def test_damaged_headers_are_refused(
    tmp_path: Path, change: Callable[[Nifti1Header], None], message: str, zipped: bool
) -> None:
    header = nifti_header()
    good = nifti_bytes(header, ramp())
    change(header)
    content = header.binaryblock + good[348:]
    path = tmp_path / "scan.nii"
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(InputRefused, match=rf"(?s)scan\.nii.*{message}"):
        read_nifti(path)


def test_a_wrong_quaternion_is_refused(tmp_path: Path) -> None:
    header = nifti_header()
    header["sform_code"] = 0
    header["quatern_b"] = 1.5
    with pytest.raises(InputRefused, match="quaternion"):
        read_nifti(write_plain(tmp_path / "a.nii", header, ramp()))


def test_an_affine_that_overflows_is_refused(tmp_path: Path) -> None:
    header = nifti_header(version=2)
    header["srow_x"] = 1e300
    with pytest.raises(InputRefused, match="singular"):
        read_nifti(write_plain(tmp_path / "a.nii", header, ramp()))


def test_changed_line_ends_are_refused(tmp_path: Path) -> None:
    header = nifti_header(version=2)
    header["eol_check"] = (10, 10, 26, 10)
    with pytest.raises(InputRefused, match="line ends"):
        read_nifti(write_plain(tmp_path / "a.nii", header, ramp()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\x5c\x01\x00", "an unknown kind"),
        (b"some notes about the scan\n" * 50, "it holds text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "a PNG image"),
        (gzip.compress(gzip.compress(bytes(500), mtime=0), mtime=0), "a gzip file inside another"),
        (b"\x1f\x8b", "gzip data are truncated"),
        (bytes(128) + b"DICM" + bytes(500), "a DICOM file"),
        (nifti_header().binaryblock[:347], "truncated"),
        (nifti_header().binaryblock, "truncated"),
    ],
)
def test_other_content_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(content)
    with pytest.raises(InputRefused, match=rf"scan\.nii\.gz.*{message}"):
        read_nifti(path)


def test_voxels_that_are_no_image_are_refused(tmp_path: Path) -> None:
    header = nifti_header(dtype="float64")
    for voxels, message in (
        (np.full(SHAPE, 5.0), "every voxel has the value 5"),
        (np.full(SHAPE, math.nan), "4800 of 4800 voxels are NaN"),
        (np.where(ramp() > 60, math.nan, ramp()), "of 4800 voxels.*at most 25%"),
        (ramp() * 1e300, r"voxel values up to 1.2e\+302"),
    ):
        with pytest.raises(InputRefused, match=rf"a\.nii.*{message}"):
            read_nifti(write_plain(tmp_path / "a.nii", header, voxels))


@pytest.mark.parametrize("zipped", [False, True])
def test_no_cut_and_no_flipped_byte_gives_a_foreign_exception(
    tmp_path: Path, zipped: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    content = nifti_bytes(nifti_header(dtype="float32"), ramp())
    content = gzip.compress(content, mtime=0) if zipped else content
    path = tmp_path / "a.nii.gz"
    for length in (*range(0, 400, 7), len(content) // 2, len(content) - 9, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(InputRefused):
            read_nifti(path)
    rng = np.random.default_rng(0)
    for position in (*range(0, 400, 3), *rng.integers(0, len(content), 60)):
        damaged = bytearray(content)
        damaged[position] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            scan = read_nifti(path)
        except MedcycleganError:
            pass
        else:  # flipped in the header: still an image; bytes 4 to 9 of gzip are not checked by it
            assert not zipped or position < 10
            assert scan.volume.voxels.size
    assert capfd.readouterr() == ("", "")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputRefused, match="No such file"):
        read_nifti(tmp_path / "none.nii")
    with pytest.raises(InputRefused, match="Is a directory"):
        read_nifti(tmp_path)


def test_no_patient_text_in_messages(tmp_path: Path) -> None:
    header = nifti_header()
    header["descrip"] = header["aux_file"] = b"DOE JOHN"
    header["db_name"] = b"DOE JOHN"
    header["sform_code"] = 77
    assert "DOE" not in _warnings_of(tmp_path, header)
    header["srow_x"] = 0
    header["sform_code"] = 1
    with pytest.raises(InputRefused) as caught:
        _warnings_of(tmp_path, header)
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize("name", ["niivue_t2w.nii.gz", "openms/patient01/study1_FLAIR.nii.gz"])
def test_real_files(name: str) -> None:
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    scan = read_nifti(path)
    image = nibabel.load(path)
    assert np.array_equal(scan.volume.voxels, image.get_fdata(dtype=np.float32))
    assert np.array_equal(scan.volume.geometry.affine_ras, image.affine)
    assert scan.warnings == ()


def _half_turn(longer_by: float, *, version: int, sform: bool) -> Nifti1Header:
    """A header of a turn by 180 degrees whose quaternion is too long by a share of itself."""
    kind = Nifti1Header if version == 1 else Nifti2Header
    header = kind()
    header.set_data_shape((4, 5, 6))
    header.set_data_dtype("int16")
    header["magic"] = b"n+1" if version == 1 else b"n+2"
    header["vox_offset"] = 352 if version == 1 else 544
    header["pixdim"][:4] = (1, 1, 1.5, 2)
    part = np.sqrt(np.array([0.9, 0.08, 0.02])) * (1.0 + longer_by)
    header["quatern_b"], header["quatern_c"], header["quatern_d"] = part
    header["qform_code"] = 1
    if sform:
        turn = 2.0 * np.outer(part, part) / (part @ part) - np.eye(3)
        affine = np.eye(4)
        affine[:3, :3] = turn * (1.0, 1.5, 2.0)
        header.set_sform(affine, 1)
    return header


def _saved(tmp_path: Path, header: Nifti1Header) -> Path:
    path = tmp_path / "turned.nii"
    fill = bytes(int(header["vox_offset"]) - int(header["sizeof_hdr"]))
    path.write_bytes(header.binaryblock + fill + np.arange(120, dtype="<i2").tobytes())
    return path


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("longer_by", [4e-7, 1e-6, 1.5e-6])
@pytest.mark.parametrize("sform", [False, True], ids=["qform alone", "both forms"])
def test_a_quaternion_too_long_by_rounding(
    tmp_path: Path, version: int, longer_by: float, sform: bool
) -> None:
    path = _saved(tmp_path, _half_turn(longer_by, version=version, sform=sform))
    with pytest.raises(ValueError, match="w2 should be positive"):  # the control
        nibabel.load(path).header.get_qform()
    scan = read_nifti(path)
    exact = read_nifti(_saved(tmp_path, _half_turn(0.0, version=version, sform=True)))
    assert scan.warnings == ()
    assert scan.volume.geometry.spacing_mm == pytest.approx((1.0, 1.5, 2.0), rel=1e-6)
    expected = exact.volume.geometry.affine_ras
    assert np.abs(scan.volume.geometry.affine_ras - expected).max() < 3e-3
    write_nifti(scan.volume, source_header=scan.source_header, to=tmp_path / "out.nii")
    again = nibabel.load(tmp_path / "out.nii")
    assert again.affine.tobytes() == scan.volume.geometry.affine_ras.tobytes()
    assert again.header.get_qform() == pytest.approx(again.affine, abs=3e-3)


def test_a_qform_that_is_none_is_told_without_an_infinite_distance(tmp_path: Path) -> None:
    path = _saved(tmp_path, _half_turn(0.3, version=1, sform=True))
    (said,) = read_nifti(path).warnings
    assert said == "sform and qform disagree, as the qform is no rotation: the sform is used"
