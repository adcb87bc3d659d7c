"""All signs of a run together: what the input looks like, other views, the way back."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import torch

from medcyclegan.doubt.crosswise import Translated, cycle_information, view_disagreement_hu
from medcyclegan.doubt.figures import Figures, figures_of
from medcyclegan.errors import ModelRefused
from medcyclegan.io.scan import Scan
from medcyclegan.models.store import Model, find_model, load_model
from medcyclegan.volume import Volume


@dataclass(frozen=True)
class Signs:
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


def signs_of(
    scan: Scan, made: Volume, done: Translated, model: Model, *, device: torch.device
) -> Signs:
    """Measure the signs of a run.

    Parameters
    ----------
    scan, made:
        What was given and the result, on one grid, which ``done.body`` is on too.
    done:
        What the network was given and made in the first view.
    """
    looks = figures_of(scan.volume, done.body, made, model.task, is_plane=scan.is_plane)
    if scan.is_plane or not model.task.makes_ct_of_mr:
        return Signs(looks)
    cycle = _cycle(done, model, device)
    return Signs(
        looks=looks,
        view_disagreement_hu=view_disagreement_hu(done, model, device=device),
        cycle_information=cycle.information,
        cycle_note=cycle.note,
        reverse_sha256=cycle.sha256,
    )


@dataclass(frozen=True)
class _Cycle:
    information: float | None = None
    note: str = ""
    sha256: str | None = None


def _cycle(done: Translated, model: Model, device: torch.device) -> _Cycle:
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
    information = cycle_information(done, model, reverse, device=device)
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
