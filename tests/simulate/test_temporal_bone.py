"""The temporal bone is where bone lies beside and behind the eyes, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.temporal_bone import temporal_bone
from medcyclegan.simulate.tissues import Tissue

SPACING_MM = (2.0, 2.0, 2.0)
EYES = ((26, 86, 50), (54, 86, 50))  # 56 mm apart, in a head of 80 x 100 x 80 voxels


def head_of_bone(*eyes: tuple[int, int, int]) -> np.ndarray:
    tissue = np.full((80, 100, 80), Tissue.CORTICAL_BONE, dtype=np.uint8)
    for i, j, k in eyes:
        tissue[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3] = Tissue.EYE_FLUID
    return tissue


def test_it_lies_on_both_sides_behind_the_eyes() -> None:
    place = temporal_bone(head_of_bone(*EYES), SPACING_MM)
    behind = 86 - 40  # 80 mm
    assert place[40 + 20, behind, 45]
    assert place[40 - 20, behind, 45]
    assert not place[40, behind, 45], "the clivus holds no cells"
    assert not place[40 + 20, 86, 45], "beside the eyes"
    assert not place[40 + 20, behind, 60], "above the eyes"


def test_soft_tissue_has_none() -> None:
    tissue = head_of_bone(*EYES)
    tissue[tissue == Tissue.CORTICAL_BONE] = Tissue.MUSCLE
    assert not temporal_bone(tissue, SPACING_MM).any()


@pytest.mark.parametrize("eyes", [(), EYES[:1]])
def test_without_two_eyes_there_is_no_landmark(eyes: tuple[tuple[int, int, int], ...]) -> None:
    assert not temporal_bone(head_of_bone(*eyes), SPACING_MM).any()
