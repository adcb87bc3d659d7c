"""All signs of a run together: what the input looks like, other views, the way back."""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from medcyclegan.doubt.crosswise import Translated, cycle_information, view_disagreement_hu
from medcyclegan.doubt.figures import Looks, looks_of
from medcyclegan.errors import ModelRefused
from medcyclegan.models.store import Model, find_model, load_model
from medcyclegan.volume import Volume


@dataclass(frozen=True)
class Signs:
    """What was measured of a run; None where it could not be.

    ``cycle_note`` says why the way back was not measured; it is empty where there is one, and
    ``reverse_sha256`` then names the weights that it was measured with.
    """

    looks: Looks
    view_disagreement_hu: float | None
    cycle_information: float | None
    cycle_note: str
    reverse_sha256: str | None

    def figures(self) -> dict[str, float]:
        """Return all that was measured, by the names that cards use."""
        crosswise = {
            "view_disagreement_hu": self.view_disagreement_hu,
            "cycle_information": self.cycle_information,
        }
        both = {**asdict(self.looks), **crosswise}
        return {name: float(value) for name, value in both.items() if value is not None}


def signs_of(
    source: Volume, made: Volume, done: Translated, model: Model, *, device: torch.device
) -> Signs:
    """Measure the signs of a run.

    Parameters
    ----------
    source, made:
        The scan's signal and the result in HU, on one grid, which ``done.body`` is on too.
    done:
        What the network was given and made in the first view.
    """
    cycle = _cycle(done, model, device)
    return Signs(
        looks=looks_of(source, done.body, made),
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
