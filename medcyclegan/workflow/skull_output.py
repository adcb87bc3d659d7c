"""The skull of a CT on disk: its mask, the thickness of its vault, and a table of its regions."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from medcyclegan.imaging.skull import Region, Skull
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.naming import companion_path
from medcyclegan.io.sidecar import Sidecar, sidecar_if_nifti
from medcyclegan.io.write import write_scan
from medcyclegan.workflow.ct_source import DerivedFrom

_NOT_COMPARED = (
    "its card tells its mean error in HU, and no ratio of it was compared with one of an acquired "
    "CT. It is not for choosing patients."
)
_DIGITS = {"thickness_mean_mm": 2, "thickness_p5_mm": 2, "thickness_p95_mm": 2, "sdr": 3}


def skull_warning(ct: DerivedFrom) -> str:
    """Return what is to be said of a skull density ratio, by where the HU come from."""
    start = "A density ratio is no better than the HU inside bone."
    if not ct.is_of_a_model:
        return (
            f"{start} Those of a CT follow its tube voltage, kernel and slice thickness: compare "
            "ratios of one protocol alone."
        )
    return f"{start} Those of {ct.name} are a model's guess: {_NOT_COMPARED}"


def skull_paths(mask: Path) -> tuple[Path, Path, Path]:
    """Return where mask, thickness and table of a skull go."""
    thickness = companion_path(mask, "_thickness")
    return mask, thickness, companion_path(mask, "", ending=".csv")


def write_skull(
    skull: Skull, paths: tuple[Path, ...], ct: DerivedFrom, *, version: str, overwrite: bool
) -> None:
    """Write mask, thickness and table; NaN becomes an empty cell."""
    mask, thickness, table = paths
    parts = (("Mask of the skull", skull.mask, mask), ("Thickness", skull.thickness, thickness))
    for title, volume, path in parts:
        told = Sidecar(
            f"{title}, found in the HU of {ct.name}. Research use only.",
            scan=ct.scan,
            unit=volume.unit,
            version=version,
            facts={"version": version, "warnings": [*ct.scan.warnings, skull_warning(ct)]},
        )
        write_scan(
            volume,
            source_header=ct.scan.source_header,
            to=path,
            overwrite=overwrite,
            sidecar=sidecar_if_nifti(path, told),
        )
    with atomic_file(table, overwrite=overwrite) as part:
        part.write_text(_csv(skull.regions), encoding="utf-8")


def _csv(regions: tuple[Region, ...]) -> str:
    text = io.StringIO(newline="")
    rows = [{name: _cell(name, value) for name, value in vars(one).items()} for one in regions]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _cell(name: str, value: object) -> object:
    if not isinstance(value, float):
        return value
    return "" if math.isnan(value) else f"{value:.{_DIGITS.get(name, 0)}f}"
