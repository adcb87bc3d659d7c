"""HTML report of a study, with the viewer of its patients."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from medcyclegan.evaluation.dose import NO_CLINICAL_CALCULATION, gamma_text, range_text
from medcyclegan.evaluation.pictures import DIFFERENCE_HU
from medcyclegan.evaluation.report import page_template
from medcyclegan.evaluation.study.figure_style import DOTS_PER_INCH
from medcyclegan.evaluation.study.load import PatientImages
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.plan import Kind
from medcyclegan.evaluation.study.score_columns import FAMILIES, Metric, value_of
from medcyclegan.evaluation.study.statistics import ALL
from medcyclegan.evaluation.study.tables import Study
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer
from medcyclegan.evaluation.views import MOST_VOXELS

# Of all images on a page: about a byte each, and browsers take long to open much larger files.
MOST_VOXELS_OF_PAGE = 80_000_000
# Below this an image of a head has voxels of 3 mm and more, and shows little.
_LEAST_VOXELS_OF_IMAGE = 300_000


def patient_viewer(images: PatientImages, *, patients: int) -> Viewer:
    """Make what the page holds of one patient; of a study of many ``patients`` copies are coarser.

    The CT and the first method are blended at first.
    """
    is_ct = images.ct.unit == "HU"
    true = "CT" if is_ct else "True"
    shown = {} if images.mr is None else {"MR": images.mr}
    shown[true] = images.ct
    made = {_name(method) if is_ct else method: sct for method, sct in images.scts.items()}
    shown |= made
    differences = [
        Difference(f"{name} \N{MINUS SIGN} CT", name, "CT", DIFFERENCE_HU) for name in made if is_ct
    ]
    share = MOST_VOXELS_OF_PAGE // (patients * len(shown))
    return make_viewer(
        shown,
        differences=differences,
        layers=(true, next(iter(made))),
        body=images.mask,
        most_voxels=max(_LEAST_VOXELS_OF_IMAGE, min(MOST_VOXELS, share)),
    )


def _name(method: str) -> str:
    return f"sCT {method}"


_Any = TypeVar("_Any")

# A figure of two journal columns then fills the page; its letters are a little larger than printed.
SHOWN_PER_INCH = 136


@dataclass(frozen=True)
class Picture:
    """A figure for the page, as PNG."""

    name: str
    title: str
    caption: str
    png: bytes

    @property
    def width_px(self) -> int:
        """How wide the page shows it, in CSS pixels, so that letters in all figures are alike."""
        stored_px = int.from_bytes(self.png[16:20], "big")  # in the header of every PNG
        return round(stored_px / DOTS_PER_INCH * SHOWN_PER_INCH)

    @property
    def base64(self) -> str:
        """The PNG as a data URL holds it."""
        return base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True)
class Cell:
    """A number of a table: how it is shown, and what it is sorted by."""

    text: str
    sort_key: str


@dataclass(frozen=True, eq=False)
class PatientSection:
    """What the page says of one patient.

    ``scores`` holds a row of cells by method, in the order of the study's metrics. ``viewer`` is
    None where the page shows no images.
    """

    case: str
    group: str
    scores: dict[str, tuple[Cell, ...]]
    notes: tuple[str, ...]
    viewer: Viewer | None


@dataclass(frozen=True, eq=False)
class StudyReport:
    """What the page is rendered from."""

    study: Study
    metrics: tuple[Metric, ...]
    pictures: tuple[Picture, ...]
    patients: tuple[PatientSection, ...]


def patient_sections(study: Study) -> list[PatientSection]:
    """A section for each patient that was scored, in the order of their names."""
    return [_section(study, patient) for patient in study.patients]


def render_study(
    study: Study, *, pictures: Sequence[Picture], patients: Sequence[PatientSection]
) -> str:
    """Return the report as the text of an HTML file."""
    report = StudyReport(study, study.metrics, tuple(pictures), tuple(patients))
    return page_template("study_report.html.j2").render(
        report=report,
        study=study,
        metrics=study.metrics,
        families=_families(study),
        title=_TITLES[study.request.kind or "ct"],
        measure="protocol" if study.is_of_ct else "range",
        path_text=_path_text(study),
        no_clinical_calculation=NO_CLINICAL_CALCULATION,
        gamma_text=gamma_text,
        range_text=range_text,
        summary=_summary_blocks(study),
        comparisons=_comparison_rows(study),
        resampled={(r.case, r.method) for r in study.results if r.resampled},
    )


_TITLES: dict[Kind, str] = {
    "ct": "Synthetic CT study",
    "mr": "Translated MR study",
    "picture": "Translated picture study",
}


def _path_text(study: Study) -> str:
    """How the paths were taken, in words."""
    options = study.request.water_paths
    if options is None:
        return ""
    ends = "where they leave the body" if study.paths == "body" else "behind the target"
    angles = ", ".join(f"{angle:g}" for angle in options.gantry_deg)
    return (
        f"Stopping power: {options.curve.name}; tube voltage: {options.kvp}. Beams at gantry "
        f"{angles} degrees, rays end {ends}. A surrogate of proton range, and no plan."
    )


def _section(study: Study, patient: Patient) -> PatientSection:
    scores = {
        result.method: tuple(cell(value_of(result, metric), metric) for metric in study.metrics)
        for result in study.results
        if result.case == patient.case
    }
    return PatientSection(
        case=patient.case,
        group=study.groups.get(patient.case, ""),
        scores=scores,
        notes=study.notes_on(patient.case),
        viewer=study.viewers.get(patient.case),
    )


@dataclass(frozen=True)
class Table:
    """A family of scores as the page shows it: title, and the places of its scores in a row."""

    key: str
    title: str
    metrics: tuple[Metric, ...]
    places: tuple[int, ...]

    def of(self, row: Sequence[_Any]) -> list[_Any]:
        """Take the cells of this table out of a row of all scores."""
        return [row[place] for place in self.places]


def _families(study: Study) -> list[Table]:
    tables = []
    for family, title in FAMILIES.items():
        places = tuple(n for n, m in enumerate(study.metrics) if m.family == family)
        if places:
            tables.append(Table(family, title, tuple(study.metrics[n] for n in places), places))
    return tables


def cell(value: float, metric: Metric) -> Cell:
    """A score as people read it; a dash where it is not defined."""
    if math.isnan(value):
        return Cell("\N{EN DASH}", "")
    if math.isinf(value):
        return Cell("\N{INFINITY}", "Infinity")
    text = f"{value:.{metric.digits}f}"
    return Cell(text.replace("-", "\N{MINUS SIGN}"), repr(value))


@dataclass(frozen=True)
class SummaryCell:
    """A score of a method in a group, in parts; ``sd`` is empty of one patient, who has none."""

    mean: str
    sd: str
    median: str
    interval: str
    n: int


def _summary_blocks(study: Study) -> list[tuple[str, int, list[tuple[str, list[SummaryCell]]]]]:
    """For each group its title, its number of patients, and a row of cells for each method."""
    blocks = []
    for group in dict.fromkeys(s.group for s in study.summaries):
        rows = []
        for method in study.methods:
            mine = [s for s in study.summaries if s.group == group and s.method == method]
            cells = []
            for s in mine:
                mean, sd, median, low, high = (
                    cell(v, s.metric).text for v in (s.mean, s.sd, s.median, s.low, s.high)
                )
                sd = "" if math.isnan(s.sd) else sd
                interval = "" if math.isnan(s.low) else f"{low} to {high}"
                cells.append(SummaryCell(mean, sd, median, interval, s.n))
            rows.append((method, cells))
        patients = max(c.n for _, cells in rows for c in cells)
        blocks.append(("All patients" if group == ALL else group, patients, rows))
    return blocks


def _comparison_rows(study: Study) -> list[tuple[str, str, str, int, str, str, str, bool]]:
    return [
        (
            c.metric.title,
            c.first,
            c.second,
            c.n,
            cell(c.median_difference, c.metric).text,
            _p_text(c.p),
            _p_text(c.p_holm),
            c.p_holm < 0.05,
        )
        for c in study.comparisons
    ]


def _p_text(p: float) -> str:
    if math.isnan(p):
        return "\N{EN DASH}"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
