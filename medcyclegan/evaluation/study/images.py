"""The voxels of one patient, read anew when they are to be shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from medcyclegan.evaluation.study.load import load_prediction, load_truth
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.volume import Volume


@dataclass(frozen=True, eq=False)
class PatientImages:
    """The images of one patient on the grid of the reference; ``scts`` by method."""

    case: str
    ct: Volume
    mask: Volume
    mr: Volume | None
    scts: dict[str, Volume]


def load_images(patient: Patient, *, methods: Sequence[str]) -> PatientImages:
    """Read the images of a patient that was scored, with the synthetic CTs of these methods.

    Raises
    ------
    InputRefused
        If an image can no longer be read.
    """
    truth = load_truth(patient)
    scts = {name: load_prediction(patient.preds[name], truth).sct for name in methods}
    return PatientImages(patient.case, truth.ct, truth.mask, truth.mr, scts)
