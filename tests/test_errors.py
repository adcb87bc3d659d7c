"""The family of errors: messages of found, rule and remedy, and the exit codes."""

from __future__ import annotations

import pytest

from medcyclegan import errors
from medcyclegan.errors import ExitCode, InputRefused, MedcycleganError

CODES = {
    "MedcycleganError": 1,
    "UsageError": 2,
    "InputRefused": 3,
    "CannotWrite": 4,
    "ModelRefused": 5,
    "DeviceError": 6,
    "TrainingStopped": 7,
    "NotAligned": 10,
    "Interrupted": 130,
    "Terminated": 143,
}


def test_the_documented_exit_codes() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "DONE": 0, "OUR_FAULT": 1, "USAGE": 2, "INPUT_REFUSED": 3, "CANNOT_WRITE": 4,
        "MODEL_REFUSED": 5, "DEVICE_OR_MEMORY": 6, "TRAINING_STOPPED": 7, "SOME_REFUSED": 8,
        "OUT_OF_DISTRIBUTION": 9, "NOT_ALIGNED": 10, "INTERRUPTED": 130, "STDOUT_CLOSED": 141,
        "TERMINATED": 143,
    }  # fmt: skip


def test_every_error_is_of_the_family_and_has_its_own_code() -> None:
    family = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert {name: int(kind.exit_code) for name, kind in family.items()} == CODES
    assert all(issubclass(kind, MedcycleganError) for kind in family.values())


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "Shape (0, 1, 1)."),
        ({"rule": "at least one voxel"}, "Shape (0, 1, 1); at least one voxel."),
        ({"rule": "one voxel."}, "Shape (0, 1, 1); one voxel."),
        ({"rule": "one voxel.", "remedy": "crop less"}, "Shape (0, 1, 1); one voxel; crop less."),
        ({"remedy": "crop less."}, "Shape (0, 1, 1); crop less."),
        ({"rule": "one voxel", "remedy": "crop less"}, "Shape (0, 1, 1); one voxel; crop less."),
    ],
)
def test_a_message_joins_its_parts(parts: dict[str, str], message: str) -> None:
    error = InputRefused("Shape (0, 1, 1)", **parts)
    assert str(error) == message
    assert error.found == "Shape (0, 1, 1)"
    assert (error.rule, error.remedy) == (parts.get("rule", ""), parts.get("remedy", ""))


def test_a_part_that_is_a_sentence_leaves_no_stop_inside_the_message() -> None:
    cause = InputRefused("a.nii is empty", rule="an image has voxels")
    said = str(InputRefused(str(cause), remedy="copy it again"))
    assert said == "a.nii is empty; an image has voxels; copy it again."


def test_rule_and_remedy_are_named() -> None:
    with pytest.raises(TypeError):
        InputRefused("found", "rule")  # type: ignore[misc]
