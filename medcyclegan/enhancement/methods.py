"""Steps of enhancement by name, as a user writes them: ``clahe:clip_limit=0.02,tiles=8``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import Field, fields
from typing import Any

from medcyclegan.enhancement.contrast import Clahe, HistogramEqualisation
from medcyclegan.enhancement.denoise import Bilateral, NonLocalMeans, TotalVariation
from medcyclegan.enhancement.sharpen import Edges, Unsharp
from medcyclegan.enhancement.step import Step
from medcyclegan.errors import UsageError

METHODS: dict[str, type] = {
    "hist-eq": HistogramEqualisation,
    "clahe": Clahe,
    "denoise-bilateral": Bilateral,
    "denoise-nlm": NonLocalMeans,
    "denoise-tv": TotalVariation,
    "unsharp": Unsharp,
    "edges": Edges,
}


def parse_step(text: str) -> Step:
    """Return the step that ``name`` or ``name:parameter=value,...`` stands for.

    Raises
    ------
    UsageError
        If there is no such method or parameter, or a value is out of its range.
    """
    name, _, rest = text.partition(":")
    if name not in METHODS:
        raise UsageError(f"Method {name!r}", rule=f"it must be one of {', '.join(METHODS)}")
    known = {field.name: field for field in fields(METHODS[name])}
    given: dict[str, float] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        if key not in known:
            raise UsageError(
                f"Method {text!r}: no parameter {key!r}",
                rule=f"{name} has {', '.join(f'{f.name}={f.default}' for f in known.values())}",
            )
        given[key] = _number(text, key, value, known[key])
    step: Callable[..., Step] = METHODS[name]
    return step(**given)


def _number(text: str, key: str, value: str, field: Field[Any]) -> float:
    kind: Callable[[str], float] = int if isinstance(field.default, int) else float
    try:
        return kind(value)
    except ValueError as error:
        raise UsageError(
            f"Method {text!r}: {key} is {value!r}",
            rule=f"it must be a {'whole ' if kind is int else ''}number",
        ) from error
