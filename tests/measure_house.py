"""Figures of the package's shape beside their goals: ``python -m tests.measure_house``.

Counts are of the files of the package. The way of a piece of work is traced: which modules its
calls pass through, and over how many arrows between modules beyond the first into each of them,
that is how often the call comes back to a module that it was in before.
"""

from __future__ import annotations

import ast
import itertools
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import numpy as np
from distributed import LocalCluster

import medcyclegan
from medcyclegan.cli.main import cli
from medcyclegan.simulate.label_heads.label_maps import prepare_head
from medcyclegan.training.data.simulated import SimulatedSlabs
from tests import architecture_rules as rules
from tests.simulate.head_labels import head_labels
from tests.training.simulated_training import simulated_data

PACKAGE = Path(medcyclegan.__file__).parent
TESTS = Path(__file__).parent
OURS = f"{rules.PACKAGE}."


def main() -> None:
    """Measure and print the table."""
    rows = [*shape(), *ways()]
    width = max(len(name) for name, _, _ in rows)
    for name, found, goal in rows:
        sys.stdout.write(f"{name:{width}}  {found:>12}  {goal}\n")


def shape() -> Iterator[tuple[str, str, str]]:
    """What is counted in the files: name, figure, goal."""
    texts = rules.modules(PACKAGE)
    trees = {name: ast.parse(text) for name, text in texts.items()}
    lines = {name: len(text.splitlines()) for name, text in texts.items()}
    total = sum(lines.values())
    yield "files", str(len(texts)), "<= 180"
    yield "lines a file", f"{total / len(texts):.0f}", "150-180"
    tops = {name.split(".")[1] for name in texts if "." in name} - {"__main__"}
    yield "names on the top level", str(len(tops)), "<= 14"
    yield "imports, share of all lines", f"{_import_lines(trees) / total:.1%}", "<= 6 %"
    modules = {name for name in texts if not _is_package(name)}
    alone, entries = _alone(texts, modules)
    yield "modules that one sibling alone imports", f"{alone} of {len(modules)}", "<= 25"
    yield "... without commands and engines, which a table lists", str(alone - entries), ""
    yield "floors", str(len({room.floor for room in rules.ROOMS.values()})), "<= 10"
    sizes = sorted(_function_lines(trees))
    p90 = sizes[int(0.9 * len(sizes))]
    yield "lines of a function, p90 / most", f"{p90} / {sizes[-1]}", "18 / 39"
    tests = sum(len(p.read_text(encoding="utf-8").splitlines()) for p in TESTS.rglob("*.py"))
    yield "lines of tests to lines of the package", f"{tests / total:.2f}", ".87"


def _is_package(name: str) -> bool:
    return name == rules.PACKAGE or name.endswith(".__init__")


def _import_lines(trees: dict[str, ast.Module]) -> int:
    nodes = itertools.chain.from_iterable(ast.walk(tree) for tree in trees.values())
    found = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    return sum((node.end_lineno or node.lineno) - node.lineno + 1 for node in found)


def _alone(texts: dict[str, str], modules: set[str]) -> tuple[int, int]:
    """How many modules a module of the same folder alone imports; those that a table lists."""
    users: dict[str, set[str]] = {name: set() for name in modules}
    for name, text in texts.items():
        for found in _targets(name, text, modules):
            users[found].add(name)
    alone = [
        (name, next(iter(by)))
        for name, by in users.items()
        if len(by) == 1 and next(iter(by)).rpartition(".")[0] == name.rpartition(".")[0]
    ]
    listed = (f"{OURS}cli.main", f"{OURS}training.engines.registry")
    return len(alone), sum(by in listed for _, by in alone)


def _targets(name: str, text: str, modules: set[str]) -> set[str]:
    """The modules that a module imports, as a whole or names of them."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            found |= inner or {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & modules) - {name}


def _function_lines(trees: dict[str, ast.Module]) -> Iterator[int]:
    for node in itertools.chain.from_iterable(ast.walk(tree) for tree in trees.values()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:
                first = node.body[0]
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield lines


class Trace:
    """Which modules calls pass through, and the arrows between them."""

    def __init__(self) -> None:
        self.modules: set[str] = set()
        self.arrows: set[tuple[str, str]] = set()

    def __call__(self, frame: FrameType, event: str, _: object) -> None:
        """Take in a call; what is done while a module is loaded does not count."""
        name = _module(frame)
        if event != "call" or not name.startswith(OURS) or frame.f_code.co_name == "<module>":
            return
        self.modules.add(name)
        caller = frame.f_back
        while caller is not None and not _module(caller).startswith(OURS):
            caller = caller.f_back
        if caller is not None and _module(caller) != name:
            self.arrows.add((_module(caller), name))

    def __str__(self) -> str:
        entered = {callee for _, callee in self.arrows}
        return f"{len(self.modules)} / {len(self.arrows) - len(entered)}"


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))  # code made at run time has none


@contextmanager
def traced(*, threads: str = "") -> Iterator[Trace]:
    """Trace this thread, or those alone whose names hold ``threads``."""
    trace = Trace()

    def of_thread(frame: FrameType, event: str, value: object) -> None:
        if threads in threading.current_thread().name:
            trace(frame, event, value)

    if threads:
        threading.setprofile(of_thread)
    else:
        sys.setprofile(trace)
    try:
        yield trace
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def ways() -> Iterator[tuple[str, str, str]]:
    """What four pieces of work pass through: modules, and how often they come back to one."""
    less = "less than before"
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _run("phantom", "--spacing", 6, 6, 6, "--out", root / "phantom", "-q")
        mr, ct = root / "phantom" / "mr_t1.nii.gz", root / "phantom" / "ct.nii.gz"
        options = ("--device", "cpu", "-q")
        command = ("synth-ct", "--mri", mr, "--out", root / "sct.nii.gz", *options)
        yield "a scan: modules / comes back", _way(lambda: _run(*command)), less
        yield "a batch of simulated slabs: modules / comes back", _way(_slabs()), less
        scored = ("evaluate", "--pred", root / "sct.nii.gz", "--ref", ct, "--out", root / "study")
        yield "a study: modules / comes back", _way(lambda: _run(*scored, "-q")), less
        yield "an item of a batch: modules / comes back", _item(root, mr), less


def _way(work: Callable[[], object]) -> str:
    with traced() as trace:
        work()
    return str(trace)


def _slabs() -> Callable[[], object]:
    slabs = SimulatedSlabs([prepare_head(head_labels())], simulated_data(), seed=0)
    return lambda: np.stack([slabs[number].a.numpy() for number in range(4)])


def _item(root: Path, mr: Path) -> str:
    """The way of an item in a thread of a worker, which lives in this process for once."""
    patients = root / "patients"
    patients.mkdir()
    (patients / mr.name).write_bytes(mr.read_bytes())
    with (
        traced(threads="Dask-") as trace,
        LocalCluster(
            n_workers=1, processes=False, protocol="tcp://", dashboard_address=None
        ) as cluster,
    ):
        address = cluster.scheduler_address
        _run("batch", patients, "--out", root / "out", "--scheduler", address, "-q")
    return str(trace)


def _run(*arguments: object) -> None:
    """Run a command of the command line in this process; one that is not to be trusted is done."""
    try:
        cli([str(argument) for argument in arguments], standalone_mode=False)
    except SystemExit as ended:
        if ended.code not in (0, 9):
            raise


if __name__ == "__main__":
    main()
