"""From what was asked for to a training that can begin: refusals, then data, then folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from medcyclegan.errors import UsageError
from medcyclegan.training.about import about_run
from medcyclegan.training.batches import refuse_uneven_shares
from medcyclegan.training.beginning import beginning_of
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.config import DataConfig
from medcyclegan.training.data.folders import Folders, LabelMaps
from medcyclegan.training.data.label_maps import open_simulated
from medcyclegan.training.data.open import open_data
from medcyclegan.training.data.simulated import SimulatedData
from medcyclegan.training.data.types import TrainingData
from medcyclegan.training.loop import Job
from medcyclegan.training.parallel import Crew, one_after_the_other
from medcyclegan.training.run_folder import (
    RunFolder,
    read_run,
    refuse_an_old_run,
    refuse_other_settings,
    start_run,
    write_config,
)


@dataclass(frozen=True)
class Request:
    """Settings, data, and the run folder, which is new or, with ``resume``, gone on with."""

    config: TrainConfig
    source: Folders | LabelMaps
    folder: RunFolder
    resume: bool


def prepare_job(
    request: Request,
    *,
    device: torch.device,
    crew: Crew,
    version: str,
    progress: Callable[[int, int], None] | None,
) -> Job:
    """Refuse what cannot work, read the data, and start the run folder.

    Raises
    ------
    UsageError
        If the batch cannot be shared out, if a run is resumed with other settings, or if the model
        that it is to begin with does not fit.
    ModelRefused
        If that model cannot be found or opened.
    CannotWrite
        If a new run is to go into the folder of an old one.
    InputRefused
        If the data cannot be used.
    """
    config, folder = request.config, request.folder
    refuse_uneven_shares(config, crew)
    if device.type == "cuda" and crew.size > 1:
        device = torch.device("cuda", crew.local_rank)
    if request.resume:
        refuse_other_settings(read_run(folder)[0], config)
    else:
        beginning_of(config)
        if crew.leads:
            refuse_an_old_run(folder)
    with one_after_the_other(crew):
        data = open_source(
            config, request.source, cache_folder=folder.root / "cache", progress=progress
        )
    if crew.leads and request.resume:
        write_config(folder, config)
    elif crew.leads:
        facts = about_run(
            config, data.summary, request.source, device=device, crew=crew, version=version
        )
        start_run(folder, config, facts)
    return Job(config, data, folder, device, crew)


def open_source(
    config: TrainConfig,
    source: Folders | LabelMaps,
    *,
    cache_folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingData:
    """Open the data that a configuration asks for.

    Raises
    ------
    UsageError
        If the configuration asks for data of another kind.
    InputRefused
        If they cannot be used.
    """
    given = "simulated" if isinstance(source, LabelMaps) else "folders"
    if config.data.kind != given:
        options = {"simulated": "--labels", "folders": "--data-a and --data-b"}
        raise UsageError(
            f"{options[given]} with {config.name}, whose data.kind is {config.data.kind}",
            remedy=f"give {options[config.data.kind]}",
        )
    if isinstance(source, LabelMaps) and isinstance(config.data, SimulatedData):
        return open_simulated(
            config.data, source, seed=config.seed, kept_in=cache_folder, progress=progress
        )
    assert isinstance(source, Folders)
    assert isinstance(config.data, DataConfig)
    return open_data(
        config.data, source, seed=config.seed, cache_folder=cache_folder, progress=progress
    )
