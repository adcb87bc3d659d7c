"""Out-of-distribution check: features of a run against the reference ranges of its model."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Literal

import torch

from medcyclegan.core.task import BodyPart
from medcyclegan.core.volume import Volume
from medcyclegan.errors import ModelRefused
from medcyclegan.imaging.plausibility import BONE_HU
from medcyclegan.inference.slab_orientation import View
from medcyclegan.io.scan import Scan
from medcyclegan.models.card import Card, Range, ReferenceRanges
from medcyclegan.models.store import Model, find_model, load_model
from medcyclegan.quality.consistency import (
    Seen,
    cycle_information,
    planes_in,
    view_disagreement_hu,
)
from medcyclegan.quality.input_features import Figures, figures_of


@dataclass(frozen=True)
class RunFeatures:
    """What was measured of a run: ``looks`` without a network, the rest with it.

    None where it could not be, or was not asked for: other views and the way back are of synthetic
    CTs alone. ``cycle_note`` says why the way back was not measured where it might have been;
    ``reverse_sha256`` names the weights that it was measured with.
    """

    looks: Figures
    view_disagreement_hu: float | None = None
    cycle_information: float | None = None
    cycle_note: str = ""
    reverse_sha256: str | None = None

    def figures(self) -> Figures:
        """Return all that was measured, by the names that cards use."""
        crosswise = {
            "view_disagreement_hu": self.view_disagreement_hu,
            "cycle_information": self.cycle_information,
        }
        return self.looks | {name: one for name, one in crosswise.items() if one is not None}


def features_of(
    scan: Scan, made: Volume, body: Volume, view: View, model: Model, *, device: torch.device
) -> RunFeatures:
    """Measure the features of a run.

    Parameters
    ----------
    scan, made, body:
        What was given, the result and the body mask, on one grid.
    view:
        The first view: what the network was given in it, and made of it.
    """
    looks = figures_of(scan.volume, body, made, model.task, is_plane=scan.is_plane)
    if scan.is_plane or not model.task.makes_ct_of_mr:
        return RunFeatures(looks)
    planes = planes_in(view, body)
    cycle = _cycle(view, planes, model, device)
    return RunFeatures(
        looks=looks,
        view_disagreement_hu=view_disagreement_hu(view, planes, model, device=device),
        cycle_information=cycle.information,
        cycle_note=cycle.note,
        reverse_sha256=cycle.sha256,
    )


@dataclass(frozen=True)
class _Cycle:
    information: float | None = None
    note: str = ""
    sha256: str | None = None


def _cycle(view: View, planes: list[Seen], model: Model, device: torch.device) -> _Cycle:
    if model.card.reverse is None:
        return _Cycle(note="the card names no reverse model")
    try:
        reverse = installed(model.card.reverse)
    except ModelRefused as refusal:
        return _Cycle(note=f"no reverse model ({refusal.found})")
    if reverse.task.spacing_mm != model.task.spacing_mm:
        return _Cycle(note=f"the reverse model {reverse.card.name} works on another grid")
    if reverse.task.source.unit != "HU":
        return _Cycle(note=f"the reverse model {reverse.card.name} takes no CT in HU")
    information = cycle_information(view, planes, model, reverse, device=device)
    if information is None:
        return _Cycle(note="too few slices, or nothing to compare")
    return _Cycle(information, sha256=reverse.card.weights_sha256)


def installed(name: str) -> Model:
    """Open a model by name, once for all scans of a process.

    Raises
    ------
    ModelRefused
        If it is not installed, or cannot be opened.
    """
    return _opened(find_model(name))


@functools.lru_cache(maxsize=1)
def _opened(folder: Path) -> Model:
    return load_model(folder)


# How far beyond its measured range a feature may lie, as a factor either way: the range of a few
# people and of simulated heads is narrower than that of all. docs/trust.md says what it flags.
SLACK = 1.5
# Ranks within the brain hardly vary from person to person, and contrasts lie close to each other.
CONTRAST_SLACK = 1.15
# Shares and correlations below this are as good as none.
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Feature:
    """How a figure is told and judged.

    ``called`` is its name in a table, ``says`` a sentence without its end, in which ``{even}`` is
    what is the most even tissue of a part of the body, ``odd`` the side beyond the range that is
    odd at all.
    Values below ``least`` count as that, so that a range near 0 is not narrower than it means.
    """

    called: str
    says: str
    odd: Literal["both", "above", "below"] = "both"
    slack: float = SLACK
    least: float = 0.0

    def is_outside(self, value: float, within: Range) -> bool:
        """Whether a value lies beyond a range by more than the slack, on a side where it is odd."""
        value, low, high = (max(x, self.least) for x in (value, within.low, within.high))
        above = value > high * self.slack and self.odd != "below"
        below = value < low / self.slack and self.odd != "above"
        return above or below

    def sentence(self, value: float, within: Range, part: BodyPart) -> str:
        """Say what was found, and what the reference is."""
        even = f", {part.even_tissue} in {part.one}," if part.even_tissue else ""
        said = self.says.format(value, even=even)
        return f"{said}; the model's reference range is {self.range_text(within)}."

    def number(self, value: float) -> str:
        """Format a value as the sentence does."""
        shapes = (shape for _, name, shape, _ in Formatter().parse(self.says) if name == "")
        return format(value, next(shapes) or "")

    def range_text(self, within: Range) -> str:
        """Return a range in words."""
        return f"{self.number(within.low)} to {self.number(within.high)}"


def _share(called: str, says: str, odd: Literal["both", "above", "below"] = "both") -> Feature:
    return Feature(called, says, odd, least=LEAST_SHARE)


FEATURES = {
    "body_litres": Feature("Body in view, litres", "The body in view has {:.2g} litres"),
    "width_mm": Feature("Width, mm", "The body is {:.0f} mm wide"),
    "length_mm": Feature(
        "Length from back to front, mm", "The body is {:.0f} mm long from back to front"
    ),
    "height_mm": Feature("Height, mm", "The body is {:.0f} mm high"),
    "fill": Feature("Body in the box around it", "The body fills {:.0%} of the box around it"),
    "pixel_mm": Feature("Finest spacing, mm", "The finest spacing of voxels is {:.2g} mm"),
    "slice_mm": Feature("Largest spacing, mm", "The largest spacing of voxels is {:.2g} mm"),
    # more slices than known are never odd
    "slices": Feature(
        "Slices along the shortest axis",
        "The scan has {:.0f} slices or rows along its shortest axis",
        "below",
    ),
    "shorter_px": Feature("Shorter side, pixels", "The picture's shorter side has {:.0f} pixels"),
    "longer_px": Feature("Longer side, pixels", "The picture's longer side has {:.0f} pixels"),
    "dark": _share("Dark in the body", "{:.1%} of the body is dark"),
    "middle": _share(
        "Median signal in its range", "The median signal in the body is {:.0%} of its range"
    ),
    "bright": _share("Bright in the body", "{:.1%} of the body is bright"),
    # less noise is never odd
    "smoothness": Feature(
        "Correlation of neighbours", "Neighbouring voxels in the body correlate by {:.2f}", "below"
    ),
    "deep_middle": Feature(
        "Median signal deep in the body",
        "Another contrast: deep in the body, the median signal is {:.0%} of the range there",
        slack=CONTRAST_SLACK,
    ),
    "even_deep": Feature(
        "Rank of the most even tissue deep in the body",
        "Another contrast: the most even tissue deep in the body{even} is brighter than {:.0%} of "
        "what lies there",
        slack=CONTRAST_SLACK,
    ),
    "in_air": _share("Air in the input", "{:.1%} of the body is air (below -400 HU)", "above"),
    "in_fat": _share("Fat in the input", "{:.1%} of the body is fat (-150 to -40 HU)"),
    "in_soft": _share(
        "Soft tissue in the input", "{:.0%} of the body is soft tissue (-40 to 120 HU)"
    ),
    "in_bone": _share("Bone in the input", f"{{:.1%}} of the body is bone (above {BONE_HU:g} HU)"),
    "noise_hu": Feature("Noise in soft tissue, HU", "The noise in soft tissue is {:.1f} HU"),
    "bone": _share("Bone in the result", "{:.1%} of the body came out as bone"),
    # less air is never odd: a head without sinuses
    "air": _share("Air in the result", "{:.1%} of the body came out as air", "above"),
    # more soft tissue is never odd: brain in all that lies deep
    "deep_soft": _share(
        "Soft tissue deep in the body",
        "{:.0%} of what lies deep in the body came out as soft tissue",
        "below",
    ),
    "changed_hu": Feature(
        "Result less input, HU",
        "The result differs from the input by {:.1f} HU in the mean",
        "above",
    ),
    "out_dark": _share("Dark in the result", "{:.1%} of the body came out dark"),
    "out_middle": _share(
        "Median of the result in its range", "The median of the result is {:.0%} of its range"
    ),
    "out_bright": _share("Bright in the result", "{:.1%} of the body came out bright"),
    # views that agree are never odd, nor is a way back that succeeds
    "view_disagreement_hu": Feature(
        "Difference of other views, HU",
        "Other views of the same places differ by {:.0f} HU",
        "above",
    ),
    "cycle_information": Feature(
        "Information of the way back",
        "The way back to the input shares {:.3f} of its information",
        "below",
    ),
}


def out_of_distribution_warnings(features: RunFeatures, card: Card) -> tuple[str, ...]:
    """Return a sentence for each feature that lies outside the reference ranges on the card.

    The way back counts only where it was measured with the weights that the card names.
    """
    known = card.reference_ranges
    if known is None:
        return ()
    figures = features.figures()
    if features.reverse_sha256 != known.reverse_sha256:
        figures.pop("cycle_information", None)
    return tuple(
        FEATURES[name].sentence(figures[name], known.ranges[name], card.task.body_part)
        for name in outside(figures, known)
    )


def verdict_of(features: RunFeatures, out_of_distribution: tuple[str, ...]) -> str:
    """Return in one sentence whether a run is within the reference ranges of its model."""
    count = len(features.figures())
    if out_of_distribution:
        outside = len(out_of_distribution)
        lie = "lies" if outside == 1 else "lie"
        return (
            f"{outside} of {count} features {lie} outside the model's reference ranges "
            "(out-of-distribution): do not trust the result."
        )
    return f"{count} checked, all within the model's reference ranges"


def judged(features: RunFeatures, card: Card) -> tuple[tuple[str, str, str], ...]:
    """Return each feature as (what it is, its value, its reference range on the card)."""
    known = card.reference_ranges.ranges if card.reference_ranges is not None else {}
    return tuple(
        (
            FEATURES[name].called,
            FEATURES[name].number(value),
            FEATURES[name].range_text(known[name]) if name in known else "none",
        )
        for name, value in features.figures().items()
    )


def outside(figures: Figures, known: ReferenceRanges) -> list[str]:
    """Return the names of the figures that lie outside the ranges, in the order of the figures."""
    return [
        name
        for name, value in figures.items()
        if name in known.ranges and FEATURES[name].is_outside(value, known.ranges[name])
    ]
