"""The one family of errors, each with its exit code.

A message says what was found (path or key, and value), the rule that it breaks, and what to do.
The codes are listed for users in ``docs/errors.md``.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What the process returns to the shell."""

    DONE = 0
    OUR_FAULT = 1
    USAGE = 2
    INPUT_REFUSED = 3
    CANNOT_WRITE = 4
    MODEL_REFUSED = 5
    DEVICE_OR_MEMORY = 6
    TRAINING_STOPPED = 7
    SOME_REFUSED = 8
    OUT_OF_DISTRIBUTION = 9
    NOT_ALIGNED = 10
    INTERRUPTED = 130
    STDOUT_CLOSED = 141
    TERMINATED = 143


class MedcycleganError(Exception):
    """Base of all errors that medcyclegan raises on purpose.

    ``found`` is what was met, path and value included; ``rule`` what was expected; ``remedy``
    what the user can do about it.
    """

    exit_code = ExitCode.OUR_FAULT

    def __init__(self, found: str, *, rule: str = "", remedy: str = "") -> None:
        self.found = found
        self.rule = rule
        self.remedy = remedy
        parts = [part.rstrip() for part in (found, rule, remedy) if part.strip()]
        # a sentence within loses its full stop, the unit a.u. does not
        inner = [p if p.endswith("a.u.") else p.removesuffix(".") for p in parts]
        super().__init__("; ".join(inner).removesuffix(".") + ".")


class InputRefused(MedcycleganError):
    """The input cannot be turned into a volume that we would vouch for."""

    exit_code = ExitCode.INPUT_REFUSED


class CannotWrite(MedcycleganError):
    """The output cannot be put where it should go."""

    exit_code = ExitCode.CANNOT_WRITE


class ModelRefused(MedcycleganError):
    """A model folder that is missing, damaged, no model, or made for another task."""

    exit_code = ExitCode.MODEL_REFUSED


class DeviceError(MedcycleganError):
    """A device that is not there, or memory that does not suffice."""

    exit_code = ExitCode.DEVICE_OR_MEMORY


class UsageError(MedcycleganError):
    """Arguments that do not go together."""

    exit_code = ExitCode.USAGE


class TrainingStopped(MedcycleganError):
    """A training that would only get worse: values that are not finite, a discriminator gone."""

    exit_code = ExitCode.TRAINING_STOPPED


class NotAligned(MedcycleganError):
    """Two images that do not sit on each other, however they are moved.

    ``figures`` are those that say so, by name.
    """

    exit_code = ExitCode.NOT_ALIGNED

    def __init__(
        self, found: str, *, rule: str = "", remedy: str = "", figures: dict[str, float]
    ) -> None:
        super().__init__(found, rule=rule, remedy=remedy)
        self.figures = figures


class Interrupted(MedcycleganError):
    """A run that was asked to stop, and saved what it had."""

    exit_code = ExitCode.INTERRUPTED


class Terminated(Interrupted):
    """One that SIGTERM asked to stop, as cluster schedulers do."""

    exit_code = ExitCode.TERMINATED


# Of the system: the disk or the quota is full, or a file at its limit.
NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def code_of_all(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the exit code where nothing could be done: that of all, if it is one."""
    found = set(codes)
    return found.pop() if len(found) == 1 else ExitCode.INPUT_REFUSED


def exit_code_of(error: Exception) -> ExitCode:
    """Return the exit code of what stopped a conversion, ours or of the system."""
    if isinstance(error, MedcycleganError):
        return error.exit_code
    if isinstance(error, MemoryError):
        return ExitCode.DEVICE_OR_MEMORY
    is_full = isinstance(error, OSError) and error.errno in NO_ROOM
    return ExitCode.CANNOT_WRITE if is_full else ExitCode.OUR_FAULT
