"""What ``run.json`` says of a run: data, machine, version."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

from medcyclegan.errors import UsageError
from medcyclegan.io.case_names import printable
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.folders import Folders
from medcyclegan.training.data.types import DataSummary, SideSummary
from medcyclegan.training.parallel import Crew
from medcyclegan.translator import has_bfloat16


def about_run(
    config: TrainConfig,
    summary: DataSummary,
    folders: Folders,
    *,
    device: torch.device,
    crew: Crew,
    version: str,
) -> dict[str, object]:
    """Collect it, as plain data; ``version`` is that of medcyclegan."""
    sides = {"a": summary.a, "b": summary.b}
    return {
        "config": config.name,
        "medcyclegan": version,
        "torch": torch.__version__,
        "machine": machine_of(device, config, crew),
        "folders": {name: str(path) for name, path in vars(folders).items() if path is not None},
        "data": {
            name: _counts(side, config.data.domain("a" if name == "a" else "b").modality)
            for name, side in sides.items()
        },
        "training_pairs": summary.training_pairs,
    }


def folders_of(about: dict[str, object]) -> Folders:
    """The folders that a run was started with.

    Raises
    ------
    UsageError
        If they are not recorded.
    """
    recorded = about.get("folders")
    if not isinstance(recorded, dict) or not {"a", "b"} <= recorded.keys():
        raise UsageError(
            "The run does not say where its data lie", remedy="give --data-a and --data-b"
        )
    paths = {name: Path(path).absolute() for name, path in recorded.items()}
    return Folders(**paths)


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


def _counts(side: SideSummary, modality: str) -> dict[str, object]:
    return {
        "folder": printable(side.folder.name),
        "modality": modality,
        "inputs": side.training_inputs,
        "subjects": side.training_subjects,
        "validation_subjects": side.validation_subjects,
    }
