"""What the modules of the package may import and how long they may be; read by the test of it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "medcyclegan"
APART = {PACKAGE, f"{PACKAGE}.__main__"}  # the top level's lazy exports, and python -m


@dataclass(frozen=True)
class Room:
    """``floor`` 0 is the lowest; ``lazy`` third parties are for imports in functions alone."""

    floor: int
    third_parties: frozenset[str] = frozenset()
    lazy: frozenset[str] = frozenset()


def _room(floor: int, third_parties: str = "", lazy: str = "") -> Room:
    return Room(floor, frozenset(third_parties.split()), frozenset(lazy.split()))


# Formats of files in ``io``, which do not import each other; what is common lies beside them.
FORMATS = ("dicom", "itk", "nifti", "raster")
# All that packages outside ``io`` use of DICOM.
DICOM_FACE = "io.dicom.api"

# A room is a folder or a file; the longest name that fits a module counts.
ROOMS = {
    "cli": _room(9, "click rich", lazy="numpy pydicom"),
    "service": _room(8, "distributed fastapi filelock jinja2 pydicom pynetdicom starlette uvicorn"),
    "workflow": _room(7, "monai numpy pydicom safetensors torch"),
    "workflow.align": _room(7, "numpy SimpleITK"),
    "workflow.batch": _room(7, "dask distributed filelock numpy pydantic torch"),
    "training": _room(6, "matplotlib monai numpy pydantic pydantic_core tensorboardX torch yaml"),
    "training.data": _room(5, "monai numpy pydantic torch"),
    "training.data.check": _room(5, "matplotlib numpy rich torch"),
    "quality": _room(5, "numpy scipy torch"),
    "inference": _room(4, "torch"),
    "evaluation": _room(4, "jinja2 matplotlib numpy"),
    "evaluation.study": _room(4, "jinja2 matplotlib numpy scipy"),
    "evaluation.metrics": _room(3, "numpy"),
    "evaluation.similarity": _room(3, "numpy skimage"),
    "evaluation.thumbnail": _room(4, "numpy PIL"),
    "evaluation.dose": _room(4, "pydantic"),
    "evaluation.surfaces": _room(4, "numpy scipy"),
    "evaluation.water_paths": _room(4, "numpy scipy"),
    "evaluation.signal_scores": _room(4, "numpy"),
    "models": _room(3, "numpy pydantic safetensors torch"),
    "simulate.datasets": _room(3),
    "io": _room(2, "nibabel numpy PIL pydicom"),
    "imaging": _room(2, "numpy scipy SimpleITK skimage"),
    "imaging.resampling": _room(2, "monai numpy torch"),
    "imaging.preprocessing": _room(2, "monai numpy SimpleITK torch"),
    "simulate": _room(2, "numpy scipy"),
    "simulate.label_heads.cleaning": _room(2, "numpy scipy", lazy="SimpleITK"),
    "networks": _room(2, "pydantic torch"),
    "core": _room(1, "numpy"),
    "core.task": _room(1, "pydantic"),
    "core.text": _room(1, "yaml"),
    "errors": _room(0),
}


@dataclass(frozen=True)
class Import:
    """One import of ``target`` in the module ``source``; ``lazy`` if inside a function."""

    source: str
    target: str
    lazy: bool
    typing_only: bool


def modules(root: Path) -> dict[str, str]:
    """Dotted names and texts of all modules under the folder of the package."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = (PACKAGE, *path.relative_to(root).with_suffix("").parts)
        found[".".join(parts[:-1] if parts == (PACKAGE, "__init__") else parts)] = path.read_text(
            encoding="utf-8"
        )
    return found


def room_of(module: str) -> str:
    """The name of the room of one of our modules; KeyError, and clearly, if there is none."""
    inner = module.removeprefix(f"{PACKAGE}.")
    fits = [room for room in ROOMS if inner == room or inner.startswith(f"{room}.")]
    if not fits:
        raise KeyError(f"{module} is in no room: give it a floor in tests/architecture_rules.py")
    return max(fits, key=len)


def imports_of(name: str, text: str) -> Iterator[Import]:
    """Every import of a module's text, with whether it is in a function or for types alone."""
    yield from _walk(name, ast.parse(text), lazy=False, typing_only=False)


def _walk(name: str, node: ast.AST, *, lazy: bool, typing_only: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        for target in _targets(child):
            yield Import(name, target, lazy, typing_only)
        deeper = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typed = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)
        yield from _walk(name, child, lazy=lazy or deeper, typing_only=typing_only or typed)


def _targets(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        if node.level:
            return [f"{PACKAGE}.a relative import"]
        if node.module == PACKAGE:  # from medcyclegan import errors, __version__
            return [f"{PACKAGE}.{alias.name}" for alias in node.names]
        return [node.module or ""]
    return []


def broken_rules(found: Import) -> list[str]:
    """The rules that an import breaks, as sentences; an empty list if none."""
    says = f"{found.source} imports {found.target}"
    if found.source in APART or found.target == f"{PACKAGE}.__version__":
        return []
    top, here = found.target.split(".")[0], room_of(found.source)
    if top != PACKAGE:
        extra = ROOMS[here].lazy if found.lazy else frozenset()
        known = ROOMS[here].third_parties | extra | set(sys.stdlib_module_names)
        return [] if top in known else [f"{says}: not among the third parties of {here}"]
    broken = _broken_in_io(found)
    there = room_of(found.target)
    floor, below = ROOMS[here].floor, ROOMS[there].floor
    same_folder = here.split(".")[0] == there.split(".")[0]
    if below > floor:
        broken.append(f"{says}: up from floor {floor} to {below}")
    if below == floor and not same_folder:
        broken.append(f"{says}: another room on the same floor")
    if found.lazy and here != "cli":
        broken.append(f"{says}: inside a function, which only cli may")
    return broken


def _broken_in_io(found: Import) -> list[str]:
    """The inner rule of ``io``: formats apart from each other, DICOM behind its public face."""
    source, target = (name.removeprefix(f"{PACKAGE}.") for name in (found.source, found.target))
    says = f"{found.source} imports {found.target}"
    here, there = (
        next((f for f in FORMATS if name.startswith(f"io.{f}.")), "") for name in (source, target)
    )
    if here and there and here != there:
        return [f"{says}: one format another"]
    if there == "dicom" and not source.startswith("io.") and not target.startswith(DICOM_FACE):
        return [f"{says}: past {DICOM_FACE}"]
    return []


def circle_in(edges: dict[str, set[str]]) -> list[str]:
    """Some circle of imports as a path of names, or an empty list."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(edges.get(name, ())):
            if circle := visit(target, [*path, name]):
                return circle
        done.add(name)
        return []

    return next((c for name in sorted(edges) if (c := visit(name, []))), [])


def too_large(name: str, text: str) -> list[str]:
    """Which limits of length and of parameters a module's text breaks."""
    broken = []
    lines = len(text.splitlines())
    if lines >= 400:
        broken.append(f"{name} has {lines} lines")
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        body = _lines_without_docstring(node)
        if body >= 40:
            broken.append(f"{name}.{node.name} has {body} lines")
        taken = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([arg for arg in taken if arg.arg not in ("self", "cls")])
        is_command = any("command" in ast.dump(mark) for mark in node.decorator_list)
        if count > 6 and not (is_command and room_of(name) == "cli"):
            broken.append(f"{name}.{node.name} takes {count} parameters")
    return broken


def _lines_without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    lines = node.end_lineno - node.lineno + 1
    if ast.get_docstring(node) is not None:
        lines -= node.body[0].end_lineno - node.body[0].lineno + 1
    return lines


def prints(text: str) -> bool:
    """Whether a module's text calls ``print``."""
    calls = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call))
    return any(isinstance(call.func, ast.Name) and call.func.id == "print" for call in calls)
