"""Who is trained on and who is held back: by subject, never by slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from medcyclegan.errors import InputRefused
from medcyclegan.training.data.collect import Cases
from medcyclegan.training.data.config import DataConfig
from medcyclegan.training.data.inputs import Input, held_back, shown

_SHOWN = 5


@dataclass(frozen=True, eq=False)
class Split:
    """The inputs of both sides to train on and to validate with; ``warnings`` for the user.

    ``validation_paired``: inputs for validation that share a name are pairs.
    """

    train_a: tuple[Input, ...]
    train_b: tuple[Input, ...]
    validation_a: tuple[Input, ...]
    validation_b: tuple[Input, ...]
    validation_paired: bool
    warnings: tuple[str, ...] = ()


def named_subjects(inputs: Sequence[Input], config: DataConfig) -> tuple[Input, ...]:
    """The inputs, each a subject of its own name where the configuration says so."""
    if config.subjects == "name":
        return tuple(inputs)
    return tuple(replace(found, subject=found.name) for found in inputs)


def joined_subjects(
    a: Sequence[Input], b: Sequence[Input], pairs: Sequence[tuple[Input, Input]]
) -> tuple[tuple[Input, ...], tuple[Input, ...]]:
    """Both sides, with one subject for the two of a pair, whatever each is called by its file."""
    joined: dict[str, str] = {}

    def of(subject: str) -> str:
        while subject in joined:
            subject = joined[subject]
        return subject

    for one, other in pairs:
        first, second = sorted((of(one.subject), of(other.subject)))
        if first != second:
            joined[second] = first
    named = [[replace(found, subject=of(found.subject)) for found in side] for side in (a, b)]
    return tuple(named[0]), tuple(named[1])


def all_digests(cases: Cases) -> dict[str, str]:
    """The digests of the files of both sides, by path."""
    return cases.digests["a"] | cases.digests["b"]


def on_both_sides(cases: Cases) -> tuple[str, ...]:
    """A sentence if files are on side A and on side B, whatever their names."""
    by_content = {digest: path for path, digest in cases.digests["a"].items()}
    same = [path for path, digest in sorted(cases.digests["b"].items()) if digest in by_content]
    if not same:
        return ()
    return (
        f"{len(same)} images of B are on side A too ({shown(same)}): what is learned from them is "
        "to change nothing.",
    )


def split_by_subject(
    a: Sequence[Input], b: Sequence[Input], config: DataConfig, *, seed: int
) -> Split:
    """Hold back a share of the subjects, with all their images of both sides."""
    chosen = held_back(
        (found.subject for found in a),
        (found.subject for found in b),
        share=config.validation_share,
        seed=seed,
    )
    split = Split(
        tuple(found for found in a if found.subject not in chosen),
        tuple(found for found in b if found.subject not in chosen),
        tuple(found for found in a if found.subject in chosen),
        tuple(found for found in b if found.subject in chosen),
        validation_paired=config.pairs == "by-name",
    )
    if chosen or config.validation_share == 0:
        return split
    alone = sorted({found.subject for found in (*a, *b)})
    said = (
        f"No subject is held back for validation, as there are too few: {shown(alone)}. The "
        "subject is the folder of an image or the part of its name before the first _ or .; with "
        "subjects: file every file is a subject of its own.",
    )
    return replace(split, warnings=said)


def split_by_folders(
    a: Sequence[Input],
    b: Sequence[Input],
    validation_a: Sequence[Input],
    validation_b: Sequence[Input],
    *,
    config: DataConfig,
) -> Split:
    """Take the folders as they are.

    Raises
    ------
    InputRefused
        If a subject is in a folder for training and in one for validation.
    """
    trained = {found.subject for found in (*a, *b)}
    both = sorted({found.subject for found in (*validation_a, *validation_b)} & trained)
    if both and config.subjects == "name":
        raise InputRefused(
            f"Subjects in training and in validation: {len(both)} ({shown(both)})",
            rule="a subject is trained on or validated with, never both",
            remedy="move their images to one of the two; if these names mean no subjects, set "
            "subjects: file",
        )
    return Split(
        tuple(a),
        tuple(b),
        tuple(validation_a),
        tuple(validation_b),
        validation_paired=config.validation_pairs == "by-name",
    )


def refuse_same_files(train: dict[str, str], validation: dict[str, str]) -> None:
    """Raise InputRefused if a file is in training and in validation, whatever its name.

    Both are digests by path.
    """
    trained = {digest: path for path, digest in train.items()}
    same = [(path, trained[d]) for path, d in sorted(validation.items()) if d in trained]
    if same:
        shown = "".join(f"\n  {path} and {other}" for path, other in same[:_SHOWN])
        raise InputRefused(
            f"The same image is in training and in validation, {len(same)} times:{shown}",
            rule="what is validated with was never trained on",
            remedy="take it out of one of the two",
        )
