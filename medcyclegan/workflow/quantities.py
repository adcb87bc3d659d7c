"""What is derived from a CT in memory, and put beside the file or series that it is written to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.hu_curves import (
    QUANTITIES,
    Curve,
    Quantity,
    carney_2006,
    schneider_2000,
    through,
)
from medcyclegan.imaging.skull import find_skull
from medcyclegan.io.atomic import ensure_writable
from medcyclegan.io.dicom.api import (
    MapMaker,
    MapMeaning,
    ensure_highdicom,
    write_map,
)
from medcyclegan.io.naming import companion_path, is_folder, is_picture
from medcyclegan.io.sidecar import Sidecar, sha256_of_source, sidecar_if_nifti
from medcyclegan.io.table import read_table
from medcyclegan.io.write import write_scan
from medcyclegan.workflow.ct_source import DerivedFrom
from medcyclegan.workflow.skull_output import skull_paths, skull_warning, write_skull

_COLUMNS = ("hu", "value")
_RULE = "a curve is a CSV table with the columns hu and value, HU rising from row to row"

# Published curves of one quantity lie within 2 % of water at 0 HU; a curve in other units, or for
# another quantity, lies far off.
WATER_TOLERANCE = 0.05


SKULL = "skull"
NAMES = (*QUANTITIES, SKULL)
# The simulated CTs that the shipped models learned from are diagnostic CTs of this voltage.
USUAL_KVP = 120


@dataclass(frozen=True)
class Wanted:
    """What is to be derived: a quantity's name or ``skull``; ``curve`` None is the published one.

    ``kvp`` is the tube voltage that was named, None if none was.

    Raises
    ------
    UsageError
        If there is no such quantity, or the curve or voltage do not go with it.
    """

    name: str
    curve: Path | None = None
    kvp: int | None = None

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise UsageError(
                f"{self.name!r} to derive", rule=f"what is derived is {', '.join(NAMES)}"
            )
        if self.curve is not None and self.name == SKULL:
            raise UsageError(
                f"{SKULL} with the curve {self.curve}",
                rule="the skull is found in HU, by no curve",
                remedy="leave out the curve",
            )
        if self.curve is None and self.name in ("rsp", "red"):
            raise UsageError(
                f"{self.name} without a curve",
                rule=f"no curve of relative {QUANTITIES[self.name].title} is part of medcyclegan: "
                "it depends on the scanner, its beam and its reconstruction, and no published "
                "table could be taken over whose every knot is known for sure",
                remedy="give your scanner's calibration as a CSV file with the columns hu and "
                f"value: derive --to {self.name} --curve FILE.csv, or --derive "
                f"{self.name}=FILE.csv",
            )
        if self.kvp is not None and (self.curve is not None or self.name != "mu511"):
            raise UsageError(
                f"--kvp {self.kvp} with the curve {self.curve or f'that of {self.name}'}",
                rule="only the published curves of mu511 are told apart by their tube voltage",
                remedy="leave out --kvp",
            )

    def outputs(self, output: Path) -> tuple[Path, ...]:
        """Where it goes beside ``output``: one map, or of the skull two images and a table."""
        if self.name != SKULL:
            return (companion_path(output, f"_{self.name}"),)
        ending = ".nii.gz" if is_folder(output) else None
        return skull_paths(companion_path(output, f"_{SKULL}", ending=ending))


def parse_wanted(text: str) -> Wanted:
    """Understand ``NAME`` or ``NAME=CURVE.csv``; raises UsageError."""
    name, sign, curve = text.partition("=")
    return Wanted(name, Path(curve) if sign else None)


def ensure_derivable(
    wanted: tuple[Wanted, ...], output: Path, *, source: Path, unit: str, overwrite: bool
) -> None:
    """Find out before any computing what cannot be derived from what is going to ``output``.

    Raises
    ------
    UsageError
        If ``unit`` is not HU, the output is a picture, or highdicom is missing for DICOM.
    CannotWrite
        If a file cannot be written.
    """
    if wanted and (unit != "HU" or is_picture(output)):
        raise UsageError(
            f"--derive {wanted[0].name} from {'a picture' if is_picture(output) else unit}",
            rule="quantities are derived from a volume in HU",
            remedy="leave it out, or take a model that makes CT",
        )
    for one in wanted:
        if one.curve is not None:
            read_curve(one.curve)
        for path in one.outputs(output):
            is_series = one.name != SKULL and is_folder(path)
            if is_series:
                ensure_highdicom()
            ensure_writable(path, source=source, overwrite=overwrite, folder=is_series)


def derive_beside(
    ct: DerivedFrom, wanted: Wanted, *, maker: MapMaker, overwrite: bool
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Derive one thing from a CT that was made, beside its file; returns paths and warnings."""
    paths = wanted.outputs(ct.file)
    if wanted.name == SKULL:
        skull = find_skull(ct.image)
        write_skull(skull, paths, ct, version=maker.version, overwrite=overwrite)
        return paths, (skull_warning(ct),)
    found = derive_map(ct, wanted, paths[0], maker=maker, overwrite=overwrite, told_kvp=None)
    return paths, found.warnings


@dataclass(frozen=True, eq=False)
class DerivedMap:
    """A map, the curve that it was computed by, and what is to be said of it."""

    image: Volume
    curve: Curve
    warnings: tuple[str, ...]


def derive_map(
    ct: DerivedFrom, wanted: Wanted, to: Path, *,
    maker: MapMaker, overwrite: bool, told_kvp: float | None,
) -> DerivedMap:  # fmt: skip
    """Compute a map voxel by voxel and write it; float32, on the grid of the CT.

    In DICOM it is a parametric map; else its header is that of the scan. ``told_kvp`` is the tube
    voltage in the header of the CT, None where there is none.
    """
    quantity = QUANTITIES[wanted.name]
    curve, about_curve = curve_of(wanted, told_kvp=told_kvp)
    values, about_values = apply_curve(ct.image, curve, quantity)
    made = DerivedMap(values, curve, (*about_curve, *about_values))
    if is_folder(to):
        assert ct.slices is not None  # the CT is DICOM, too
        meaning = MapMeaning(quantity.name, quantity.title, quantity.unit, curve.name)
        write_map(values, meaning, ct.slices, to=to, maker=maker, overwrite=overwrite)
    else:
        told = _sidecar_of_map(ct, wanted, made, version=maker.version)
        write_scan(
            values,
            source_header=ct.scan.source_header,
            to=to,
            overwrite=overwrite,
            sidecar=sidecar_if_nifti(to, told),
        )
    return made


def _sidecar_of_map(ct: DerivedFrom, wanted: Wanted, made: DerivedMap, *, version: str) -> Sidecar:
    """What the sidecar of a map tells: the curve in full, so that the map can be made again."""
    quantity, curve = QUANTITIES[wanted.name], made.curve
    facts = {
        "version": version,
        "quantity": quantity.name,
        "curve": curve.name,
        "curve_sha256": "" if wanted.curve is None else sha256_of_source((wanted.curve,)),
        "kvp": curve.kvp,
        "curve_edges_hu": list(curve.edges_hu),
        "curve_offsets": list(curve.offsets),
        "curve_slopes": list(curve.slopes),
        "warnings": [*ct.scan.warnings, *made.warnings],
    }
    return Sidecar(
        f"Map of {quantity.title}, derived from the HU of {ct.name}. Research use only.",
        scan=ct.scan,
        unit=quantity.unit,
        version=version,
        facts=facts,
    )


def curve_of(wanted: Wanted, *, told_kvp: float | None) -> tuple[Curve, tuple[str, ...]]:
    """Return the curve, and what is assumed about the tube voltage or odd in one's own curve.

    ``told_kvp`` is the voltage in the header of the CT, None where there is none.
    """
    quantity = QUANTITIES[wanted.name]
    if wanted.curve is not None:
        own = read_curve(wanted.curve)
        return own, water_warning(own, quantity)
    if wanted.name == "density":
        return schneider_2000(), ()
    if wanted.kvp is not None:
        curve = carney_2006(wanted.kvp)
        if told_kvp in (None, float(wanted.kvp)):
            return curve, ()
        said = f"The header of the CT says {told_kvp:g} kVp, and --kvp {wanted.kvp} is used."
        return curve, (said,)
    if told_kvp is None:
        return carney_2006(USUAL_KVP), (
            f"The input does not say its tube voltage: {USUAL_KVP} kVp is assumed, that of the CTs "
            "that the shipped models learned from; --kvp of derive says another.",
        )
    return carney_2006(round(told_kvp)), ()


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
                f"{_share(count, ct)} {side} {end_hu:g} HU, where the curve ends: its value there "
                f"was taken, {max(float(curve.at(end_hu)), 0.0):.4g} {quantity.unit}."
            )
    if negative:
        said.append(f"{_share(negative, ct)} where the curve is negative: 0 was taken.")
    return ct.with_voxels(values, unit=quantity.unit), tuple(said)


def _share(count: int, ct: Volume) -> str:
    share = f"({count / ct.voxels.size:.2%})"
    return f"{count} voxel {share} lies" if count == 1 else f"{count} voxels {share} lie"


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
