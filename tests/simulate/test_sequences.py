"""Laws of the signal equations and of the contrasts that the presets give."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate.acquisition import (
    SEQUENCES,
    InversionRecovery,
    SpinEcho,
    SpoiledGradientEcho,
)
from medcyclegan.simulate.tissues import PROPERTIES, Tissue


def signal(contrast: str, tissue: Tissue) -> float:
    tissue_properties = PROPERTIES[tissue]
    return float(
        SEQUENCES[contrast].signal(
            np.array(tissue_properties.proton_density),
            np.array(tissue_properties.t1_ms),
            np.array(tissue_properties.t2_ms),
        )
    )


def in_order(contrast: str, *tissues: Tissue) -> bool:
    values = [signal(contrast, tissue) for tissue in tissues]
    return values == sorted(values, reverse=True)


def test_flair_nulls_fluid_and_t2_does_not() -> None:
    grey = Tissue.GREY_MATTER
    assert signal("flair", Tissue.CSF) < 0.05 * signal("flair", grey)
    assert signal("t2", Tissue.CSF) > 2.0 * signal("t2", grey)


def test_fat_is_brightest_and_fluid_darkest_of_soft_tissues_in_t1() -> None:
    order = (Tissue.FAT, Tissue.WHITE_MATTER, Tissue.GREY_MATTER, Tissue.CSF)
    assert in_order("t1", *order)
    assert not in_order("t2", *order)


def test_grey_is_brighter_than_white_in_t2_flair_and_pd_but_not_in_t1() -> None:
    for contrast in ("t2", "flair", "pd"):
        assert in_order(contrast, Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    assert not in_order("t1", Tissue.GREY_MATTER, Tissue.WHITE_MATTER)


@pytest.mark.parametrize("contrast", sorted(SEQUENCES))
def test_bone_and_air_are_darker_than_muscle(contrast: str) -> None:
    muscle = signal(contrast, Tissue.MUSCLE)
    for dark in (Tissue.AIR, Tissue.CORTICAL_BONE, Tissue.TOOTH):
        assert signal(contrast, dark) < 0.2 * muscle
    assert signal(contrast, Tissue.MARROW) > 0.2 * muscle


def test_a_long_repetition_and_a_short_echo_leave_proton_density() -> None:
    relaxed = SpinEcho(tr_ms=1e6, te_ms=1e-6)
    weighted = SpinEcho(tr_ms=500.0, te_ms=1e-6)
    density, t1_ms, t2_ms = np.array([0.7]), np.array([800.0]), np.array([80.0])
    assert relaxed.signal(density, t1_ms, t2_ms) == pytest.approx(density, rel=1e-6)
    assert weighted.signal(density, t1_ms, t2_ms) < 0.6 * density


def test_the_spoiled_echo_peaks_at_the_ernst_angle() -> None:
    tr_ms, t1_ms = 20.0, 800.0
    ernst_deg = float(np.rad2deg(np.arccos(np.exp(-tr_ms / t1_ms))))
    angles = np.arange(1.0, 60.0, 0.25)
    values = [
        SpoiledGradientEcho(tr_ms=tr_ms, te_ms=0.0, flip_deg=float(angle)).signal(
            np.array(1.0), np.array(t1_ms), np.array(80.0)
        )
        for angle in angles
    ]
    assert angles[int(np.argmax(values))] == pytest.approx(ernst_deg, abs=0.25)


def test_inversion_nulls_exactly_the_t1_it_is_set_to() -> None:
    tr_ms, t1_ms = 9000.0, 1500.0
    null_ms = t1_ms * (np.log(2.0) - np.log1p(np.exp(-tr_ms / t1_ms)))
    sequence = InversionRecovery(tr_ms=tr_ms, te_ms=10.0, ti_ms=float(null_ms))
    values = sequence.signal(np.ones(2), np.array([t1_ms, 2.0 * t1_ms]), np.full(2, 80.0))
    assert values[0] == pytest.approx(0.0, abs=1e-12)
    assert values[1] > 0.1
