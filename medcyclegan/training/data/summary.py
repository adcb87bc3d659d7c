"""Sum up what was found, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from medcyclegan.training.data.case import Case, Facts
from medcyclegan.training.data.collect import Cases
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.inputs import Found, shown
from medcyclegan.training.data.types import DataSummary, Range, SideSummary

# A side of many alike files gives many alike warnings; each is told once with its count.
_MOST_WARNINGS = 20


def summarise(
    config: DataConfig,
    found: Sequence[Found],
    *,
    train: Cases,
    validation: Cases,
    warnings: Sequence[str],
    seconds: float,
) -> DataSummary:
    """Count and measure; ``found`` begins with A and B, ``warnings`` are those of finding."""
    everything = [
        facts
        for some in (train, validation)
        for case in (*some.a, *some.b, *some.pairs)
        for facts in case.meta.facts
    ]
    trained = {"a": (*train.a, *train.pairs), "b": (*train.b, *train.pairs)}
    held = {"a": (*validation.a, *validation.pairs), "b": (*validation.b, *validation.pairs)}
    mixed = (*_mixed("A", trained["a"]), *_mixed("B", trained["b"]))
    return DataSummary(
        _side("a", config, found[0], trained["a"], held["a"]),
        _side("b", config, found[1], trained["b"], held["b"]),
        training_pairs=len(train.pairs),
        validation_pairs=len(validation.pairs),
        warnings=(*warnings, *mixed, *_counted(everything)),
        seconds=seconds,
    )


def _side(
    side: Side, config: DataConfig, found: Found, trained: Sequence[Case], held: Sequence[Case]
) -> SideSummary:
    cases = (*trained, *held)
    facts = [some for case in cases for some in case.meta.facts_of(side)]
    return SideSummary(
        folder=found.place,
        unit=config.domain(side).unit,
        formats=dict(sorted(Counter(case.format for case in cases).items())),
        shape=tuple(_range([some.shape[axis] for some in facts]) for axis in range(3)),
        spacing_mm=tuple(_range([some.spacing_mm[axis] for some in facts]) for axis in range(3)),
        values=_range([value for some in facts for value in some.values]),
        training_inputs=len(trained),
        training_subjects=len({case.subject for case in trained}),
        validation_inputs=len(held),
        validation_subjects=len({case.subject for case in held}),
        layout=found.layout,
        channels=config.domain(side).channels,
        masks=sum(one.mask is not None for one in found.inputs),
    )


def _mixed(side: str, cases: Sequence[Case]) -> tuple[str, ...]:
    """A sentence if there are pictures among the volumes of a side, as screenshots may be."""
    planes = [case.name for case in cases if case.meta.plane]
    if not planes or len(planes) == len(cases):
        return ()
    return (
        f"Side {side} has pictures among its volumes: {len(planes)} ({shown(planes)}); their "
        "pixels count as 1 mm.",
    )


def _range(values: Sequence[float]) -> Range:
    return min(values), max(values)


def _counted(facts: Sequence[Facts]) -> list[str]:
    """The readers' warnings, each once, the most frequent first."""
    counts = Counter(said for some in facts for said in some.warnings).most_common()
    shown = [f"{said} ({count} inputs)" for said, count in counts[:_MOST_WARNINGS]]
    left = len(counts) - len(shown)
    return [*shown, f"Other warnings of readers: {left}."] if left > 0 else shown
