"""A short run of the fuzzer, and that it finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.fuzz.families import FAMILIES, mutant, seeds_of
from tests.fuzz.planted import FAULTS
from tests.fuzz.run import fuzz
from tests.fuzz.target import READ, REFUSED, try_one

# Beside those of docs/odd-inputs.md, so that every run of the tests tries these too.
COUNTS = {"nifti": 200, "itk": 200, "dicom": 120, "jpeg": 3}
MOST_BYTES = 2**30


@pytest.mark.parametrize("family", sorted(COUNTS))
def test_only_our_own_errors_come_out(family: str) -> None:
    tally = fuzz(family, seed=0, count=COUNTS[family])
    assert tally.wrong == {}
    assert tally.counts[READ] + tally.counts[REFUSED] == COUNTS[family]
    assert 0 < tally.peak_bytes < MOST_BYTES


@pytest.mark.parametrize("family", ["nifti", "itk", "dicom"])
def test_mutants_are_damaged_and_not_beyond_all_reading(family: str) -> None:
    """The controls: whole inputs are read; mutants differ, repeat, and some are read still."""
    tally = fuzz(family, seed=0, count=60)
    assert min(tally.counts[READ], tally.counts[REFUSED]) >= 10
    whole = {seed.name: seed.files for seed in seeds_of(family)}
    made = [mutant(family, seed=0, number=number) for number in range(60)]
    assert sum(one.files != whole[one.name] for one in made) > 50
    assert made[7].files == mutant(family, seed=0, number=7).files


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_whole_inputs_are_read(family: str, tmp_path: object) -> None:
    for seed in seeds_of(family):
        assert try_one(seed, tmp_path, "ct.nii") == READ, seed.name


def test_planted_faults_are_found_and_the_run_goes_on() -> None:
    tally = fuzz("nifti", seed=0, count=len(FAULTS), module="planted")
    assert {number: FAULTS[number] for number in tally.wrong} == dict(enumerate(FAULTS[:-1]))
    signs = ("KeyError", "MemoryError", "(7)", "told", "left behind", "(-27)")
    for number, word in enumerate(signs):
        assert word in tally.wrong[number]
    assert tally.counts[READ] == 1
