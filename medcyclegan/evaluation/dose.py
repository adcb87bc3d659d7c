"""Dose comparisons that another program made: their schema, and reading them for a study.

The product computes no dose. A dose pipeline plans on the true CT, recomputes the plan on the
synthetic CT with the same weights, and writes one JSON file for each patient, method and plan, with
a picture of the dose-volume histograms beside it. ``docs/evaluate.md`` describes the format for
those who write it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from medcyclegan.core.text import MOST_RECORD_BYTES, parse_json, path_text, read_text
from medcyclegan.errors import InputRefused
from medcyclegan.io.case_names import composed

SCHEMA = "medcyclegan-dose-comparison"
VERSION = 1
# What every table and page of doses says.
NO_CLINICAL_CALCULATION = (
    "Doses that another program computed for research, on the machine data named: no clinical "
    "calculation."
)
# A picture of dose-volume histograms has some 100 kB; the report holds it whole.
MOST_PICTURE_BYTES = 5 * 2**20
_PNG = b"\x89PNG\r\n\x1a\n"
# Differences are given with two digits or more.
_DIFFERENCE_TOLERANCE = 0.0051

_CLOSED = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
_Text = Annotated[str, Field(min_length=1, max_length=500)]
_Name = Annotated[str, Field(min_length=1, max_length=64)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]


class Engine(BaseModel):
    """The program that computed the doses."""

    model_config = _CLOSED
    name: _Text
    version: _Text


class Beam(BaseModel):
    """A beam by its angles (degrees, IEC 61217)."""

    model_config = _CLOSED
    gantry_deg: _Finite
    couch_deg: _Finite = 0.0


class Plan(BaseModel):
    """What was planned on the true CT; ``spacing_mm`` is that of the dose grid."""

    model_config = _CLOSED
    modality: Literal["photons", "protons", "carbon"]
    beams: Annotated[tuple[Beam, ...], Field(min_length=1, max_length=100)]
    prescribed_gy: _Positive
    fractions: Annotated[int, Field(ge=1)]
    spacing_mm: tuple[_Positive, _Positive, _Positive]
    hu_conversion: _Text


class Gamma(BaseModel):
    """Share of the points that pass; only points above ``cutoff_percent`` of the norm count."""

    model_config = _CLOSED
    dose_percent: _Positive
    distance_mm: _Positive
    normalisation: Literal["global", "local"]
    cutoff_percent: _Percent
    pass_rate_percent: _Percent
    points: Annotated[int, Field(ge=1)]


class Point(BaseModel):
    """A point of a dose-volume histogram, as ``D95`` or ``mean``, on both images."""

    model_config = _CLOSED
    name: _Name
    unit: Literal["Gy", "%"]
    ct: _NotNegative
    sct: _NotNegative
    difference: _Finite | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Point:
        given = self.difference
        if given is not None and abs(given - (self.sct - self.ct)) > _DIFFERENCE_TOLERANCE:
            raise ValueError(
                f"{self.name}: difference {given:g} is not sct {self.sct:g} - ct {self.ct:g}"
            )
        return self

    @property
    def change(self) -> float:
        """Synthetic minus true CT, in the unit."""
        return self.sct - self.ct


class Structure(BaseModel):
    """A target or an organ with its points."""

    model_config = _CLOSED
    name: _Name
    role: Literal["target", "organ"]
    volume_ml: _Positive
    points: Annotated[tuple[Point, ...], Field(min_length=1, max_length=50)]


class RangeError(BaseModel):
    """Error of the proton range over the rays of a plan, in mm; ``method`` says how it was found.

    The mean is signed: synthetic minus true CT.
    """

    model_config = _CLOSED
    method: _Text
    mean_mm: _Finite
    sd_mm: _NotNegative
    p95_abs_mm: _NotNegative
    rays: Annotated[int, Field(ge=1)]


class DoseComparison(BaseModel):
    """One plan of one patient, on the true CT and recomputed on one method's synthetic CT.

    ``method`` empty stands for the one method of a study. ``figure`` is the name of a PNG beside
    the JSON file. ``range_error`` is left out where it was not computed.
    """

    model_config = _CLOSED
    schema_name: Literal["medcyclegan-dose-comparison"] = Field(alias="schema")
    version: Literal[1]
    case: _Text
    method: str = Field(default="", max_length=64)
    engine: Engine
    machine: _Text
    plan: Plan
    gamma: Gamma
    structures: Annotated[tuple[Structure, ...], Field(min_length=1, max_length=50)]
    range_error: RangeError | None = None
    figure: str = Field(default="", max_length=255)
    notes: tuple[_Text, ...] = Field(default=(), max_length=20)

    @model_validator(mode="after")
    def _is_whole(self) -> DoseComparison:
        names = [structure.name for structure in self.structures]
        if len(set(names)) < len(names):
            raise ValueError("two structures have one name")
        if not any(structure.role == "target" for structure in self.structures):
            raise ValueError("no structure is the target")
        if Path(self.figure).name != self.figure or self.figure.startswith("."):
            raise ValueError(f"figure {self.figure!r} is not the name of a file beside the JSON")
        return self


@dataclass(frozen=True, eq=False)
class DoseResult:
    """A comparison of a study's patient, under the study's name of the method; its picture."""

    case: str
    method: str
    comparison: DoseComparison
    png: bytes

    @property
    def png_base64(self) -> str:
        """The picture as a data URL holds it; empty without one."""
        return base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, eq=False)
class Doses:
    """What a folder told of a study's patients; ``warnings`` on what it did not."""

    results: tuple[DoseResult, ...] = ()
    warnings: tuple[str, ...] = ()


def read_doses(folder: Path) -> tuple[tuple[Path, DoseComparison], ...]:
    """Read every comparison in a folder, sorted by file name; other JSON files are passed over.

    Raises
    ------
    InputRefused
        If the folder cannot be read, holds no comparison, or one breaks the schema: a number that
        is left out must not look like one that is well.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json")
    except OSError as error:
        raise InputRefused(
            f"{folder}: cannot be listed ({error.strerror})",
            rule="--dose-from names the folder of a dose pipeline's results",
            remedy="check the path",
        ) from error
    found = [(path, one) for path in paths if (one := _comparison(path)) is not None]
    if not found:
        raise InputRefused(
            f"{folder} holds no dose comparison, among {len(paths)} JSON files",
            rule=f'each is a JSON file with "schema": "{SCHEMA}", "version": {VERSION}',
            remedy="name the folder that the dose pipeline wrote",
        )
    return tuple(found)


def _comparison(path: Path) -> DoseComparison | None:
    try:
        data = parse_json(read_text(path, most_bytes=MOST_RECORD_BYTES))
    except (OSError, ValueError) as error:
        raise InputRefused(f"{path}: no JSON that can be read ({error})") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        return None
    try:
        return DoseComparison.model_validate(data)
    except ValidationError as error:
        raise InputRefused(
            f"{path}: {_first(error.errors()[0])}",
            rule=f"a dose comparison keeps to {SCHEMA} {VERSION}, which docs/evaluate.md describes",
            remedy="let the dose pipeline of the same release write it",
        ) from error


def _first(fault: Any) -> str:
    place = ".".join(str(part) for part in fault["loc"]) or "the whole"
    return f"{place}: {fault['msg']}"


def doses_of(folder: Path, *, cases: Iterable[str], methods: tuple[str, ...]) -> Doses:
    """Take the comparisons that are of a study's ``cases`` and ``methods``.

    Raises
    ------
    InputRefused
        As ``read_doses``; if two are of one plan's modality, patient and method; or a picture is
        missing, too large, or no PNG.
    """
    known = {composed(case) for case in cases}
    results: list[DoseResult] = []
    others: list[str] = []
    taken: dict[tuple[str, str, str], Path] = {}
    for path, one in read_doses(folder):
        case = path_text(composed(one.case))
        method = one.method or (methods[0] if len(methods) == 1 else "")
        if case not in known or method not in methods:
            others.append(f"{case} of {method or 'no method'}")
            continue
        key = (case, method, one.plan.modality)
        if key in taken:
            raise InputRefused(
                f"{path} and {taken[key].name} are both of {case}, {method}, {one.plan.modality}",
                rule="a patient has one plan of a modality for each method",
                remedy="take one of them out",
            )
        taken[key] = path
        results.append(DoseResult(case, method, one, _picture(path, one)))
    if not results:
        named = ", ".join(others[:5])
        raise InputRefused(
            f"{folder}: none of the dose comparisons is of a scored patient: {named}",
            rule="case and method in the JSON are those of this study",
            remedy="give --pred NAME=PATH the name that the dose pipeline used",
        )
    lacking = sorted(known - {result.case for result in results})
    return Doses(tuple(results), (*_left_over(others), *_lacking(lacking)))


def _left_over(others: list[str]) -> tuple[str, ...]:
    if not others:
        return ()
    return (f"Dose comparisons of no scored patient are left out: {', '.join(others[:10])}.",)


def _lacking(cases: list[str]) -> tuple[str, ...]:
    if not cases:
        return ()
    return (f"No dose comparison was given for {', '.join(cases[:10])}.",)


def _picture(path: Path, one: DoseComparison) -> bytes:
    if not one.figure:
        return b""
    picture = path.parent / one.figure
    try:
        with picture.open("rb") as file:
            png = file.read(MOST_PICTURE_BYTES + 1)
    except OSError as error:
        raise InputRefused(
            f"{picture}: cannot be read ({error.strerror}), and {path.name} names it as its figure"
        ) from error
    if len(png) > MOST_PICTURE_BYTES or not png.startswith(_PNG):
        raise InputRefused(
            f"{picture}: {len(png)} bytes",
            rule=f"a figure is a PNG of at most {MOST_PICTURE_BYTES} bytes",
        )
    return png


def dose_rows(results: Sequence[DoseResult]) -> list[dict[str, str | int | float | None]]:
    """A row for each point of each structure, as ``dose.csv`` has it."""
    return [
        {
            "case": result.case,
            "method": result.method,
            "modality": one.plan.modality,
            "structure": structure.name,
            "role": structure.role,
            "point": point.name,
            "unit": point.unit,
            "ct": point.ct,
            "sct": point.sct,
            "difference": round(point.change, 6),
            "gamma_criterion": gamma_text(one.gamma),
            "gamma_pass_percent": one.gamma.pass_rate_percent,
            "range_error_mean_mm": None if one.range_error is None else one.range_error.mean_mm,
            "machine": one.machine,
        }
        for result in results
        for one in (result.comparison,)
        for structure in one.structures
        for point in structure.points
    ]


def gamma_text(gamma: Gamma) -> str:
    """The criterion as people write it: ``2 %/2 mm, global, above 10 %``."""
    return (
        f"{gamma.dose_percent:g} %/{gamma.distance_mm:g} mm, {gamma.normalisation}, "
        f"above {gamma.cutoff_percent:g} %"
    )


def range_text(error: RangeError | None) -> str:
    """A range error as people read it."""
    if error is None:
        return "not computed"
    mean = f"{error.mean_mm:+.1f}".replace("-", "\N{MINUS SIGN}")
    return (
        f"{mean} \N{PLUS-MINUS SIGN} {error.sd_mm:.1f} mm, 95 % of |error| below "
        f"{error.p95_abs_mm:.1f} mm ({error.rays} rays; {error.method})"
    )
