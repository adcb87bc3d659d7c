"""Whether signs lie within the reference ranges of a model, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from medcyclegan.doubt.figures import Figures
from medcyclegan.doubt.signs import Signs
from medcyclegan.models.card import Card
from medcyclegan.models.reference_ranges import Range, ReferenceRanges
from medcyclegan.plausibility import BONE_HU

# How far beyond its measured range a sign may lie, as a factor either way: the range of a few
# people and of simulated heads is narrower than that of all. docs/trust.md says what it flags.
SLACK = 1.5
# Ranks within the brain hardly vary from person to person, and contrasts lie close to each other.
CONTRAST_SLACK = 1.15
# Shares and correlations below this are as good as none.
LEAST_SHARE = 0.01


@dataclass(frozen=True)
class Sign:
    """How a figure is told and judged.

    ``called`` is its name in a table, ``says`` a sentence without its end, ``odd`` the side beyond
    the range that is odd at all.
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

    def sentence(self, value: float, within: Range) -> str:
        """Say what was found, and what the reference is."""
        return f"{self.says.format(value)}; of what the model knows, {self.range_text(within)}."

    def number(self, value: float) -> str:
        """Format a value as the sentence does."""
        return self.says[self.says.index("{") : self.says.index("}") + 1].format(value)

    def range_text(self, within: Range) -> str:
        """Return a range in words."""
        return f"{self.number(within.low)} to {self.number(within.high)}"


def _share(called: str, says: str, odd: Literal["both", "above", "below"] = "both") -> Sign:
    return Sign(called, says, odd, least=LEAST_SHARE)


SIGNS = {
    "body_litres": Sign("Body in view, litres", "The body in view has {:.2g} litres"),
    "width_mm": Sign("Width, mm", "The body is {:.0f} mm wide"),
    "length_mm": Sign(
        "Length from back to front, mm", "The body is {:.0f} mm long from back to front"
    ),
    "height_mm": Sign("Height, mm", "The body is {:.0f} mm high"),
    "fill": Sign("Body in the box around it", "The body fills {:.0%} of the box around it"),
    "pixel_mm": Sign("Finest spacing, mm", "The finest spacing of voxels is {:.2g} mm"),
    "slice_mm": Sign("Largest spacing, mm", "The largest spacing of voxels is {:.2g} mm"),
    # more slices than known are never odd
    "slices": Sign(
        "Slices along the shortest axis",
        "The scan has {:.0f} slices or rows along its shortest axis",
        "below",
    ),
    "shorter_px": Sign("Shorter side, pixels", "The picture's shorter side has {:.0f} pixels"),
    "longer_px": Sign("Longer side, pixels", "The picture's longer side has {:.0f} pixels"),
    "dark": _share("Dark in the body", "{:.1%} of the body is dark"),
    "middle": _share(
        "Median signal in its range", "The median signal in the body is {:.0%} of its range"
    ),
    "bright": _share("Bright in the body", "{:.1%} of the body is bright"),
    # less noise is never odd
    "smoothness": Sign(
        "Correlation of neighbours", "Neighbouring voxels in the body correlate by {:.2f}", "below"
    ),
    "deep_middle": Sign(
        "Median signal deep in the body",
        "Another contrast: deep in the body, the median signal is {:.0%} of the range there",
        slack=CONTRAST_SLACK,
    ),
    "even_deep": Sign(
        "Rank of the most even tissue deep in the body",
        "Another contrast: the most even tissue deep in the body, white matter in a head, is "
        "brighter than {:.0%} of what lies there",
        slack=CONTRAST_SLACK,
    ),
    "in_air": _share("Air in the input", "{:.1%} of the body is air (below -400 HU)", "above"),
    "in_fat": _share("Fat in the input", "{:.1%} of the body is fat (-150 to -40 HU)"),
    "in_soft": _share(
        "Soft tissue in the input", "{:.0%} of the body is soft tissue (-40 to 120 HU)"
    ),
    "in_bone": _share("Bone in the input", f"{{:.1%}} of the body is bone (above {BONE_HU:g} HU)"),
    "noise_hu": Sign("Noise in soft tissue, HU", "The noise in soft tissue is {:.1f} HU"),
    "bone": _share("Bone in the result", "{:.1%} of the body came out as bone"),
    # less air is never odd: a head without sinuses
    "air": _share("Air in the result", "{:.1%} of the body came out as air", "above"),
    # more soft tissue is never odd: brain in all that lies deep
    "deep_soft": _share(
        "Soft tissue deep in the body",
        "{:.0%} of what lies deep in the body came out as soft tissue",
        "below",
    ),
    "changed_hu": Sign(
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
    "view_disagreement_hu": Sign(
        "Difference of other views, HU",
        "Other views of the same places differ by {:.0f} HU",
        "above",
    ),
    "cycle_information": Sign(
        "Information of the way back",
        "The way back to the input shares {:.3f} of its information",
        "below",
    ),
}

_CALLED = {
    "body_litres": "Body in view, litres",
    "width_mm": "Width, mm",
    "length_mm": "Length from back to front, mm",
    "height_mm": "Height, mm",
    "fill": "Body in the box around it",
    "dark": "Dark in the body",
    "middle": "Median signal in its range",
    "bright": "Bright in the body",
    "smoothness": "Correlation of neighbours",
    "bone": "Bone in the result",
    "air": "Air in the result",
    "deep_soft": "Soft tissue deep in the body",
    "view_disagreement_hu": "Difference of other views, HU",
    "cycle_information": "Information of the way back",
}


def doubts_of(signs: Signs, card: Card) -> tuple[str, ...]:
    """Return a sentence for each sign that lies outside the reference ranges on the card.

    The way back counts only where it was measured with the weights that the card names.
    """
    known = card.reference_ranges
    if known is None:
        return ()
    figures = signs.figures()
    if signs.reverse_sha256 != known.reverse_sha256:
        figures.pop("cycle_information", None)
    return tuple(
        SIGNS[name].sentence(figures[name], known.ranges[name]) for name in outside(figures, known)
    )


def verdict_of(signs: Signs, doubts: tuple[str, ...]) -> str:
    """Return in one sentence whether the model knows such an input."""
    count = len(signs.figures())
    if doubts:
        return (
            f"{len(doubts)} of {count} signs say that the model does not know such an input: "
            "do not trust the result."
        )
    return f"{count} checked, all as in what the model knows"


def judged(signs: Signs, card: Card) -> tuple[tuple[str, str, str], ...]:
    """Return each sign as (what it is, its value, its reference range on the card)."""
    known = card.reference_ranges.ranges if card.reference_ranges is not None else {}
    return tuple(
        (
            SIGNS[name].called,
            SIGNS[name].number(value),
            SIGNS[name].range_text(known[name]) if name in known else "not known",
        )
        for name, value in signs.figures().items()
    )


def outside(figures: Figures, known: ReferenceRanges) -> list[str]:
    """Return the names of the figures that lie outside the ranges, in the order of the figures."""
    return [
        name
        for name, value in figures.items()
        if name in known.ranges and SIGNS[name].is_outside(value, known.ranges[name])
    ]
