"""Strategies for grids: any invertible affine, rectangular ones, all orders of the axes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from medcyclegan.core.geometry import Geometry

ORDERS = [
    (order, signs)
    for order in itertools.permutations(range(3))
    for signs in itertools.product((1, -1), repeat=3)
]
SIZES = st.tuples(*[st.integers(1, 64)] * 3)
# A head lies within half a metre of the scanner's centre.
_ORIGIN_MM = st.tuples(*[st.floats(-500, 500)] * 3)
_SPACING_MM = st.tuples(*[st.floats(0.2, 10.0)] * 3)
# Axes closer to a plane than this make an affine that is refused as singular.
_LEAST_VOLUME = 1e-3


@dataclass(frozen=True)
class Storage:
    """An order of the axes and their directions, as one array is stored in another."""

    order: tuple[int, int, int]
    signs: tuple[int, int, int]

    def voxels(self, array: np.ndarray) -> np.ndarray:
        """Return (i, j, k) stored in this order."""
        return array.transpose(self.order)[tuple(slice(None, None, sign) for sign in self.signs)]

    def grid(self, geometry: Geometry) -> Geometry:
        """Return the grid of ``voxels``: every voxel stays where it was in the world."""
        shape = tuple(geometry.shape[axis] for axis in self.order)
        turn = np.eye(4)
        turn[:3, :3] = 0.0
        for new, (old, sign) in enumerate(zip(self.order, self.signs, strict=True)):
            turn[old, new] = sign
            turn[old, 3] = 0 if sign > 0 else geometry.shape[old] - 1
        return Geometry(shape, geometry.affine_ras @ turn)


STORAGES = st.sampled_from([Storage(order, signs) for order, signs in ORDERS])


@st.composite
def any_affines(draw: st.DrawFn) -> np.ndarray:
    """(4, 4) with an invertible 3 x 3 part, sheared as may be."""
    entries = draw(st.lists(st.floats(-10, 10), min_size=9, max_size=9).filter(_is_invertible))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(entries, (3, 3))
    affine[:3, 3] = draw(_ORIGIN_MM)
    return affine


def _is_invertible(entries: list[float]) -> bool:
    matrix = np.reshape(entries, (3, 3))
    lengths = np.linalg.norm(matrix, axis=0)
    return bool(lengths.min() > 0.01 and abs(np.linalg.det(matrix / lengths)) > _LEAST_VOLUME)


@st.composite
def rectangular_affines(draw: st.DrawFn, most_rad: float = np.pi) -> np.ndarray:
    """(4, 4) with perpendicular axes: turned by up to ``most_rad``, then in any of 48 orders."""
    axis = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3)))
    length = np.linalg.norm(axis)
    axis = axis / length if length > 1e-3 else np.array([0.0, 0.0, 1.0])
    turn = Rotation.from_rotvec(axis * draw(st.floats(0, most_rad))).as_matrix()
    order, signs = draw(st.sampled_from(ORDERS))
    affine = np.eye(4)
    affine[:3, :3] = turn[:, order] * signs * draw(_SPACING_MM)
    affine[:3, 3] = draw(_ORIGIN_MM)
    # The decimal strings of the made series have no room for exponents of three digits.
    return np.where(np.abs(affine) < 1e-12, 0.0, affine)
