"""Label maps of heads as the source of a training: read, prepared once, and kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from medcyclegan.errors import InputRefused
from medcyclegan.io.read import read_scan
from medcyclegan.simulate.labelmaps import HeadAnatomy, prepare_head
from medcyclegan.training.data.folders import LabelMaps
from medcyclegan.training.data.low_dose import DosePatches, dose_slices
from medcyclegan.training.data.simulated import (
    SimulatedData,
    SimulatedSlabs,
    held_back_cases,
    keep_prepared,
    load_prepared,
    prepared_path,
)
from medcyclegan.training.data.types import SimulatedSource, TrainingData
from medcyclegan.volume import Volume

Progress = Callable[[int, int], None]

# Heads after those that are trained on which validate, if there are such.
MOST_HELD_BACK = 2


def open_simulated(
    config: SimulatedData,
    labels: LabelMaps,
    *,
    seed: int,
    kept_in: Path | None = None,
    progress: Progress | None = None,
) -> TrainingData:
    """Prepare the heads, and draw what validates; slices at a low dose are kept.

    Raises
    ------
    InputRefused
        If there are too few label maps, or one is no label map of a head.
    """
    paths = sorted(labels.folder.glob("*.nii.gz"))
    if len(paths) < labels.heads:
        raise InputRefused(
            f"{labels.folder} holds {len(paths)} label maps (*.nii.gz)",
            rule=f"{labels.heads} are to be trained on (--heads)",
            remedy="name another folder, or fewer heads",
        )
    wanted = paths[: labels.heads + MOST_HELD_BACK]
    heads = []
    for number, path in enumerate(wanted, start=1):
        heads.append(_head(path, number, labels.prepared))
        if progress is not None:
            progress(number, len(wanted))
    trained, others = heads[: labels.heads], heads[labels.heads :]
    source = SimulatedSource(labels.folder, len(trained), len(others))
    if config.source == "low_dose_ct":
        kept = None if kept_in is None else kept_in / "slices.npz"
        slices = dose_slices(trained, config, kept, seed=seed)
        return TrainingData(DosePatches(slices, config, seed=seed), (), source)
    cases = held_back_cases(others, config, seed=seed, size_px=config.size_px)
    return TrainingData(SimulatedSlabs(trained, config, seed=seed), cases, source)


def _head(path: Path, number: int, prepared: Path | None) -> HeadAnatomy:
    if prepared is not None and prepared_path(prepared, number).exists():
        return load_prepared(prepared, [number])[0]
    labels = read_scan(path).volume
    try:
        head = prepare_head(Volume(labels.voxels, labels.geometry, "label"))
    except InputRefused as error:
        raise InputRefused(f"{path}: {error}") from error
    if prepared is not None:
        keep_prepared(head, prepared_path(prepared, number))
    return head
