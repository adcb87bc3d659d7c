"""What ``run.json`` says of a run: data, machine, version."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path

import torch

from medcyclegan.errors import UsageError
from medcyclegan.pathtext import path_text
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.folders import Folders, LabelMaps
from medcyclegan.training.data.types import DataSummary, SideSummary, SimulatedSource
from medcyclegan.training.parallel import Crew
from medcyclegan.translator import has_bfloat16


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
