"""The densest parts of the phantom are where people have them: teeth and petrous bone."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.core.geometry import Geometry
from medcyclegan.simulate.contrasts import standard_signal
from medcyclegan.simulate.phantom.anatomy import Anatomy
from medcyclegan.simulate.phantom.face import _paint_teeth
from medcyclegan.simulate.phantom.shapes import points_from
from medcyclegan.simulate.tissues import BONE_TISSUES, PROPERTIES, Tissue
from tests.simulate.phantom_grids import anatomy, labels_on

HARD = (Tissue.TOOTH, Tissue.ENAMEL)


def box(low_mm: tuple[float, float, float], high_mm: tuple[float, float, float]) -> Geometry:
    """A grid of 1 mm over a box of the world."""
    affine = np.eye(4)
    affine[:3, 3] = low_mm
    shape = tuple(int(high - low) for low, high in zip(low_mm, high_mm, strict=True))
    return Geometry((shape[0], shape[1], shape[2]), affine)


def painted_teeth() -> tuple[np.ndarray, np.ndarray]:
    """Labels of the arch on points 0.5 mm apart in canonical millimetres, and the points' z."""
    axes = (np.arange(-32, 32, 0.5), np.arange(30, 80, 0.5), np.arange(-112, -82, 0.5))
    x, y, z = (values.ravel() for values in np.meshgrid(*axes, indexing="ij"))
    points = points_from(x.astype(np.float32), y.astype(np.float32), z.astype(np.float32))
    labels = np.zeros(len(x), np.uint8)
    _paint_teeth(points, labels, allowed=np.ones(len(x), bool))
    return labels, z


def test_crowns_are_covered_with_enamel_and_roots_are_dentine() -> None:
    labels, z = painted_teeth()
    from_bite = np.abs(z + 97.0)
    enamel, dentine = labels == Tissue.ENAMEL, labels == Tissue.TOOTH
    assert enamel.any()
    assert dentine.any()
    assert from_bite[enamel].max() < 8.0
    assert from_bite[dentine].max() > 10.0
    at_the_bite = (from_bite > 0.4) & (from_bite < 1.4)
    assert not dentine[at_the_bite].any()
    assert 0.2 < enamel.sum() / (enamel | dentine).sum() < 0.7
    volume_ml = (enamel | dentine).sum() / 8000.0
    assert 5.0 < volume_ml < 25.0  # 28 teeth of about half a millilitre


def _ear(seed: int, side: float) -> tuple[np.ndarray, Anatomy]:
    low, high = sorted((side * 18.0, side * 84.0))
    return labels_on(box((low, -60.0, -48.0), (high, 10.0, 0.0)), anatomy(seed)), anatomy(seed)


@pytest.mark.parametrize("seed", [1, 3])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_petrous_bone_has_a_dense_capsule_cells_and_a_canal(seed: int, side: float) -> None:
    labels, _ = _ear(seed, side)
    otic = labels == Tissue.OTIC_BONE
    assert 300 < otic.sum() < 2500  # mm3; a ball of 7 mm less its fluid is 1300
    places = np.argwhere(otic)
    around = tuple(slice(int(n) - 3, int(n) + 4) for n in np.median(places, axis=0))
    assert np.isin(labels[around], (*BONE_TISSUES, Tissue.CSF)).mean() > 0.9
    air = labels == Tissue.AIR
    assert (air & (np.arange(labels.shape[2])[None, None, :] < 40)).sum() > 500
    assert (labels == Tissue.CORTICAL_BONE).sum() > 4.0 * otic.sum()


def test_what_is_dense_is_as_dark_as_bone_in_mr_and_brighter_in_ct() -> None:
    hu = {tissue: PROPERTIES[tissue].hu for tissue in Tissue}
    assert hu[Tissue.CORTICAL_BONE] < hu[Tissue.TOOTH] < hu[Tissue.OTIC_BONE] < hu[Tissue.ENAMEL]
    assert hu[Tissue.DIPLOE] == pytest.approx(0.35 * 1900.0 + 0.65 * 10.0, abs=1.0)
    assert hu[Tissue.MARROW] < hu[Tissue.DIPLOE]  # more mineral: brighter in CT, darker in MR
    for kind in ("t1", "t2", "flair"):
        signal = standard_signal(kind)
        for dark in (Tissue.OTIC_BONE, *HARD):
            assert signal[dark] < 0.1 * signal[Tissue.GREY_MATTER]
        assert signal[Tissue.DIPLOE] == pytest.approx(0.65 * signal[Tissue.MARROW])
