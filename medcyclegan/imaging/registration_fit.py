"""How well a registered CT sits on the MR: figures in millimetres and shares, and the verdict.

None of the figures needs the truth. The local shifts tell most: each block of some 5 cm is moved by
itself to where its mutual information is largest. In one patient, well registered, blocks want to
stay; in another patient each wants to go elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813  # the name that its users know

from medcyclegan.core.geometry import FloatArray
from medcyclegan.imaging.itk_images import AIR_HU, Level, itk_rigid
from medcyclegan.imaging.mutual_information import (
    Bins,
    binned,
    joint_histogram,
    mutual_information,
    normalised_mutual_information,
)
from medcyclegan.imaging.registration import MIDDLE_MM, Rigid, refined, value_of

# Blocks are cubes of this edge, side by side; so far a block may move.
_BLOCK_MM = 48.0
_REACH_MM = 10.0
# A block counts if so much of it is body.
_LEAST_BODY = 0.4
# Few bins: a block has some thousand voxels, and more bins would be empty.
_BLOCK_BINS = 16
# Its mutual information must be so much larger at its best place than at its worst (nats): that of
# a block of even tissue is the same wherever it lies.
_LEAST_CONTRAST = 0.05
_ROUNDS = 2

_APART_MM = 25.0
_MIRROR_TURNS_DEG = (-20.0, 0.0, 20.0)


@dataclass(frozen=True)
class Fit:
    """How well two images sit on each other.

    ``nmi_before`` and ``nmi_after`` are normalised mutual information, 1 for none to 2, in the
    fixed body and a rim, what is outside the field of view being air; ``nmi_apart`` is its mean
    with the images shifted by 25 mm to six sides. ``gain`` is how far ``nmi_after`` - 1 is above
    ``nmi_apart`` - 1, as a factor. ``body_dice`` is the overlap of the bodies, 0 to 1, where the
    moving image has a field of view, and ``seen_share`` how much of the fixed body lies in that.
    ``spread_mm`` is how far other starts ended from the best, their median. ``local_mm`` and
    ``local_p90_mm`` are the median and the 90th percentile of the shifts that ``blocks`` blocks
    want. ``mirror_ratio`` is the mutual information of the moving image mirrored left to right,
    registered as well as can be, to that of the image as it is.
    """

    nmi_before: float
    nmi_after: float
    nmi_apart: float
    body_dice: float
    seen_share: float
    spread_mm: float
    local_mm: float
    local_p90_mm: float
    blocks: int
    mirror_ratio: float

    @property
    def gain(self) -> float:
        """How far above that of images apart the normalised mutual information is, a factor."""
        return (self.nmi_after - 1.0) / max(self.nmi_apart - 1.0, 1e-9)

    def figures(self) -> dict[str, float]:
        """All figures by name, as a record has them."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**found, "gain": self.gain}

    def is_better_than(self, other: Fit) -> bool:
        """Whether a transform of more freedom is worth it: by information and by local shifts.

        Both, as either is so by chance now and then.
        """
        return self.nmi_after > other.nmi_after and self.local_mm < other.local_mm


@dataclass(frozen=True)
class Limit:
    """A figure that must not be beyond ``bound``, and what it says if it is."""

    figure: str
    bound: float
    least: bool
    says: str

    def broken_by(self, figures: dict[str, float]) -> bool:
        """Whether the figure is beyond the bound."""
        value = figures[self.figure]
        return value < self.bound if self.least else value > self.bound


# What right and wrong pairs measured is in docs/align.md.
LIMITS = (
    Limit("seen_share", 0.5, True, "the CT's field of view holds too little of the MR's body"),
    Limit("body_dice", 0.85, True, "the bodies do not cover each other"),
    Limit("gain", 1.3, True, "mutual information is hardly larger than with the images apart"),
    Limit("spread_mm", 2.0, False, "different starts end at different places (mm)"),
    Limit("blocks", 6, True, "too few parts of the body have structure to be judged by"),
    Limit("local_mm", 2.0, False, "parts of the body want to move by themselves (mm)"),
    Limit("mirror_ratio", 0.97, False, "the CT fits as well mirrored left to right"),
)


def broken_limits(fit: Fit) -> tuple[str, ...]:
    """Say each limit that a fit breaks, with value and bound; none if it sits."""
    figures = fit.figures()
    return tuple(
        f"{limit.says}: {limit.figure} {figures[limit.figure]:.3g}, "
        f"{'at least' if limit.least else 'at most'} {limit.bound:g}"
        for limit in LIMITS
        if limit.broken_by(figures)
    )


def measure_fit(level: Level, rigid: Rigid, total: sitk.Transform) -> Fit:
    """Measure how well ``total`` fits: the rigid transform, or the whole of a deformable one.

    ``level`` is one of 2 mm.
    """
    return Fit(
        nmi_before=_nmi(level, sitk.Transform(3, sitk.sitkIdentity)),
        spread_mm=float(np.median(rigid.apart_mm)) if rigid.apart_mm else 0.0,
        mirror_ratio=_mirror_ratio(level, rigid),
        **_of_transform(level, total),
    )


def refitted(level: Level, fit: Fit, total: sitk.Transform) -> Fit:
    """Return the fit of another transform with the same rigid part."""
    return replace(fit, **_of_transform(level, total))


def _of_transform(level: Level, total: sitk.Transform) -> dict[str, Any]:
    shifts = local_shifts_mm(level, total)
    lengths = np.linalg.norm(shifts, axis=1)
    dice, seen = _overlap(level, total)
    return {
        "nmi_after": _nmi(level, total),
        "nmi_apart": float(np.mean([_nmi(level, apart) for apart in _apart(total)])),
        "body_dice": dice,
        "seen_share": seen,
        "local_mm": float(np.median(lengths)) if len(lengths) else float(_REACH_MM),
        "local_p90_mm": float(np.percentile(lengths, 90)) if len(lengths) else float(_REACH_MM),
        "blocks": len(lengths),
    }


def _nmi(level: Level, transform: sitk.Transform) -> float:
    values, seen = level.moved(transform)
    inside = level.rim_mask
    moving = np.where(seen, values, np.float32(AIR_HU))[inside]
    joint = joint_histogram(binned(level.fixed_values[inside]), binned(moving))
    return normalised_mutual_information(joint)


def _apart(total: sitk.Transform) -> Iterator[sitk.Transform]:
    for axis in np.eye(3):
        for sign in (-1.0, 1.0):
            shift = sitk.TranslationTransform(3, (sign * _APART_MM * axis).tolist())
            yield sitk.CompositeTransform([shift, total])


def _overlap(level: Level, transform: sitk.Transform) -> tuple[float, float]:
    """Dice of the bodies in the moving field of view, and share of the fixed body in that."""
    _, seen = level.moved(transform)
    ours, theirs = level.body_mask & seen, level.moved_body(transform) & seen
    total = int(ours.sum()) + int(theirs.sum())
    dice = 2.0 * int((ours & theirs).sum()) / total if total else 0.0
    return dice, float(ours.sum() / level.body_mask.sum())


def _mirror_ratio(level: Level, rigid: Rigid) -> float:
    """Mutual information of the mirrored moving image to that of the image as it is.

    It is mirrored in the fixed frame, through the middle of the fixed body, and registered.
    """
    middle = level.coarser(MIDDLE_MM)
    as_it_is = value_of(middle, itk_rigid(rigid.matrix_ras))
    mirrored = _mirrored(middle, rigid)
    found = []
    for turn_deg in _MIRROR_TURNS_DEG:
        start = sitk.Euler3DTransform()
        start.SetCenter(middle.fixed_body_lps_mm.mean(axis=0).tolist())
        start.SetRotation(0.0, 0.0, float(np.deg2rad(turn_deg)))
        found.append(value_of(mirrored, refined(mirrored, start)))
    return max(found) / max(as_it_is, 1e-9)


def _mirrored(level: Level, rigid: Rigid) -> Level:
    """The level with its moving side on the fixed one, mirrored left to right."""
    place = itk_rigid(rigid.matrix_ras).GetInverse()
    centre = float(level.fixed_body_lps_mm[:, 0].mean())
    images = []
    for image in (level.moving, level.moving_body):
        axes = np.asarray(image.GetDirection()).reshape(3, 3)
        origin = np.asarray(place.TransformPoint(image.GetOrigin()))
        turn = np.asarray(place.GetMatrix() if hasattr(place, "GetMatrix") else np.eye(3).ravel())
        flip = np.diag([-1.0, 1.0, 1.0])
        moved = sitk.Image(image)
        moved.SetDirection((flip @ turn.reshape(3, 3) @ axes).ravel().tolist())
        moved.SetOrigin((flip @ origin + (2.0 * centre, 0.0, 0.0)).tolist())
        images.append(moved)
    return Level(level.fixed, images[0], level.body, images[1])


def local_shifts_mm(level: Level, transform: sitk.Transform) -> FloatArray:
    """(n, 3), the shift along the fixed grid's axes that each block wants, in mm.

    Blocks without structure, without body or not wholly in the field of view are left out.
    """
    spacing = np.asarray(level.fixed.GetSpacing())[::-1]
    values, seen = level.moved(transform)
    values = np.where(seen, values, np.float32(AIR_HU))
    fixed, moving = binned(level.fixed_values, _BLOCK_BINS), binned(values, _BLOCK_BINS)
    size = np.maximum(1, np.round(_BLOCK_MM / spacing)).astype(int)
    reach = np.maximum(1, np.round(_REACH_MM / spacing)).astype(int)
    found = []
    for corner in _corners(fixed.shape, size, reach):
        block = tuple(slice(c, c + n) for c, n in zip(corner, size, strict=True))
        wide = tuple(slice(c - r, c + n + r) for c, n, r in zip(corner, size, reach, strict=True))
        if level.body_mask[block].mean() >= _LEAST_BODY and seen[wide].all():
            steps = _best_steps(fixed[block], moving, corner, reach)
            if steps is not None:
                found.append(steps * spacing)
    return np.array(found).reshape(-1, 3)


def _corners(
    shape: tuple[int, ...], size: FloatArray, reach: FloatArray
) -> Iterator[tuple[int, int, int]]:
    """The first voxels of blocks side by side that may move without leaving the grid."""
    ranges = [
        range(int(r), int(n - s - r) + 1, max(1, int(s) * 3 // 4))
        for n, s, r in zip(shape, size, reach, strict=True)
    ]
    yield from ((k, j, i) for k in ranges[0] for j in ranges[1] for i in ranges[2])


def _best_steps(
    block: Bins, moving: Bins, corner: tuple[int, int, int], reach: FloatArray
) -> FloatArray | None:
    """The shift (k, j, i) in voxels of most mutual information, axis by axis; None if none is."""
    at = np.zeros(3, dtype=int)
    fraction = np.zeros(3)
    lowest, highest = np.inf, -np.inf
    for _ in range(_ROUNDS):
        for axis in range(3):
            values = []
            for step in range(-int(reach[axis]), int(reach[axis]) + 1):
                place = at.copy()
                place[axis] = step
                values.append(_information_at(block, moving, corner, place))
            best = int(np.argmax(values))
            at[axis] = best - int(reach[axis])
            fraction[axis] = _vertex(values, best)
            lowest, highest = min(lowest, *values), max(highest, *values)
    return at + fraction if highest - lowest >= _LEAST_CONTRAST else None


def _information_at(
    block: Bins, moving: Bins, corner: tuple[int, int, int], steps: FloatArray
) -> float:
    there = tuple(
        slice(c + int(s), c + int(s) + n)
        for c, s, n in zip(corner, steps, block.shape, strict=True)
    )
    joint = joint_histogram(block.ravel(), moving[there].ravel(), _BLOCK_BINS)
    return mutual_information(joint)


def _vertex(values: list[float], best: int) -> float:
    """Where the parabola through the best value and its neighbours is highest, -0.5 to 0.5."""
    if best in (0, len(values) - 1):
        return 0.0
    left, middle, right = values[best - 1 : best + 2]
    bend = left - 2.0 * middle + right
    return 0.5 * (left - right) / bend if bend < 0.0 else 0.0
