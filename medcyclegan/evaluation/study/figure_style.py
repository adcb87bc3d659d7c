"""How the figures of a study look: sizes, fonts and colours for print.

Drawn with matplotlib's object interface, so that no display is needed. Everything is drawn and
saved inside ``drawing()``, which sets the style and restores what was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MM_PER_INCH = 25.4
# One and a half and two columns of the usual journal.
NARROW_MM, WIDE_MM = 120.0, 180.0
DOTS_PER_INCH = 200

# Okabe and Ito 2008: told apart with any kind of colour vision, and in grey by their order.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
LINES = ("-", "--", "-.", ":")

REFERENCE_COLOUR = "#1a1a1a"
# Of letters and lines on grey images.
MARK_COLOUR = "gold"

# Level and width in HU.
SOFT_TISSUE = (40.0, 400.0)
BONE = (400.0, 2000.0)
MINUS = "\N{MINUS SIGN}"

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # fonts that journals and editors of vector files can use
    "savefig.dpi": DOTS_PER_INCH,
    "figure.dpi": DOTS_PER_INCH,
}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure with its file name, title and caption; the caption names the protocol."""

    name: str
    title: str
    caption: str
    figure: Figure


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and save in the style of this module."""
    with style.context(_STYLE):
        yield


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """Make an empty figure of a printed size, whose parts make room for their labels."""
    figure = Figure((width_mm / MM_PER_INCH, height_mm / MM_PER_INCH), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def colour(number: int) -> str:
    """The colour of a method by its place in the study."""
    return COLOURS[number % len(COLOURS)]


def marker(number: int) -> str:
    """The marker of a method by its place in the study."""
    return MARKERS[number % len(MARKERS)]


def line(number: int) -> str:
    """The line style of a method by its place in the study."""
    return LINES[number % len(LINES)]


def wrapped(name: str, width: int = 14) -> str:
    """A method's name in lines that fit under an axis."""
    return "\n".join(wrap(name, width)) or name


def plain(text: str) -> str:
    """Keep matplotlib from taking dollar signs in a name for mathematics."""
    return text.replace("$", r"\$")


def light_grid(axes: Axes) -> None:
    """Draw thin level lines behind the data."""
    axes.grid(axis="y", color="#d9d9d9", linewidth=0.5)
    axes.set_axisbelow(True)
