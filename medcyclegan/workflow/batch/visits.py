"""Which DICOM series show one patient at one visit, also where a header does not name the patient.

A study is one visit of one patient by its UID. Anonymisers give several patients one study UID and
one name, or none; then other things tell the patients apart, so that none is set aside for another.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import combinations

from medcyclegan.io.dicom.api import DicomFile, patient_of, text
from medcyclegan.workflow.batch.candidate import Candidate

# What is the same in all series of a study, by the standard (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2).
_OF_PATIENT_AND_STUDY = (
    "PatientSex", "PatientAge", "PatientWeight", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber",
)  # fmt: skip
# What stands for a patient's ID where that was taken out.
_NOBODY = re.compile(r"(anon\w*|de-?ident\w*|unknown|none|removed|x*|0*)", re.IGNORECASE)
_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


@dataclass(frozen=True)
class Visitor:
    """Whom a series shows, as its first header tells.

    ``study`` is equal for series of one visit; ``is_named`` whether the ID is one of a patient;
    ``frame`` the UID of the space that its slices lie in, empty if it tells none.
    """

    study: tuple[str, ...]
    is_named: bool
    frame: str


def visitor_of(file: DicomFile) -> Visitor:
    """Read the patient and study of a header.

    Raises
    ------
    InputRefused
        If an attribute cannot be decoded.
    """

    def told(keyword: str) -> str:
        return text(file.header, keyword, file.path)

    patient = patient_of(file)
    details = (told(keyword) for keyword in _OF_PATIENT_AND_STUDY)
    is_named = told("PatientIdentityRemoved") != "YES" and not _NOBODY.fullmatch(patient[0])
    study = (told("StudyInstanceUID"), *patient, *(() if is_named else details))
    return Visitor(study, is_named, told("FrameOfReferenceUID"))


def lacks_uids(file: DicomFile) -> str:
    """Why no series can be derived from an image: UIDs that it has to refer to; empty if none."""
    missing = [key for key in _NEEDED if not text(file.header, key, file.path)]
    if not missing:
        return ""
    return (
        f"no {' and no '.join(missing)}: a derived DICOM series joins the study of its source and "
        "refers to each slice; mend the source, or take --format nifti"
    )


def told_apart(series: list[tuple[Candidate, Visitor]]) -> list[Candidate]:
    """Return the candidates; those of unnamed patients in one study by folders, where two may be.

    The folders are those right below the tree's. They are held to be two patients if they share no
    space, or both have an image of one contrast. Whoever has one patient's study in two such
    folders gets two outputs; nobody is lost.
    """
    studies: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, (_, visitor) in enumerate(series):
        if not visitor.is_named:
            studies[visitor.study].append(number)
    found = [candidate for candidate, _ in series]
    for numbers in studies.values():
        branches: defaultdict[str, list[int]] = defaultdict(list)
        for number in numbers:
            branches[found[number].source.parts[0] if found[number].source.parts else ""].append(
                number
            )
        if not _may_be_several([[series[n] for n in branch] for branch in branches.values()]):
            continue
        for name, branch in branches.items():
            for number in branch:
                one = found[number]
                found[number] = replace(one, group=(*one.group, name))
    return found


def _may_be_several(branches: list[list[tuple[Candidate, Visitor]]]) -> bool:
    """Whether two branches share no space, or both have an image of one contrast."""
    for ours, theirs in combinations(branches, 2):
        frames = [{visitor.frame for _, visitor in branch} for branch in (ours, theirs)]
        contrasts = [
            {candidate.contrast for candidate, _ in branch if not candidate.aside}
            for branch in (ours, theirs)
        ]
        if frames[0].isdisjoint(frames[1]) or contrasts[0] & contrasts[1]:
            return True
    return False
