"""Laws of the head phantom as anatomy: volumes, closed skull, sinuses, left and right."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.simulate.phantom.anatomy import HEAD_CENTRE_MM, Anatomy
from medcyclegan.simulate.phantom.head import default_geometry, label_points
from medcyclegan.simulate.tissues import Tissue
from tests.simulate.phantom_grids import BONE, BRAIN, SLAB, anatomy, labels_on

Array = NDArray[np.float64]


def test_finer_voxels_hold_the_same_volumes() -> None:
    subject = anatomy(1)
    coarse = labels_on(geometry_from_spacing((46, 60, 58), (4.0,) * 3), subject)
    fine = labels_on(geometry_from_spacing((92, 120, 116), (2.0,) * 3), subject)
    for group in (BRAIN, BONE, (Tissue.FAT,), (Tissue.MUSCLE,), (Tissue.CSF,), (Tissue.SKIN,)):
        large = np.isin(coarse, group).sum() * 4.0**3
        small = np.isin(fine, group).sum() * 2.0**3
        assert large == pytest.approx(small, rel=0.03), group


@pytest.mark.parametrize("seed", range(4))
def test_the_head_has_human_proportions(seed: int) -> None:
    """Volumes in ml and extents in mm of children and adults alike."""
    labels = labels_on(geometry_from_spacing((48, 62, 60), (4.0,) * 3), anatomy(seed))
    brain_ml = np.isin(labels, BRAIN).sum() * 0.064
    assert 900.0 < brain_ml < 1700.0
    cranium = np.isin(labels, (*BONE, *BRAIN, Tissue.CSF))[:, :, 32:]
    wide, long = (np.ptp(np.flatnonzero(cranium.any(axis=axes))) * 4.0 for axes in ((1, 2), (0, 2)))
    assert 115.0 < wide < 165.0
    assert 145.0 < long < 205.0
    assert 0.68 < wide / long < 0.9


def reached_brain(labels: NDArray[np.uint8], start: tuple[int, int, int]) -> bool:
    """Whether a path of face-neighbours that is not bone leads from ``start`` into the brain."""
    regions, _ = ndimage.label(~np.isin(labels, BONE))
    return bool(np.isin(labels[regions == regions[start]], BRAIN).any())


@pytest.mark.parametrize("seed", range(6))
def test_the_vault_is_closed(seed: int) -> None:
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = (-92.0, -120.0, 36.0)
    vault = Geometry((92, 118, 38), affine)
    labels = labels_on(vault, anatomy(seed))
    assert np.isin(labels, BRAIN).sum() > 10_000
    assert not reached_brain(labels, (0, 0, 37))
    # The control: a burr hole lets the flood in.
    burr_hole = labels[:46, 60, 10]
    burr_hole[np.isin(burr_hole, BONE)] = Tissue.FAT
    assert reached_brain(labels, (0, 0, 37))


def at_canonical(subject: Anatomy, point_mm: tuple[float, float, float]) -> Array:
    """World points in a 3 mm box about a canonical point, the subject's warp left out."""
    scale = subject.size * np.asarray(subject.proportions)
    world = (np.asarray(point_mm) - HEAD_CENTRE_MM) * scale
    box = np.array(list(product((-1.5, 0.0, 1.5), repeat=3)))
    return np.asarray(world + box)


@pytest.mark.parametrize("centre_mm", [(31, 45, -60), (-31, 45, -60), (8.5, 14, -38)])
def test_sinuses_are_air_inside_the_body(centre_mm: tuple[float, float, float]) -> None:
    subject = anatomy(1)
    assert subject.growth == 1.0
    labels, skin_mm = label_points(at_canonical(subject, centre_mm), anatomy=subject)
    assert (labels == Tissue.AIR).mean() > 0.8
    assert (skin_mm < 0).all()
    outside, skin_mm = label_points(at_canonical(subject, (0.0, 140.0, -60.0)), anatomy=subject)
    assert (outside == Tissue.AIR).all()
    assert (skin_mm > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_calcification_marks_the_left(seed: int) -> None:
    """Bright in CT inside the brain at x < 0 (left in RAS), nothing of the like on the right."""
    labels = labels_on(SLAB, anatomy(seed))
    bone = np.isin(labels, BONE)
    x_mm = SLAB.to_world(np.stack(np.indices(SLAB.shape), axis=-1).astype(np.float64))[..., 0]
    middle = np.zeros_like(bone)
    middle[26:-26, 30:70] = True
    assert (bone & middle & (x_mm < 0)).sum() > 10
    assert (bone & middle & (x_mm > 0)).sum() == 0


def test_the_default_grid_holds_the_head() -> None:
    geometry = default_geometry(4.0)
    assert geometry.axis_codes == "RAS"
    assert geometry.spacing_mm == (4.0, 4.0, 4.0)
    for seed in range(12):
        labels = labels_on(geometry, anatomy(seed))
        for face in (labels[0], labels[-1], labels[:, 0], labels[:, -1], labels[:, :, -1]):
            assert not face.any()
        # The control: the neck goes on below the grid.
        assert labels[:, :, 0].any()
