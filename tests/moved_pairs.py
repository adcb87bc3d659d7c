"""MR and CT of phantoms, the CT moved by a known transform; nothing of them is interpolated."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from medcyclegan.core.geometry import FloatArray, Geometry, geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.simulate.head_pairs import rotation
from medcyclegan.simulate.phantom.head import make_phantom

TURNS_DEG = np.array([8.0, -6.0, 12.0])
SHIFT_MM = (25.0, -30.0, 18.0)
MR_GRID = geometry_from_spacing((48, 64, 62), (4.0, 4.0, 4.0), rotation(np.array([3.0, 2.0, -4.0])))
CT_GRID = geometry_from_spacing(
    (60, 70, 80), (3.8, 3.8, 3.4), rotation(np.array([-2.0, 4.0, 1.0])) @ np.diag([-1.0, -1.0, 1.0])
)


@dataclass(frozen=True, eq=False)
class MovedPair:
    """An MR, a CT, and the transform (4, 4) from the MR's points to the CT's, RAS in mm."""

    mr: Volume
    ct: Volume
    truth_ras: FloatArray


@cache
def moved_pair(mr_subject: int = 1, ct_subject: int = 1) -> MovedPair:
    """Return the MR of one subject, and the CT of the same or another."""
    truth = np.eye(4)
    truth[:3, :3] = rotation(TURNS_DEG)
    truth[:3, 3] = SHIFT_MM
    mr = make_phantom(MR_GRID, contrast="t1", seed=mr_subject).mr
    ct = make_phantom(CT_GRID, contrast="t1", seed=ct_subject).ct
    there = Geometry(CT_GRID.shape, truth @ CT_GRID.affine_ras)
    return MovedPair(mr, Volume(ct.voxels, there, "HU"), truth)


def mirrored(ct: Volume) -> Volume:
    """The same header, and rows of voxels in reverse: left is right."""
    return ct.with_voxels(np.ascontiguousarray(ct.voxels[::-1]))


def error_mm(truth_ras: FloatArray, found_ras: FloatArray) -> float:
    """The mean distance of where two transforms put points of a head at the origin."""
    points = np.random.default_rng(0).uniform(-80.0, 80.0, (200, 3))
    apart = (truth_ras - found_ras) @ np.c_[points, np.ones(len(points))].T
    return float(np.linalg.norm(apart[:3], axis=0).mean())
