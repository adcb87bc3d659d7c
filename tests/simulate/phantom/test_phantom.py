"""Laws of the head phantom as images: orientation, seed, physics, body."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from medcyclegan.core.geometry import Geometry, geometry_from_spacing
from medcyclegan.errors import UsageError
from medcyclegan.simulate.phantom.head import (
    PhantomSubject,
    default_geometry,
    label_points,
    make_phantom,
)
from medcyclegan.simulate.phantom.shapes import sample_grid
from medcyclegan.simulate.tissues import PROPERTIES, Tissue
from tests.simulate.phantom_grids import BONE, SLAB, anatomy


@pytest.fixture(scope="module")
def slab() -> PhantomSubject:
    return make_phantom(SLAB, contrast="t1", seed=1)


@pytest.fixture(scope="module")
def coarse() -> PhantomSubject:
    return make_phantom(geometry_from_spacing((40, 48, 48), (5.0,) * 3), contrast="t1", seed=1)


def orientations(base: Geometry) -> list[tuple[tuple[int, ...], tuple[int, ...], Geometry]]:
    """Every order and direction of the axes that covers the same voxel centres."""
    found = []
    for order, flips in product(permutations(range(3)), product((1, -1), repeat=3)):
        affine = np.eye(4)
        origin = base.affine_ras[:3, 3].copy()
        for axis, sign in zip(order, flips, strict=True):
            if sign < 0:
                origin += base.affine_ras[:3, axis] * (base.shape[axis] - 1)
        for new, (axis, sign) in enumerate(zip(order, flips, strict=True)):
            affine[:3, new] = sign * base.affine_ras[:3, axis]
        affine[:3, 3] = origin
        i, j, k = (base.shape[axis] for axis in order)
        found.append((order, flips, Geometry((i, j, k), affine)))
    return found


def test_a_point_has_one_tissue_in_all_48_orientations() -> None:
    base = geometry_from_spacing((11, 13, 15), (16.0, 16.0, 16.0))
    subject = anatomy(3)

    def sampled(geometry: Geometry) -> NDArray[np.uint8]:
        tables = np.zeros((1, len(Tissue)))
        return sample_grid(
            lambda world: label_points(world, anatomy=subject), geometry, tables=tables
        ).labels

    expected = sampled(base)
    others = orientations(base)
    assert len(others) == 48
    same_bytes = 0
    for order, flips, geometry in others:
        labels = sampled(geometry)
        same_bytes += labels.shape == expected.shape and np.array_equal(labels, expected)
        turned = np.transpose(expected, order)[tuple(slice(None, None, flip) for flip in flips)]
        np.testing.assert_array_equal(labels, turned)
    # The control: without turning back, only the identity fits.
    assert same_bytes == 1


def test_the_images_turn_with_the_grid() -> None:
    base = geometry_from_spacing((22, 26, 28), (8.0, 8.0, 8.0))
    expected = make_phantom(base, contrast="t1", seed=1)
    order, flips, geometry = orientations(base)[29]
    turned = make_phantom(geometry, contrast="t1", seed=1)

    def back(volume: NDArray[np.float32]) -> NDArray[np.float32]:
        unflipped = volume[tuple(slice(None, None, flip) for flip in flips)]
        return np.transpose(unflipped, np.argsort(order))

    np.testing.assert_array_equal(back(turned.body_mask.voxels), expected.body_mask.voxels)
    # Noise and texture belong to the grid; what is left of the difference is they.
    body = expected.body_mask.voxels > 0
    difference = np.abs(back(turned.ct.voxels) - expected.ct.voxels)[body]
    assert np.median(difference) < 25.0
    assert np.median(np.abs(expected.ct.voxels[::-1] - expected.ct.voxels)[body]) > np.median(
        difference
    )


def test_the_seed_fixes_every_byte() -> None:
    grid = geometry_from_spacing((16, 20, 20), (10.0,) * 3)

    def content(seed: int, contrast: str = "t2") -> list[bytes]:
        subject = make_phantom(grid, contrast=contrast, seed=seed)
        volumes = (subject.mr, subject.ct, subject.labels, subject.body_mask)
        return [volume.voxels.tobytes() for volume in volumes]

    assert content(5) == content(5)
    assert all(a != b for a, b in zip(content(5), content(6), strict=True))
    # Another contrast of one subject: other signal, same anatomy and same CT.
    assert content(5)[1:] == content(5, "t1")[1:]
    assert content(5)[0] != content(5, "t1")[0]


def test_hu_at_the_core_of_tissues(slab: PhantomSubject) -> None:
    labels = slab.labels.voxels
    for tissue, slack_hu in ((Tissue.WHITE_MATTER, 8.0), (Tissue.CSF, 15.0), (Tissue.AIR, 1.0)):
        core = ndimage.binary_erosion(labels == tissue)
        assert core.sum() > 20
        assert slab.ct.voxels[core].mean() == pytest.approx(PROPERTIES[tissue].hu, abs=slack_hu)
    bone = np.isin(labels, BONE)
    assert slab.ct.voxels[bone].mean() > 300.0
    assert slab.ct.voxels[~bone].max() < slab.ct.voxels[bone].max()


def test_mr_contrast_is_that_of_the_sequence(slab: PhantomSubject) -> None:
    def median(subject: PhantomSubject, tissue: Tissue) -> float:
        return float(np.median(subject.mr.voxels[subject.labels.voxels == tissue]))

    t2 = make_phantom(SLAB, contrast="t2", seed=1)
    assert median(slab, Tissue.FAT) > median(slab, Tissue.WHITE_MATTER)
    assert median(slab, Tissue.WHITE_MATTER) > median(slab, Tissue.GREY_MATTER)
    assert median(t2, Tissue.WHITE_MATTER) < median(t2, Tissue.GREY_MATTER)
    assert median(slab, Tissue.AIR) < 0.2 * median(slab, Tissue.GREY_MATTER)


def test_the_body_is_one_piece_without_holes(coarse: PhantomSubject) -> None:
    body = coarse.body_mask.voxels > 0
    tissue = coarse.labels.voxels != Tissue.AIR
    pieces, _ = ndimage.label(body)
    assert np.bincount(pieces.ravel())[1:].max() > 0.995 * body.sum()
    assert body.sum() > tissue.sum() > 0.9 * body.sum()
    filled = ndimage.binary_fill_holes(body)
    assert filled.sum() - body.sum() <= 0.002 * body.sum()


def test_thick_slices_blur_more_than_thin_ones() -> None:
    """Partial volume: a thick slice holds fewer voxels of pure air or pure bone."""
    thin = geometry_from_spacing((46, 60, 3), (4.0, 4.0, 1.0))
    thick = geometry_from_spacing((46, 60, 3), (4.0, 4.0, 12.0))
    pure = []
    for geometry in (thin, thick):
        subject = make_phantom(geometry, contrast="t1", seed=1)
        bone = np.isin(subject.labels.voxels, BONE)
        pure.append(float(np.mean(subject.ct.voxels[bone])))
    assert pure[1] < pure[0]


def test_an_unknown_contrast_is_refused() -> None:
    with pytest.raises(UsageError, match="must be one of t1"):
        make_phantom(default_geometry(20.0), contrast="t3", seed=0)
