"""Plan of a study: images found, and matched to patients."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from medcyclegan.core.text import counted, path_text, was_or_were
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.metrics import HIGHEST_HU, Protocol
from medcyclegan.evaluation.signal_scores import IntensityRange
from medcyclegan.evaluation.study.patient import Patient, Refusal, told_apart
from medcyclegan.evaluation.water_paths import WaterPathOptions
from medcyclegan.io.case_names import (
    Role,
    case_names,
    fitness,
    patient,
    says_other,
    stem,
    words,
)
from medcyclegan.io.dicom.api import is_dicom
from medcyclegan.io.discover import (
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    leads_nowhere,
    named,
    refuse_irregular,
    visible_in,
    walk,
    without_ending,
)

# What ``fitness`` gives for a name that says the kind of image.
_SAYS_SO = 2

Sought = Role | Literal["target"]
# Of radiotherapy: the planning, clinical and gross target volume.
TARGET_WORDS = frozenset(("target", "ptv", "ctv", "gtv"))


@dataclass(frozen=True)
class Images:
    """The images of one kind that an argument names, a path for each patient.

    ``by_case`` holds what can be used; ``unclear`` why a patient's image could not be told.
    ``alone`` says that the argument names one image, which belongs to the one patient there is.
    ``links`` are those to folders, which are not looked into, and those that lead nowhere.
    """

    by_case: dict[str, Path]
    unclear: dict[str, str]
    alone: bool
    links: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Search:
    """What is looked for: volumes, or ``pictures``; ``kinds`` are further words for a kind."""

    pictures: bool = False
    kinds: frozenset[str] = frozenset()

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings of files that are images."""
        return PICTURE_ENDINGS if self.pictures else VOLUME_ENDINGS


VOLUMES = Search()


def find_images(root: Path, *, role: Sought, search: Search = VOLUMES) -> Images:
    """List the images at or below ``root``.

    Where several images of a patient lie there, the one whose name says ``role`` is taken. Where
    some image says ``role``, those that say another kind stand for none of it: a patient whose
    synthetic CT is missing has none, and not the CT that lies beside.

    Raises
    ------
    InputRefused
        If the path cannot be read, or there is no image.
    """
    refuse_irregular(root)
    if root.is_file() or (not search.pictures and _holds_slices(root)):
        return Images({_own_name(root, search.kinds): root}, {}, alone=True)
    links: list[Path] = []
    paths = _paths(root, links, search)
    if not paths:
        sought = "" if search.pictures else "DICOM series and "
        raise InputRefused(
            f"{root} holds no images" + (f", but {counted(len(links), 'link')}" if links else ""),
            rule=f"what is looked for is {sought}{', '.join(search.endings)}",
            remedy="name the folder of the images",
        )
    if any(_fitness(path, role) == _SAYS_SO for path in paths):
        paths = [path for path in paths if not _says_other(path, role)]
    chosen: dict[str, Path] = {}
    unclear: dict[str, str] = {}
    for case, group in _by_case(root, paths, search.kinds).items():
        best = max(_fitness(path, role) for path in group)
        fitting = [path for path in group if _fitness(path, role) == best]
        if best < 0:
            continue
        if len(fitting) == 1:
            chosen[case] = fitting[0]
        else:
            names = ", ".join(path_text(path.name) for path in fitting)
            unclear[case] = f"{len(fitting)} images could be it: {names}"
    return Images(chosen, unclear, alone=False, links=tuple(links))


def bare(path: Path) -> Path:
    """Return a path without the ending of a picture, by which nobody is told."""
    name = without_ending(path.name, PICTURE_ENDINGS)
    return path.with_name(name) if name else path


def _fitness(path: Path, role: Sought) -> int:
    name = stem(bare(path).name)
    if role != "target":
        return fitness(name, role)
    if TARGET_WORDS & set(words(name)):
        return _SAYS_SO
    return 1 if fitness(name, "mask") >= 1 else 0


def _says_other(path: Path, role: Sought) -> bool:
    if role == "target":
        return _fitness(path, role) < _SAYS_SO
    return says_other(stem(bare(path).name), role)


def _own_name(path: Path, kinds: Collection[str]) -> str:
    name = stem(path_text(bare(path).name))
    folder = path_text(path.absolute().parent.name)
    return patient(name, kinds=kinds) or patient(folder, kinds=kinds) or name


def _paths(root: Path, links: list[Path], search: Search) -> list[Path]:
    """All images below ``root``; links to folders are not followed, and added to ``links``."""
    found = []
    for folder in walk(root):
        for name in folder.files:
            if name.lower().endswith(search.endings):
                found.append(folder.path / name)
            elif leads_nowhere(folder.path / name):
                links.append(folder.path / name)
        for name in list(folder.folders):
            if not search.pictures and _holds_slices(folder.path / name):
                found.append(folder.path / name)
                folder.folders.remove(name)
            elif (folder.path / name).is_symlink():
                links.append(folder.path / name)
    return found


def _by_case(root: Path, paths: list[Path], kinds: Collection[str]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    cases = case_names([bare(path.relative_to(root)) for path in paths], kinds=kinds)
    for case, path in zip(cases, paths, strict=True):
        groups[case].append(path)
    return dict(sorted(groups.items()))


def _holds_slices(folder: Path) -> bool:
    """Whether DICOM files lie in the folder itself, apart from those in folders below it."""
    others = [p for p in visible_in(folder) if not p.name.lower().endswith(VOLUME_ENDINGS)]
    return any(path.is_file() and is_dicom(path) for path in others)


# Names go into tables and file names: letters of any script, digits, and these.
_METHOD_NAME = re.compile(r"\w[\w .+()=-]{0,63}")


@dataclass(frozen=True)
class Method:
    """A method by its name, and the file or folder of its synthetic CTs."""

    name: str
    path: Path

    def __post_init__(self) -> None:
        if not _METHOD_NAME.fullmatch(self.name):
            raise UsageError(
                f"The name of a method {self.name!r}",
                rule="a name has 1 to 64 letters, digits, blanks and . + ( ) = - _",
                remedy="give --pred NAME=PATH",
            )


# What is scored: CTs in HU, MRs, or pictures; a study is of one kind.
Kind = Literal["ct", "mr", "picture"]

# Of pictures of 8 bits, the most common.
PICTURE_RANGE = IntensityRange("fixed", 0.0, 255.0)


@dataclass(frozen=True)
class StudyRequest:
    """What to score against what; ``mask`` None finds the body in each reference.

    ``kind`` None leaves it to the files, and ``intensities`` None to the kind. ``water_paths`` and
    ``target`` (a mask for each patient) are for CTs, ``dose_from`` is the folder of dose
    comparisons.
    """

    methods: tuple[Method, ...]
    ref: Path
    out: Path
    protocol: Protocol
    mask: Path | None = None
    mr: Path | None = None
    groups: Path | None = None
    overwrite: bool = False
    kind: Kind | None = None
    intensities: IntensityRange | None = None
    water_paths: WaterPathOptions | None = None
    target: Path | None = None
    dose_from: Path | None = None

    def __post_init__(self) -> None:
        if self.target is not None and self.water_paths is None:
            raise UsageError(
                "A target without water-equivalent paths",
                rule="rays end behind it, and nothing else is done with it",
                remedy="add --wepl",
            )
        names = [method.name for method in self.methods]
        if not names or len(set(names)) < len(names):
            raise UsageError(
                f"The methods {', '.join(names) or '(none)'}",
                rule="there is one at least, and each has a name of its own",
                remedy="give --pred NAME=PATH for each",
            )
        if self.protocol not in HIGHEST_HU:
            raise UsageError(
                f"Protocol {self.protocol!r}", rule=f"known are {', '.join(HIGHEST_HU)}"
            )


@dataclass(frozen=True)
class Plan:
    """The patients to score, and what is known before an image is read: refusals and warnings."""

    patients: tuple[Patient, ...]
    refusals: tuple[Refusal, ...]
    warnings: tuple[str, ...] = ()


def make_plan(request: StudyRequest, *, kinds: frozenset[str] = frozenset()) -> Plan:
    """Match the images of all arguments by patient; ``kinds`` are further words for a kind.

    Raises
    ------
    InputRefused
        If an argument holds no images, no patient has both a reference and a synthetic CT, or the
        names tell that the two were swapped.
    """
    if request.target is not None:
        kinds |= TARGET_WORDS
    search = Search(request.kind == "picture", kinds)
    refs = find_images(request.ref, role="ref", search=search)
    preds = {m.name: find_images(m.path, role="pred", search=search) for m in request.methods}
    masks = find_images(request.mask, role="mask", search=search) if request.mask else None
    mrs = find_images(request.mr, role="mr", search=search) if request.mr else None
    targets = _targets(request, search)
    single = next(iter(refs.by_case)) if len(refs.by_case) == 1 else ""
    patients, refusals = [], _without_reference(refs, preds, single)
    for case, ref in refs.by_case.items():
        images, missing = _preds_of(case, preds, single)
        refusals += missing
        mask = _of(case, masks, single)
        if masks is not None and mask is None:
            reason = masks.unclear.get(case, f"no mask of this name in {request.mask}")
            refusals += [Refusal(case, method, reason) for method in images]
        elif images:
            others = (_of(case, mrs, single), _of(case, targets, single))
            patients.append(Patient(case, ref, images, mask, *others))
    refusals += [Refusal(c, m.name, r) for c, r in refs.unclear.items() for m in request.methods]
    apart, shared, warnings = told_apart(tuple(patients))
    if not apart and shared:
        raise InputRefused(
            f"No patient can be scored. The first, {shared[0].case}: {shared[0].reason}",
            rule="a file serves one role for one patient",
            remedy="check what is given to --pred, --ref and --mask",
        )
    _refuse_none(apart, refs, preds, request)
    _refuse_swapped(apart)
    given = [refs, *preds.values(), *(i for i in (masks, mrs, targets) if i is not None)]
    warnings += _links_said(given) + _without_target(apart, targets)
    return Plan(apart, (*refusals, *shared), warnings)


def _targets(request: StudyRequest, search: Search) -> Images | None:
    if request.target is None:
        return None
    return find_images(request.target, role="target", search=search)


def _without_target(patients: tuple[Patient, ...], targets: Images | None) -> tuple[str, ...]:
    """Name whose rays have no target: they are not to be mixed with those that end behind one."""
    lacking = [p.case for p in patients if p.target is None]
    if targets is None or not lacking:
        return ()
    why = [f"{case} ({targets.unclear[case]})" for case in lacking if case in targets.unclear]
    plain = [case for case in lacking if case not in targets.unclear]
    return (f"No target, and so no water-equivalent paths, for {', '.join((*plain, *why))}.",)


def _links_said(given: list[Images]) -> tuple[str, ...]:
    """Name what was not looked into, as whatever lies behind it is not in the study."""
    links = sorted({link for images in given for link in images.links})
    if not links:
        return ()
    names = path_text(named(links, most=10))
    return (
        f"{counted(len(links), 'link')} to folders, or to nothing, "
        f"{was_or_were(len(links))} not looked into: {names}. Give the "
        "folders themselves if there are images in them.",
    )


def _of(case: str, images: Images | None, single: str) -> Path | None:
    """The image of a patient; one image given alone belongs to the one patient there is."""
    if images is None:
        return None
    if images.alone and case == single:
        return next(iter(images.by_case.values()))
    return images.by_case.get(case)


def _preds_of(
    case: str, preds: dict[str, Images], single: str
) -> tuple[dict[str, Path], list[Refusal]]:
    found, missing = {}, []
    for name, images in preds.items():
        path = _of(case, images, single)
        if path is not None:
            found[name] = path
        else:
            reason = images.unclear.get(case, "no prediction of this name")
            missing.append(Refusal(case, name, reason))
    return found, missing


def _without_reference(refs: Images, preds: dict[str, Images], single: str) -> list[Refusal]:
    known = {*refs.by_case, *refs.unclear}
    return [
        Refusal(case, name, "no reference of this name")
        for name, images in preds.items()
        if not (images.alone and single)
        for case in sorted({*images.by_case, *images.unclear} - known)
    ]


def _refuse_none(
    patients: tuple[Patient, ...], refs: Images, preds: dict[str, Images], request: StudyRequest
) -> None:
    if patients:
        return
    ours = ", ".join(sorted({case for images in preds.values() for case in images.by_case})[:5])
    theirs = ", ".join(sorted(refs.by_case)[:5])
    raise InputRefused(
        f"No patient of {request.ref} ({theirs or 'none'}) has a synthetic CT ({ours or 'none'})"
        + (" and a mask" if request.mask else ""),
        rule="images belong together by the names of their files or folders, without words such "
        "as sct, ct, mask or t1",
        remedy="name them alike",
    )


def _refuse_swapped(patients: tuple[Patient, ...]) -> None:
    """Refuse if every reference is named as a synthetic CT and no synthetic CT is."""
    refs = [stem(p.ref.name) for p in patients]
    preds = [stem(path.name) for p in patients for path in p.preds.values()]
    if all(fitness(name, "pred") == 2 for name in refs) and all(
        fitness(name, "ref") == 2 for name in preds
    ):
        raise InputRefused(
            f"The references are named as synthetic CTs ({patients[0].ref.name}), and the "
            f"synthetic CTs as references ({preds[0]})",
            rule="--pred takes the synthetic CT and --ref the true one",
            remedy="swap the two",
        )
