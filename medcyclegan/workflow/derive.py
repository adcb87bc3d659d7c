"""Derived quantities: one CT on disk into a map, by a published curve or a scanner's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.hu_curves import Curve, Quantity, carney_2006, schneider_2000, through
from medcyclegan.imaging.plausibility import refuse_no_ct, refuse_noise
from medcyclegan.io.atomic import ensure_writable
from medcyclegan.io.bids import make_ready
from medcyclegan.io.dicom.api import numbers
from medcyclegan.io.naming import Format, is_folder, output_path
from medcyclegan.io.read import read_scan, refuse_unknown
from medcyclegan.io.scan import DicomSourceHeader, Scan
from medcyclegan.io.sidecar import Sidecar, sha256_of, sidecar_if_nifti
from medcyclegan.io.table import read_table
from medcyclegan.io.write import write_scan

_COLUMNS = ("hu", "value")
_RULE = "a curve is a CSV table with the columns hu and value, HU rising from row to row"

# Published curves of one quantity lie within 2 % of water at 0 HU; a curve in other units, or for
# another quantity, lies far off.
WATER_TOLERANCE = 0.05


def read_curve(path: Path) -> Curve:
    """Read the knots of a curve: straight lines join them.

    Raises
    ------
    InputRefused
        If the file is no such table: other columns, a cell that is no finite number, fewer than
        two rows, or HU that do not rise strictly. The message names the row, counted from 1.
    """
    table = read_table(path, rule=_RULE)
    if sorted(table.columns) != sorted(_COLUMNS):
        found = ", ".join(repr(name) for name in table.columns) or "none"
        raise InputRefused(
            f"{path}: columns {found}", rule=_RULE, remedy="make its first line: hu,value"
        )
    if len(table.rows) < 2:
        raise InputRefused(
            f"{path}: {len(table.rows)} row{'' if len(table.rows) == 1 else 's'} of numbers",
            rule="a curve needs two or more",
            remedy="give the knots of the curve, one in each row",
        )
    hu, values = (
        [_number(path, column, number, row) for number, row in enumerate(table.rows, start=1)]
        for column in _COLUMNS
    )
    for number in range(1, len(hu)):
        if hu[number] <= hu[number - 1]:
            raise InputRefused(
                f"{path}: row {number + 1} has {hu[number]:g} HU after {hu[number - 1]:g} HU",
                rule="HU rise strictly from row to row",
                remedy="sort the rows, and keep one for each HU",
            )
    return through(path.name, hu, values)


def water_warning(curve: Curve, quantity: Quantity) -> tuple[str, ...]:
    """Return a sentence if a curve gives water what water has not, else nothing."""
    found = float(curve.at(0.0))
    if abs(found - quantity.of_water) <= WATER_TOLERANCE * quantity.of_water:
        return ()
    return (
        f"{curve.name} gives {found:.4g} at 0 HU, where water has {quantity.of_water:g} "
        f"({quantity.title}, {quantity.unit}): check its unit and that it is for this quantity.",
    )


def _number(path: Path, column: str, number: int, row: dict[str, str]) -> float:
    text = row[column]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputRefused(
            f"{path}: row {number} has {column} {text!r}",
            rule="every cell is a finite number",
            remedy="write it with a decimal point, and without a unit",
        )
    return value


# The simulated CTs that the shipped models learned from are diagnostic CTs of this voltage.
USUAL_KVP = 120


@dataclass(frozen=True)
class Request:
    """What to derive from which CT, by which curve, and where it goes.

    ``curve`` is a CSV file, None for the published curve; ``kvp`` the tube voltage of the CT, None
    for that of its DICOM header, or 120 where there is none. ``version`` is medcyclegan's, for the
    sidecar.
    """

    source: Path
    quantity: Quantity
    curve: Path | None = None
    kvp: int | None = None
    out: Path | None = None
    format: Format | None = None
    series_uid: str | None = None
    overwrite: bool = False
    version: str = ""

    def __post_init__(self) -> None:
        if self.curve is None and self.quantity.name in ("rsp", "red"):
            raise UsageError(
                f"--to {self.quantity.name} without --curve",
                rule=f"no curve of relative {self.quantity.title} is part of medcyclegan: it "
                "depends on the scanner, its beam and its reconstruction, and no published table "
                "could be taken over whose every knot is known for sure",
                remedy="give your scanner's calibration as a CSV file with the columns hu and "
                "value: --curve FILE.csv",
            )
        if self.kvp is not None and (self.curve is not None or self.quantity.name != "mu511"):
            whose = self.curve or f"that of {self.quantity.name}"
            raise UsageError(
                f"--kvp {self.kvp} with the curve {whose}",
                rule="only the published curves of mu511 are told apart by their tube voltage",
                remedy="leave out --kvp",
            )


@dataclass(frozen=True, eq=False)
class Derived:
    """What was written, by which curve, and what is to be said of it."""

    output: Path
    image: Volume
    curve: Curve
    warnings: tuple[str, ...]


def derive_file(request: Request) -> Derived:
    """Read a CT in HU, apply the curve voxel by voxel, and write the map on the CT's grid.

    The map is float32; of NIfTI and MetaImage the header is the source's own.

    Raises
    ------
    MedcycleganError
        InputRefused, CannotWrite or UsageError, each before anything is written.
    """
    refuse_unknown(request.source)
    output = _checked_output(request)
    own_curve = None if request.curve is None else read_curve(request.curve)
    scan = _read_ct(request)
    if own_curve is None:
        curve, about_curve = _published(request, scan)
    else:
        curve, about_curve = own_curve, water_warning(own_curve, request.quantity)
    image, about_values = apply_curve(scan.volume, curve, request.quantity)
    warnings = (*scan.warnings, *about_curve, *about_values)
    write_scan(
        image,
        source_header=scan.source_header,
        to=output,
        overwrite=request.overwrite,
        sidecar=sidecar_if_nifti(output, _sidecar(request, scan, curve, warnings)),
    )
    return Derived(output, image, curve, warnings)


def _sidecar(request: Request, scan: Scan, curve: Curve, warnings: tuple[str, ...]) -> Sidecar:
    """What the sidecar of a map tells: the curve in full, so that the map can be made again."""
    facts = {
        "version": request.version,
        "quantity": request.quantity.name,
        "curve": curve.name,
        "curve_sha256": "" if request.curve is None else sha256_of((request.curve,)),
        "kvp": curve.kvp,
        "curve_edges_hu": list(curve.edges_hu),
        "curve_offsets": list(curve.offsets),
        "curve_slopes": list(curve.slopes),
        "warnings": list(warnings),
    }
    return Sidecar(
        f"Map of {request.quantity.title}, derived from the HU of a CT. Research use only.",
        scan=scan,
        unit=request.quantity.unit,
        version=request.version,
        facts=facts,
    )


def apply_curve(ct: Volume, curve: Curve, quantity: Quantity) -> tuple[Volume, tuple[str, ...]]:
    """Return the quantity on the grid of a CT in HU, and sentences on what the curve left open.

    HU beyond the curve get its value at that end, and values below 0 become 0; both are counted.
    """
    values = np.empty(ct.geometry.shape, dtype=np.float32)
    negative = 0
    for k in range(ct.geometry.shape[2]):  # slice by slice, as the curve is evaluated in float64
        found = curve.at(ct.voxels[:, :, k])
        negative += int(np.count_nonzero(found < 0.0))
        values[:, :, k] = np.maximum(found, 0.0)
    below = int(np.count_nonzero(ct.voxels < curve.lowest_hu))
    above = int(np.count_nonzero(ct.voxels > curve.highest_hu))
    said = []
    ends = ((below, "below", curve.lowest_hu), (above, "above", curve.highest_hu))
    for count, side, end_hu in ends:
        if count:
            said.append(
                f"{_share(count, ct)} {side} {end_hu:g} HU, where the curve ends: they got its "
                f"value there, {max(float(curve.at(end_hu)), 0.0):.4g} {quantity.unit}."
            )
    if negative:
        said.append(f"{_share(negative, ct)} where the curve is negative: they got 0.")
    return ct.with_voxels(values, unit=quantity.unit), tuple(said)


def _share(count: int, ct: Volume) -> str:
    lie = "voxel lies" if count == 1 else "voxels lie"
    return f"{count} {lie} ({count / ct.voxels.size:.2%})"


def _checked_output(request: Request) -> Path:
    """Return the path of the output; refuse it before any work."""
    suffix = f"_{request.quantity.name}"
    output = output_path(request.source, out=request.out, format=request.format, suffix=suffix)
    if is_folder(output):
        raise UsageError(
            f"{request.source} as a DICOM series of {request.quantity.title}",
            rule="derived maps are written as NIfTI, MetaImage or NRRD, and not as DICOM",
            remedy="add --format nifti, or name a .nii.gz or .mha file with --out",
        )
    if request.out is None:
        make_ready(output, version=request.version)
    ensure_writable(output, source=request.source, overwrite=request.overwrite)
    return output


def _read_ct(request: Request) -> Scan:
    """Read the input; refuse what is no CT in HU."""
    scan = read_scan(request.source, series_uid=request.series_uid, modality="CT")
    if scan.is_plane or scan.volume.unit != "HU":
        what = "a picture" if scan.is_plane else f"a scan with values in {scan.volume.unit}"
        raise InputRefused(
            f"{scan.source} is {what}",
            rule="quantities are derived from a CT in HU",
            remedy="give a CT or synthetic CT as NIfTI, MetaImage, NRRD or DICOM",
        )
    refuse_no_ct(scan.volume, source=scan.source)
    refuse_noise(scan.volume, source=scan.source)
    return scan


def _published(request: Request, scan: Scan) -> tuple[Curve, tuple[str, ...]]:
    """Return the published curve, and what is assumed about the tube voltage."""
    if request.quantity.name == "density":
        return schneider_2000(), ()
    told = _told_kvp(scan)
    if request.kvp is not None:
        curve = carney_2006(request.kvp)
        if told in (None, float(request.kvp)):
            return curve, ()
        return curve, (f"The header of the CT says {told:g} kVp, and --kvp {request.kvp} is used.",)
    if told is None:
        return carney_2006(USUAL_KVP), (
            f"The input does not say its tube voltage: {USUAL_KVP} kVp is assumed, as the shipped "
            "models make; --kvp says another.",
        )
    return carney_2006(round(told)), ()


def _told_kvp(scan: Scan) -> float | None:
    """The tube voltage in the header of a DICOM series; None where there is none."""
    if not isinstance(scan.source_header, DicomSourceHeader):
        return None
    told = numbers(scan.source_header.slices[0], "KVP", scan.source)
    return told[0] if told else None
