"""Which images a picture of a translation shows side by side, and in which windows."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import check_same_grid
from medcyclegan.evaluation.views import in_viewing_order
from medcyclegan.volume import FloatVoxels, Volume

# Level and width in HU, as radiology has them: brain and muscle apart; all of the skull.
SOFT_TISSUE = (40.0, 400.0)
BONE = (400.0, 2000.0)

# Beyond this the difference is saturated: bone that is missed altogether, or air for tissue.
DIFFERENCE_HU = 300.0
# Between a CT and what was made of it: noise of a low dose stays visible, edges stand out.
CHANGE_HU = 100.0


@dataclass(frozen=True)
class Names:
    """What the input and the output of a translation are called in pictures and reports."""

    source: str = "MR"
    made: str = "Synthetic CT"

    @property
    def research_use(self) -> str:
        """What every picture and report begins with."""
        return f"{self.made}: research use only"


NAMES = Names()


@dataclass(frozen=True)
class Column:
    """One image of the panel: voxels in viewing order, shown from ``low`` to ``high``.

    ``has_scale``: with a bar that tells how long 50 mm are.
    """

    title: str
    voxels: FloatVoxels
    low: float
    high: float
    unit: str
    colours: str = "gray"
    has_scale: bool = False


def columns_of(mr: Volume, sct: Volume, ct: Volume | None, names: Names) -> list[Column]:
    """Return the columns for an input, an output and, if there is one, the true CT.

    Raises
    ------
    InputRefused
        If the grids differ, or the true CT is not in HU.
    """
    check_same_grid(mr, sct, name=names.made)
    columns = [*_shown(names.source, mr), *_shown(names.made, sct)]
    if ct is not None:
        check_same_grid(mr, ct, name="True CT")
        if ct.unit != "HU":
            raise InputRefused(f"True CT in {ct.unit}", rule="its windows are in HU")
        title = "Synthetic - true CT"
        columns += [*_shown("True CT", ct), _difference(title, sct, ct, DIFFERENCE_HU)]
    elif mr.unit == sct.unit == "HU":
        columns.append(_difference("Output - input", sct, mr, CHANGE_HU))
    columns[0] = replace(columns[0], has_scale=True)
    return columns


def uncertainty_column(name: str, uncertainty: Volume, mr: Volume) -> Column:
    """Return the column of a map of uncertainty: in HU up to ``DIFFERENCE_HU``, else to its 99 %.

    Raises
    ------
    InputRefused
        If it is not on the grid of the input.
    """
    check_same_grid(mr, uncertainty, name=name)
    voxels = in_viewing_order(uncertainty)
    most = DIFFERENCE_HU
    if uncertainty.unit != "HU":
        most = max(float(np.percentile(voxels, 99.0)), 1e-6)
    title = f"{name}\n0 to {most:.3g} {uncertainty.unit}"
    return Column(title, voxels, 0.0, most, uncertainty.unit, "magma")


def _shown(name: str, image: Volume) -> list[Column]:
    """An image in two windows if it is in HU, else from its darkest to its brightest."""
    voxels = in_viewing_order(image)
    if image.unit != "HU":
        low, high = (float(p) for p in np.percentile(voxels, (0.5, 99.5)))
        return [Column(name, voxels, low, max(high, low + 1e-6), image.unit)]
    columns = []
    for window, (level, width) in (("soft tissue", SOFT_TISSUE), ("bone", BONE)):
        title = f"{name}, {window}\nW {width:.0f} L {level:.0f} HU"
        half = width / 2.0
        columns.append(Column(title, voxels, level - half, level + half, "HU"))
    return columns


def _difference(title: str, one: Volume, other: Volume, most_hu: float) -> Column:
    error = in_viewing_order(one) - in_viewing_order(other)
    title = f"{title}\n\N{PLUS-MINUS SIGN}{most_hu:.0f} HU"
    return Column(title, error, -most_hu, most_hu, "HU", "RdBu_r")
