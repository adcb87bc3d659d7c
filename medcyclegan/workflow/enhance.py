"""Enhancement of radiographs on disk, and on request a model after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.pictures import Stages
from medcyclegan.imaging.enhancement import Step, enhance
from medcyclegan.io.atomic import ensure_writable
from medcyclegan.io.dicom.api import Derivation, DerivedSeries, derive_series, is_dicom
from medcyclegan.io.discover import refuse_irregular
from medcyclegan.io.naming import suffix_for
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import DicomSourceHeader, RasterSourceHeader, Scan
from medcyclegan.io.write import write_scan
from medcyclegan.models.store import Model
from medcyclegan.workflow.convert import Provenance, Request, finish, open_scan
from medcyclegan.workflow.synthesize import Synthesis, synthesize

ENHANCED_SUFFIX = "_enhanced"
_PICTURES = (".png", ".tif", ".tiff", ".jpg", ".jpeg")
_WRITTEN = (".png", ".tif", ".tiff")
# Characters: leaves room in a header for what a model did.
_LONGEST_METHOD = 400


@dataclass(frozen=True)
class Recipe:
    """What is done to each image: the steps, named as the user named them, then a model.

    The steps and their names are of one length, and there is one at least.
    """

    names: tuple[str, ...]
    steps: tuple[Step, ...]
    model: Model | None = None

    def __post_init__(self) -> None:
        if not self.steps or len(self.names) != len(self.steps):
            raise UsageError(
                f"{len(self.steps)} steps with {len(self.names)} names",
                rule="at least one step, and a name for each, are needed",
            )

    @property
    def titles(self) -> tuple[str, ...]:
        """What the columns of a contact sheet show."""
        last = () if self.model is None else (self.model.card.name,)
        return ("before", *self.names, *last)

    @property
    def suffix(self) -> str:
        """What follows the input's name in that of the output."""
        translated = "" if self.model is None else suffix_for(self.model.card.name)
        return ENHANCED_SUFFIX + translated


def output_for(source: Path, *, suffix: str) -> Path:
    """Return where the output of a file goes, beside it.

    A picture gives one of its kind (JPEG: PNG), a DICOM file a folder with a series.
    """
    ending = source.suffix.lower()
    is_picture = ending in _PICTURES and not is_dicom(source)
    stem = source.name[: -len(ending)] if is_picture or ending == ".dcm" else source.name
    name = f"{stem}{suffix}"
    if is_picture:
        name += source.suffix if ending in _WRITTEN else ".png"
    return source.with_name(name)


@dataclass(frozen=True, eq=False)
class Enhanced:
    """What was written, and the image at each stage."""

    source: Path
    output: Path
    stages: Stages
    warnings: tuple[str, ...]


def enhance_file(
    source: Path, recipe: Recipe, *, to: Path, provenance: Provenance, overwrite: bool = False
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
        return _through_model(
            source, recipe, recipe.model, to, provenance=provenance, overwrite=overwrite
        )
    is_series = is_dicom(source)
    ensure_writable(to, source=source, overwrite=overwrite, folder=is_series)
    scan = _read(source)
    stages = stages_of(scan, recipe.steps)
    image = _volume_of(scan, stages[-1])
    series = _series_of(scan, image, recipe, provenance) if is_series else None
    write_scan(
        image, source_header=scan.source_header, to=to, derivation=series, overwrite=overwrite
    )
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
    if (
        not isinstance(scan.source_header, RasterSourceHeader | DicomSourceHeader)
        or not scan.is_plane
    ):
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


def _series_of(scan: Scan, image: Volume, recipe: Recipe, provenance: Provenance) -> DerivedSeries:
    """Make the header; the source's window is kept unless a step moved the values."""
    has_moved = any(step.moves_values for step in recipe.steps)
    derivation = Derivation(
        model_name="",
        model_sha256="",
        software_version=provenance.version,
        method=_method(recipe),
        now=provenance.now(),
        new_uid=provenance.new_uid,
        series_label="Enhanced",
        kind="XR",
        synthetic=False,
        shown=(float(image.voxels.min()), float(image.voxels.max())) if has_moved else None,
    )
    return derive_series(image.geometry, source_header=scan.source_header, derivation=derivation)


def _method(recipe: Recipe) -> str:
    return f"Grey values enhanced by {', '.join(recipe.names)}"[:_LONGEST_METHOD]


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
    source: Path, recipe: Recipe, model: Model, to: Path, *, provenance: Provenance, overwrite: bool
) -> Enhanced:
    """Enhance in memory, translate that, and write the translation alone."""
    request = Request(source, out=to, overwrite=overwrite, done_before=_method(recipe))
    opened = open_scan(request, model, provenance=provenance)
    _refuse_volume(opened.scan)
    result, shown = _translated(opened.scan, recipe, model)
    done = finish(opened, result, model, provenance=provenance)
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
