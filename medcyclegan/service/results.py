"""What the page shows and gives of a result: the viewer's copies, a NIfTI file, a DICOM series."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from medcyclegan.core.task import Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.viewer import Difference, Viewer, make_viewer
from medcyclegan.imaging.body_mask import body_mask_ct
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.dicom.api import read_series
from medcyclegan.io.naming import is_folder
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import Scan
from medcyclegan.io.write import write_scan
from medcyclegan.models.store import Model
from medcyclegan.workflow.batch.item import Item, Settings
from medcyclegan.workflow.convert import derivation_of
from medcyclegan.workflow.request import made_name, source_name

# Differences of output and input in HU beyond this have the strongest colour.
_MOST_DIFFERENCE_HU = 200.0


def read_input(item: Item, settings: Settings, task: Task) -> Scan:
    """Read what a job was made of."""
    source = settings.root / item.source
    if item.series_uid:
        return read_series(tuple(settings.root / p for p in item.files), source=source)
    return read_scan(source, modality=task.source.modality)


def read_output(item: Item, settings: Settings, task: Task) -> Volume:
    """Read what a job made, in the unit of its task."""
    volume = read_scan(settings.out / item.output, modality=task.target.modality).volume
    return Volume(volume.voxels, volume.geometry, task.target.unit)


def write_view(item: Item, settings: Settings, task: Task, *, to: Path) -> None:
    """Write what the viewer of the page is given, as JSON.

    Raises
    ------
    MedcycleganError
        If input or output can no longer be read, or are not on one grid.
    """
    source = read_input(item, settings, task).volume
    made = read_output(item, settings, task)
    names = source_name(task), made_name(task)
    differences = []
    if source.unit == made.unit == "HU":
        differences = [Difference("Output minus input", names[1], names[0], _MOST_DIFFERENCE_HU)]
    viewer = make_viewer(
        dict(zip(names, (source, made), strict=True)),
        differences=differences,
        layers=names,
        body=_body(made),
    )
    with atomic_file(to, overwrite=True) as part:
        part.write_text(json.dumps(asdict(viewer)), encoding="utf-8")


def read_view(path: Path) -> Viewer | None:
    """Return what ``write_view`` wrote; None where there is nothing."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return Viewer(told["about"], tuple(told["voxels"]), told["treatment"])
    except (OSError, ValueError, KeyError):
        return None


def _body(made: Volume) -> Volume | None:
    if made.unit != "HU":
        return None
    try:
        return body_mask_ct(made)
    except InputRefused:
        return None


@contextmanager
def as_nifti(item: Item, settings: Settings, model: Model) -> Iterator[Path]:
    """Give a NIfTI file of a result, which is gone after the block unless it is the result."""
    output = settings.out / item.output
    if not is_folder(output):
        yield output
        return
    with TemporaryDirectory(dir=settings.out) as folder:
        to = Path(folder, "result.nii.gz")
        scan = read_scan(output, modality=model.task.target.modality)
        write_scan(read_output(item, settings, model.task), source_header=scan.source_header, to=to)
        yield to


@contextmanager
def as_dicom(item: Item, settings: Settings, model: Model) -> Iterator[Path]:
    """Give a zip of the DICOM series of a result, which is gone after the block.

    Of a result that is a file, the series is made here, with the UIDs of its job.
    """
    with TemporaryDirectory(dir=settings.out) as folder:
        series = settings.out / item.output
        if not is_folder(series):
            scan, task = read_input(item, settings, model.task), model.task
            image = read_output(item, settings, task)
            derivation = derivation_of(model, settings.provenance)
            series = Path(folder, "series")
            write_scan(image, source_header=scan.source_header, to=series, derivation=derivation)
        to = Path(folder, "result.zip")
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for path in sorted(series.iterdir()):
                archive.write(path, path.name)
        yield to
