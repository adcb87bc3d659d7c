"""Geometry of DICOM slices: from positions and orientations to one grid, and back (PS3.3 C.7.6.2).

Planes of DICOM slices: position, orientation and order, from or against a grid.
DICOM's world is LPS: x grows to the patient's left, y to the back. Rows run along i, columns along
j, and slices lie along k.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.valuerep import format_number_as_ds

from medcyclegan.core.geometry import SHEAR_TOLERANCE, FloatArray, Geometry
from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.dicom.attribute_access import number, numbers, raw_value, text, whole
from medcyclegan.io.dicom.complete import completeness_warnings
from medcyclegan.io.dicom.frames import SliceView

# Neighbouring slices may be this much nearer or farther than usual: headers of two decimals give
# 0.01 mm; one per cent of a slice is far below what interpolation shows.
SPACING_TOLERANCE_MM = 0.01
SPACING_TOLERANCE_RELATIVE = 0.01
# A slice may lie this much, in slice distances, from where an even spacing puts it: small errors
# of one sign add up, and the grid of the volume knows only the even spacing.
DRIFT_TOLERANCE_RELATIVE = 0.05
# Two slices nearer than this are at one position: no scanner moves by a micrometre.
SAME_POSITION_MM = 1e-3
# Direction cosines of one series may differ by this much: 1e-4 is 0.025 mm at the edge of a 250 mm
# field of view, and above the rounding of headers that have five decimals.
ORIENTATION_TOLERANCE = 1e-4
# Positions of one decimal, as some converters write them, are off by half of it at both ends.
COARSEST_DECIMAL_MM = 0.1
# Cosines must be unit vectors at a right angle within this, as any grid (headers of 3 decimals).
UNIT_TOLERANCE = SHEAR_TOLERANCE

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def sort_slices(
    views: Sequence[SliceView], *, may_be_tilted: bool = False
) -> tuple[list[SliceView], Geometry, tuple[str, ...]]:
    """Order slices along their normal and make their grid.

    Parameters
    ----------
    views:
        Slices of one orientation, matrix and pixel spacing.
    may_be_tilted:
        Whether slices may be stacked off their normal; the grid is sheared then.

    Returns
    -------
    (slices by ascending k, their grid (columns, rows, slices), warnings)

    Raises
    ------
    InputRefused
        If the slices are no regular, rectangular grid.
    """
    cosines = orientation(views[0])
    normal = np.cross(cosines[:3], cosines[3:])
    placed = np.array([position(view) for view in views])
    order = np.argsort(placed @ normal, kind="stable")
    ordered, placed = [views[int(k)] for k in order], placed[order]
    warnings: tuple[str, ...] = ()
    if len(ordered) > 1:
        _check_distinct(ordered, placed @ normal)
        rounding_mm = _rounding_mm(ordered)
        if not may_be_tilted:
            _check_not_tilted(ordered, placed, normal, rounding_mm)
        is_exact = _check_even(ordered, placed, normal, rounding_mm)
        step = _step(placed, normal, may_be_tilted=may_be_tilted)
        distance_mm = float(np.linalg.norm(step))
        warnings = completeness_warnings(ordered, distance_mm=distance_mm)
        if not is_exact:
            warnings += (_rounded_said(rounding_mm, distance_mm),)
    else:
        thickness_mm, warnings = _single_slice_spacing(ordered[0])
        step = normal / np.linalg.norm(normal) * thickness_mm
    return ordered, _geometry(ordered, cosines, step, placed[0]), warnings


def position(view: SliceView) -> FloatArray:
    """(3,) centre of the first pixel in LPS millimetres."""
    return _required(view, "ImagePositionPatient", 3)


def orientation(view: SliceView) -> FloatArray:
    """(6,) direction cosines in LPS: along a row, then along a column."""
    cosines = _required(view, "ImageOrientationPatient", 6)
    row, column = cosines[:3], cosines[3:]
    off = max(abs(row @ row - 1.0), abs(column @ column - 1.0), abs(row @ column))
    if off > 2 * UNIT_TOLERANCE:
        raise InputRefused(
            f"{view.name}: ImageOrientationPatient is {cosines.tolist()}",
            rule="it must be two unit vectors at a right angle",
            remedy="repair the header",
        )
    return cosines


def pixel_spacing(view: SliceView) -> FloatArray:
    """(2,) distance of rows, then of columns, in millimetres."""
    spacing = _required(view, "PixelSpacing", 2)
    if spacing.min() <= 0.0:
        raise InputRefused(
            f"{view.name}: PixelSpacing is {spacing.tolist()} mm",
            rule="it must be above 0",
            remedy="repair the header",
        )
    return spacing


def _required(view: SliceView, keyword: str, count: int) -> FloatArray:
    values = numbers(view.dataset, keyword, view.path)
    if len(values) != count:
        raise InputRefused(
            f"{view.name}: {keyword} has {len(values)} values",
            rule=f"{count} are needed to know where the slice lies",
            remedy="give a series with geometry, or a NIfTI file",
        )
    return np.array(values, dtype=np.float64)


def _geometry(
    ordered: list[SliceView], cosines: FloatArray, step: FloatArray, first: FloatArray
) -> Geometry:
    view = ordered[0]
    row_spacing_mm, column_spacing_mm = pixel_spacing(view)
    lps = np.eye(4)
    lps[:3, 0] = cosines[:3] * column_spacing_mm
    lps[:3, 1] = cosines[3:] * row_spacing_mm
    lps[:3, 2] = step
    lps[:3, 3] = first
    shape = (
        whole(view.dataset, "Columns", view.path, default=0),
        whole(view.dataset, "Rows", view.path, default=0),
        len(ordered),
    )
    frame = text(view.dataset, "FrameOfReferenceUID", view.path)
    return Geometry(shape, _LPS_TO_RAS @ lps, frame or None)


def _check_distinct(ordered: list[SliceView], along_mm: FloatArray) -> None:
    same = np.flatnonzero(np.diff(along_mm) < SAME_POSITION_MM)
    if same.size:
        k = int(same[0])
        raise InputRefused(
            f"Two images at one position ({along_mm[k]:.3f} mm along the normal): "
            f"{ordered[k].name} and {ordered[k + 1].name}; {same.size} such pairs",
            rule="a volume has one image at each position",
            remedy="give one time point, echo or image type alone",
        )


def _rounding_mm(ordered: list[SliceView]) -> float:
    """What positions are rounded to if that is a tenth of a millimetre; 0 if they are finer.

    Whole numbers say nothing: many tables stop at them.
    """
    written = [
        str(getattr(part, "original_string", part))
        for view in ordered
        for part in raw_value(view.dataset, "ImagePositionPatient", view.path)
    ]
    decimals = max(len(digits.rstrip("0").partition(".")[2]) for digits in written)
    is_coarse = decimals == 1 and not any("e" in digits.lower() for digits in written)
    return COARSEST_DECIMAL_MM if is_coarse else 0.0


def _rounded_said(rounding_mm: float, distance_mm: float) -> str:
    return (
        f"The positions of slices are rounded to {rounding_mm:g} mm: they are taken as evenly "
        f"spaced by {distance_mm:.4f} mm."
    )


def _step(placed: FloatArray, normal: FloatArray, *, may_be_tilted: bool) -> FloatArray:
    """From a slice to the next (3,): along the normal where only rounding leads off it."""
    step = (placed[-1] - placed[0]) / (len(placed) - 1)
    if may_be_tilted or _sine(step, normal) <= SHEAR_TOLERANCE:
        return np.asarray(step)
    return np.asarray(normal * (step @ normal) / (normal @ normal))


def _sine(line: FloatArray, normal: FloatArray) -> float:
    length = np.linalg.norm(line) * np.linalg.norm(normal)
    return min(float(np.linalg.norm(np.cross(line, normal)) / length), 1.0)


def _check_not_tilted(
    ordered: list[SliceView], placed: FloatArray, normal: FloatArray, rounding_mm: float
) -> None:
    line = placed[-1] - placed[0]
    sine = _sine(line, normal)
    # Each of the three coordinates is off by half of the rounding, at both ends.
    allowed = SHEAR_TOLERANCE + np.sqrt(3.0) * rounding_mm / float(np.linalg.norm(line))
    if sine > allowed:
        raise InputRefused(
            f"{ordered[0].path.parent}: the slices are stacked "
            f"{np.degrees(np.arcsin(sine)):.2f} degrees off their normal",
            rule="shear or gantry tilt is not accepted, as the grid must be rectangular",
            remedy="for a CT add --untilt, which corrects it; or correct it first (dcm2niix does) "
            "and give the NIfTI file",
        )


def _check_even(
    ordered: list[SliceView], placed: FloatArray, normal: FloatArray, rounding_mm: float
) -> bool:
    """Whether slices are evenly spaced without regard to how their positions are rounded."""
    gaps = np.diff(placed @ normal)
    usual = float(np.median(gaps))
    fine = max(SPACING_TOLERANCE_MM, SPACING_TOLERANCE_RELATIVE * usual)
    allowed = fine + rounding_mm
    off = np.abs(gaps - usual)
    if off.max() > allowed:
        raise _uneven(ordered, gaps, usual, allowed)
    drift = np.linalg.norm(placed - _even_positions(placed), axis=1)
    worst = int(np.argmax(drift))
    fine_drift = max(SPACING_TOLERANCE_MM, DRIFT_TOLERANCE_RELATIVE * usual)
    if drift[worst] > fine_drift + rounding_mm:
        raise InputRefused(
            f"{ordered[worst].name} lies {drift[worst]:.4f} mm from where even spacing puts it",
            rule=f"it may be {DRIFT_TOLERANCE_RELATIVE:.0%} of the slice distance ({usual:.4f} mm)",
            remedy="resample the series to an even grid",
        )
    return bool(off.max() <= fine and drift[worst] <= fine_drift)


def _uneven(
    ordered: list[SliceView], gaps: FloatArray, usual: float, allowed: float
) -> InputRefused:
    k = int(np.argmax(np.abs(gaps - usual) > allowed))
    lost = round(gaps[k] / usual) - 1
    is_whole = lost > 0 and abs(gaps[k] - (lost + 1) * usual) <= (lost + 1) * allowed
    said = f"; {'one' if lost == 1 else lost} may be missing" if is_whole else ""
    return InputRefused(
        f"Distance {gaps[k]:.4f} mm between {ordered[k].name} and {ordered[k + 1].name}, "
        f"{usual:.4f} mm elsewhere",
        rule=f"slices must be evenly spaced within {allowed:.4f} mm{said}",
        remedy="complete the series, or resample it to even spacing",
    )


def _even_positions(placed: FloatArray) -> NDArray[np.float64]:
    share = np.linspace(0.0, 1.0, len(placed))[:, None]
    return np.asarray(placed[0] * (1.0 - share) + placed[-1] * share)


def _single_slice_spacing(view: SliceView) -> tuple[float, tuple[str, ...]]:
    for keyword in ("SpacingBetweenSlices", "SliceThickness"):
        value = number(view.dataset, keyword, view.path)
        if value is not None and value > 0.0:
            return value, ()
    return 1.0, ("The single slice tells no thickness; 1 mm was assumed.",)


# Largest cosine between rows and columns. DICOM wants right angles; dciodvfy, whose verdict others
# go by, stops here. Affines of float32 stay below 1e-6.
_PLANE_SHEAR = 1e-4

_SMALLEST_DS, _DS_CHARACTERS = 1e-99, 16

_RAS_TO_LPS = np.diag((-1.0, -1.0, 1.0, 1.0))

# Farthest distance of a slice's corner from where the grid has it, as a share of the smallest
# spacing. Readers take uneven slices up to 1 %; slices swapped or turned are off by 100 %.
_PLACE_TOLERANCE = 0.25


def order_along_normal(geometry: Geometry) -> range:
    """Return the indices k in the order of the slice normal, cross(i, j) in LPS."""
    # The determinant is the same in RAS and LPS, as the two differ by a half turn.
    runs_along = np.linalg.det(geometry.affine_ras[:3, :3]) > 0
    count = geometry.shape[2]
    return range(count) if runs_along else range(count - 1, -1, -1)


def plane_of_grid(geometry: Geometry, k: int) -> Dataset:
    """Return position, orientation, spacing and thickness of slice ``k`` of a grid.

    Raises
    ------
    InputRefused
        If the grid is sheared: DICOM's images have right angles.
    """
    directions = geometry.directions_ras
    if geometry.is_sheared or abs(directions[:, 0] @ directions[:, 1]) > _PLANE_SHEAR:
        raise InputRefused(
            f"The grid is sheared (cosine {geometry.shear:.5f} between two axes)",
            rule="DICOM slices need right angles",
            remedy="write NIfTI, or resample the input onto a rectangular grid",
        )
    affine = _lps(geometry)
    i_mm, j_mm, k_mm = geometry.spacing_mm
    position = affine[:3, 3] + k * affine[:3, 2]
    cosines = np.concatenate([affine[:3, 0] / i_mm, affine[:3, 1] / j_mm])
    ds = Dataset()
    ds.ImagePositionPatient = [_ds(value) for value in position]
    ds.ImageOrientationPatient = [_ds(value) for value in cosines]
    ds.PixelSpacing = [_ds(j_mm), _ds(i_mm)]
    ds.SliceThickness = _ds(k_mm)
    return ds


def refuse_other_grid(slices: tuple[Dataset, ...], geometry: Geometry) -> None:
    """Raise MedcycleganError unless slice k of the source lies where slice k of the grid does."""
    if len(slices) != geometry.shape[2]:
        raise MedcycleganError(
            f"{geometry.shape[2]} slices to write, {len(slices)} in the source",
            rule="each slice of the output needs its slice of the source",
        )
    columns, rows, _ = geometry.shape
    affine = _lps(geometry)
    corners = np.array([(0, 0, 1), (columns - 1, 0, 1), (0, rows - 1, 1)], dtype=np.float64)
    allowed_mm = _PLACE_TOLERANCE * min(geometry.spacing_mm)
    for k, ds in enumerate(slices):
        grid = corners @ np.stack([affine[:3, 0], affine[:3, 1], affine[:3, 3] + k * affine[:3, 2]])
        off_mm = float(np.linalg.norm(grid - corners @ _plane_of_slice(ds), axis=1).max())
        if (ds.Columns, ds.Rows) != (columns, rows) or off_mm > allowed_mm:
            raise MedcycleganError(
                f"Slice {k} lies {off_mm:.3f} mm from its slice of the source",
                rule="the output has the grid of the source",
            )


def _plane_of_slice(ds: Dataset) -> FloatArray:
    """(3, 3): the steps along i and j and the position, in LPS mm, one a line."""
    cosines = np.asarray(ds.ImageOrientationPatient, dtype=np.float64).reshape(2, 3)
    row_mm, column_mm = (float(value) for value in ds.PixelSpacing)
    position = np.asarray(ds.ImagePositionPatient, dtype=np.float64)
    return np.stack([cosines[0] * column_mm, cosines[1] * row_mm, position])


def _lps(geometry: Geometry) -> FloatArray:
    # Adding zero turns -0.0, which would be written as such, into 0.0.
    return np.asarray(_RAS_TO_LPS @ geometry.affine_ras + 0.0)


def _ds(value: float) -> str:
    """Return a decimal string of at most 16 characters, the most that DICOM allows."""
    # An exponent of three digits would make 17 of them.
    text = format_number_as_ds(float(value) if abs(value) > _SMALLEST_DS else 0.0)
    # pydicom rounds 9.999999999999998 up to one digit too many.
    return text if len(text) <= _DS_CHARACTERS else format_number_as_ds(float(text))
