"""Loading of a patient's images onto the reference's grid, with refusal of what is no CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from medcyclegan.core.geometry import whole_steps
from medcyclegan.core.text import counted, is_or_are, path_text
from medcyclegan.core.volume import FloatVoxels, Volume
from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.metrics import (
    LOWEST_HU,
    SOFT_FROM_HU,
    SOFT_TO_HU,
    check_hu,
    check_same_grid,
)
from medcyclegan.evaluation.study.patient import Patient
from medcyclegan.evaluation.study.regrid import BoolArray, onto_grid
from medcyclegan.imaging.body_mask import body_mask_ct
from medcyclegan.imaging.plausibility import (
    FAT_HU,
    LEAST_FAT_SHARE,
    fat_and_air_share,
    refuse_image_for_mask,
)
from medcyclegan.io.read import read_mask, read_scan
from medcyclegan.io.scan import Scan
from medcyclegan.io.voxel_rules import replacement_said

# A body mask agrees with the body that is seen; an organ, or the air, does not.
LEAST_MASK_SHARE = 0.5

# A synthetic CT whose values stop well inside of those of any patient was clipped to a window: more
# than this share of the body then has the very value at which they stop. Models clip below -900 HU
# and above 1500 HU, where there is next to nothing.
CLIPPED_SHARE = 0.002
# Fewer values are no window: a method that assigns one HU to each tissue.
BULK_VALUES = 16
_SAMPLED = 100_000
CLIPPED_BETWEEN_HU = (-900.0, 1000.0)

# Soft tissue is most of any body; 1000 or 1024 HU higher it stands where the densest bone is.
SOFT_SHARE = 0.02
OFFSETS_HU = (800.0, 1300.0)

# Of a body of which less than this is in view, scores would be those of the air that is filled in.
LEAST_SEEN_SHARE = 1.0 / 3.0

# A linearly interpolated mask is cut where half a voxel is inside.
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Truth:
    """The reference CT of a patient in HU, its body mask and its MR on one grid.

    ``notes`` are sentences for people on what was resampled; ``warnings`` on what the readers
    had to say, and what was left out of the scores or is not shown. ``is_placed``: the reference
    says where the patient lies.
    """

    ct: Volume
    mask: Volume
    mr: Volume | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    is_placed: bool = True


@dataclass(frozen=True, eq=False)
class Prediction:
    """A synthetic CT on the grid of the reference.

    ``resampled`` says that it came on another whose voxels had to be mixed: one that is flipped,
    or moved by whole voxels, is copied. ``outside_fov_share`` which part of the body, 0 to 1,
    lies outside its field of view and was counted as air. ``notes`` and ``warnings`` are
    sentences as in ``Truth``.
    """

    sct: Volume
    resampled: bool
    outside_fov_share: float
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def load_truth(patient: Patient) -> Truth:
    """Read the reference CT, find or read the body mask, and read the MR if there is one.

    Voxels of the reference that are NaN or infinite in the file are left out of the mask.

    Raises
    ------
    InputRefused
        If an image cannot be read, the reference is no CT in HU, or the body is empty.
    """
    read = _read_ct(patient.ref, name="The reference CT")
    ct = read.volume
    said = _Said([], [f"reference CT: {warning}" for warning in read.warnings])
    if patient.mask is None:
        mask = body_mask_ct(ct)
    else:
        mask = _mask(patient.mask, ct, said, ref_is_placed=read.is_placed)
        _tell_no_body_mask(mask, ct, said)
    if read.mended is not None:
        mask = _without(mask, read, said)
    said.warnings.extend(_offset_warning(ct, mask, name="reference CT"))
    mr = None if patient.mr is None else _mr(patient.mr, ct, said)
    return Truth(ct, mask, mr, tuple(said.notes), tuple(said.warnings), read.is_placed)


@dataclass(frozen=True)
class _Said:
    notes: list[str]
    warnings: list[str]


def load_prediction(path: Path, truth: Truth) -> Prediction:
    """Read a synthetic CT and bring it onto the reference's grid.

    Raises
    ------
    InputRefused
        If it cannot be read, is no CT in HU, shows less than a third of the body, or does not say
        where it lies and the reference does.
    """
    read = _read_ct(path, name="The synthetic CT")
    sct, inside = read.volume, truth.mask.voxels > 0
    said = tuple(f"synthetic CT: {warning}" for warning in read.warnings)
    if is_on_grid(truth.ct, sct):
        _refuse_unpredicted(read.mended, inside, path)
        said += _clipped_warning(sct.voxels[inside])
        return Prediction(replace(sct, geometry=truth.ct.geometry), False, 0.0, (), said)
    if truth.is_placed:
        _refuse_unplaced(read, path, truth.ct)
    moved, seen = onto_grid(sct, truth.ct.geometry, fill=LOWEST_HU)
    if read.mended is not None:
        touched = sct.with_voxels(read.mended.astype(np.float32), unit="mask")
        lost = onto_grid(touched, truth.ct.geometry, fill=0.0)[0].voxels > 0
        _refuse_unpredicted(lost, inside, path)
    outside_fov_share = 1.0 - float(seen[inside].mean())
    if outside_fov_share > 1.0 - LEAST_SEEN_SHARE:
        outside = "all" if outside_fov_share == 1.0 else _percent(outside_fov_share)
        raise InputRefused(
            f"{path} lies beside the body in the reference CT: {outside} of that is outside of it",
            rule="both must lie in one frame of reference, in millimetres, and show the same part "
            "of the body",
            remedy="register them first, check the headers, or give a mask of what both show",
        )
    said += _clipped_warning(sct.voxels.ravel())
    name = path_text(path.name)
    copied = whole_steps(sct.geometry, truth.ct.geometry) is not None
    how = "turned or cut, voxel by voxel," if copied else "resampled"
    notes = f"{name} was {how} from {grid_text(sct)} to {grid_text(truth.ct)}"
    if outside_fov_share > 0.0:
        said += (
            f"{_percent(outside_fov_share)} of the body lies outside {name} and counts as air",
        )
    return Prediction(moved, not copied, outside_fov_share, (notes,), said)


def _refuse_unplaced(read: Scan, path: Path, ct: Volume) -> None:
    if read.is_placed:
        return
    raise InputRefused(
        f"{path} does not say where the patient lies (sform_code and qform_code are 0), and its "
        f"grid of {grid_text(read.volume)} does not lie as that of the reference, of "
        f"{grid_text(ct)}",
        rule="its place must be known where it has to be resampled",
        remedy="give it the sform of the image that it was made from",
    )


def _refuse_unpredicted(lost: BoolArray | None, inside: BoolArray, path: Path) -> None:
    """Refuse a synthetic CT that has no number for a voxel that is scored.

    Left out, they would be those that a method finds hard.
    """
    count = 0 if lost is None else int((lost & inside).sum())
    if count:
        raise InputRefused(
            f"The synthetic CT {path} is NaN or infinite in {counted(count, 'voxel')} of the body",
            rule="a method gives a number for each voxel that is scored",
            remedy="replace them by what the method means there, or give a mask without them",
        )


def _without(mask: Volume, ref: Scan, said: _Said) -> Volume:
    """Leave voxels that the reference does not have out of the mask; say how many they are.

    That takes the place of what the reader said of them: what replaces them counts nowhere.
    """
    lost, path, inside = ref.mended, ref.source, mask.voxels > 0
    assert lost is not None
    count = int((inside & lost).sum())
    if count == int(inside.sum()):
        raise InputRefused(
            f"The reference CT {path} is NaN or infinite in all of the body",
            rule="scores are means over the body",
            remedy="check the export",
        )
    if count:
        read = replacement_said(int(lost.sum()), float(ref.volume.voxels[lost][0]))
        said.warnings[:] = [one for one in said.warnings if one != f"reference CT: {read}"]
        said.warnings.append(
            f"reference CT: {counted(count, 'voxel')} of the body "
            f"({_percent(count / inside.sum())}) {is_or_are(count)} NaN or infinite and "
            f"{is_or_are(count)} left out of all scores"
        )
    return mask.with_voxels((inside & ~lost).astype(np.float32))


def _read_ct(path: Path, *, name: str) -> Scan:
    scan = read_scan(path, modality="CT")
    volume = scan.volume
    named = f"{name} {path}"
    low, high = float(volume.voxels.min()), float(volume.voxels.max())
    if low == high:
        raise InputRefused(
            f"{named} is {low:g} everywhere", rule="a CT shows a body", remedy="check the export"
        )
    check_hu(volume, name=named)
    if fat_and_air_share(volume) < LEAST_FAT_SHARE:
        raise InputRefused(
            f"{named} has no air and no fat: its values span {low:g} to {high:g}",
            rule=f"in HU, one voxel in {1 / LEAST_FAT_SHARE:.0f} at least is below {FAT_HU:g}",
            remedy="this may be an MR, which --kind mr scores, or a CT stored with an offset of "
            "1000 or 1024: check which image was given where",
        )
    return scan


def _offset_warning(ct: Volume, mask: Volume, *, name: str) -> tuple[str, ...]:
    """Say that a CT seems to be stored from 0 up, where padding keeps values below 0."""
    inside = ct.voxels[mask.voxels > 0]
    soft = float(((inside >= SOFT_FROM_HU) & (inside <= SOFT_TO_HU)).mean())
    high = float(((inside >= OFFSETS_HU[0]) & (inside <= OFFSETS_HU[1])).mean())
    if soft >= SOFT_SHARE or high < 0.5:
        return ()
    return (
        f"{name}: {_percent(soft)} of the body lies from {SOFT_FROM_HU:g} to {SOFT_TO_HU:g} HU, "
        f"where soft tissue is, and {_percent(high)} from {OFFSETS_HU[0]:g} to {OFFSETS_HU[1]:g} "
        "HU; is it stored with an offset of 1000 or 1024? Tissues, surfaces and paths would all "
        "be wrong",
    )


def _clipped_warning(sct_hu: FloatVoxels) -> tuple[str, ...]:
    """Say that the values of a synthetic CT pile up at an end that is none of a patient's."""
    low, high = float(sct_hu.min()), float(sct_hu.max())
    if np.unique(sct_hu[:: max(1, sct_hu.size // _SAMPLED)]).size <= BULK_VALUES:
        return ()
    piled = [
        f"{_percent(share)} of its voxels are {end:g} HU, its {word} value"
        for end, word, is_odd in (
            (low, "smallest", low > CLIPPED_BETWEEN_HU[0]),
            (high, "largest", high < CLIPPED_BETWEEN_HU[1]),
        )
        if is_odd and (share := float((sct_hu == end).mean())) > CLIPPED_SHARE
    ]
    if not piled:
        return ()
    return (f"synthetic CT: {', and '.join(piled)}: was it clipped to a window for display?",)


@dataclass(frozen=True, eq=False)
class LoadedMask:
    """A mask on the grid of the reference, with sentences as in ``Truth``."""

    mask: Volume
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def load_mask(path: Path, ref: Volume, *, ref_is_placed: bool, named: str = "mask") -> LoadedMask:
    """Read a mask, ``named`` so in messages, and bring it onto the grid of the reference.

    ``ref_is_placed``: the reference says where the patient lies, so a mask on another grid has to.

    Raises
    ------
    InputRefused
        If it cannot be read, is an image, marks no voxel of the reference, or does not say where
        it lies and the reference does.
    """
    said = _Said([], [])
    mask = _mask(path, ref, said, ref_is_placed=ref_is_placed, named=named)
    return LoadedMask(mask, tuple(said.notes), tuple(said.warnings))


def _mask(
    path: Path, ct: Volume, said: _Said, *, ref_is_placed: bool, named: str = "mask"
) -> Volume:
    scan = read_mask(path)
    read = scan.volume
    said.warnings.extend(f"{named}: {warning}" for warning in scan.warnings)
    remedy = "give the mask of the target"
    if named == "mask":
        remedy = "give the body mask, or --mask auto"
    refuse_image_for_mask(read, name=str(path), remedy=remedy)
    marked = Volume((read.voxels > 0).astype(np.float32), read.geometry, "mask")
    if is_on_grid(ct, marked):
        mask = replace(marked, geometry=ct.geometry)
    else:
        if ref_is_placed:
            _refuse_unplaced(scan, path, ct)
        moved, _ = onto_grid(marked, ct.geometry, fill=0.0)
        mask = moved.with_voxels((moved.voxels >= _HALF).astype(np.float32))
        said.notes.append(f"the {named} was resampled from {grid_text(read)} to {grid_text(ct)}")
    if not mask.voxels.any():
        raise InputRefused(
            f"The {named} {path} marks no voxel of the reference",
            rule="both must lie in one frame of reference, in millimetres",
            remedy=f"give the {named} of this patient",
        )
    return mask


def _tell_no_body_mask(mask: Volume, ct: Volume, said: _Said) -> None:
    """Say where a mask marks something else than the body that is seen in the reference."""
    try:
        body = body_mask_ct(ct).voxels > 0
    except InputRefused:  # nothing to hold the mask against
        return
    marked = mask.voxels > 0
    both = int((marked & body).sum())
    if both < LEAST_MASK_SHARE * int(marked.sum()):
        said.warnings.append(
            "mask: most of it lies outside of the body seen in the reference CT, and all scores "
            "are of what it marks; does it mark the air, or another patient?"
        )
    elif both < LEAST_MASK_SHARE * int(body.sum()):
        said.warnings.append(
            "mask: it covers less than half of the body seen in the reference CT, and all scores "
            "are of that part; is it the mask of an organ?"
        )


def _mr(path: Path, ct: Volume, said: _Said) -> Volume | None:
    """Read the MR; as it is there to be looked at alone, its refusal is a warning and no more."""
    try:
        scan = read_scan(path, modality="MR")
    except InputRefused as refusal:
        said.warnings.append(f"the MR is not shown: {path_text(str(refusal))}")
        return None
    mr = scan.volume
    said.warnings.extend(f"MR: {warning}" for warning in scan.warnings)
    if is_on_grid(ct, mr):
        return replace(mr, geometry=ct.geometry)
    return onto_grid(mr, ct.geometry, fill=float(mr.voxels.min()))[0]


def is_on_grid(ref: Volume, other: Volume) -> bool:
    """Whether a volume lies on the grid of a reference, but for the rounding of headers."""
    try:
        check_same_grid(ref, other, name="other")
    except InputRefused:
        return False
    return True


def grid_text(volume: Volume) -> str:
    """A grid in words: how many voxels of which size."""
    shape = "x".join(str(n) for n in volume.geometry.shape)
    spacing = "x".join(f"{s:.3g}" for s in volume.geometry.spacing_mm)
    return f"{shape} voxels of {spacing} mm"


def _percent(share: float) -> str:
    return "less than 0.1 %" if share < 0.001 else f"{100.0 * share:.1f} %"


@dataclass(frozen=True, eq=False)
class PatientImages:
    """The images of one patient on the grid of the reference; ``scts`` by method."""

    case: str
    ct: Volume
    mask: Volume
    mr: Volume | None
    scts: dict[str, Volume]


def load_images(patient: Patient, *, methods: Sequence[str]) -> PatientImages:
    """Read the images of a patient that was scored, with the synthetic CTs of these methods.

    Raises
    ------
    InputRefused
        If an image can no longer be read.
    """
    truth = load_truth(patient)
    scts = {name: load_prediction(patient.preds[name], truth).sct for name in methods}
    return PatientImages(patient.case, truth.ct, truth.mask, truth.mr, scts)
