"""The outcome of a study: what was scored, what could not be, and the cohort in numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from medcyclegan.evaluation.study.measure import Measured
from medcyclegan.evaluation.study.patient import Patient, Refusal
from medcyclegan.evaluation.study.plan import StudyRequest
from medcyclegan.evaluation.study.statistics import Comparison, Summary


@dataclass(frozen=True, eq=False)
class Study:
    """What ``evaluate_study`` found.

    ``unmatched`` are images that found no partner by name, ``refused`` those that could not be
    scored. ``notes`` tells by patient what was done to its reference, mask or MR; ``warnings``
    are of the study as a whole. ``groups`` holds the group of each patient that has one.
    """

    request: StudyRequest
    version: str
    made_at: datetime
    patients: tuple[Patient, ...]
    results: tuple[Measured, ...]
    unmatched: tuple[Refusal, ...]
    refused: tuple[Refusal, ...]
    notes: dict[str, tuple[str, ...]]
    warnings: tuple[str, ...]
    groups: dict[str, str]
    summaries: tuple[Summary, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def protocol(self) -> str:
        """The protocol that every number of the study is by."""
        return self.request.protocol

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods of which an image was scored, in the order they were given in."""
        scored = {result.method for result in self.results}
        return tuple(m.name for m in self.request.methods if m.name in scored)

    @property
    def mask_text(self) -> str:
        """Where the body masks come from, in words."""
        if self.request.mask is None:
            return "found in each reference CT (values above -400 HU, filled, without the couch)"
        return "as given"

    def notes_on(self, case: str) -> tuple[str, ...]:
        """All that there is to say about a patient, a sentence each."""
        found = list(self.notes.get(case, ()))
        for result in self.results:
            if result.case == case:
                found += [f"{result.method}: {note}" for note in result.notes]
        return tuple(found)
