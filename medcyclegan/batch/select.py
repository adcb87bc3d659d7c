"""Which of the images that show one head are translated: the rule of ``--select``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from medcyclegan.batch.candidate import Candidate
from medcyclegan.batch.words import CONTRASTS, Contrast
from medcyclegan.errors import UsageError

AUTO = "auto"
# In a data set in BIDS, beside the folders of the subjects.
_NO_SUBJECTS = frozenset({"code", "stimuli", "phenotype"})


class Rule(Protocol):
    """Says which candidates of one group are taken."""

    @property
    def says(self) -> str:
        """The rule as a sentence."""

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Return why a candidate is not taken, empty if it is; ``group`` holds those fit for it."""

    def names(self, candidate: Candidate) -> bool:
        """Whether the rule asks for this candidate by its name."""


@dataclass(frozen=True)
class Preference:
    """One image of a group: the first contrast of the list that is there."""

    contrasts: tuple[Contrast, ...] = CONTRASTS

    @property
    def says(self) -> str:
        """The rule as a sentence."""
        return (
            f"one image a visit, the first there is of {', '.join(self.contrasts)}; of several, "
            "original, without contrast agent, 3D, axial, most slices, lowest number"
        )

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Return why a candidate is not taken, empty if it is."""
        fitting = [other for other in group if other.contrast in self.contrasts]
        if candidate not in fitting:
            return f"its contrast is {candidate.contrast}, asked for is {self.contrasts[0]}"
        best = min(fitting, key=self._place)
        if candidate == best:
            return ""
        if candidate.contrast == best.contrast:
            return f"another {best.contrast} of this visit is preferred"
        return f"the {best.contrast} of this visit is preferred"

    def names(self, candidate: Candidate) -> bool:
        """Never."""
        return False

    def _place(self, candidate: Candidate) -> tuple[object, ...]:
        place = self.contrasts.index(candidate.contrast)
        return (place, candidate.order, str(candidate.source), candidate.series_uid)


@dataclass(frozen=True)
class Described:
    """Every image whose name or description holds a pattern."""

    pattern: re.Pattern[str]

    @property
    def says(self) -> str:
        """The rule as a sentence."""
        return f"all images whose name or description holds {self.pattern.pattern!r}"

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Return why a candidate is not taken, empty if it is."""
        return "" if self.names(candidate) else "its name or description does not fit --select"

    def names(self, candidate: Candidate) -> bool:
        """Whether name or description holds the pattern."""
        return self.pattern.search(candidate.label) is not None


@dataclass(frozen=True)
class Everything:
    """Every image that was not set aside."""

    @property
    def says(self) -> str:
        """The rule as a sentence."""
        return "all images, but localizers, maps, masks and other modalities"

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Take it."""
        return ""

    def names(self, candidate: Candidate) -> bool:
        """Never."""
        return False


def parse_rule(text: str) -> Rule:
    """Understand ``auto``, ``all``, ``description~PATTERN``, or contrasts as ``T2w,T1w``.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if text == AUTO:
        return Preference()
    if text == "all":
        return Everything()
    kind, tilde, pattern = text.partition("~")
    if tilde and kind == "description" and pattern:
        try:
            return Described(re.compile(pattern, re.IGNORECASE))
        except re.error as error:
            raise _unknown(text, f"; {pattern!r} is no regular expression: {error}") from error
    known = {contrast.lower(): contrast for contrast in CONTRASTS}
    asked = [part.strip().lower() for part in text.split(",")]
    if not all(part in known for part in asked):
        raise _unknown(text, "")
    return Preference(tuple(known[part] for part in dict.fromkeys(asked)))


def _unknown(text: str, detail: str) -> UsageError:
    return UsageError(
        f"--select {text}{detail}",
        rule=f"it is auto, all, description~PATTERN, or a list of {', '.join(CONTRASTS)}",
        remedy="see what is there with --dry-run",
    )


def _why_by_place(candidate: Candidate) -> str:
    """Why what lies there is no work: the folders of BIDS that hold no raw images of subjects."""
    for folder in candidate.source.parts:
        if folder == "sourcedata":
            return "in a folder of source data, which the images beside it were made of"
        if folder in _NO_SUBJECTS:
            return f"in a folder {folder}/, which holds no images of subjects"
    return ""


def set_aside(candidates: Iterable[Candidate], rule: Rule) -> dict[Candidate, str]:
    """Return every candidate with the reason why it is not taken, empty if it is."""
    reasons: dict[Candidate, str] = {}
    groups: defaultdict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        bears = candidate.aside_unless_named and rule.names(candidate)
        aside = candidate.aside or _why_by_place(candidate)
        reasons[candidate] = "" if bears else aside
        if not reasons[candidate] and not candidate.refused:
            groups[candidate.group].append(candidate)
    for group in groups.values():
        for candidate in group:
            reasons[candidate] = rule.refusal(candidate, group)
    return reasons
