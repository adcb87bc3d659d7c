"""Rigid and deformable registration of a CT to an MR of the same patient, by mutual information.

A transform maps points of the fixed image (RAS, mm) to points of the moving image, as resampling
needs it. The rigid one is searched from many starts (headers as they are, centres of the bodies,
tops of the bodies, steps along a longer body, each turned by up to 25 degrees) on a coarse grid,
and the best are brought to the end on finer ones. The deformable one is a cubic B-spline before the
rigid one, fitted to the body.

Mutual information: Mattes et al., IEEE Transactions on Medical Imaging 22 (2003) 120. B-splines:
Rueckert et al., IEEE Transactions on Medical Imaging 18 (1999) 712. SimpleITK does both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk  # noqa: N813  # the name that its users know

from medcyclegan.core.geometry import FloatArray
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.itk_images import Level, matrix_of, moved_points
from medcyclegan.imaging.mutual_information import binned, joint_histogram, mutual_information

BINS = 32
SEARCH_MM, MIDDLE_MM, FINE_MM = 8.0, 4.0, 2.0

_TURN_DEG = 25.0
# As far as a body is longer than the other, starts are tried along it in such steps.
_STEP_ALONG_MM = 60.0
# So much of a body from the top down counts as the head.
_HEAD_MM = 180.0
# A start must see this share of the fixed body in the moving image's field of view.
LEAST_SEEN = 0.3
# Of all starts so many are optimised on the coarsest grid, and so many of these to the end.
_OPTIMISED = 10
_ENDS = 4
# Ends this near to the best are one maximum, blurred by the points that were drawn: their mean is
# nearer to it than any of them.
_SAME_END_MM = 2.0

# Knots this far apart follow a jaw and a neck, and not noise.
KNOTS_MM = 50.0

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Rigid:
    """A rotation and a shift: ``matrix_ras`` (4, 4) maps fixed to moving points, RAS in mm.

    ``apart_mm`` is how far each of the other starts that were brought to the end puts the body's
    points from where the best one does, in the mean over points; ``tried`` counts all starts.
    """

    matrix_ras: FloatArray
    apart_mm: tuple[float, ...]
    tried: int


@dataclass(frozen=True)
class _Descent:
    """Regular step gradient descent: steps in mm of the body's points, and points looked at."""

    step_mm: float
    least_step_mm: float
    iterations: int
    samples: int


_SEARCH = _Descent(step_mm=4.0, least_step_mm=0.2, iterations=60, samples=8_000)
_MIDDLE = _Descent(step_mm=2.0, least_step_mm=0.05, iterations=60, samples=30_000)
_FINE = _Descent(step_mm=0.5, least_step_mm=0.01, iterations=40, samples=30_000)
_BENT_SAMPLES, _BENT_ITERATIONS = 10_000, 12
# A step is shortened by this where the gradient turns back; 0.5 ends long before the maximum.
_RELAXATION = 0.8


def register_rigid(fine: Level, *, progress: Progress | None = None) -> Rigid:
    """Find the rotation and shift of the moving image that fit the fixed one best.

    Raises
    ------
    InputRefused
        If the moving image covers too little of the fixed body at every start.
    """
    middle = fine.coarser(MIDDLE_MM)
    search = middle.coarser(SEARCH_MM)
    starts = list(_starts(search))
    values = [value_of(search, start) for start in starts]
    if max(values) <= 0.0:
        raise InputRefused(
            f"At none of {len(starts)} starts the moving image covers {LEAST_SEEN:.0%} of the body",
            rule="two images of one part of one patient are registered",
            remedy="check which images were given",
        )
    tell = progress or (lambda done, total: None)
    ranked = sorted(range(len(starts)), key=lambda n: -values[n])[:_OPTIMISED]
    tried = []
    for done, number in enumerate(ranked, start=1):
        tried.append(climbed(search, starts[number], _SEARCH, seed=number + 1))
        tell(done, len(ranked) + _ENDS)
    tried.sort(key=lambda start: -value_of(search, start))
    ends = []
    for done, start in enumerate(tried[:_ENDS], start=1):
        coarse = climbed(middle, start, _MIDDLE, seed=done)
        ends.append(climbed(fine, coarse, _FINE, seed=done))
        tell(len(ranked) + done, len(ranked) + _ENDS)
    ends.sort(key=lambda end: -value_of(middle, end))
    best, apart_mm = _consensus(ends, fine.points_lps_mm())
    return Rigid(matrix_of(best), apart_mm, len(starts))


def refined(level: Level, start: sitk.Transform) -> sitk.Euler3DTransform:
    """Return the maximum of mutual information next to a start, on a grid of 4 mm or finer."""
    return climbed(level, start, _MIDDLE, seed=1)


def _starts(level: Level) -> Iterator[sitk.Euler3DTransform]:
    """Shifts (headers, centres, tops, steps along the longer body), each turned seven ways."""
    ours, theirs = _Extent.of(level.fixed_body_lps_mm), _Extent.of(level.moving_body_lps_mm)
    shifts = [np.zeros(3), theirs.centre - ours.centre, theirs.top - ours.top]
    longer_mm = theirs.height_mm - ours.height_mm
    for step_mm in np.arange(_STEP_ALONG_MM, longer_mm, _STEP_ALONG_MM):
        shifts.append(theirs.top - ours.top - np.array([0.0, 0.0, step_mm]))
    turns_deg = [np.zeros(3), *(_TURN_DEG * np.eye(3)), *(-_TURN_DEG * np.eye(3))]
    for shift in shifts:
        for turn in np.deg2rad(turns_deg):
            start = sitk.Euler3DTransform()
            start.SetCenter(ours.centre.tolist())
            start.SetRotation(*turn.tolist())
            start.SetTranslation(shift.tolist())
            yield start


@dataclass(frozen=True, eq=False)
class _Extent:
    """Where a body is, in mm: its centre, the middle of its uppermost part, its height."""

    centre: FloatArray
    top: FloatArray
    height_mm: float

    @classmethod
    def of(cls, points_mm: FloatArray) -> _Extent:
        low, high = points_mm[:, 2].min(), points_mm[:, 2].max()
        head = points_mm[points_mm[:, 2] > high - _HEAD_MM]
        top = np.array([*head[:, :2].mean(axis=0), high])
        return cls(points_mm.mean(axis=0), top, float(high - low))


def value_of(level: Level, transform: sitk.Transform) -> float:
    """Mutual information (nats) where the two overlap, times the share of the body that does.

    0 where too little of it does: few voxels that fit by chance must not win.
    """
    values, seen = level.moved(transform)
    inside = level.rim_mask
    both = inside & seen
    share = float(both.sum() / inside.sum())
    if share < LEAST_SEEN:
        return 0.0
    joint = joint_histogram(binned(level.fixed_values[both]), binned(values[both]))
    return mutual_information(joint) * share


def _consensus(
    ends: list[sitk.Euler3DTransform], points: FloatArray
) -> tuple[sitk.Euler3DTransform, tuple[float, ...]]:
    """Return the mean of the ends that agree with the first, and how far the others are from it.

    All turn about one centre by angles that are alike, so that parameters may be averaged.
    """
    first = moved_points(ends[0], points)
    apart = [_mean_distance(moved_points(end, points), first) for end in ends]
    same = [end for end, mm in zip(ends, apart, strict=True) if mm <= _SAME_END_MM]
    best = sitk.Euler3DTransform(ends[0])
    best.SetParameters(np.mean([end.GetParameters() for end in same], axis=0).tolist())
    return best, tuple(apart[1:])


def _mean_distance(a: FloatArray, b: FloatArray) -> float:
    return float(np.linalg.norm(a - b, axis=1).mean())


def climbed(
    level: Level, start: sitk.Transform, descent: _Descent, *, seed: int
) -> sitk.Euler3DTransform:
    """Climb to the next maximum of Mattes mutual information from a start."""
    registration = _registration(level, samples=descent.samples, seed=seed)
    registration.SetOptimizerScalesFromPhysicalShift()
    registration.SetOptimizerAsRegularStepGradientDescent(
        learningRate=descent.step_mm,
        minStep=descent.least_step_mm,
        numberOfIterations=descent.iterations,
        relaxationFactor=_RELAXATION,
    )
    transform = sitk.Euler3DTransform(start)
    registration.SetInitialTransform(transform, inPlace=True)
    try:
        registration.Execute(level.fixed, level.moving)
    except RuntimeError:  # all points left the moving image: the value of the start tells
        return sitk.Euler3DTransform(start)
    return transform


def _registration(level: Level, *, samples: int, seed: int) -> sitk.ImageRegistrationMethod:
    registration = sitk.ImageRegistrationMethod()
    registration.SetNumberOfThreads(1)  # sums in one order: the same images give the same end
    registration.SetMetricAsMattesMutualInformation(BINS)
    registration.SetMetricFixedMask(level.rim)
    registration.SetMetricSamplingStrategy(registration.RANDOM)
    share = min(1.0, samples / int(level.rim_mask.sum()))
    registration.SetMetricSamplingPercentage(share, seed)
    registration.SetInterpolator(sitk.sitkLinear)
    return registration


def register_deformable(level: Level, rigid: sitk.Transform) -> sitk.CompositeTransform:
    """Return ``rigid`` after a B-spline with knots 50 mm apart that fits the body further.

    ``level`` has 4 mm or less; both map fixed to moving points in LPS.
    """
    low, high = level.box_mm()
    meshes = np.maximum(1, np.round((high - low) / KNOTS_MM)).astype(int)
    spline = sitk.BSplineTransformInitializer(level.fixed, meshes.tolist(), 3)
    registration = _registration(level, samples=_BENT_SAMPLES, seed=1)
    registration.SetMovingInitialTransform(rigid)
    registration.SetInitialTransform(spline, inPlace=True)
    registration.SetOptimizerAsLBFGSB(
        gradientConvergenceTolerance=1e-5,
        numberOfIterations=_BENT_ITERATIONS,
        maximumNumberOfCorrections=5,
        maximumNumberOfFunctionEvaluations=2 * _BENT_ITERATIONS,
    )
    registration.Execute(level.fixed, level.moving)
    return sitk.CompositeTransform([rigid, spline])


def folded_share(level: Level, transform: sitk.Transform) -> float:
    """Share of the body's voxels where a transform folds space: its Jacobian is not positive."""
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, level.fixed.GetSize(), level.fixed.GetOrigin(),
        level.fixed.GetSpacing(), level.fixed.GetDirection(),
    )  # fmt: skip
    jacobian = sitk.GetArrayViewFromImage(sitk.DisplacementFieldJacobianDeterminant(field))
    return float((jacobian[level.body_mask] <= 0.0).mean())


def inverse_consistency_mm(
    there: sitk.Transform, back: sitk.Transform, points_mm: FloatArray
) -> float:
    """Mean distance of points (n, 3) from themselves after a transform and that of the way back."""
    return _mean_distance(moved_points(back, moved_points(there, points_mm)), points_mm)
