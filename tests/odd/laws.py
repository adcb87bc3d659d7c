"""What must hold after every case, whatever the input was."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np

from medcyclegan.errors import ExitCode, MedcycleganError
from tests.dicom_factory import PATIENT_ID, PATIENT_NAME
from tests.odd.case import Case, Outcome
from tests.odd.inputs import head

# A message fits into a few lines of a terminal, but for the list of the series in a folder.
MOST_MESSAGE_CHARACTERS = 700


def broken_laws(case: Case, source: Path, outcome: Outcome) -> list[str]:
    """What a message lacks or tells too much, as sentences; none if all is well."""
    said = outcome.stdout + outcome.stderr
    broken = [f"{word!r} is not said" for word in case.says if word not in outcome.stderr]
    broken += [f"{name} is told" for name in (PATIENT_NAME, PATIENT_ID) if name in said]
    if outcome.code != case.code:
        broken.append(f"the exit code is {outcome.code} and not {int(case.code)}")
    if "Traceback" in said:
        broken.append("a traceback is shown")
    if outcome.code == ExitCode.DONE:
        if bool(outcome.stderr) != bool(case.says):
            broken.append(f"the warnings are {outcome.stderr!r}")
        return broken
    return broken + _broken_by_error(outcome, source)


def _broken_by_error(outcome: Outcome, source: Path) -> list[str]:
    broken = []
    message, error = outcome.stderr, outcome.error
    if not message.startswith("Error: ") or outcome.stdout:
        broken.append("an error is one message on stderr")
    if len(message) > MOST_MESSAGE_CHARACTERS:
        broken.append(f"the message has {len(message)} characters")
    if outcome.code == ExitCode.INPUT_REFUSED and str(source.parent) not in message:
        broken.append("the path is not named")
    if isinstance(error, MedcycleganError) and not error.remedy:
        broken.append("no remedy is named")
    return [f"{text}: {message!r}" for text in broken]


# Checks of single cases


def same_affine(source: Path, made: Path) -> None:
    """The output's affine, as nibabel reads it, is the input's to the last bit."""
    expected, found = nibabel.load(source), nibabel.load(made)
    assert found.affine.tobytes() == expected.affine.tobytes()
    assert found.shape == expected.shape[:3]


def same_header(source: Path, made: Path) -> None:
    """All of the header but what the voxels decide is the input's, its extensions too."""
    expected, found = nibabel.load(source).header, nibabel.load(made).header
    decided = {"datatype", "bitpix", "vox_offset", "scl_slope", "scl_inter", "cal_max", "cal_min"}
    for name in set(expected.keys()) - decided:
        assert expected[name].tobytes() == found[name].tobytes(), name
    theirs, ours = (
        [(e.get_code(), e.get_content()) for e in header.extensions] for header in (expected, found)
    )
    assert theirs == ours


def same_as_control(source: Path, made: Path) -> None:
    """The voxels are those of the control, which the test has put beside the input."""
    control = made.parent.parent / "control.nii.gz"
    expected, found = (np.asarray(nibabel.load(path).dataobj) for path in (control, made))
    assert expected.shape[2] == head().shape[2]
    assert np.array_equal(found, expected)
