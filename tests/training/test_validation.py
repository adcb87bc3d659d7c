"""Figures of a validation: by hand where they can be, and on the right cases."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from medcyclegan.training.data.types import ValidationCase
from medcyclegan.training.validation import mean_error, validate
from tests.training.tiny_training import shapes, tiny_config

CPU = torch.device("cpu")


class Times(nn.Module):
    def __init__(self, factor: float, plus: float = 0.0) -> None:
        super().__init__()
        self.factor, self.plus = factor, plus

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * x + self.plus


def image(seed: int) -> Tensor:
    return 0.5 * shapes(seed, depth=5)


def test_against_the_truth_in_the_values_of_the_target() -> None:
    a = image(1)
    mask = torch.zeros(a.shape, dtype=torch.bool)
    mask[:, 4:12, 4:12] = True
    target = a + 0.1
    target[:, 0, 0] = 1.0  # outside the mask
    case = ValidationCase("one", a, target, mask, paired=True)
    forth, back = validate({"a-to-b": Times(1.0), "b-to-a": Times(1.0, -0.2)}, [case],
                           tiny_config(), CPU)  # fmt: skip
    # 0.1 of a range of 2 is 150 HU of 3000 HU
    assert (forth.direction, forth.unit, forth.cases) == ("a-to-b", "HU", 1)
    assert forth.mae == pytest.approx(150.0, abs=0.01)
    assert forth.psnr_db == pytest.approx(20 * math.log10(3000 / 150), abs=1e-3)
    assert forth.error == pytest.approx(0.05, abs=1e-5)
    assert math.isnan(forth.cycle_mae)
    assert forth.nmi > 1.5
    assert back.mae == pytest.approx(150.0, abs=0.01)
    assert mean_error([forth, back]) == pytest.approx(0.05, abs=1e-5)


def test_without_pairs_there_is_no_truth_but_a_cycle() -> None:
    cases = [ValidationCase("a", image(1), None, None, paired=False),
             ValidationCase("b", None, image(2), None, paired=False)]  # fmt: skip
    forth, back = validate({"a-to-b": Times(0.5), "b-to-a": Times(1.0)}, cases, tiny_config(), CPU)
    for result in (forth, back):
        assert math.isnan(result.mae)
        assert math.isnan(result.ssim)
        assert result.cases == 1
    expected = 1500.0 * float((0.5 * image(1)).abs().mean())
    assert forth.cycle_mae == pytest.approx(expected, rel=1e-4)
    assert forth.error == pytest.approx(expected / 3000.0, rel=1e-4)
    (alone,) = validate({"a-to-b": Times(1.0)}, cases, tiny_config(), CPU)
    assert math.isnan(alone.cycle_mae)


def test_pairs_come_before_single_cases_and_not_all_are_taken() -> None:
    single = ValidationCase("single", image(1), image(2), None, paired=False)
    pairs = [ValidationCase(f"{n}", image(n), image(n), None, paired=True) for n in range(3)]
    config = tiny_config(validation_cases=2)
    (result,) = validate({"a-to-b": Times(1.0)}, [*pairs, single], config, CPU)
    assert result.cases == 2
    assert result.mae == pytest.approx(0.0, abs=1e-3)
    assert result.ssim == pytest.approx(1.0)
    (result,) = validate({"a-to-b": Times(1.0)}, [single, single, single], config, CPU)
    assert result.cases == 2


def test_information_that_is_lost_lowers_the_mutual_information() -> None:
    case = ValidationCase("one", image(1), image(1), None, paired=True)
    values = []
    for generator in (Times(-1.0), Times(0.0)):
        (result,) = validate({"a-to-b": generator}, [case], tiny_config(), CPU)
        values.append(result.nmi)
    assert values[0] == pytest.approx(2.0, abs=0.05)  # contrast turned round, nothing lost
    assert values[1] == pytest.approx(1.0, abs=0.05)
