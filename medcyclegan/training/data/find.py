"""Inputs of one side: below a folder in any layout, or by a table."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.case_names import case_names
from medcyclegan.io.table import read_table
from medcyclegan.training.data.inputs import Found, Image, Input, Part, Wanted, shown
from medcyclegan.training.data.layouts import (
    OTHER_SIDE,
    Label,
    channel_of,
    channel_words,
    label,
    layout_of,
)
from medcyclegan.training.data.tree import image_ending, look_through, read_one

COLUMNS = ("subject", "side", "channel", "path", "mask", "split")
_RULE = (
    "a table of training data is CSV with the columns subject, path, and side or channel, and "
    "where wanted mask and split; side is a or b, or the modality"
)
_SPLITS: dict[str, Part] = {
    "": "", "train": "train", "training": "train", "tr": "train",
    "validation": "validation", "valid": "validation", "val": "validation",
}  # fmt: skip
TEST = "test"


@dataclass(frozen=True)
class Row:
    """One image of a table; ``channel`` is its place among those asked for, None if it has none."""

    subject: str
    path: str
    mask: str
    split: str
    channel: int | None


@dataclass(frozen=True, eq=False)
class Listed:
    """An image that a row names, with its case, its mask and what it is for."""

    row: Row
    case: str
    channel: int
    image: Image
    mask: Path | None
    part: Part


def rows_of(path: Path, wanted: Wanted) -> tuple[list[Row], tuple[str, ...]]:
    """The rows of a table that are of one side, and what is to be said of the rest.

    Raises
    ------
    InputRefused
        If the file is no such table, or a row tells no side, no subject or no path.
    """
    table = read_table(path, rule=_RULE)
    columns = [name.lower() for name in table.columns]
    if not {"subject", "path"} <= set(columns) or not {"side", "channel"} & set(columns):
        raise InputRefused(f"{path} has the columns {', '.join(columns) or '(none)'}", rule=_RULE)
    rows = [{name.lower(): value for name, value in row.items()} for row in table.rows]
    chosen = []
    for number, values in enumerate(rows, start=2):
        if not values["subject"] or not values["path"]:
            raise InputRefused(f"{path}: line {number} has no subject or no path", rule=_RULE)
        if _is_of_side(values, wanted, where=f"{path}: line {number}"):
            chosen.append(_row(values, wanted))
    unknown = [name for name in columns if name not in COLUMNS]
    said = [f"{path}: columns not known are not used: {shown(unknown)}."] if unknown else []
    of = f"images of {wanted.side.upper()}"
    tests = sum(row.split == TEST for row in chosen)
    others = sum(row.channel is None and row.split != TEST for row in chosen)
    if tests:
        said.append(f"{path}: {of} for a test are left out: {tests}.")
    if others:
        said.append(f"{path}: {of} of no channel asked for are left out: {others}.")
    kept = [row for row in chosen if row.split != TEST and row.channel is not None]
    return kept, tuple(said)


def _is_of_side(values: dict[str, str], wanted: Wanted, *, where: str) -> bool:
    """Whether a row is of the side asked for, by its side or else by its channel."""
    told = values.get("side", "").lower()
    if told in ("a", "b"):
        return told == wanted.side
    if not told and values.get("channel") and wanted.channels:
        return channel_of(PurePath(values["channel"]), wanted.channels) is not None
    named = (told or values.get("channel", "")).upper()
    if named in ("MR", "CT", "XR", "IMAGE"):
        return named == wanted.domain.modality.upper()
    if told or not values.get("channel"):
        raise InputRefused(f"{where} has the side {told or '(none)'}", rule=_RULE)
    return False


def open_rows(
    path: Path, rows: Sequence[Row], wanted: Wanted
) -> tuple[list[Listed], list[MedcycleganError]]:
    """The images of a table's rows, and the errors of those that cannot be used.

    The case of an image is its subject; where a subject has several, the name of the file too.
    """
    kinds = channel_words(wanted.channels)
    names = case_names([_without_ending(row.path) for row in rows], kinds=kinds)
    counts = Counter((row.subject, row.channel) for row in rows)
    several = {subject for (subject, _), count in counts.items() if count > 1}
    listed: list[Listed] = []
    refused: list[MedcycleganError] = []
    for row, name in zip(rows, names, strict=True):
        case = f"{row.subject}/{name}" if row.subject in several else row.subject
        try:
            listed.append(_opened(path, row, case, wanted))
        except InputRefused as error:
            refused.append(error)
    times = Counter(str(one.image.paths[0]) for one in listed)
    if twice := [name for name, count in times.items() if count > 1]:
        refused.append(
            InputRefused(
                f"{path} names an image more than once: {shown(twice)}",
                rule="an image is of one subject and one channel",
                remedy="take the second line out",
            )
        )
    return listed, refused


def _row(values: dict[str, str], wanted: Wanted) -> Row:
    channel: int | None = 0
    told = values.get("channel", "")
    if len(wanted.channels) > 1 or (wanted.channels and told):
        channel = channel_of(PurePath(told or values["path"]), wanted.channels)
    return Row(
        subject=values["subject"],
        path=values["path"],
        mask=values.get("mask", ""),
        split=values.get("split", "").lower(),
        channel=channel,
    )


def _opened(path: Path, row: Row, case: str, wanted: Wanted) -> Listed:
    """The image of a row of the table at ``path``."""
    image, mask = _read(path.parent / row.path), None
    if row.mask and wanted.masks:
        mask = _mask(path.parent / row.mask)
    if row.split not in _SPLITS:
        raise InputRefused(
            f"{path}: {row.path} has the split {row.split}",
            rule="split is train, validation, test or nothing",
        )
    return Listed(row, case, row.channel or 0, image, mask, _SPLITS[row.split])


def _without_ending(path: str) -> PurePath:
    return PurePath(path[: len(path) - len(image_ending(path))])


def _read(path: Path) -> Image:
    if not path.exists():
        raise InputRefused(f"{path} does not exist", remedy="mend the path in the table")
    image = read_one(path)
    if image is None:
        raise InputRefused(
            f"{path} is no image that is read",
            rule="a path names a file, or a folder of one DICOM series",
        )
    return image


def _mask(path: Path) -> Path:
    if not path.is_file():
        raise InputRefused(f"{path}: there is no such mask", remedy="mend the path in the table")
    return path


@dataclass(frozen=True, eq=False)
class _Labelled:
    """An image with all that its place tells of it."""

    name: str
    label: Label
    image: Image
    mask: Path | None = None
    part: Part = ""


@dataclass(eq=False)
class _Gathered:
    inputs: list[Input] = field(default_factory=list)
    refused: list[MedcycleganError] = field(default_factory=list)


def find_inputs(place: Path, wanted: Wanted) -> Found:
    """Find all images of a side in a folder or by a table; only DICOM headers are opened.

    DICOM of another modality is passed over, as are files of other kinds; each is counted.

    Raises
    ------
    InputRefused
        If ``place`` is neither a folder that can be read nor a table.
    """
    if place.suffix.lower() == ".csv":
        return _by_table(place, wanted)
    tree = look_through(place, wanted.domain.modality)
    layout = layout_of(tree)
    images, masks = [], defaultdict(list)
    left_out: dict[str, int] = defaultdict(int)
    for candidate, told in zip(tree.candidates, label(tree, layout, wanted), strict=True):
        if told.is_mask:
            masks[told.case].append(candidate.image.paths[0])
        elif told.why:
            left_out[told.why] += 1
        else:
            images.append(_Labelled(candidate.name, told, candidate.image))
    gathered = _gather(images, wanted, place)
    said = [f"{place}: {why} left out: {n}." for why, n in left_out.items() if why != OTHER_SIDE]
    inputs = gathered.inputs
    if masks and wanted.masks:
        inputs, refused, more = _with_masks(inputs, masks, place)
        gathered.refused += refused
        said += more
    return Found(
        place,
        tuple(sorted(inputs, key=lambda found: (found.name, found.images[0].paths))),
        (*tree.warnings(), *said),
        (*tree.refused, *gathered.refused),
        layout,
    )


def _by_table(path: Path, wanted: Wanted) -> Found:
    rows, said = rows_of(path, wanted)
    listed, refused = open_rows(path, rows, wanted)
    images = [
        _Labelled(
            one.row.path,
            Label(one.case, one.row.subject, channel=one.channel),
            one.image,
            one.mask,
            one.part,
        )
        for one in listed
    ]
    gathered = _gather(images, wanted, path)
    return Found(
        path,
        tuple(sorted(gathered.inputs, key=lambda found: found.name)),
        said,
        (*refused, *gathered.refused),
        "table",
    )


def _gather(images: Sequence[_Labelled], wanted: Wanted, place: Path) -> _Gathered:
    """One input an image; where several channels are asked for, one a case."""
    gathered = _Gathered()
    if len(wanted.channels) < 2:
        gathered.inputs = [_input(one.name, [one]) for one in images]
        return gathered
    cases: dict[str, list[_Labelled]] = defaultdict(list)
    for one in images:
        cases[one.label.case].append(one)
    for case, some in sorted(cases.items()):
        try:
            gathered.inputs.append(_input(case, _one_a_channel(case, some, wanted, place)))
        except InputRefused as error:
            gathered.refused.append(error)
    return gathered


def _input(name: str, images: Sequence[_Labelled]) -> Input:
    first = images[0]
    return Input(
        name=name,
        case=first.label.case,
        subject=first.label.subject,
        images=tuple(one.image for one in images),
        mask=next((one.mask for one in images if one.mask is not None), None),
        part=first.part,
    )


def _one_a_channel(
    case: str, images: Sequence[_Labelled], wanted: Wanted, place: Path
) -> list[_Labelled]:
    """The images of a case in the order of the channels.

    Raises
    ------
    InputRefused
        If a channel has none or several.
    """
    chosen, wrong = [], []
    for number, channel in enumerate(wanted.channels):
        fitting = [one for one in images if one.label.channel == number]
        chosen += fitting
        if not fitting:
            wrong.append(f"no image for the channel {channel}")
        elif len(fitting) > 1:
            names = shown([one.image.source for one in fitting])
            wrong.append(f"{len(fitting)} images that could be the channel {channel}: {names}")
    if wrong:
        raise InputRefused(
            f"{place}: {case} of side {wanted.side.upper()} has {'; '.join(wrong)}",
            rule=f"each has one image of {', '.join(wanted.channels)}, told by the name of the "
            "file or its folder",
            remedy="add or take out images, or change channels",
        )
    return chosen


def _with_masks(
    inputs: Iterable[Input], masks: dict[str, list[Path]], place: Path
) -> tuple[list[Input], list[MedcycleganError], list[str]]:
    """Each input with the mask of its case; errors of cases with several; what is to be said."""
    ready, refused, used, bare = [], list[MedcycleganError](), set[str](), 0
    for found in inputs:
        fitting = masks.get(found.case, [])
        if len(fitting) > 1:
            refused.append(
                InputRefused(
                    f"{found.source}: {len(fitting)} masks could be its: {shown(fitting)}",
                    remedy="take all but one out, or set data.masks=none",
                )
            )
        used.add(found.case)
        bare += not fitting
        mask = fitting[0] if fitting else None
        ready.append(Input(found.name, found.case, found.subject, found.images, mask, found.part))
    said = []
    unused = sorted(masks.keys() - used)
    if unused:
        said.append(f"{place}: masks without an image: {len(unused)} ({shown(unused)}).")
    if bare and bare < len(ready):
        said.append(
            f"{place}: images without a mask beside others with one: {bare}; their body is found."
        )
    return ready, refused, said
