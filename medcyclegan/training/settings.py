"""YAML into checked settings: safely read, changed by ``key=value``, refused by the key."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar, get_args

from pydantic import BaseModel, ValidationError

from medcyclegan.core.text import MOST_SETTINGS_BYTES, parse_yaml, read_text
from medcyclegan.errors import UsageError

# pydantic's names of what is no model or dictionary where one is needed.
_NOT_NESTED = ("model_type", "model_attributes_type", "dict_type")

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(
    path: Path,
    kind: type[Settings],
    *,
    changes: Sequence[str] = (),
    former_keys: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Read a YAML file into settings of a kind, with ``changes`` such as ``steps=5000``.

    ``former_keys`` are keys that are read under their new names, for files of earlier versions.

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
    content = with_new_keys(content, former_keys)
    for change in changes:
        _apply(content, change)
    return checked(content, kind, where=str(path), changes=changes)


def with_new_keys(content: object, former_keys: Mapping[str, str]) -> object:
    """Return settings as plain data, the keys of earlier versions under their new names."""
    if not isinstance(content, dict):
        return content
    return {former_keys.get(key, key): value for key, value in content.items()}


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
        raise _refusal(error, content, kind, where=where, changes=changes) from error


def _refusal(
    error: ValidationError,
    content: object,
    kind: type[BaseModel],
    *,
    where: str,
    changes: Sequence[str],
) -> UsageError:
    first = error.errors()[0]
    place = _without_kinds(first["loc"], content)
    key, value = ".".join(place), first["input"]
    is_nested = isinstance(value, dict | list | tuple)  # keys enough are told by the rule
    told = f" = {reprlib.repr(value)}" if key and not is_nested else ""
    set_by = [change for change in changes if not key or _sets(change, key)]
    found = f"{'the setting' if set_by else f'{where}:'} {key}{told}"
    if set_by and is_nested:
        found = f"the setting {set_by[-1]}"
    if not key:  # a rule on several keys
        found = f"{', '.join(set_by)} and {where}" if set_by else where
    rule = first["msg"].removeprefix("Value error, ")
    remedy = f"correct {'the setting' if set_by else 'the file'}"
    if first["type"] == "extra_forbidden":
        return _unknown(found, place, content, kind, changes)
    if first["type"] == "union_tag_invalid":
        rule = f"{key}.kind is one of {first['ctx']['expected_tags']}"
        if not set_by:
            found = f"{where}: {key}.kind = {first['ctx']['tag']}"
    if first["type"] in _NOT_NESTED:
        known = _keys_at(kind, place, content)
        rule = f"it holds keys and values ({', '.join(known)})" if known else "it holds keys"
        found = f"{found.removesuffix(told)} = {reprlib.repr(value)}"
    return UsageError(found, rule=rule, remedy=remedy)


def _unknown(
    found: str, place: list[str], content: object, kind: type[BaseModel], changes: Sequence[str]
) -> UsageError:
    """Refuse a key that is not known; a change of the kind may be why it is not any more."""
    key = ".".join(place)
    chosen = f"{'.'.join(place[:-1])}.kind".removeprefix(".")
    changed = [change for change in changes if change.partition("=")[0].strip() == chosen]
    if changed and not any(_sets(change, key) for change in changes):
        return UsageError(
            f"{changed[-1]} does not go with {key}, which {found.partition(': ')[0]} sets",
            rule=f"with that {chosen} there is no key {key}",
            remedy="begin with a configuration of that kind (medcyclegan config list), or write "
            "a file of your own",
        )
    return UsageError(found, rule=f"there is no key {key}", remedy=_near(kind, place, content))


def _without_kinds(place: Sequence[int | str], content: object) -> list[str]:
    """The keys on the way to a value; pydantic puts the ``kind`` of alternatives among them."""
    keys: list[str] = []
    for part in place:
        if isinstance(content, dict) and part not in content and content.get("kind") == part:
            continue
        keys.append(str(part))
        content = _inside(content, part)
    return keys


def _inside(content: object, part: int | str) -> object:
    """What a dictionary or a list holds at a place; None if it holds nothing there."""
    if isinstance(content, dict):
        return content.get(part)
    if isinstance(content, list) and isinstance(part, int) and part < len(content):
        return content[part]
    return None


def _sets(change: str, key: str) -> bool:
    """Whether a change on the command line sets a key, or a key below it."""
    name = change.partition("=")[0].strip()
    return name == key or name.startswith(f"{key}.") or key.startswith(f"{name}.")


def _near(kind: type[BaseModel], place: Sequence[str], content: object) -> str:
    """Name the keys that are known where an unknown one was met, the most alike first."""
    known = _keys_at(kind, place[:-1], content)
    above = "".join(f"{part}." for part in place[:-1])
    if above and place[-1] in kind.model_fields:
        return f"perhaps {place[-1]}, which does not belong below {above[:-1]}, is meant"
    alike = difflib.get_close_matches(place[-1], known, n=1)
    if alike:
        return f"perhaps {above}{alike[0]} is meant"
    return f"known are {', '.join(above + name for name in known)}" if known else "leave it out"


def _keys_at(kind: type[BaseModel], place: Sequence[str], content: object) -> list[str]:
    """The keys of settings at a place in them; none where it is not known which settings are."""
    if not place:
        return sorted(kind.model_fields)
    field = kind.model_fields.get(place[0])
    inner = _inside(content, place[0])
    choices = [] if field is None else _models_in(field.annotation)
    tagged = [some for some in choices if _kind_of(some) == _inside(inner, "kind")]
    return _keys_at((tagged or choices)[0], place[1:], inner) if choices else []


def _models_in(annotation: object) -> list[type[BaseModel]]:
    """The models that a field may hold: those of its annotation, and their kinds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation, *annotation.__subclasses__()]
    return [some for inner in get_args(annotation) for some in _models_in(inner)]


def _kind_of(model: type[BaseModel]) -> object:
    """What ``kind`` is in a model that is one of several; None where it has none."""
    field = model.model_fields.get("kind")
    return None if field is None else field.default


def _apply(content: object, change: str) -> None:
    """Set the value of ``key.key=value`` in nested dictionaries; the value is read as YAML."""
    keys, sign, text = change.partition("=")
    *above, last = keys.strip().split(".")
    if not sign or not all([*above, last]):
        raise UsageError(
            f"{change!r} is no setting",
            rule="a setting is key=value",
            remedy="as engine.losses.cycle=20",
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
