"""Kill a command at a random moment, look at what is left, run it again, compare."""

from __future__ import annotations

import hashlib
import random
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

Tree = dict[str, str]
_POLL_S = 0.001
_CANNOT_WRITE = 4


@dataclass(frozen=True)
class Victim:
    """A command with ``{out}`` in it; ``before`` makes the older output that it writes over."""

    name: str
    command: tuple[str, ...]
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unbroken:
    """What a run makes that nobody kills: before it, after it, and how long it took."""

    older: Tree
    made: Tree
    seconds: float
    seconds_before_writing: float


@dataclass(frozen=True)
class Kill:
    """One kill: when, whether the victim still ran, and what was found to be wrong."""

    victim: str
    seconds: float
    hit: bool
    leftovers: int
    faults: tuple[str, ...]


def tree_of(folder: Path) -> Tree:
    """The sha256 of every file, hidden ones included, by its path in the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(command: tuple[str, ...], out: Path) -> subprocess.Popen[bytes]:
    """Start a command with its output folder put in."""
    filled = [part.replace("{out}", str(out)) for part in command]
    return subprocess.Popen(filled, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def run_unbroken(victim: Victim, folder: Path) -> Unbroken:
    """Run a victim in peace, twice: what cannot be repeated cannot be compared."""
    trees = []
    for number in range(2):
        out = folder / f"unbroken_{number}"
        older = _prepare(victim, out)
        started = time.monotonic()
        child = start(victim.command, out)
        before_writing = _wait_for_writing(child, out, older) - started
        _, errors = child.communicate()
        seconds = time.monotonic() - started
        if child.returncode:
            raise SystemExit(f"{victim.name} fails unbroken: {errors.decode()}")
        trees.append(tree_of(out))
        shutil.rmtree(out)
    if trees[0] != trees[1]:
        raise SystemExit(f"{victim.name} makes other bytes in each run")
    return Unbroken(older, trees[0], seconds, before_writing)


def kill_once(victim: Victim, unbroken: Unbroken, out: Path, chance: random.Random) -> Kill:
    """Kill a victim at a random moment, run it again, and say what is wrong."""
    _prepare(victim, out)
    started = time.monotonic()
    child = start(victim.command, out)
    if chance.random() < 0.5:
        time.sleep(chance.uniform(0, unbroken.seconds))
    else:
        _wait_for_writing(child, out, unbroken.older)
        time.sleep(chance.uniform(0, unbroken.seconds - unbroken.seconds_before_writing))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    seconds = time.monotonic() - started
    faults = damaged(tree_of(out), unbroken)
    hidden = sum(path.name.startswith(".") for path in out.iterdir())
    again = start(victim.command, out)
    _, errors = again.communicate()
    # A command that is not asked to overwrite refuses where the killed one had come to its end.
    if again.returncode not in (0, _CANNOT_WRITE):
        faults.append(f"the rerun returned {again.returncode}: {errors.decode().strip()}")
    if tree_of(out) != unbroken.made:
        faults.append(f"the rerun left {sorted(tree_of(out).items() ^ unbroken.made.items())[:4]}")
    shutil.rmtree(out)
    return Kill(victim.name, seconds, child.returncode == -signal.SIGKILL, hidden, tuple(faults))


def damaged(found: Tree, unbroken: Unbroken) -> list[str]:
    """The visible entries that are neither whole and old nor whole and new."""
    entries = {name.split("/")[0] for name in found} - {""}
    return [
        f"{entry} is damaged"
        for entry in sorted(entries)
        if not entry.startswith(".")
        and _below(found, entry)
        not in (_below(unbroken.older, entry), _below(unbroken.made, entry))
    ]


def _below(tree: Tree, entry: str) -> Tree:
    return {name: digest for name, digest in tree.items() if name.split("/")[0] == entry}


def _prepare(victim: Victim, out: Path) -> Tree:
    out.mkdir(parents=True)
    if victim.before:
        start(victim.before, out).communicate()
    return tree_of(out)


def _wait_for_writing(child: subprocess.Popen[bytes], out: Path, older: Tree) -> float:
    """Return the moment at which something new is in the folder, or the child has ended."""
    known = {name.split("/")[0] for name in older}
    while child.poll() is None and {path.name for path in out.iterdir()} <= known:
        time.sleep(_POLL_S)
    return time.monotonic()
