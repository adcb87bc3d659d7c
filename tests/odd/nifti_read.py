"""NIfTI files that are unusual and good: they are converted, with a warning where one is due."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel
import numpy as np
from nibabel.nifti1 import Nifti1Header

from medcyclegan.core.geometry import Geometry
from medcyclegan.errors import ExitCode
from tests.image_factory import all_axis_orders
from tests.odd.case import Case, Family, Make, converted
from tests.odd.inputs import GRID, SPACING_MM, ChangeBytes, fields, head, nifti
from tests.odd.laws import same_affine, same_as_control, same_header

_REAL = [f"{sign}int{bits}" for bits in (8, 16, 32, 64) for sign in ("", "u")]
_REAL += ["float32", "float64"]
_SAME = "converted, the same result"
_IMAGE = head().astype(np.float32)


def _affine_in(unit_mm: float) -> np.ndarray:
    affine = np.array(GRID.affine_ras)
    affine[:3] /= unit_mm
    return affine


def _with_few(value: float) -> np.ndarray:
    voxels = _IMAGE.copy()
    voxels[0, 0, :3] = value
    return voxels


def _with_one(value: float) -> np.ndarray:
    voxels = _IMAGE.copy()
    voxels[9, 11, 4] = value
    return voxels


def _half_turn(header: Nifti1Header) -> None:
    """Turned by 180 degrees about the body's axis, by a quaternion too long by 4e-7."""
    header["sform_code"], header["qform_code"] = 0, 1
    header["quatern_b"], header["quatern_c"], header["quatern_d"] = 0, 0, 1 + 4e-7


def _scaled(header: Nifti1Header) -> None:
    header["scl_slope"], header["scl_inter"] = 0.5, -100


def _not_stale(source: Path, made: Path) -> None:
    same_as_control(source, made)
    header = Nifti1Header(gzip.decompress(made.read_bytes())[:348])
    assert (float(header["scl_slope"]), float(header["scl_inter"])) == (1.0, 0.0)


def _one_volume(source: Path, made: Path) -> None:
    """The output has the source's four dimensions, and the control's voxels."""
    control = nibabel.load(made.parent.parent / "control.nii.gz")
    found = nibabel.load(made)
    assert found.shape == (*control.shape, 1)
    assert np.array_equal(np.asarray(found.dataobj)[..., 0], np.asarray(control.dataobj))


def _sheared(header: Nifti1Header) -> None:
    header["srow_y"][2] += 5.0


def _pair(ending: str, pack: ChangeBytes = bytes) -> Make:
    def make(folder: Path) -> Path:
        data = nifti(fields(magic=b"ni1", vox_offset=0))(folder).read_bytes()
        (folder / "scan.nii").unlink()
        (folder / f"scan.hdr{ending}").write_bytes(pack(data[:352]))
        (folder / f"scan.img{ending}").write_bytes(pack(data[352:]))
        return folder / f"scan.hdr{ending}"

    return make


def _with_extension(size: int) -> Make:
    def damage(data: bytes) -> bytes:
        extension = b"\x01\0\0\0" + struct.pack("<2i", size, 6) + b"a comment".ljust(24, b"\0")
        return data[:348] + extension + data[352:]

    return nifti(
        fields(vox_offset=352 + 32, descrip=b"a scan", dim_info=57, toffset=3, intent_code=1001),
        damage=damage,
    )


def _all_orders() -> tuple[Case, ...]:
    cases = []
    for affine in all_axis_orders():
        affine[:3, :3] *= np.divide(SPACING_MM, (0.9, 1.1, 4.4))
        grid = Geometry(head().shape, affine)
        affine[:3, 3] -= grid.to_world((np.array(grid.shape) - 1) / 2)
        grid = Geometry(grid.shape, affine)
        make = nifti(voxels=head(grid), affine=affine)
        name = f"axes in the order {grid.axis_codes}"
        does = "converted, on the same grid to the last bit"
        row = "any of the 48 orders and directions of the axes"
        cases.append(
            Case(name, make, does, code=ExitCode.DONE, check=same_affine, row=row),
        )
    return tuple(cases)


def _oblique() -> Make:
    turn, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * SPACING_MM
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(head().shape) - 1) / 2)
    return nifti(voxels=head(Geometry(head().shape, affine)), affine=affine)


def _is(name: str, make: Make) -> Case:
    return converted(name, make, _SAME, check=same_as_control)


def _warned(name: str, make: Make, *says: str) -> Case:
    return converted(name, make, f'converted, with the warning "{says[0]}"', says=says)


_TO_DICOM = ("--format", "dicom")
CASES = (
    *(_is(f"voxels of type {name}", nifti(dtype=name)) for name in _REAL),
    _is("big-endian", nifti(endianness=">")),
    _is("NIfTI-2", nifti(version=2, damage=lambda data: data[:540] + bytes(4) + data[544:])),
    _is("NIfTI-2, big-endian", nifti(version=2, endianness=">")),
    _is("gzip", nifti(name="scan.nii.gz")),
    _is("gzip named .nii", nifti(damage=gzip.compress)),
    _is("uncompressed, named .nii.gz", nifti(name="scan.nii.gz", damage=gzip.decompress)),
    _is("a pair of .hdr and .img", _pair("")),
    _is("a pair, both compressed", _pair(".gz", gzip.compress)),
    converted(
        "four dimensions with one volume",
        nifti(voxels=head()[..., None]),
        "converted, on the same grid",
        check=_one_volume,
    ),
    _is("slope 0, which means none", nifti(fields(scl_slope=0, scl_inter=5))),
    _is("slope NaN, which means none", nifti(fields(scl_slope=np.nan, scl_inter=np.nan))),
    converted(
        "slope and intercept",
        nifti(_scaled, voxels=(head() + 100) * 2),
        "applied; the output says slope 1, intercept 0",
        check=_not_stale,
    ),
    *_all_orders(),
    converted("oblique", _oblique(), "converted, on the same grid", check=same_affine),
    converted(
        "extension, descrip, dim_info, toffset, intent",
        _with_extension(32),
        "converted, all of them kept",
        check=same_header,
    ),
    converted(
        "sheared",
        nifti(_sheared, affine=GRID.affine_ras),
        "converted, on the same grid",
        check=same_affine,
        says=("sform and qform disagree",),
    ),
    Case(
        "sheared, and DICOM asked for",
        nifti(_sheared),
        "refused: DICOM slices need right angles",
        says=("sheared", "right angles", "write NIfTI"),
        options=_TO_DICOM,
        out="sct",
    ),
    Case(
        "sheared, and .mha asked for",
        nifti(_sheared),
        "cannot be written: ITK images have right angles",
        says=("sheared", "write .nii.gz"),
        code=ExitCode.CANNOT_WRITE,
        out="sct.mha",
    ),
    converted(
        "a quaternion too long by rounding, and no sform",
        nifti(_half_turn),
        "converted, on the same grid",
    ),
    converted("signal up to 10^9", nifti(voxels=_IMAGE * 1e7, dtype="float32"), "converted"),
    converted("signal below 10^-7", nifti(voxels=_IMAGE * 1e-9, dtype="float32"), "converted"),
    converted("one voxel of 10^5", nifti(voxels=_with_one(1e5), dtype="float32"), "converted"),
    _warned("a damaged extension", _with_extension(5000), "a header extension claims 5000 bytes"),
    _warned("three voxels NaN", nifti(voxels=_with_few(np.nan), dtype="float32"), "3 voxels were"),
    _warned("three infinite", nifti(voxels=_with_few(-np.inf), dtype="float32"), "3 voxels were"),
    _warned("bytes after the voxels", nifti(damage=lambda data: data + b"more"), "4 bytes after"),
    _warned(
        "sform and qform that disagree",
        nifti(lambda header: header["srow_x"].__setitem__(3, 99.0)),
        "sform and qform disagree",
        "the sform is used",
    ),
    _warned(
        "neither sform nor qform",
        nifti(fields(sform_code=0, qform_code=0)),
        "the header does not say where the patient lies",
    ),
    _warned("an sform code that is none", nifti(fields(sform_code=77)), "sform_code is 77"),
    _warned("in metres", nifti(fields(xyzt_units=1), affine=_affine_in(1000)), "in metres, turned"),
    _warned("in microns", nifti(fields(xyzt_units=3), affine=_affine_in(0.001)), "in micrometres"),
    _warned("in an unknown unit", nifti(fields(xyzt_units=7)), "has code 7", "mm are assumed"),
)
REFUSED = (
    *(
        Case(
            name,
            nifti(fields(srow_x=value)),
            f'refused, saying "{says}"',
            says=(says, "repair the header"),
        )
        for name, value, says in (
            ("singular sform", 0, "The affine is singular"),
            ("sform with NaN", np.nan, "The affine holds NaN or infinity"),
            ("sform with infinity", np.inf, "The affine holds NaN or infinity"),
        )
    ),
    Case(
        "qform with a quaternion longer than 1, and no sform",
        nifti(fields(sform_code=0, quatern_b=1.5)),
        "refused: the quaternion is longer than 1",
        says=("quaternion", "repair the qform"),
    ),
    Case(
        "said to be in microns, and in millimetres",
        nifti(fields(xyzt_units=3)),
        "refused: no body of that size, and the warning of the unit is in the message",
        says=("nearly everywhere", "the header is in micrometres, turned into mm"),
    ),
    Case(
        "voxels of 1 micron",
        nifti(affine=_affine_in(8000.0)),
        "refused: no body of that size",
        says=("nearly everywhere", "a body must stand out"),
    ),
    Case(
        "voxels of 8 metres",
        nifti(affine=_affine_in(0.001)),
        "refused: no head is that large",
        says=("The body in view spans", "check the unit of length"),
        bounded=True,
    ),
)

FAMILY = Family(
    "NIfTI: unusual",
    converted("a good file, 20 x 24 x 10 voxels", nifti(), "converted"),
    CASES + REFUSED,
)
