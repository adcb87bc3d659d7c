"""Training data by a table: subject, side (or channel), path, mask, split; a line an image."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePath

from medcyclegan.errors import InputRefused, MedcycleganError
from medcyclegan.io.case_names import case_names
from medcyclegan.io.table import read_table
from medcyclegan.training.data.inputs import Image, Part, Wanted, shown
from medcyclegan.training.data.layouts import channel_of, channel_words
from medcyclegan.training.data.tree import ending_of, read_one

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


class Row:
    """One image of a table: whose it is, which of the channels, and what it is for."""

    def __init__(self, values: dict[str, str], wanted: Wanted) -> None:
        self.subject = values["subject"]
        self.path = values["path"]
        self.mask = values.get("mask", "")
        self.split = values.get("split", "").lower()
        self.channel = 0
        if len(wanted.channels) > 1 or (wanted.channels and values.get("channel")):
            named = PurePath(values.get("channel") or self.path)
            found = channel_of(named, wanted.channels)
            self.channel = -1 if found is None else found


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
            chosen.append(Row(values, wanted))
    unknown = [name for name in columns if name not in COLUMNS]
    said = [f"{path}: columns not known are not used: {shown(unknown)}."] if unknown else []
    tests = sum(row.split == TEST for row in chosen)
    if tests:
        side = wanted.side.upper()
        said.append(f"{path}: images of {side} for a test are left out: {tests}.")
    return [row for row in chosen if row.split != TEST], tuple(said)


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


class TableImages:
    """The images of a table's rows, with the errors of those that are not there."""

    def __init__(self, path: Path, rows: list[Row], wanted: Wanted) -> None:
        self.images: list[tuple[Row, Image, Path | None]] = []
        self.refused: list[MedcycleganError] = []
        for row in rows:
            try:
                image, mask = _read(path.parent / row.path), None
                if row.mask and wanted.masks:
                    mask = _mask(path.parent / row.mask)
                if row.split not in _SPLITS:
                    raise InputRefused(
                        f"{path}: {row.path} has the split {row.split}",
                        rule="split is train, validation, test or nothing",
                    )
                if row.channel < 0:
                    raise InputRefused(
                        f"{path}: {row.path} names no channel of {shown(wanted.channels)}",
                        remedy="fill in the column channel",
                    )
                self.images.append((row, image, mask))
            except InputRefused as error:
                self.refused.append(error)
        self._refuse_twice(path)
        self.cases = self._named(wanted)

    def _refuse_twice(self, path: Path) -> None:
        counts = Counter(str(image.paths[0]) for _, image, _ in self.images)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            self.refused.append(
                InputRefused(
                    f"{path} names an image more than once: {shown(twice)}",
                    rule="an image is of one subject and one channel",
                )
            )

    def _named(self, wanted: Wanted) -> list[str]:
        """The case of each image: its subject, and where that has several, its name too."""
        kinds = channel_words(wanted.channels)
        names = case_names([_without_ending(row.path) for row, _, _ in self.images], kinds=kinds)
        counts = Counter((row.subject, row.channel) for row, _, _ in self.images)
        several = {subject for (subject, _), count in counts.items() if count > 1}
        return [
            f"{row.subject}/{name}" if row.subject in several else row.subject
            for (row, _, _), name in zip(self.images, names, strict=True)
        ]


def part_of(row: Row) -> Part:
    """What a row's image is for."""
    return _SPLITS[row.split]


def _without_ending(path: str) -> PurePath:
    return PurePath(path[: len(path) - len(ending_of(path))])


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
