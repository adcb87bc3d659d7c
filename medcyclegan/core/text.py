"""Text from outside and text for messages: bounded parsing, file names, counted nouns.

Names on disk as text: they are bytes, and may be no text at all.
Python keeps bytes of a name that are no UTF-8 as lone surrogates (PEP 383). Files can be opened by
such names, but no text in UTF-8 can hold them.

Text formats from disk, bounded before they are expanded: bytes, nesting, and what aliases make.
A YAML file of a few lines can stand for gigabytes, as an alias repeats what may itself hold
aliases, and a long row of brackets takes a parser's time with its square. So a YAML text is first
gone through event by event, which builds nothing.
"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Hashable
from pathlib import Path, PurePath

import yaml

# The last line of what makes images, on screens and pages.
RESEARCH_USE = "Research use only: a synthetic CT is not an acquired image."
RESEARCH_USE_OF_IMAGES = "Research use only: a translated image is not an acquired image."


def is_or_are(number: int) -> str:
    """Return the verb that goes with a number."""
    return "is" if number == 1 else "are"


def was_or_were(number: int) -> str:
    """Return the verb of the past that goes with a number."""
    return "was" if number == 1 else "were"


def counted(number: int, noun: str) -> str:
    """Return ``1 patient``, ``2 patients``: a number with its noun, whose plural ends in s."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def path_text(path: PurePath | str) -> str:
    """Return a path with what is no UTF-8 in it escaped: the byte F6 becomes ``\\xf6``.

    The text is for people and for records, and is the path itself where that is valid text.
    """
    text = path.as_posix() if isinstance(path, PurePath) else path
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


# The longest shipped configuration has some 5 kB, a record of a batch about 1 kB an input.
MOST_SETTINGS_BYTES = 2**17
MOST_RECORD_BYTES = 2**20
MOST_TABLE_BYTES = 2**28
# Settings are nested four deep at most.
MOST_DEPTH = 32
# Characters of all scalars, those that aliases repeat counted as often as they stand for.
MOST_EXPANDED = 2**20

# As YAML 1.2 has it: YAML 1.1 takes 2e-4, without a point, for text.
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$")


class _Loader(yaml.SafeLoader):
    """Safe, with 2e-4 as a number, and a key that is there twice refused."""

    def construct_mapping(
        self, node: yaml.MappingNode, deep: bool = False
    ) -> dict[Hashable, object]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.YAMLError(f"the key {twice} is there twice")
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read_text(path: Path, *, most_bytes: int) -> str:
    """Return the text of a regular file of at most ``most_bytes``, in UTF-8.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is a pipe or device, longer, or no UTF-8.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise ValueError(f"it is longer than {most_bytes} bytes")
    return content.decode("utf-8")


def parse_json(text: str) -> object:
    """Return the plain data of a JSON text.

    Raises
    ------
    ValueError
        If it is none, or nested beyond what can be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def parse_yaml(text: str) -> object:
    """Return the plain data of a YAML text of one document.

    Raises
    ------
    ValueError
        If it is none, a key is there twice, or it is nested deeper than ``MOST_DEPTH`` or stands
        for more than ``MOST_EXPANDED`` characters.
    """
    try:
        _check_bounds(text)
        loader = _Loader(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error


def _check_bounds(text: str) -> None:
    """Go through the events with the expanded size of each open collection on a stack."""
    sizes, anchors, known = [0], [""], dict[str, int]()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            sizes.append(1)
            anchors.append(event.anchor or "")
            if len(sizes) > MOST_DEPTH:
                raise ValueError(f"it is nested more than {MOST_DEPTH} deep")
            continue
        anchor, size = "", 0
        if isinstance(event, yaml.ScalarEvent):
            anchor, size = event.anchor or "", 1 + len(event.value)
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size = anchors.pop(), sizes.pop()
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in known:
                raise ValueError(f"the alias *{event.anchor} is of nothing, or of what holds it")
            size = known[event.anchor]
        if anchor:
            known[anchor] = size
        sizes[-1] += size
        if sizes[-1] > MOST_EXPANDED:
            raise ValueError(f"it stands for more than {MOST_EXPANDED} characters")
