"""The families of inputs that are mutated, and how a mutant is made from its number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from random import Random

from tests.fuzz.mutate_dicom import mutate_dicom
from tests.fuzz.mutate_itk import mutate_itk
from tests.fuzz.mutate_nifti import mutate_nifti
from tests.fuzz.seeds import Seed, dicom_seeds, itk_seeds, jpeg_seeds, nifti_seeds

Mutate = Callable[[Random, dict[str, bytes]], dict[str, bytes]]


@dataclass(frozen=True)
class Family:
    """Valid inputs, and the damage that fits them."""

    seeds: Callable[[], list[Seed]]
    mutate: Mutate


FAMILIES = {
    "nifti": Family(nifti_seeds, mutate_nifti),
    "dicom": Family(dicom_seeds, mutate_dicom),
    "itk": Family(itk_seeds, mutate_itk),
    "jpeg": Family(jpeg_seeds, mutate_dicom),
}


@cache
def seeds_of(family: str) -> tuple[Seed, ...]:
    """The valid inputs of a family, the same bytes in every process."""
    return tuple(FAMILIES[family].seeds())


def mutant(family: str, *, seed: int, number: int) -> Seed:
    """Make the mutant of a number; the same one whenever and wherever it is asked for."""
    rng = Random(f"{family} {seed} {number}")
    whole = rng.choice(seeds_of(family))
    return Seed(whole.name, FAMILIES[family].mutate(rng, whole.files), whole.opened)
