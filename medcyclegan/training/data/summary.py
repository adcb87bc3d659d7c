"""Sum up what was found, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from medcyclegan.training.data.case import Case, Facts
from medcyclegan.training.data.collect import Cases
from medcyclegan.training.data.config import DataConfig
from medcyclegan.training.data.folders import Folders
from medcyclegan.training.data.types import DataSummary, Range, SideSummary

# A side of many alike files gives many alike warnings; each is told once with its count.
_MOST_WARNINGS = 20


def summarise(
    config: DataConfig,
    folders: Folders,
    *,
    train: Cases,
    validation: Cases,
    warnings: Sequence[str],
    seconds: float,
) -> DataSummary:
    """Count and measure; ``warnings`` are those of finding and splitting."""
    channel_b = 1  # of a pair
    sides = []
    for folder, unit, own, channel in (
        (folders.a, config.a.unit, (train.a, validation.a), 0),
        (folders.b, config.b.unit, (train.b, validation.b), channel_b),
    ):
        trained = [(case, case.meta.facts[0]) for case in own[0]]
        trained += [(case, case.meta.facts[channel]) for case in train.pairs]
        held = [(case, case.meta.facts[0]) for case in own[1]]
        held += [(case, case.meta.facts[channel]) for case in validation.pairs]
        sides.append(_side(folder, unit, trained, held))
    everything = [
        facts
        for some in (train, validation)
        for case in (*some.a, *some.b, *some.pairs)
        for facts in case.meta.facts
    ]
    return DataSummary(
        sides[0],
        sides[1],
        training_pairs=len(train.pairs),
        validation_pairs=len(validation.pairs),
        warnings=(*warnings, *_counted(everything)),
        seconds=seconds,
    )


def _side(
    folder: Path,
    unit: str,
    trained: Sequence[tuple[Case, Facts]],
    held: Sequence[tuple[Case, Facts]],
) -> SideSummary:
    facts = [some for _, some in (*trained, *held)]
    return SideSummary(
        folder=folder,
        unit=unit,
        formats=dict(sorted(Counter(case.format for case, _ in (*trained, *held)).items())),
        shape=tuple(_range([some.shape[axis] for some in facts]) for axis in range(3)),
        spacing_mm=tuple(_range([some.spacing_mm[axis] for some in facts]) for axis in range(3)),
        values=_range([value for some in facts for value in some.values]),
        training_inputs=len(trained),
        training_subjects=len({case.subject for case, _ in trained}),
        validation_inputs=len(held),
        validation_subjects=len({case.subject for case, _ in held}),
    )


def _range(values: Sequence[float]) -> Range:
    return min(values), max(values)


def _counted(facts: Sequence[Facts]) -> list[str]:
    """The readers' warnings, each once, the most frequent first."""
    counts = Counter(said for some in facts for said in some.warnings).most_common()
    shown = [f"{said} ({count} inputs)" for said, count in counts[:_MOST_WARNINGS]]
    left = len(counts) - len(shown)
    return [*shown, f"Other warnings of readers: {left}."] if left > 0 else shown
