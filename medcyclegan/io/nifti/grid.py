"""Where a NIfTI header says that its voxels lie.

The rule is NIfTI's and nibabel's: the sform if its code is above 0, else the qform if its code is,
else spacing alone, centred, with x running to the left. ``docs/geometry.md`` tells it to users.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header

from medcyclegan.errors import InputRefused
from medcyclegan.geometry import FloatArray, Geometry
from medcyclegan.io.nifti.header import stored_shape
from medcyclegan.io.voxel_rules import check_shape

# xyzt_units, lowest three bits (nifti1.h). Files that do not say their unit are in mm in practice.
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_UNIT_NAMES = {1: "metres", 3: "micrometres"}
# Codes that NIfTI and nibabel know: unknown, scanner, aligned, Talairach, MNI, template.
_KNOWN_CODES = range(6)
# A quaternion near half a turn is good to some 8e-4 rad in float32, which moves a voxel by so much
# of its distance from the first: less than that, or than 0.25 mm, is no disagreement.
_AGREEMENT_RAD = 1e-3
_AGREEMENT_MM = 0.25
# Sums of squares of a quaternion may exceed 1 by this much: float32 rounds each of its components,
# and near half a turn that is the angle above.
_QUATERNION_ROUNDING = 4e-6
# No scanner of people makes voxels outside this range: the unit is likely wrong, or none was set.
_PLAUSIBLE_SPACING_MM = (0.01, 50.0)


# Damaged numbers may overflow; what they give is then refused as not finite or singular.
@np.errstate(over="ignore", invalid="ignore")
def header_geometry(header: Nifti1Header, path: Path) -> tuple[Geometry, list[str]]:
    """Return the grid in RAS mm, and the warnings for the user.

    The affine is nibabel's ``get_best_affine`` to the last bit, times the unit where that is not
    the millimetre.

    Raises
    ------
    InputRefused
        If the shape or the affine that counts is none, singular or not finite.
    """
    shape = check_shape(stored_shape(header), path)
    mended, warnings = _mended(header)
    if int(mended["sform_code"]) > 0:
        # pixdim and qform do not count then, so their repairs do not matter to the user.
        warnings = [text for text in warnings if "sform" in text]
    elif int(mended["qform_code"]) == 0:
        warnings.append(
            "sform_code and qform_code are 0, so that the header does not say where the patient "
            "lies: the spacing is used, x is taken to run to the left"
        )
    scale, unit_warnings = _unit_in_mm(header)
    try:
        affine = np.array(mended.get_best_affine(), dtype=np.float64)
        affine[:3] *= scale
        geometry = Geometry(shape, affine)
    except InputRefused as error:
        raise InputRefused(
            f"{path}: {error.found}", rule=error.rule, remedy=error.remedy
        ) from error
    except ValueError as error:  # nibabel, for a quaternion that is longer than 1
        raise InputRefused(
            f"{path}: the quaternion of the qform is longer than 1",
            rule="qform_code is above 0, so it must be a rotation",
            remedy="repair the qform, or set an sform",
        ) from error
    warnings += unit_warnings
    warnings += _disagreement(mended, geometry, scale)
    return geometry, warnings + _implausible(geometry)


@np.errstate(over="ignore", invalid="ignore")
def shorten_quaternion(header: Nifti1Header) -> None:
    """Shorten a quaternion that rounding has made longer than nibabel takes, in place."""
    fields = ("quatern_b", "quatern_c", "quatern_d")
    values = np.array([header[field] for field in fields], dtype=np.float64)
    squared = float(values @ values)
    if abs(header.quaternion_threshold) < squared - 1.0 <= _QUATERNION_ROUNDING:
        for field, value in zip(fields, values / np.sqrt(squared), strict=True):
            header[field] = value


def _mended(header: Nifti1Header) -> tuple[Nifti1Header, list[str]]:
    """Repair a copy as nibabel does when it opens a file, and say what was repaired."""
    mended = header.copy()
    warnings = []
    for field in ("sform_code", "qform_code"):
        code = int(header[field])
        if code not in _KNOWN_CODES:
            mended[field] = 0
            warnings.append(f"{field} is {code}, which is not defined, and is taken for 0")
    # A 2D image has no third spacing.
    used = header["pixdim"][1 : min(max(int(header["dim"][0]), 2), 3) + 1]
    if (used <= 0).any():
        warnings.append(f"pixdim {used.tolist()}: 0 is taken for 1, negative for positive")
    spacing = np.abs(header["pixdim"][1:4])
    spacing[spacing == 0] = 1
    mended["pixdim"][1:4] = spacing
    shorten_quaternion(mended)
    if header["pixdim"][0] not in (-1, 1):
        mended["pixdim"][0] = 1
        if header["pixdim"][0] != 0:
            warnings.append(f"pixdim[0] is {header['pixdim'][0]:g} and is taken for 1")
    return mended, warnings


def _unit_in_mm(header: Nifti1Header) -> tuple[float, list[str]]:
    code = int(header["xyzt_units"]) % 8
    if code not in _MM_PER_UNIT:
        return 1.0, [f"the unit of length has code {code}, which is not defined: mm are assumed"]
    if code in _UNIT_NAMES:
        return _MM_PER_UNIT[code], [f"the header is in {_UNIT_NAMES[code]}, turned into mm"]
    return 1.0, []


def _disagreement(mended: Nifti1Header, geometry: Geometry, scale: float) -> list[str]:
    if int(mended["sform_code"]) == 0 or int(mended["qform_code"]) == 0:
        return []
    try:
        affine = np.array(mended.get_qform(), dtype=np.float64)
        affine[:3] *= scale
        distance = _largest_distance_mm(geometry, Geometry(geometry.shape, affine))
    except (InputRefused, ValueError):
        return ["sform and qform disagree, as the qform is no rotation: the sform is used"]
    corners = geometry.corners_ras_mm()
    extent_mm = float(np.linalg.norm(corners - corners[0], axis=1).max())
    if distance <= max(_AGREEMENT_MM, _AGREEMENT_RAD * extent_mm):
        return []
    return [f"sform and qform disagree by up to {distance:.3g} mm: the sform is used"]


def _largest_distance_mm(one: Geometry, other: Geometry) -> float:
    """The largest of eight distances, in mm: two affine maps differ most in a corner."""
    difference: FloatArray = one.corners_ras_mm() - other.corners_ras_mm()
    return float(np.linalg.norm(difference, axis=1).max())


def _implausible(geometry: Geometry) -> list[str]:
    least, most = _PLAUSIBLE_SPACING_MM
    spacing = geometry.spacing_mm
    if min(spacing) >= least and max(spacing) <= most:
        return []
    shown = " x ".join(f"{length:.4g}" for length in spacing)
    return [f"a spacing of {shown} mm is hardly true: check the header's unit of length"]
