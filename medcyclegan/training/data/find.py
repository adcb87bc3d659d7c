"""Find the inputs of one side: below a folder, in whatever layout, or by a table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.training.data.inputs import Found, Image, Input, Part, Wanted, shown
from medcyclegan.training.data.layouts import OTHER_SIDE, Label, label, layout_of
from medcyclegan.training.data.table import TableImages, part_of, rows_of
from medcyclegan.training.data.tree import look_through


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
    table = TableImages(path, rows, wanted)
    images = [
        _Labelled(
            row.path, Label(case, row.subject, channel=row.channel), image, mask, part_of(row)
        )
        for (row, image, mask), case in zip(table.images, table.cases, strict=True)
    ]
    gathered = _gather(images, wanted, path)
    return Found(
        path,
        tuple(sorted(gathered.inputs, key=lambda found: found.name)),
        said,
        (*table.refused, *gathered.refused),
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
