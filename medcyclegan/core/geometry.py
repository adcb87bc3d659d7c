"""Where voxels lie in space, apart from what they hold.

World coordinates are RAS in millimetres, as NIfTI has them: x grows to the patient's right, y to
the front, z to the head. DICOM's LPS is turned into RAS by the reader and back by the writer, and
nowhere else. Voxel indices (i, j, k) address voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from medcyclegan.errors import InputRefused

FloatArray = NDArray[np.float64]

# Two lengths or directions are told apart from here on: a thousandth of a millimetre is far below
# any scanner's precision and far above the rounding of the DS strings and float32 of headers.
SHEAR_TOLERANCE = 1e-3

# Voxels this close coincide: 0.001 mm is below any header's precision.
SAME_PLACE_MM = 1e-3
# Full width at half maximum of a Gaussian in standard deviations.
_FWHM = 2.355
# A Gaussian narrower than this many voxels changes nothing but the run time.
_LEAST_SIGMA_VOXELS = 0.2

_AXIS_LETTERS = (("L", "R"), ("P", "A"), ("I", "S"))


@dataclass(frozen=True, eq=False)
class Geometry:
    """A regular grid in space.

    Parameters
    ----------
    shape:
        Number of voxels along (i, j, k), each at least 1.
    affine_ras:
        (4, 4) float64, voxel index to RAS millimetres; finite, invertible, last row 0 0 0 1.
    frame_of_reference_uid:
        The DICOM frame of reference that the millimetres are in, where one is known.

    Raises
    ------
    InputRefused
        If the shape or the affine breaks these rules.
    """

    shape: tuple[int, int, int]
    affine_ras: FloatArray
    frame_of_reference_uid: str | None = None

    def __post_init__(self) -> None:
        shape = tuple(int(n) for n in self.shape)
        if len(shape) != 3 or min(shape) < 1:
            raise InputRefused(
                f"Shape {shape}", rule="a volume has three axes of at least one voxel"
            )
        affine = np.array(self.affine_ras, dtype=np.float64)
        _check_affine(affine)
        affine.flags.writeable = False
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "affine_ras", affine)

    def __eq__(self, other: object) -> bool:
        """Bit-equal affine, same shape, same frame of reference."""
        if not isinstance(other, Geometry):
            return NotImplemented
        return self.same_grid(other) and (
            self.frame_of_reference_uid == other.frame_of_reference_uid
        )

    __hash__ = None  # type: ignore[assignment]  # arrays inside: compare, do not hash

    def same_grid(self, other: Geometry) -> bool:
        """Whether shape and affine are equal to the last bit."""
        return self.shape == other.shape and np.array_equal(self.affine_ras, other.affine_ras)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxel centres along (i, j, k)."""
        lengths = np.linalg.norm(self.affine_ras[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def directions_ras(self) -> FloatArray:
        """(3, 3), unit vectors of the axes i, j, k as columns."""
        return np.asarray(self.affine_ras[:3, :3] / np.asarray(self.spacing_mm))

    @property
    def shear(self) -> float:
        """Largest cosine between two axes: 0 for a rectangular grid, unit-free."""
        gram = self.directions_ras.T @ self.directions_ras
        return float(np.abs(gram - np.diag(np.diag(gram))).max())

    @property
    def is_sheared(self) -> bool:
        """Whether the axes are visibly not perpendicular (gantry tilt, for one)."""
        return self.shear > SHEAR_TOLERANCE

    @property
    def axis_codes(self) -> str:
        """The anatomical direction each axis is closest to, as in ``"RAS"`` or ``"PSR"``."""
        codes = ""
        for world, sign in closest_axes(self.directions_ras):
            codes += _AXIS_LETTERS[world][1 if sign > 0 else 0]
        return codes

    def to_world(self, index: FloatArray) -> FloatArray:
        """Turn voxel indices (..., 3) into RAS millimetres (..., 3)."""
        return np.asarray(index @ self.affine_ras[:3, :3].T + self.affine_ras[:3, 3])

    def corners_ras_mm(self) -> FloatArray:
        """(8, 3), the centres of the corner voxels."""
        ends = [(0, n - 1) for n in self.shape]
        grid = np.stack(np.meshgrid(*ends, indexing="ij"), axis=-1).reshape(-1, 3)
        return self.to_world(grid.astype(np.float64))

    def with_frame(self, uid: str | None) -> Geometry:
        """Return the same grid in another DICOM frame of reference."""
        return replace(self, frame_of_reference_uid=uid)


def _check_affine(affine: FloatArray) -> None:
    if affine.shape != (4, 4):
        raise InputRefused(f"Affine of shape {affine.shape}", rule="an affine is 4 x 4")
    if not np.isfinite(affine).all():
        raise InputRefused(
            "The affine holds NaN or infinity",
            rule="every entry must be a finite number",
            remedy="repair the header's sform or qform",
        )
    if not np.array_equal(affine[3], (0.0, 0.0, 0.0, 1.0)):
        raise InputRefused(f"Affine with last row {affine[3]}", rule="it must be 0 0 0 1")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() <= 0.0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-6:
        raise InputRefused(
            f"The affine is singular (column lengths {lengths.round(6).tolist()} mm)",
            rule="three independent axes are needed",
            remedy="repair the header's sform or qform",
        )


def closest_axes(directions_ras: FloatArray) -> list[tuple[int, int]]:
    """Assign each voxel axis to the world axis that it is closest to.

    Parameters
    ----------
    directions_ras:
        (3, 3), unit vectors of the voxel axes as columns.

    Returns
    -------
    list of (world axis 0..2, sign) for i, j, k; every world axis is used once. The strongest
    alignment is assigned first, so that oblique grids get a full permutation.
    """
    strength = np.abs(directions_ras).copy()
    assigned: dict[int, tuple[int, int]] = {}
    for _ in range(3):
        world, axis = np.unravel_index(int(np.argmax(strength)), (3, 3))
        sign = 1 if directions_ras[world, axis] >= 0 else -1
        assigned[int(axis)] = (int(world), sign)
        strength[world, :] = -1.0
        strength[:, axis] = -1.0
    return [assigned[axis] for axis in range(3)]


def index_map(source: Geometry, target: Geometry) -> FloatArray:
    """(4, 4) from voxel indices of ``target`` to those of ``source``."""
    return np.asarray(np.linalg.solve(source.affine_ras, target.affine_ras), dtype=np.float64)


def whole_steps(source: Geometry, target: Geometry) -> FloatArray | None:
    """(4, 4) map of target to source indices, if it is a flip, an order of axes and a whole shift.

    None where voxels of the two grids do not coincide.
    """
    exact = index_map(source, target)
    whole = np.round(exact)
    turn = np.abs(whole[:3, :3])
    if not (np.array_equal(turn.sum(axis=0), (1, 1, 1)) and np.array_equal(turn.sum(1), (1, 1, 1))):
        return None
    ends = np.array([[0, 0, 0, 1], [*(n - 1 for n in target.shape), 1]], dtype=float).T
    apart = np.abs((exact - whole) @ ends)[:3].max(axis=1) * source.spacing_mm
    return whole if apart.max() < SAME_PLACE_MM else None


def smoothing_sigma(old: FloatArray, new: FloatArray) -> FloatArray:
    """Standard deviation of the Gaussian that takes samples ``old`` apart to a resolution ``new``.

    In the unit of the two, so that noise and fine edges do not alias; 0 where ``new`` is no
    coarser. The widths of two blurs in a row add up in squares.
    """
    return np.asarray(np.sqrt(np.maximum(new**2 - old**2, 0.0)) / _FWHM)


def smoothing_voxels(source: Geometry, target: Geometry) -> FloatArray:
    """(3,) ``smoothing_sigma`` along the axes of ``source``, in its voxels, before it is sampled on
    ``target``; 0 along all where it is next to nothing."""
    overlap = np.abs(source.directions_ras.T @ target.directions_ras)
    target_mm = np.asarray(target.spacing_mm)[overlap.argmax(axis=1)]
    ratio = target_mm / np.asarray(source.spacing_mm)
    sigma = smoothing_sigma(np.ones(3), ratio)
    return sigma if sigma.max() >= _LEAST_SIGMA_VOXELS else np.zeros(3)


def geometry_from_spacing(
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    rotation_ras: FloatArray | None = None,
) -> Geometry:
    """Make a grid centred on the world's origin.

    ``rotation_ras`` is (3, 3), the unit vectors of i, j, k as columns; default: R, A, S.
    """
    directions = np.eye(3) if rotation_ras is None else rotation_ras
    affine = np.eye(4)
    affine[:3, :3] = directions * np.asarray(spacing_mm)
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2.0)
    return Geometry(shape, affine)


PIXEL_MM = 1.0


def plane_geometry(
    columns: int, rows: int, pixel_mm: tuple[float, float] = (PIXEL_MM, PIXEL_MM)
) -> Geometry:
    """The grid of an image without a place: columns run to the left, rows to the back.

    ``pixel_mm`` is the distance of columns, then of rows; the slice is as thick as a column.
    """
    affine = np.diag([-pixel_mm[0], -pixel_mm[1], pixel_mm[0], 1.0])
    return Geometry((columns, rows, 1), affine)
