"""Errors of water-equivalent paths: by beam over the cohort, and as maps of one patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from medcyclegan.evaluation.study.figure_style import (
    MINUS,
    REFERENCE_COLOUR,
    WIDE_MM,
    Drawn,
    colour,
    light_grid,
    marker,
    new_figure,
)
from medcyclegan.evaluation.study.further import BeamScore
from medcyclegan.evaluation.study.load import PatientImages, load_mask
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.statistics import Measured
from medcyclegan.evaluation.water_paths import (
    BeamErrors,
    ErrorStatistics,
    WaterPathOptions,
    path_errors,
    true_paths,
)

COLUMNS = 6
COLOURS = "RdBu_r"
# Of the maps: the least reach of their colours, and the share of the rays that lies within.
LEAST_REACH_MM, REACH_PERCENTILE = 1.0, 99.0


def errors_of(
    images: PatientImages, patient: Patient, methods: Sequence[str], options: WaterPathOptions
) -> dict[str, tuple[BeamErrors, ...]]:
    """The errors along the beams through one patient that was scored, by method."""
    target = None
    if patient.target is not None:
        # Its place was asked for when it was scored.
        target = load_mask(patient.target, images.ct, ref_is_placed=False, named="target").mask
    paths = true_paths(images.ct, images.mask, options, target=target)
    return {method: path_errors(images.scts[method], paths) for method in methods}


def draw_beams(
    results: Sequence[Measured], methods: Sequence[str], options: WaterPathOptions
) -> Drawn:
    """Draw mean and spread of the errors against the gantry angle, of results with beams."""
    with_range = any(beam.range_error is not None for r in results for beam in r.beams)
    rows = 2 if with_range else 1
    figure = new_figure(WIDE_MM, 62.0 * rows)
    panels = figure.subplots(rows, 2, squeeze=False, sharex=True)
    for (left, right), what in zip(panels, ("WEPL", "Range"), strict=False):
        for number, method in enumerate(methods):
            found = [[_one(b, what) for b in r.beams] for r in results if r.method == method]
            if found:
                _line(left, [[s.mean_mm for s in beams] for beams in found], number, method)
                _line(right, [[s.p95_abs_mm for s in beams] for beams in found], number, method)
        unit = "mm of water" if what == "WEPL" else "mm"
        left.axhline(0.0, color=REFERENCE_COLOUR, linewidth=0.6)
        name = what if what == "WEPL" else what.lower()
        left.set_ylabel(f"Mean {name} error,\nsCT {MINUS} CT ({unit})")
        right.set_ylabel(f"95 % of |{name} error|\nbelow ({unit})")
        right.set_ylim(bottom=0.0)
    for axes in panels[-1]:
        axes.set_xlabel("Gantry angle (\N{DEGREE SIGN})")
    for axes in panels.ravel():
        light_grid(axes)
        angles = [f"{angle:g}" for angle in options.gantry_deg]
        axes.set_xticks(range(len(angles)), angles, rotation=90 if len(angles) > 14 else 0)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(methods)))
    return Drawn(
        "wepl_by_beam",
        "Water-equivalent path by beam",
        "Error of the water-equivalent path length of parallel rays, by gantry angle (0: from the "
        "front, 90: from the patient's left). Lines: mean over patients; points: patients. "
        f"Stopping power: {options.curve.name}; tube voltage: {options.kvp}."
        + (" Range error: how much too deep a proton stops that is planned to stop behind the "
           "target." if with_range else ""),
        figure,
    )  # fmt: skip


def _one(beam: BeamScore, what: str) -> ErrorStatistics:
    missing = ErrorStatistics(0, np.nan, np.nan, np.nan)
    return beam.wepl if what == "WEPL" else beam.range_error or missing


def _line(axes: Axes, curves: Sequence[Sequence[float]], number: int, label: str) -> None:
    """Draw patients (n, beams) as points, and their mean."""
    values = np.array(curves)
    places = np.arange(values.shape[1])
    for curve in values:
        axes.plot(
            places, curve, marker(number), color=colour(number), markersize=2.2, alpha=0.5,
            markeredgewidth=0,
        )  # fmt: skip
    finite = np.isfinite(values).any(axis=0)
    means = np.array([np.nanmean(column) for column in values[:, finite].T])
    axes.plot(places[finite], means, color=colour(number), linewidth=1.2, label=label)


def draw_maps(errors: Sequence[BeamErrors], method: str, case: str, *, name: str) -> Drawn:
    """Draw a map for each beam, as seen from its source, all in one scale of mm."""
    columns = min(COLUMNS, len(errors))
    rows = -(-len(errors) // columns)
    maps = [beam.map_mm() for beam in errors]
    height, width = np.max([seen.shape for seen in maps], axis=0)
    cell_mm = min(60.0, 0.85 * WIDE_MM / columns * height / width)
    figure = new_figure(WIDE_MM, 4.0 + (7.0 + cell_mm) * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    sizes = np.abs(np.concatenate([beam.wepl_mm for beam in errors]))
    reach = max(LEAST_REACH_MM, float(np.ceil(np.percentile(sizes, REACH_PERCENTILE))))
    norm = Normalize(-reach, reach)
    for axes, beam, seen in zip(panels, errors, maps, strict=False):
        axes.imshow(seen, cmap=COLOURS, norm=norm, interpolation="nearest")
        middle = (seen.shape[1] - 1) / 2.0
        axes.set(xticks=[], yticks=[], facecolor="#d9d9d9", ylim=(height - 0.5, -0.5))
        axes.set_xlim(middle - width / 2.0, middle + width / 2.0)  # all in one scale
        axes.set_title(f"{beam.gantry_deg:g}\N{DEGREE SIGN}")
        for side in axes.spines.values():
            side.set_visible(False)
    for axes in panels[len(errors) :]:
        axes.set_axis_off()
    figure.colorbar(
        ScalarMappable(norm, COLOURS), ax=list(panels), shrink=0.8, extend="both",
        label=f"sCT {MINUS} CT (mm of water)",
    )  # fmt: skip
    return Drawn(
        name,
        f"Maps of the water-equivalent path error, {method}",
        f"Synthetic minus true water-equivalent path of each ray, beam by beam, as seen from the "
        f"source with the head up. Patient {case} has the median MAE, averaged over the methods. "
        f"Colours are saturated at \N{PLUS-MINUS SIGN}{reach:g} mm; grey: no ray.",
        figure,
    )
