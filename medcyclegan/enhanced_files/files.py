"""One file into one enhanced file, or into what a model makes of it after that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcyclegan.conversion import Maker, Opened, Request, finish, open_scan
from medcyclegan.enhanced_files.recipe import Recipe
from medcyclegan.enhancement.step import Step, enhance
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.contact_sheet import Stages
from medcyclegan.io.atomic import ensure_writable
from medcyclegan.io.dicom.derive import Derivation, DerivedSeries, derive_series
from medcyclegan.io.dicom.read import is_dicom
from medcyclegan.io.read import read_scan, refuse_irregular
from medcyclegan.io.scan import DicomPassport, PlanePassport, Scan
from medcyclegan.io.write import write_scan
from medcyclegan.models.store import Model
from medcyclegan.synthesis import Synthesis, synthesize
from medcyclegan.volume import Volume


@dataclass(frozen=True, eq=False)
class Enhanced:
    """What was written, and the image at each stage."""

    source: Path
    output: Path
    stages: Stages
    warnings: tuple[str, ...]


def enhance_file(
    source: Path, recipe: Recipe, *, to: Path, maker: Maker, overwrite: bool = False
) -> Enhanced:
    """Read a radiograph or picture, enhance it, and write it.

    Grey values keep their range and their number of bits, and DICOM its patient and study.

    Raises
    ------
    MedcycleganError
        InputRefused, CannotWrite, UsageError or ModelRefused, each before anything is written.
    """
    refuse_irregular(source)
    if recipe.model is not None:
        return _through_model(source, recipe, recipe.model, to, maker=maker, overwrite=overwrite)
    is_series = is_dicom(source)
    ensure_writable(to, source=source, overwrite=overwrite, folder=is_series)
    scan = _read(source)
    stages = stages_of(scan, recipe.steps)
    image = _volume_of(scan, stages[-1])
    series = _series_of(scan, image, recipe, maker) if is_series else None
    write_scan(image, passport=scan.passport, to=to, derivation=series, overwrite=overwrite)
    return Enhanced(source, to, _shown(scan, stages), scan.warnings)


def stages_of(scan: Scan, steps: Sequence[Step]) -> list[NDArray[np.float64]]:
    """Return the image (rows, columns) before and after each step, in its own grey values."""
    before = scan.volume.voxels[:, :, 0].T.astype(np.float64)
    low, high = float(before.min()), float(before.max())
    unit = (before - low) / (high - low)  # the readers refuse images of one value
    return [before, *(low + stage * (high - low) for stage in enhance(unit, steps))]


def _read(source: Path) -> Scan:
    scan = read_scan(source, modality="XR")
    _refuse_volume(scan)
    return scan


def _refuse_volume(scan: Scan) -> None:
    """Refuse what is not a picture, nor a radiograph that tells so itself."""
    if not isinstance(scan.passport, PlanePassport | DicomPassport) or not scan.is_plane:
        raise InputRefused(
            f"{scan.source} is no picture",
            rule="radiographs and pictures are enhanced",
            remedy="give PNG, JPEG, TIFF, or DICOM of modality CR, DX or RG",
        )


def _volume_of(scan: Scan, stage: NDArray[np.float64]) -> Volume:
    voxels = np.ascontiguousarray(stage.T[:, :, None], dtype=np.float32)
    return scan.volume.with_voxels(voxels)


def _shown(scan: Scan, stages: Sequence[NDArray[np.float64]]) -> Stages:
    low, high = np.percentile(stages[0], (0.2, 99.8))
    window = (float(low), float(high)) if low < high else (stages[0].min(), stages[0].max())
    return Stages(scan.source.name, tuple(stages), window)


def _series_of(scan: Scan, image: Volume, recipe: Recipe, maker: Maker) -> DerivedSeries:
    """Make the header; the source's window is kept unless a step moved the values."""
    derivation = Derivation(
        model_name="",
        model_sha256="",
        software_version=maker.version,
        method=_method(recipe),
        now=maker.now(),
        new_uid=maker.new_uid,
        series_label="Enhanced",
        kind="XR",
        synthetic=False,
    )
    series = derive_series(image.geometry, passport=scan.passport, derivation=derivation)
    if any(step.moves_values for step in recipe.steps):
        for _, ds in series.slices:
            low, high = float(image.voxels.min()), float(image.voxels.max())
            # PS3.3 C.11.2.1.2: black up to centre - 0.5 - (width - 1) / 2
            ds.WindowCenter, ds.WindowWidth = (
                f"{(low + high + 1.0) / 2.0:g}",
                f"{high - low + 1.0:g}",
            )
            if "WindowCenterWidthExplanation" in ds:
                del ds.WindowCenterWidthExplanation
    return series


def _method(recipe: Recipe) -> str:
    return f"Grey values enhanced by {', '.join(recipe.names)}"


def preview(source: Path, recipe: Recipe) -> Stages:
    """Return the image at each stage, the model's output included, without writing anything.

    Raises
    ------
    MedcycleganError
        As ``enhance_file``.
    """
    if recipe.model is None:
        scan = _read(source)
        return _shown(scan, stages_of(scan, recipe.steps))
    scan = read_scan(source, modality=recipe.model.task.source.modality)
    return _translated(scan, recipe, recipe.model)[1]


def _through_model(
    source: Path, recipe: Recipe, model: Model, to: Path, *, maker: Maker, overwrite: bool
) -> Enhanced:
    """Enhance in memory, translate that, and write the translation alone."""
    opened = open_scan(Request(source, out=to, overwrite=overwrite), model, maker=maker)
    _refuse_volume(opened.scan)
    result, shown = _translated(opened.scan, recipe, model)
    _tell_of_steps(opened, recipe)
    done = finish(opened, result, model, maker=maker)
    return Enhanced(source, done.output, shown, result.warnings)


def _translated(scan: Scan, recipe: Recipe, model: Model) -> tuple[Synthesis, Stages]:
    """Enhance and translate; the output is shown with its window brought to that of the rest."""
    stages = stages_of(scan, recipe.steps)
    result = synthesize(replace(scan, volume=_volume_of(scan, stages[-1])), model)
    window = model.task.target_window
    share = (result.image.voxels[:, :, 0].T - window.lower) / (window.upper - window.lower)
    shown = _shown(scan, stages)
    low, high = shown.window
    last = low + share.astype(np.float64) * (high - low)
    return result, replace(shown, images=(*shown.images, last))


def _tell_of_steps(opened: Opened, recipe: Recipe) -> None:
    """Put the steps before what the header of a DICOM output says of the model."""
    if opened.series is None or not isinstance(opened.scan.passport, DicomPassport):
        return
    for _, ds in opened.series.slices:
        ds.DerivationDescription = f"{_method(recipe)}. {ds.DerivationDescription}"[:1024]
