"""Pairs by name, matched as ``evaluate`` matches them; none at all is refused, some is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.errors import InputRefused
from medcyclegan.evaluation.study.plan import find_images
from medcyclegan.training.data.config import Folders
from medcyclegan.training.data.find import find_inputs
from medcyclegan.training.data.inputs import wanted_of
from medcyclegan.training.data.open import open_data
from tests.training.data.data_factory import config, ct_values, mr_values, write_volume

PAIRS = {"pairs": "by-name"}


def folders(root: Path, a: list[str], b: list[str]) -> Folders:
    """Volumes of these names below ``a`` and ``b``."""
    for n, name in enumerate(a):
        write_volume(root / "a" / name, mr_values(n))
    for n, name in enumerate(b):
        write_volume(root / "b" / name, ct_values(n))
    return Folders(root / "a", root / "b")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (["P01_mr.nii.gz", "P02_mr.nii.gz"], ["P01_ct.nii.gz", "P02_ct.nii.gz"]),
        (["mr_P01.nii", "mr_P02.nii"], ["ct_P01.nii.gz", "ct_P02.nii.gz"]),
        (["P01/mr.nii", "P02/t1.nii"], ["P01/ct.nii", "P02.nii"]),
        (["x/P1.nii", "y/P1.nii"], ["x/P1.nii", "y/P1.nii"]),
        (["Bjo\u0308rn_mr.nii", "p2.nii"], ["Bj\u00f6rn_ct.nii", "p2.nii"]),
    ],
)
def test_names_are_matched_as_evaluate_matches_them(
    a: list[str], b: list[str], tmp_path: Path
) -> None:
    both = folders(tmp_path, a, b)
    assert open_data(config(**PAIRS), both, seed=0).summary.training_pairs == 2
    ours = {one.case for one in find_inputs(both.a, wanted_of(config(), "a", shared=False)).inputs}
    assert ours == set(find_images(both.a, role="mr").by_case)


def test_no_pair_is_refused_with_the_nearest_names(tmp_path: Path) -> None:
    both = folders(tmp_path, ["P01_mr.nii", "P02_mr.nii"], ["P1_ct.nii", "P2_ct.nii"])
    with pytest.raises(InputRefused) as caught:
        open_data(config(**PAIRS), both, seed=0)
    said = str(caught.value)
    assert "Not one pair among 2 inputs of A and 2 of B" in said
    assert "P01_mr of A is P01, and the nearest of B is P1" in said
    assert "data.pairs=none" in said
    assert open_data(config(), both, seed=0).summary.training_pairs == 0  # the control
    twice = folders(tmp_path / "x", ["P1_t1.nii", "P1_t2.nii"], ["P1_ct.nii"])
    with pytest.raises(InputRefused, match="a side has several inputs of P1"):
        open_data(config(**PAIRS), twice, seed=0)


def test_what_has_no_partner_is_counted_and_named(tmp_path: Path) -> None:
    both = folders(
        tmp_path, ["P1_mr.nii", "P2_mr.nii", "P4_t1.nii", "P4_t2.nii"],
        ["P1_ct.nii", "P3_ct.nii", "P4_ct.nii"],
    )  # fmt: skip
    data = open_data(config(**PAIRS), both, seed=0)
    said = " ".join(data.summary.warnings)
    assert data.summary.training_pairs == 1
    assert "3 of 4 inputs of A have no partner (P2_mr, P4_t1, P4_t2)" in said
    assert "2 of 3 inputs of B have no partner (P3_ct, P4_ct)" in said
    assert "Several inputs of one case: P4" in said
    unpaired = open_data(config(), both, seed=0).summary.warnings
    assert not [sentence for sentence in unpaired if "partner" in sentence]


def test_the_two_of_a_pair_are_one_subject_whatever_they_are_called(tmp_path: Path) -> None:
    names = [f"P{n}" for n in range(6)]
    both = folders(
        tmp_path, [f"mr-{name}.nii" for name in names], [f"{name}/ct.nii" for name in names]
    )  # fmt: skip
    data = open_data(config(**PAIRS, validation_share=0.34), both, seed=0)
    assert data.summary.training_pairs + data.summary.validation_pairs == 6
    assert data.summary.validation_pairs == 2


def test_folders_for_validation_without_a_pair_are_told(tmp_path: Path) -> None:
    both = folders(tmp_path, ["P1_mr.nii"], ["P1_ct.nii"])
    write_volume(tmp_path / "va" / "Q1.nii", mr_values(50))
    write_volume(tmp_path / "vb" / "R1.nii", ct_values(51))
    held = Folders(both.a, both.b, tmp_path / "va", tmp_path / "vb")
    said = open_data(config(**PAIRS), held, seed=0).summary.warnings
    assert "For validation: not one pair by name." in said
    assert (
        "For validation: not one pair by name."
        not in open_data(
            config(), Folders(both.a, both.b, tmp_path / "va", tmp_path / "vb"), seed=0
        ).summary.warnings
    )
