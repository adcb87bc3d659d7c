"""Subjects are told by folder or name, and split as a whole."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from medcyclegan.training.data.inputs import held_back, subject_of_id, subject_of_path


@pytest.mark.parametrize(
    ("path", "subject"),
    [
        ("subject-001_012.png", "subject-001"),
        ("subject-001.nii.gz", "subject-001"),
        ("p7.t1.nii", "p7"),
        ("patient01/study1_T1W.nii.gz", "patient01"),
        ("patient01/study2/FLAIR.nii.gz", "patient01"),
        ("sub-03/anat/sub-03_T1w.nii.gz", "sub-03"),
        ("site/sub-03_ses-1_T1w.nii.gz", "sub-03"),
        ("_odd.png", "_odd.png"),
    ],
)
def test_subject_of_a_path(path: str, subject: str) -> None:
    assert subject_of_path(PurePath(path)) == subject


def test_a_patient_id_does_not_show() -> None:
    assert "4711" not in subject_of_id("ID-4711")
    assert subject_of_id("ID-4711") == subject_of_id("ID-4711") != subject_of_id("ID-4712")


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_share_of_each_kind_is_held_back(seed: int) -> None:
    a = [f"both{n}" for n in range(10)] + [f"a{n}" for n in range(20)]
    b = [f"both{n}" for n in range(10)] + [f"b{n}" for n in range(3)]
    chosen = held_back(a, b, share=0.2, seed=seed)
    counts = [
        sum(name.rstrip("0123456789") == kind for name in chosen) for kind in ("both", "a", "b")
    ]
    assert counts == [2, 4, 1]
    assert chosen == held_back(a[::-1], b, share=0.2, seed=seed)


def test_seeds_differ_and_nobody_is_held_back_alone() -> None:
    names = [f"s{n}" for n in range(30)]
    assert len({held_back(names, names, share=0.1, seed=seed) for seed in range(5)}) > 1
    assert held_back(["x"], ["y"], share=0.5, seed=0) == frozenset()
    assert held_back(names, names, share=0.0, seed=0) == frozenset()
    assert len(held_back(["x", "y"], [], share=0.99, seed=0)) == 1
