"""Water-equivalent path lengths along beams, and the error that a synthetic CT makes in them.

A proton stops where the stopping power that it has passed, relative to water and summed along its
way, is its range in water. So the difference of that sum between synthetic and true CT is the error
of a range that is planned on the synthetic CT, in mm of water. Rays are parallel, straight, and
sampled linearly; scattering, spots and dose are left out: this is a surrogate, and no plan.

Gantry angles are those of IEC 61217 with the couch at 0 and a patient who lies supine, head first:
at 0 degrees the beam enters from the front, at 90 degrees from the patient's left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import FloatArray, Geometry
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.hu_curves import Curve

BoolArray = NDArray[np.bool_]
Float32 = NDArray[np.float32]

GANTRY_DEG = tuple(float(angle) for angle in range(0, 360, 30))
# Between rays through a target, and through the body, of which there are far more; and along them.
TARGET_PITCH_MM, BODY_PITCH_MM = 2.0, 4.0
STEP_MM = 1.0
# Rays that graze the skin see little but its edge.
LEAST_PATH_MM = 10.0
# Rays along the end of an image: half of what interpolation adds to them there.
_EDGE_MM = 1.0
_DIGITS_OF_COUNTS = 6
# How far beyond the target a proton is followed that goes too deep.
BEYOND_MM = 40.0
P95 = 95.0


@dataclass(frozen=True)
class WaterPathOptions:
    """By which curve of stopping power, and along which beams.

    ``kvp`` says in words which tube voltage the curve is for.
    """

    curve: Curve
    gantry_deg: tuple[float, ...] = GANTRY_DEG
    kvp: str = "that of the calibration"

    def __post_init__(self) -> None:
        angles = self.gantry_deg
        if not angles or not all(math.isfinite(a) and 0.0 <= a < 360.0 for a in angles):
            raise UsageError(
                f"Gantry angles {', '.join(f'{a:g}' for a in angles) or '(none)'}",
                rule="there is one at least, and each is from 0 to less than 360 degrees",
            )
        if len(set(angles)) < len(angles):
            raise UsageError("A gantry angle is there twice", rule="each direction counts once")


@dataclass(frozen=True, eq=False)
class Rays:
    """Where the rays of one beam run: sample (u, v, s) lies at voxel index ``start + steps @ uvs``.

    ``steps`` (3, 3) has the steps along u (across, in the axial plane), v (towards the head) and s
    (along the beam) as columns.
    """

    gantry_deg: float
    steps: FloatArray
    start: FloatArray
    shape: tuple[int, int, int]

    def sampled(self, voxels: Float32, *, beyond: str) -> Float32:
        """Return voxels (i, j, k) along the rays, (u, v, s), by linear interpolation.

        ``beyond`` the image lies nothing (``grid-constant``), or what lies at its edge
        (``nearest``).
        """
        return np.asarray(
            ndimage.affine_transform(
                voxels, self.steps, self.start, self.shape, order=1, mode=beyond, cval=0.0
            ),
            dtype=np.float32,
        )


@dataclass(frozen=True, eq=False)
class BeamPaths:
    """Path lengths on the true CT along one beam.

    ``counts`` (u, v) says which rays are taken; ``depth`` (rays,) is where each ends, in samples
    from its start; ``ct_mm`` (rays,) is the water-equivalent path to there; ``ct_sums`` (rays, s)
    the sums behind each sample where a target is given, else None. ``cut`` counts rays that enter
    or leave the body through the end of the image, which are left out.
    """

    rays: Rays
    counts: BoolArray
    depth: FloatArray
    ct_mm: FloatArray
    ct_sums: Float32 | None
    cut: int


@dataclass(frozen=True, eq=False)
class BeamErrors:
    """Synthetic minus true CT along one beam.

    ``wepl_mm`` (rays,) in mm of water. ``range_mm`` (rays,) is how much too deep, in mm of the
    patient, a proton stops on the true CT that is planned on the synthetic CT to stop behind the
    target; NaN where it leaves the body, and empty without a target. ``counts`` (u, v) says where
    the rays are.
    """

    gantry_deg: float
    counts: BoolArray
    ct_mm: FloatArray
    wepl_mm: FloatArray
    range_mm: FloatArray
    cut: int

    def map_mm(self) -> FloatArray:
        """The error in water (v, u) as seen from the source, head up; NaN where no ray is."""
        seen = np.full(self.counts.shape, np.nan)
        seen[self.counts] = self.wepl_mm
        return np.asarray(seen.T[::-1])


@dataclass(frozen=True)
class ErrorStatistics:
    """Mean and standard deviation of errors, and the 95th percentile of their size, in mm."""

    n: int
    mean_mm: float
    sd_mm: float
    p95_abs_mm: float


def statistics_of(errors_mm: FloatArray) -> ErrorStatistics:
    """Summarise the finite ones of some errors (n,); NaN without any, or without a spread."""
    found = errors_mm[np.isfinite(errors_mm)]
    if not found.size:
        return ErrorStatistics(0, math.nan, math.nan, math.nan)
    sd = float(found.std(ddof=1)) if found.size > 1 else math.nan
    p95 = float(np.percentile(np.abs(found), P95))
    return ErrorStatistics(found.size, float(found.mean()), sd, p95)


@dataclass(frozen=True, eq=False)
class TruePaths:
    """The path lengths of a patient's true CT, to hold any synthetic CT against."""

    options: WaterPathOptions
    mask: BoolArray
    beams: tuple[BeamPaths, ...]

    @property
    def rays(self) -> int:
        """How many rays there are over all beams."""
        return sum(beam.ct_mm.size for beam in self.beams)


def true_paths(
    ct: Volume, mask: Volume, options: WaterPathOptions, *, target: Volume | None = None
) -> TruePaths:
    """Follow the rays of all beams through the true CT.

    Parameters
    ----------
    ct, mask:
        In HU, and the body (above 0) on its grid: only what lies in the body counts.
    target:
        On the same grid, above 0 in the target: rays run through it and end where they last leave
        it. Without one they run through the whole body.

    Raises
    ------
    InputRefused
        If the target lies outside of the body, or no ray is left.
    """
    inside = np.asarray(mask.voxels > 0)
    marked = inside if target is None else np.asarray(target.voxels > 0) & inside
    if not marked.any():
        raise InputRefused(
            "The target marks no voxel of the body in the reference CT",
            rule="rays end behind the target",
            remedy="give the target of this patient, on any grid of the same frame of reference",
        )
    stopping = _stopping(ct, inside, options.curve)
    pitch_mm = BODY_PITCH_MM if target is None else TARGET_PITCH_MM
    beams = tuple(
        _beam(
            _rays(ct.geometry, inside, marked, gantry_deg=angle, pitch_mm=pitch_mm),
            stopping,
            inside,
            None if target is None else marked,
        )
        for angle in options.gantry_deg
    )
    paths = TruePaths(options, inside, beams)
    if not paths.rays:
        raise InputRefused(
            "No ray runs through the body from air to air",
            rule=f"a ray counts that has {LEAST_PATH_MM:g} mm of body, and neither enters nor "
            "leaves it through the end of the image",
            remedy="leave out --wepl, or give other --beams",
        )
    return paths


def path_errors(sct: Volume, paths: TruePaths) -> tuple[BeamErrors, ...]:
    """Hold a synthetic CT, on the grid of the true one, against its path lengths."""
    stopping = _stopping(sct, paths.mask, paths.options.curve)
    return tuple(_errors(stopping, beam) for beam in paths.beams)


def _stopping(ct: Volume, inside: BoolArray, curve: Curve) -> Float32:
    """Stopping power relative to water (i, j, k), 0 outside of the body; never negative."""
    values = np.zeros(inside.shape, dtype=np.float32)
    values[inside] = np.maximum(curve.at(ct.voxels[inside]), 0.0)
    return values


def _rays(
    geometry: Geometry,
    inside: BoolArray,
    marked: BoolArray,
    *,
    gantry_deg: float,
    pitch_mm: float,
) -> Rays:
    """Rays through what is marked, from where the body begins to beyond what is marked."""
    axes = beam_axes(gantry_deg)
    low, high = _reach(axes, _corner_places(geometry, marked))
    body_low, body_high = _reach(axes, _corner_places(geometry, inside))
    # Linear interpolation blurs the skin, over one voxel at most.
    blur_mm = max(geometry.spacing_mm)
    low[2], high[2] = body_low[2] - blur_mm, min(high[2] + BEYOND_MM, body_high[2] + blur_mm)
    spacing_mm = np.array([pitch_mm, pitch_mm, STEP_MM])
    # Rounding of the angles must not add a row: opposite beams have the same rays.
    wanted = np.round((high - low) / spacing_mm, _DIGITS_OF_COUNTS)
    count = np.maximum(1, np.ceil(wanted)).astype(int)
    first = (low + high) / 2.0 - spacing_mm * (count - 1) / 2.0
    to_index = np.linalg.inv(geometry.affine_ras)
    steps = to_index[:3, :3] @ (axes.T * spacing_mm)
    start = to_index[:3, :3] @ (axes.T @ first) + to_index[:3, 3]
    return Rays(gantry_deg, steps, start, (int(count[0]), int(count[1]), int(count[2])))


def beam_axes(gantry_deg: float) -> FloatArray:
    """(3, 3) RAS unit vectors as rows: across the beam, towards the head, along the beam."""
    angle = math.radians(gantry_deg)
    along = (math.sin(angle), -math.cos(angle), 0.0)
    across = (-math.cos(angle), -math.sin(angle), 0.0)  # to the right, as seen from the source
    return np.array([across, (0.0, 0.0, 1.0), along])


def _corner_places(geometry: Geometry, which: BoolArray) -> FloatArray:
    """(8, 3) RAS mm, the corners of the box around some voxels, half a voxel beyond them."""
    ends = []
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        filled = np.flatnonzero(which.any(axis=others))
        ends.append((filled[0] - 0.5, filled[-1] + 0.5))
    corners = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
    return geometry.to_world(corners)


def _reach(axes: FloatArray, places_mm: FloatArray) -> tuple[FloatArray, FloatArray]:
    along = places_mm @ axes.T
    return along.min(axis=0), along.max(axis=0)


def _beam(rays: Rays, stopping: Float32, inside: BoolArray, target: BoolArray | None) -> BeamPaths:
    body = inside.astype(np.float32)
    body_mm = STEP_MM * rays.sampled(body, beyond="grid-constant").sum(axis=2)
    is_cut = _cut(rays, body, body_mm)
    if target is None:
        depth = np.full(body_mm.shape, float(rays.shape[2]))
    else:
        depth = _distal(rays.sampled(target.astype(np.float32), beyond="grid-constant"))
    wanted = (body_mm >= LEAST_PATH_MM) & np.isfinite(depth)
    counts = wanted & ~is_cut
    sums = _sums(rays.sampled(stopping, beyond="grid-constant")[counts])
    at = depth[counts]
    return BeamPaths(
        rays=rays,
        counts=counts,
        depth=at,
        ct_mm=_at_depth(sums, at),
        ct_sums=None if target is None else sums,
        cut=int((wanted & is_cut).sum()),
    )


def _cut(rays: Rays, body: Float32, body_mm: Float32) -> BoolArray:
    """Which rays (u, v) meet the body at the end of the image, beyond which it may go on."""
    ends = (body[[0, -1]], body[:, [0, -1]], body[:, :, [0, -1]])
    if not any(end.any() for end in ends):
        return np.zeros(body_mm.shape, dtype=np.bool_)
    onward_mm = STEP_MM * rays.sampled(body, beyond="nearest").sum(axis=2)
    return np.asarray(onward_mm - body_mm > _EDGE_MM)


def _distal(target: Float32) -> FloatArray:
    """Where rays (u, v, s) last leave a target, in samples; NaN where they miss it."""
    marked = target >= 0.5
    count = target.shape[2]
    last = count - 1 - np.argmax(marked[:, :, ::-1], axis=2)
    after = np.minimum(last + 1, count - 1)
    here, there = (
        np.take_along_axis(target, at[:, :, None], axis=2)[:, :, 0] for at in (last, after)
    )
    share = np.where(here > there, (here - 0.5) / np.maximum(here - there, 1e-6), 0.5)
    # A sample stands for half a step to each of its sides.
    return np.where(marked.any(axis=2), last + 0.5 + share, np.nan)


def _sums(stopping: Float32) -> Float32:
    """Sums (rays, s + 1) of samples (rays, s) before the edges between them, in mm of water."""
    before = np.zeros((stopping.shape[0], 1), dtype=np.float32)
    return np.concatenate([before, STEP_MM * np.cumsum(stopping, axis=1)], axis=1)


def _at_depth(sums: Float32, depth: FloatArray) -> FloatArray:
    """Sums (rays, s + 1) at a depth of each ray (rays,), linear between edges."""
    low = np.clip(np.floor(depth).astype(int), 0, sums.shape[1] - 2)
    rows = np.arange(len(depth))
    here, there = sums[rows, low].astype(np.float64), sums[rows, low + 1].astype(np.float64)
    return np.asarray(here + (depth - low) * (there - here))


def _errors(stopping: Float32, beam: BeamPaths) -> BeamErrors:
    sums = _sums(beam.rays.sampled(stopping, beyond="grid-constant")[beam.counts])
    sct_mm = _at_depth(sums, beam.depth)
    range_mm = np.empty(0)
    if beam.ct_sums is not None:
        range_mm = STEP_MM * (_depth_of(beam.ct_sums, sct_mm) - beam.depth)
    return BeamErrors(
        gantry_deg=beam.rays.gantry_deg,
        counts=beam.counts,
        ct_mm=beam.ct_mm,
        wepl_mm=sct_mm - beam.ct_mm,
        range_mm=range_mm,
        cut=beam.cut,
    )


def _depth_of(sums: Float32, range_mm: FloatArray) -> FloatArray:
    """Where each ray (rays, s + 1) has passed its range (rays,); NaN if it never has."""
    edges = np.arange(sums.shape[1], dtype=np.float64)
    return np.array(
        [
            np.interp(wanted, line, edges, right=np.nan) if wanted < line[-1] else np.nan
            for line, wanted in zip(sums, range_mm, strict=True)
        ]
    )
