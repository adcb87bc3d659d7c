"""Candidates of a batch, and the words of names and series descriptions that tell them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from medcyclegan.io.naming import suffix_for
from medcyclegan.models.store import shipped_models

Contrast = Literal["T1w", "T2w", "FLAIR", "PDw", "other"]
CONTRASTS: tuple[Contrast, ...] = get_args(Contrast)

# Words are parted by anything that is neither letter nor digit: "t1_mprage-SAG" has three.
_T1 = r"t1w?|t1\dd|\w*mp2?rage|mpr|i?f?spgr|bravo|tfl\dd|vibe|thrive"
_T2 = r"t2w?|t2\dd"
_FLAIR = r"\w*flair\w*|tirm|darkfluid"
_PD = r"pdw?|proton|protondensity"
# Words that say the weighting outright, and those that beside them say the time.
_WEIGHTING, _TIME = r"t1w|t2w|pdw", r"t1|t2"
_LOCALIZER = r"loc|localizers?|localisers?|scouts?|aah\w*|survey|smartbrain|topogram"
_NO_ANATOMY = (
    r"adc|e?fa|trace\w*|dwi|dti|diff|diffusion|ep2d|epi|bold|fmri|sbref|asl|perf|perfusion|dsc|dce|"
    r"cbf|cbv|mtt|ttp|tmax|swi|mips?|tof|mra|angio|phase\w*|magnitude\d?|fieldmap|b0map|t1map|t2map|"
    r"t2star|t2s|epse|sub|subtraction|m0scan|uncertainty"
)
_MASK = (
    r"\w*masks?|(d|prob|a)?segs?|labels?|labelmaps?|segmentations?|rois?|aparc\w*|wmh|lesions?|"
    r"contours?"
)
SYNTHETIC_BY_HEADER = "synthetic, by SyntheticData"
_SYNTHETIC = r"sct|smr|synthetic"
_CONTRAST_AGENT = r"gd|gad\w*|post\w*|ce|km|contrast|c"
# Words that tell how an image was taken, not of whom; two images of one head may differ in them.
_MANNER = (
    r"sag\w*|tra\w*|ax\w*|cor|coronal|\dd|iso|tse|fse|se|gre|tfe|space|cube|vista|fs|fatsat|pre|"
    r"mm|dark|fluid|spc|blade|propeller|hr|highres|weighted|w"
)
# What a batch takes, and what a name says that is something else.
_OTHER_MODALITIES = {
    "MR": r"ct|cbct|pet|dose|\w*tomogram",
    "CT": r"mr|mri|t1w?|t2w?|flair|pet|dose",
}
MODALITIES = tuple(_OTHER_MODALITIES)


def words(text: str) -> list[str]:
    """The words of a text in small letters."""
    return [word for word in re.split(r"[^a-z0-9]+", text.lower()) if word]


def _any(pattern: str, text: str) -> bool:
    return any(re.fullmatch(pattern, word) for word in words(text))


def contrast_of(text: str) -> Contrast:
    """The MR contrast that a name or description tells; ``other`` if it tells none.

    Beside a word that says the weighting, as T1w, T1 and T2 are time points: T2_T1w is a T1w.
    """
    text = " ".join(_without_times(words(text)))
    has_t1, has_t2 = _any(_T1, text), _any(_T2, text)
    if _any(_FLAIR, text) and not (has_t1 and not has_t2):  # "T1 FLAIR" is a T1w
        return "FLAIR"
    if has_t1:
        return "T1w"
    if has_t2:
        return "T2w"
    return "PDw" if _any(_PD, text) else "other"


def is_contrast_enhanced(text: str) -> bool:
    """Whether a name or description speaks of a contrast agent."""
    return _any(_CONTRAST_AGENT, text)


def _without_times(found: list[str]) -> list[str]:
    """The words of a name but for T1 and T2 where they say when, and not what."""
    says_weighting = any(re.fullmatch(_WEIGHTING, word) for word in found)
    return [word for word in found if not (says_weighting and re.fullmatch(_TIME, word))]


def subject_words(text: str) -> str:
    """What is left of a name without contrast and manner: equal for images of one head at one time.

    T1 and T2 beside a weighting (T1_T2w), and T2 in the name of a T1w (T2_mprage), are left.
    """
    found = words(text)
    drop = "|".join((_T1, _T2, _FLAIR, _PD, _MANNER, _CONTRAST_AGENT))
    kept = set(found) - set(_without_times(found))
    if contrast_of(text) == "T1w":
        kept |= {"t2"}
    return " ".join(word for word in found if word in kept or not re.fullmatch(drop, word))


def why_synthetic(description: str) -> str:
    """Why a series so described is not translated again; empty unless it says synthetic."""
    return "synthetic, by its description" if _any(_SYNTHETIC, description) else ""


def why_no_input(text: str, *, modality: str) -> str:
    """Why a file of this name is no scan to translate; empty if the name speaks against nothing."""
    if _any(_SYNTHETIC, text) or _named_by_a_model(text):
        return "its name says that it is synthetic"
    if _any(_MASK, text):
        return "its name says mask or labels"
    others = _OTHER_MODALITIES.get(modality)
    if others is not None and _any(others, text):
        return f"its name says that it is no {modality}"
    return ""


def _named_by_a_model(text: str) -> bool:
    """Whether a name ends as those of what a shipped model makes do."""
    endings = [suffix_for(name).lower() for name in shipped_models()]
    return any(re.search(rf"{re.escape(ending)}(_|$)", text.lower()) for ending in endings)


def why_no_anatomy(text: str) -> str:
    """Why a series so described does not show anatomy; empty if nothing speaks against it."""
    if why := why_synthetic(text):
        return why
    if _any(_LOCALIZER, text):
        return "a localizer, by its description"
    if _any(_NO_ANATOMY, text):
        return "a derived map or functional series, by its description"
    return ""


# What of a tree is looked at: scans of patients; every image, pictures and radiographs one by one
# and volumes in files; or pictures and radiographs alone.
Takes = Literal["scans", "images", "planes"]


@dataclass(frozen=True)
class Candidate:
    """An image that was found, by names and headers alone.

    Parameters
    ----------
    source:
        The file, or the folder that holds the series; relative to the tree.
    files:
        All files that it consists of, relative to the tree, in the order of their names.
    label:
        The file's name or the series' description. It is shown on a terminal when asked for, and
        written nowhere.
    group:
        Candidates with an equal group show one head at one visit.
    contrast, order:
        The kind of image, and the place among those of one kind: the least is preferred.
    series_uid, series_name:
        Of a series: its UID, and how its output is called where the folder holds several.
    aside:
        Why it is none to translate; empty if it is one.
    aside_unless_named:
        Whether a rule that names it by its label takes it all the same.
    refused:
        Why it cannot be read, where that is known already.
    no_dicom:
        Why no DICOM series can be derived from it, where that is known already.
    is_plane:
        Whether it is a picture or a radiograph.
    """

    source: Path
    files: tuple[Path, ...]
    label: str
    group: tuple[str, ...]
    contrast: Contrast = "other"
    order: tuple[float, ...] = ()
    series_uid: str = ""
    series_name: str = ""
    aside: str = ""
    aside_unless_named: bool = False
    refused: str = ""
    no_dicom: str = ""
    is_plane: bool = False
