"""A whole training by one call: refusals, data, run folder, record, loop."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from medcyclegan import __version__
from medcyclegan.core.text import path_text
from medcyclegan.errors import UsageError
from medcyclegan.inference.sliding_slabs import DeviceName, choose_device, has_bfloat16
from medcyclegan.training.batches import refuse_uneven_shares
from medcyclegan.training.checkpoint import initial_model
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.config import DataConfig, Folders, LabelMaps
from medcyclegan.training.data.open import open_data
from medcyclegan.training.data.simulated import SimulatedData, open_simulated
from medcyclegan.training.data.types import DataSummary, SideSummary, SimulatedSource, TrainingData
from medcyclegan.training.engines.base import EngineSettings
from medcyclegan.training.loop import Job, Watcher
from medcyclegan.training.loop import train as train_job
from medcyclegan.training.parallel import Crew, joined_crew, one_after_the_other
from medcyclegan.training.run_folder import (
    RunFolder,
    read_run,
    refuse_an_old_run,
    refuse_other_settings,
    refuse_unwritable_run,
    start_run,
    write_config,
)
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config


def about_run(
    config: TrainConfig,
    summary: DataSummary | SimulatedSource,
    source: Folders | LabelMaps,
    *,
    device: torch.device,
    crew: Crew,
    version: str,
) -> dict[str, object]:
    """Collect it, as plain data; ``version`` is that of medcyclegan."""
    return {
        "config": config.name,
        "medcyclegan": version,
        "torch": torch.__version__,
        "machine": machine_of(device, config, crew),
        "source": plain_source(source),
        "data": _facts(config, summary),
    }


def plain_source(source: Folders | LabelMaps) -> dict[str, object]:
    """Where the data lie, as plain data."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in vars(source).items()
        if value is not None
    }


def source_of_run(about: Mapping[str, object]) -> Folders | LabelMaps:
    """Where the data lie that a run was started with.

    Raises
    ------
    UsageError
        If it is not recorded.
    """
    recorded = about.get("source")
    found = dict(recorded) if isinstance(recorded, dict) else {}
    heads = found.pop("heads", None)
    paths = {name: Path(path).absolute() for name, path in found.items()}
    if {"a", "b"} <= paths.keys():
        return Folders(**paths)
    if "folder" in paths and isinstance(heads, int):
        return LabelMaps(heads=heads, **paths)
    raise UsageError(
        "The run does not say where its data lie", remedy="give --data-a and --data-b, or --labels"
    )


def machine_of(device: torch.device, config: TrainConfig, crew: Crew) -> str:
    """Processor or GPU, threads, processes and precision, in words."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{_cpu_name()}, {torch.get_num_threads()} of {os.cpu_count()} cores"
    native = has_bfloat16(device) if config.precision == "auto" else config.precision == "bfloat16"
    return f"{crew.size} x {name}, {'bfloat16' if native else 'float32'}"


def _cpu_name() -> str:
    capabilities = torch.cpu.get_capabilities()
    return str(capabilities.get("cpu_name") or platform.machine())


def _facts(config: TrainConfig, summary: DataSummary | SimulatedSource) -> dict[str, object]:
    """What was trained on, as a card tells it."""
    if isinstance(summary, SimulatedSource):
        return {
            "labels": {
                "folder": summary.labels.name,
                "heads": summary.heads,
                "validation_heads": summary.held_back_heads,
            }
        }
    return {
        "a": _counts(summary.a, config.data.a.modality),
        "b": _counts(summary.b, config.data.b.modality),
        "training_pairs": summary.training_pairs,
    }


def _counts(side: SideSummary, modality: str) -> dict[str, object]:
    return {
        "folder": path_text(side.folder.name),
        "modality": modality,
        "inputs": side.training_inputs,
        "subjects": side.training_subjects,
        "validation_subjects": side.validation_subjects,
    }


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
        initial_model(config)
        if crew.leads:
            refuse_an_old_run(folder)
    if crew.leads:
        refuse_unwritable_run(folder)
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


def train(
    config: str | Path,
    source: Folders | LabelMaps | None,
    out: Path,
    *,
    changes: Sequence[str] = (),
    resume: bool = False,
    device: DeviceName = "auto",
) -> Path:
    """Train as ``medcyclegan train`` does; returns the run folder.

    Parameters
    ----------
    config:
        The name of a shipped configuration, or a YAML file.
    source:
        ``Folders(a, b)`` or ``LabelMaps(folder)``; None, with ``resume``, for that of the run.
    out:
        The run folder.
    changes:
        Settings to change, as ``"steps=5000"``.
    resume:
        Go on from the last checkpoint in ``out``, with the settings of the run and ``changes``.
    device:
        ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises
    ------
    MedcycleganError
        As the command does: settings, data or device cannot be used, or the training stopped.
    """
    folder = RunFolder(Path(out))
    settings = settings_of(str(config), folder, changes=changes, resume=resume)
    if source is None and not resume:
        raise UsageError("No data", rule="source is Folders or LabelMaps, but for resume=True")
    wanted = source if source is not None else source_of_run(read_run(folder)[1])
    request = Request(settings, wanted, folder, resume)
    with joined_crew() as crew:
        job = prepare_job(
            request, device=choose_device(device), crew=crew, version=__version__, progress=None
        )
        train_job(job, resume=resume, watcher=Watcher())
    return folder.root


def settings_of(
    name_or_path: str | None, folder: RunFolder, *, changes: Sequence[str], resume: bool
) -> TrainConfig:
    """The settings of a new run, or with ``resume`` those of the run and some changes.

    Raises
    ------
    UsageError
        If they cannot be read or break a rule, or the run is of another configuration.
    """
    if not resume:
        if name_or_path is None:
            raise UsageError("No configuration", remedy="name one; see: medcyclegan config list")
        path = find_config(name_or_path)
        return _told_truly(read_settings(path, TrainConfig, changes=changes), path, changes)
    before = read_run(folder)[0]
    if name_or_path is not None:
        asked = read_settings(find_config(name_or_path), TrainConfig).name
        if asked != before.name:
            raise UsageError(
                f"{folder.root} holds a run of {before.name}, not of {asked}",
                rule="a run goes on with its own settings",
                remedy="name that configuration or none, or give another --out",
            )
    return read_settings(folder.config, TrainConfig, changes=changes)


def _told_truly(config: TrainConfig, path: Path, changes: Sequence[str]) -> TrainConfig:
    """Have the summary say what is trained, where changes make something else of it.

    It is what cards and lists show; the one in the file is of the settings in the file.
    """
    if not changes or any(change.partition("=")[0].strip() == "summary" for change in changes):
        return config
    try:
        before = read_settings(path, TrainConfig)
    except UsageError:  # a file that only the changes make whole: its summary was written for that
        return config
    if _spoken_of(before) == _spoken_of(config):
        return config
    return config.model_copy(update={"summary": f"{_plainly(config)}; changed from {before.name}"})


def _spoken_of(config: TrainConfig) -> tuple[object, ...]:
    """What a summary speaks of."""
    engine = config.engine
    kinds = (_kind(engine), getattr(engine, "directions", None), config.generator.kind)
    data = config.data.model_dump(
        include={"kind", "pairs", "depth", "matched_noise", "source", "target"}
    )
    return (*kinds, config.init_from, data)


def _plainly(config: TrainConfig) -> str:
    data = config.data
    pairs = {"none": "unpaired", "by-name": "pairs by name"}.get(getattr(data, "pairs", ""), "")
    task = config.task("a-to-b")
    depth = "2D" if task.depth == 1 else f"2.5D, slabs of {task.depth} slices"
    return f"{_kind(config.engine)}, {pairs or 'simulated pairs'}, {depth}"


def _kind(engine: EngineSettings) -> str:
    """The name by which a configuration chooses the engine."""
    return str(getattr(engine, "kind", type(engine).__name__))
