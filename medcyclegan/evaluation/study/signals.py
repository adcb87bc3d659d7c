"""Studies of MRs and pictures: which kind a study is of, reading its images, and scoring them.

Signal has no unit. So nothing of a study of CTs that is in HU is made here: no tissues, no bone, no
protocol of HU; scores name the range of intensities that they are taken in.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medcyclegan.core.text import counted, path_text
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.metrics import check_same_grid
from medcyclegan.evaluation.signal_scores import IntensityRange, SignalScores, score_signal
from medcyclegan.evaluation.study.batch_records import MAKES_HU
from medcyclegan.evaluation.study.load import PatientImages, grid_text, is_on_grid, load_mask
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.plan import PICTURE_RANGE, Kind, StudyRequest
from medcyclegan.evaluation.study.regrid import onto_grid
from medcyclegan.evaluation.study.statistics import Pair
from medcyclegan.imaging.body_mask import body_mask_mr
from medcyclegan.imaging.plausibility import refuse_ct
from medcyclegan.io.discover import PICTURE_ENDINGS, walk
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import Scan

# One scale on both sides differs by less between a method's image and the true one.
SCALE_FACTOR = 2.0


@dataclass(frozen=True, eq=False)
class MeasuredSignal:
    """One translated image against its reference, inside the mask."""

    case: str
    method: str
    scores: SignalScores
    resampled: bool
    notes: tuple[str, ...]

    def value(self, column: str) -> float:
        """A score by its column; NaN where there is none."""
        return float(getattr(self.scores, column, math.nan))


@dataclass(frozen=True, eq=False)
class TrueSignal:
    """The true image of a patient and where it is scored, on one grid, with what is to be said."""

    image: Volume
    mask: Volume
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def resolved(request: StudyRequest, *, units: Collection[str]) -> StudyRequest:
    """Return the request with its kind, and for MRs and pictures the range of intensities.

    ``units`` are those that records of batches tell. Without a kind it is theirs; else
    pictures where there are no volumes; else CTs.

    Raises
    ------
    UsageError
        If options do not go with the kind.
    """
    kind = request.kind or _kind_of(request, units)
    if kind == "ct":
        if request.intensities is not None:
            raise UsageError(
                "--range for CTs",
                rule="scores of CTs are in HU, in the range of their protocol",
                remedy="leave it out, or say --kind mr",
            )
        return replace(request, kind=kind)
    for given, option in (
        (request.water_paths, "--wepl"),
        (request.dose_from, "--dose-from"),
        (request.mr, "--mr"),
    ):
        if given is not None:
            raise UsageError(
                f"{option} for a study of {NAMES[kind]}s",
                rule="it is for synthetic CTs in HU",
                remedy="leave it out, or say --kind ct",
            )
    usual = PICTURE_RANGE if kind == "picture" else IntensityRange("each")
    return replace(request, kind=kind, intensities=request.intensities or usual)


NAMES: dict[Kind, str] = {"ct": "CT", "mr": "MR", "picture": "picture"}


def _kind_of(request: StudyRequest, units: Collection[str]) -> Kind:
    places = [method.path for method in request.methods]
    if all(_holds_pictures(path) for path in places):
        return "picture"
    return "mr" if units and MAKES_HU not in units else "ct"


def _holds_pictures(path: Path) -> bool:
    """Whether a path is a picture, or a folder with pictures in it or below and nothing else."""
    if not path.is_dir():
        return path.name.lower().endswith(PICTURE_ENDINGS)
    names = [name.lower() for folder in walk(path) for name in folder.files]
    images = [name for name in names if not name.endswith((".json", ".csv", ".html", ".txt"))]
    return bool(images) and all(name.endswith(PICTURE_ENDINGS) for name in images)


def load_true_signal(patient: Patient, kind: Kind) -> TrueSignal:
    """Read the true image, and its mask; without one, find the body of an MR, or take all.

    Raises
    ------
    InputRefused
        If an image cannot be read, is a CT in HU, or shows no body.
    """
    scan = _read(patient.ref, kind)
    said = tuple(f"reference: {warning}" for warning in scan.warnings)
    image, notes = scan.volume, tuple[str, ...]()
    if patient.mask is not None:
        loaded = load_mask(patient.mask, image, ref_is_placed=scan.is_placed)
        mask, notes, said = loaded.mask, loaded.notes, said + loaded.warnings
    elif kind == "mr" and min(image.geometry.shape) > 1:
        mask = body_mask_mr(image)
    else:
        mask = image.with_voxels(np.ones_like(image.voxels), unit="mask")
    if scan.mended is not None:
        mask = mask.with_voxels(np.where(scan.mended, np.float32(0.0), mask.voxels))
    return TrueSignal(image, mask, notes, said)


@dataclass(frozen=True, eq=False)
class MadeSignal:
    """A translated image on the grid of the true one."""

    image: Volume
    resampled: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def load_made_signal(path: Path, truth: TrueSignal, kind: Kind) -> MadeSignal:
    """Read a translated image and bring it onto the grid of the true one.

    Raises
    ------
    InputRefused
        If it cannot be read, is a CT in HU, does not overlap, is NaN in the mask, or is a picture
        of another size.
    """
    scan = _read(path, kind)
    said = tuple(f"translated image: {warning}" for warning in scan.warnings)
    image, grid = scan.volume, truth.image.geometry
    inside = truth.mask.voxels > 0
    if is_on_grid(truth.image, image):
        if scan.mended is not None and (scan.mended & inside).any():
            raise InputRefused(
                f"{path} is NaN or infinite in "
                f"{counted(int((scan.mended & inside).sum()), 'voxel')} of the mask",
                rule="a method gives a number for each voxel that is scored",
            )
        return MadeSignal(replace(image, geometry=grid), False, (), said)
    if kind == "picture":
        check_same_grid(truth.image, image, name=f"picture {path}")
    moved, seen = onto_grid(image, grid, fill=0.0)
    unseen = 1.0 - float(seen[inside].mean())
    if unseen == 1.0:
        raise InputRefused(
            f"{path} does not overlap with the body in the reference",
            rule="both must lie in one frame of reference, in millimetres",
            remedy="register them first, and check the headers",
        )
    name = path_text(path.name)
    notes = (f"{name} was resampled from {grid_text(image)} to {grid_text(truth.image)}",)
    if unseen > 0.0:
        said += (f"{unseen:.1%} of the body lies outside {name} and counts as no signal",)
    return MadeSignal(moved, True, notes, said)


def _read(path: Path, kind: Kind) -> Scan:
    scan = read_scan(path, modality="MR" if kind == "mr" else "image")
    if scan.volume.unit == "HU":
        raise InputRefused(
            f"{path} is in HU",
            rule=f"this is a study of {NAMES[kind]}s",
            remedy="score CTs with --kind ct",
        )
    if kind == "mr":
        refuse_ct(scan.volume, source=path)
    return scan


def measure_signal(
    pair: Pair, truth: TrueSignal, made: MadeSignal, intensities: IntensityRange
) -> MeasuredSignal:
    """Score one translated image."""
    scores = score_signal(made.image, truth.image, truth.mask, intensities=intensities)
    return MeasuredSignal(pair.case, pair.method, scores, made.resampled, made.notes)


def scale_warning(
    made: MadeSignal, truth: TrueSignal, intensities: IntensityRange
) -> tuple[str, ...]:
    """Say that two images are on different scales, where the range takes them for one."""
    if intensities.kind == "each":
        return ()
    inside = truth.mask.voxels > 0
    ours, theirs = (float(np.percentile(v.voxels[inside], 99.5)) for v in (made.image, truth.image))
    if theirs <= 0.0 or 1.0 / SCALE_FACTOR <= ours / theirs <= SCALE_FACTOR:
        return ()
    return (
        f"the translated image is {ours / theirs:.2g} times as bright as the true one, and the "
        "scores show little else; --range each scores each on its own scale",
    )


def load_signals(patient: Patient, *, methods: Sequence[str], kind: Kind) -> PatientImages:
    """Read the images of a patient that was scored, the true one in the place of the CT."""
    truth = load_true_signal(patient, kind)
    made = {m: load_made_signal(patient.preds[m], truth, kind).image for m in methods}
    return PatientImages(patient.case, truth.image, truth.mask, None, made)
