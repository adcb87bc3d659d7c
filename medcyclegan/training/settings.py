"""YAML into checked settings: safely read, changed by ``key=value``, refused by the key."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from medcyclegan.errors import UsageError

Settings = TypeVar("Settings", bound=BaseModel)

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


def read_settings(path: Path, kind: type[Settings], *, changes: Sequence[str] = ()) -> Settings:
    """Read a YAML file into settings of a kind, with ``changes`` such as ``losses.cycle=20``.

    Raises
    ------
    UsageError
        If it cannot be read or breaks a rule; names the key, the value and the rule.
    """
    try:
        content = _parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"{path} cannot be read as YAML ({reason})", remedy="correct the file"
        ) from error
    if changes and not isinstance(content, dict):
        raise UsageError(f"{path} holds no keys", rule="settings are keys and values")
    for change in changes:
        _apply(content, change)
    return checked(content, kind, where=str(path))


def checked(content: object, kind: type[Settings], *, where: str) -> Settings:
    """Return settings of a kind from plain data; ``where`` begins the message if it is refused.

    Raises
    ------
    UsageError
        If a rule is broken; names the key, the value and the rule.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(_without_kinds(first["loc"], content)) or "the file"
        raise UsageError(
            f"{where}: {key} = {first['input']!r}", rule=first["msg"], remedy="correct the file"
        ) from error


def _without_kinds(place: Sequence[int | str], content: object) -> list[str]:
    """The keys on the way to a value; pydantic puts the ``kind`` of alternatives among them."""
    keys: list[str] = []
    for part in place:
        if isinstance(content, dict) and part not in content and content.get("kind") == part:
            continue
        keys.append(str(part))
        if isinstance(content, dict):
            content = content.get(part)
        elif isinstance(content, list) and isinstance(part, int) and part < len(content):
            content = content[part]
        else:
            content = None
    return keys


def _parse(text: str) -> object:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


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
        value = _parse(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{change!r}: {text!r} cannot be read as a value") from error
    assert isinstance(content, dict)  # the loop went from dictionary to dictionary
    content[last] = value
