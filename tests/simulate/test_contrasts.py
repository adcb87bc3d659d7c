"""Laws of drawn contrasts: field, agent, flow, fat out of phase, echo trains."""

from __future__ import annotations

import numpy as np
import pytest

from medcyclegan.simulate import contrasts
from medcyclegan.simulate.acquisition import (
    InversionRecovery,
    SpinEcho,
    SpoiledGradientEcho,
    fat_phase_rad,
    nulling_ti_ms,
    reads_gradient_echoes,
    t2_star_ms,
)
from medcyclegan.simulate.contrasts import (
    SHARES,
    contrast_in,
    draw_acquisition,
    draw_kind,
    draw_sequence_of,
)
from medcyclegan.simulate.tissues import PROPERTIES, Tissue

Rng = np.random.default_rng


def signals(kind: str, count: int = 120) -> np.ndarray:
    """Signals of many draws of a kind, (draws, number of tissues)."""
    rngs = [Rng((7, draw)) for draw in range(count)]
    return np.array([contrast_in(kind, draw_sequence_of(kind, rng), rng).signal for rng in rngs])


def ratio(kind: str, tissue: Tissue, beside: Tissue) -> np.ndarray:
    drawn = signals(kind)
    return np.asarray(drawn[:, tissue] / drawn[:, beside])


def test_every_kind_can_be_drawn_and_the_shares_are_whole() -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    for kind in SHARES:
        drawn = signals(kind, 10)
        assert np.isfinite(drawn).all()
        assert drawn.min() >= 0.0
        assert np.allclose(drawn.max(axis=1), 1.0)
    rng = Rng(0)
    assert {draw_kind(rng) for _ in range(400)} == set(SHARES)


def test_a_nulled_tissue_gives_nothing_and_another_does() -> None:
    one = np.ones(2)
    ti_ms = nulling_ti_ms(330.0, 4000.0)
    signal = InversionRecovery(4000.0, 30.0, ti_ms).signal(one, np.array([330.0, 1000.0]), one * 70)
    assert signal[0] < 1e-6
    assert signal[1] > 0.05


def test_fat_is_out_of_phase_at_2_3_ms_and_in_phase_at_4_6_ms_of_1_5_t() -> None:
    assert np.cos(fat_phase_rad(2.3, 1.5)) == pytest.approx(-1.0, abs=0.01)
    assert np.cos(fat_phase_rad(4.6, 1.5)) == pytest.approx(1.0, abs=0.02)
    assert np.cos(fat_phase_rad(2.3, 3.0)) > 0.9  # the control: another field, another time


def test_t2_star_is_shorter_than_t2_and_than_t2_prime() -> None:
    t2_ms, t2_prime_ms = np.array([95.0, 40.0]), np.array([60.0, 200.0])
    star = t2_star_ms(t2_ms, t2_prime_ms)
    assert (star < np.minimum(t2_ms, t2_prime_ms)).all()
    assert 1.0 / star == pytest.approx(1.0 / t2_ms + 1.0 / t2_prime_ms)


def test_only_gradient_echoes_let_fat_lag_and_signal_dephase() -> None:
    for kind in SHARES:
        rng = Rng(3)
        sequence = draw_sequence_of(kind, rng)
        contrast = contrast_in(kind, sequence, rng)
        gradient = kind in ("spgr", "mprage", "dixon", "t2_star")
        assert reads_gradient_echoes(sequence) == gradient
        assert (contrast.fat_phase_rad != 0.0) == gradient
        assert (contrast.dephasing > 0.0) == gradient
        assert (contrast.trabecular_power >= 1.2) or not gradient
    assert reads_gradient_echoes(SpoiledGradientEcho(10.0, 3.0, 20.0))
    assert not reads_gradient_echoes(SpinEcho(500.0, 10.0))


@pytest.mark.parametrize("kind", ["t2", "flair"])
def test_echo_trains_show_muscle_and_skin_as_tissue_not_as_bone(kind: str) -> None:
    for tissue in (Tissue.MUSCLE, Tissue.SKIN):
        beside_grey = ratio(kind, tissue, Tissue.GREY_MATTER)
        assert float(np.median(beside_grey)) > 0.2
        assert float(np.median(beside_grey)) > 4.0 * float(
            np.median(ratio(kind, Tissue.CORTICAL_BONE, Tissue.GREY_MATTER))
        )
    # the control: with the T2 of the table alone, muscle in FLAIR is near to bone
    muscle, grey = PROPERTIES[Tissue.MUSCLE], PROPERTIES[Tissue.GREY_MATTER]
    assert np.exp(-120.0 / muscle.t2_ms) / np.exp(-120.0 / grey.t2_ms) < 0.2


def test_collagen_is_as_dark_as_bone_where_muscle_is_not_and_soft_in_ct() -> None:
    for kind in ("se_t1", "t2", "flair"):
        tendon = float(np.median(ratio(kind, Tissue.TENDON, Tissue.MUSCLE)))
        assert tendon < 0.15 < float(np.median(ratio(kind, Tissue.CARTILAGE, Tissue.MUSCLE)))
    for tissue in (Tissue.TENDON, Tissue.CARTILAGE, Tissue.DURA):
        assert 60.0 <= PROPERTIES[tissue].hu <= 150.0


def test_blood_is_void_in_spin_echoes_and_bright_in_gradient_echoes() -> None:
    spin, gradient = (ratio(kind, Tissue.BLOOD, Tissue.MUSCLE) for kind in ("se_t1", "spgr"))
    assert float(np.mean(spin < 0.3)) > 0.3
    assert float(np.mean(gradient < 0.3)) < 0.02
    assert float(np.median(gradient)) > 1.2


def test_an_agent_is_in_part_of_the_t1_and_in_none_of_the_t2() -> None:
    def bright_dura(kind: str) -> float:
        return float(np.mean(ratio(kind, Tissue.DURA, Tissue.MUSCLE) > 1.0))

    assert 0.05 < bright_dura("se_t1") < 0.5
    assert bright_dura("t2") == 0.0


def test_the_contrast_of_an_inversion_holds_from_low_to_high_field() -> None:
    drawn = ratio("mprage", Tissue.GREY_MATTER, Tissue.WHITE_MATTER)
    assert 0.3 < float(np.median(drawn)) < 0.85
    assert float(np.mean(drawn < 1.05)) > 0.9


def test_any_signal_is_drawn_now_and_then_but_bone_is_dark() -> None:
    contrasts = [draw_acquisition(Rng((2, seed))) for seed in range(200)]
    free = [contrast for contrast in contrasts if not contrast.fat.any()]
    assert 0.1 < len(free) / len(contrasts) < 0.6
    for contrast in contrasts:
        signal = contrast.signal
        brain = max(signal[Tissue.GREY_MATTER], signal[Tissue.WHITE_MATTER])
        assert signal[Tissue.AIR] == 0.0
        assert signal[Tissue.CORTICAL_BONE] <= 0.12 * brain + 1e-12


def test_flair_nulls_the_fluid_of_all_but_a_few_people(monkeypatch: pytest.MonkeyPatch) -> None:
    def bright() -> float:
        return float(np.mean(ratio("flair", Tissue.CSF, Tissue.WHITE_MATTER) > 0.5))

    as_in_people = bright()
    monkeypatch.setattr(contrasts, "_FLUID_T1_SD", 0.12)
    assert as_in_people < 0.05
    assert bright() > 2.0 * as_in_people + 0.02  # the control: fluid as spread as tissue is
