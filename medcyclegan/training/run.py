"""A whole training by one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medcyclegan import __version__
from medcyclegan.errors import UsageError
from medcyclegan.training.about import source_of_run
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.folders import Folders, LabelMaps
from medcyclegan.training.loop import Watcher
from medcyclegan.training.loop import train as train_job
from medcyclegan.training.parallel import joined_crew
from medcyclegan.training.run_folder import RunFolder, read_run
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.training.start import Request, prepare_job
from medcyclegan.translator import DeviceName, choose_device


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
        return read_settings(find_config(name_or_path), TrainConfig, changes=changes)
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
