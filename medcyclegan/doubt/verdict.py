"""Whether signs lie within what a model knows, in sentences."""

from __future__ import annotations

from medcyclegan.doubt.signs import Signs
from medcyclegan.models.card import Card
from medcyclegan.models.known import Range

# How far beyond its measured range a sign may lie, as a factor either way: the range of a few
# people and of simulated heads is narrower than that of all. docs/trust.md says what it flags.
SLACK = 1.5
# Less of these is never odd: views that agree, a head without sinuses.
ODD_ABOVE = frozenset({"view_disagreement_hu", "air"})
# More of these is never odd: less noise, brain in all that lies deep, a way back that succeeds.
ODD_BELOW = frozenset({"smoothness", "deep_soft", "cycle_information"})

_SAYS = {
    "body_litres": "The body in view has {:.2g} litres",
    "width_mm": "The body is {:.0f} mm wide",
    "length_mm": "The body is {:.0f} mm long from back to front",
    "height_mm": "The body is {:.0f} mm high",
    "fill": "The body fills {:.0%} of the box around it",
    "dark": "{:.1%} of the body is dark",
    "middle": "The median signal in the body is {:.0%} of its range",
    "bright": "{:.1%} of the body is bright",
    "smoothness": "Neighbouring voxels in the body correlate by {:.2f}",
    "bone": "{:.1%} of the body came out as bone",
    "air": "{:.1%} of the body came out as air",
    "deep_soft": "{:.0%} of what lies deep in the body came out as soft tissue",
    "view_disagreement_hu": "Other views of the same places differ by {:.0f} HU",
    "cycle_information": "The way back to the input shares {:.3f} of its information",
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
    """Return a sentence for each sign that lies outside what the model knows, by its card.

    The way back counts only where it was measured with the weights that the card names.
    """
    known = card.known
    if known is None:
        return ()
    found: list[str] = []
    for name, value in signs.figures().items():
        within = known.range_of(name)
        if name == "cycle_information" and signs.reverse_sha256 != known.reverse_sha256:
            continue
        if within is not None and is_outside(name, value, within):
            found.append(_sentence(name, value, within))
    return tuple(found)


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
    """Return each sign as (what it is, its value, what the model knows by its card)."""
    rows = []
    for name, value in signs.figures().items():
        within = None if card.known is None else card.known.range_of(name)
        number = _number_of(_SAYS[name])
        known = "not known"
        if within is not None:
            known = f"{number.format(within.low)} to {number.format(within.high)}"
        rows.append((_CALLED[name], number.format(value), known))
    return tuple(rows)


def is_outside(name: str, value: float, within: Range) -> bool:
    """Whether a sign lies beyond its range by more than the slack, on a side where that is odd."""
    above = value > within.high * SLACK and name not in ODD_BELOW
    below = value < within.low / SLACK and name not in ODD_ABOVE
    return above or below


def _sentence(name: str, value: float, within: Range) -> str:
    says = _SAYS[name]
    number = _number_of(says)
    low, high = number.format(within.low), number.format(within.high)
    return f"{says.format(value)}; of what the model knows, {low} to {high}."


def _number_of(says: str) -> str:
    """How a sentence formats its number."""
    return says[says.index("{") : says.index("}") + 1]
