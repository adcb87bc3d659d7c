"""YAML into checked settings: safely read, changed by ``key=value``, refused by the key."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from medcyclegan.bounded_text import MOST_SETTINGS_BYTES, parse_yaml, read_text
from medcyclegan.errors import UsageError

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(path: Path, kind: type[Settings], *, changes: Sequence[str] = ()) -> Settings:
    """Read a YAML file into settings of a kind, with ``changes`` such as ``losses.cycle=20``.

    Raises
    ------
    UsageError
        If it cannot be read or breaks a rule; names the key, the value and the rule.
    """
    try:
        content = parse_yaml(read_text(path, most_bytes=MOST_SETTINGS_BYTES))
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{path} cannot be read as YAML ({reason})", remedy="correct the file"
        ) from error
    if changes and not isinstance(content, dict):
        raise UsageError(f"{path} holds no keys", rule="settings are keys and values")
    for change in changes:
        _apply(content, change)
    return checked(content, kind, where=str(path), changes=changes)


def checked(
    content: object, kind: type[Settings], *, where: str, changes: Sequence[str] = ()
) -> Settings:
    """Return settings of a kind from plain data; ``where`` begins the message if it is refused.

    Of a key that one of the ``changes`` sets, the message names the change and not the file.

    Raises
    ------
    UsageError
        If a rule is broken; names the key, the value and the rule.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        change = next((c for c in changes if _sets(c, key)), "")
        found = f"{'the setting' if change else f'{where}:'} {key} = {reprlib.repr(first['input'])}"
        rule, remedy = first["msg"], f"correct {'the setting' if change else 'the file'}"
        if first["type"] == "extra_forbidden":
            rule, remedy = f"there is no key {key}", _near(kind, first["loc"])
        raise UsageError(found, rule=rule, remedy=remedy) from error


def _sets(change: str, key: str) -> bool:
    """Whether a change on the command line sets a key, or a key below it."""
    name = change.partition("=")[0].strip()
    return name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")


def _near(kind: type[BaseModel], place: tuple[int | str, ...]) -> str:
    """Name the keys that are known where an unknown one was met, the most alike first."""
    known = _keys_at(kind, place[:-1])
    above = "".join(f"{part}." for part in place[:-1])
    alike = difflib.get_close_matches(str(place[-1]), known, n=1)
    if alike:
        return f"perhaps {above}{alike[0]} is meant"
    return f"known are {', '.join(above + name for name in known)}" if known else "leave it out"


def _keys_at(kind: object, place: tuple[int | str, ...]) -> list[str]:
    """The keys of settings at a place in them; none where it is not known which settings are."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        choices = [keys for inner in get_args(kind) if (keys := _keys_at(inner, place))]
        return choices[0] if choices else []
    if not place:
        return sorted(kind.model_fields)
    field = kind.model_fields.get(str(place[0]))
    return [] if field is None else _keys_at(field.annotation, place[1:])


def _apply(content: object, change: str) -> None:
    """Set the value of ``key.key=value`` in nested dictionaries; the value is read as YAML."""
    keys, sign, text = change.partition("=")
    *above, last = keys.strip().split(".")
    if not sign or not all([*above, last]):
        raise UsageError(
            f"{change!r} is no setting", rule="a setting is key=value", remedy="as losses.cycle=20"
        )
    for depth, key in enumerate(above):
        inner = content.setdefault(key, {}) if isinstance(content, dict) else None
        if not isinstance(inner, dict):
            raise UsageError(f"{change!r}: {'.'.join(above[: depth + 1])} has no keys below it")
        content = inner
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise UsageError(f"{change!r}: {text!r} cannot be read as a value") from error
    assert isinstance(content, dict)  # the loop went from dictionary to dictionary
    content[last] = value
