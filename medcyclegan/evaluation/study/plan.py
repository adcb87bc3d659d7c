"""Plan of a study: images found, and matched to patients."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from medcyclegan.core.text import path_text
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.evaluation.metrics import HIGHEST_HU, Protocol
from medcyclegan.evaluation.study.patient import Patient, Refusal, told_apart
from medcyclegan.io.case_names import (
    IMAGE_ENDINGS,
    Role,
    case_names,
    fitness,
    patient,
    says_other,
    stem,
)
from medcyclegan.io.dicom.api import is_dicom
from medcyclegan.io.input_path import refuse_irregular
from medcyclegan.io.links import leads_nowhere, named

# What ``fitness`` gives for a name that says the kind of image.
_SAYS_SO = 2


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


def find_images(root: Path, *, role: Role) -> Images:
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
    if root.is_file() or _holds_slices(root):
        return Images({_own_name(root): root}, {}, alone=True)
    links: list[Path] = []
    paths = _paths(root, links)
    if not paths:
        raise InputRefused(
            f"{root} holds no images" + (f", but {len(links)} links" if links else ""),
            rule=f"what is looked for is DICOM series and {', '.join(IMAGE_ENDINGS)}",
            remedy="name the folder of the images",
        )
    if any(fitness(stem(path.name), role) == _SAYS_SO for path in paths):
        paths = [path for path in paths if not says_other(stem(path.name), role)]
    chosen: dict[str, Path] = {}
    unclear: dict[str, str] = {}
    for case, group in _by_case(root, paths).items():
        best = max(fitness(stem(path.name), role) for path in group)
        fitting = [path for path in group if fitness(stem(path.name), role) == best]
        if best < 0:
            continue
        if len(fitting) == 1:
            chosen[case] = fitting[0]
        else:
            names = ", ".join(path_text(path.name) for path in fitting)
            unclear[case] = f"{len(fitting)} images could be it: {names}"
    return Images(chosen, unclear, alone=False, links=tuple(links))


def _own_name(path: Path) -> str:
    name = stem(path_text(path.name))
    return patient(name) or patient(path_text(path.absolute().parent.name)) or name


def _paths(root: Path, links: list[Path]) -> list[Path]:
    """All images below ``root``; links to folders are not followed, and added to ``links``."""
    found = []
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        place = Path(here)
        for name in sorted(files):
            if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith("."):
                found.append(place / name)
            elif leads_nowhere(place / name):
                links.append(place / name)
        for name in list(folders):
            if _holds_slices(place / name):
                found.append(place / name)
                folders.remove(name)
            elif (place / name).is_symlink():
                links.append(place / name)
    return found


def _by_case(root: Path, paths: list[Path]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = defaultdict(list)
    cases = case_names([path.relative_to(root) for path in paths])
    for case, path in zip(cases, paths, strict=True):
        groups[case].append(path)
    return dict(sorted(groups.items()))


def _holds_slices(folder: Path) -> bool:
    """Whether DICOM files lie in the folder itself, apart from those in folders below it."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name.lower().endswith(IMAGE_ENDINGS):
            continue
        if path.is_file() and is_dicom(path):
            return True
    return False


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


@dataclass(frozen=True)
class StudyRequest:
    """What to score against what; ``mask`` None finds the body in each reference CT."""

    methods: tuple[Method, ...]
    ref: Path
    out: Path
    protocol: Protocol
    mask: Path | None = None
    mr: Path | None = None
    groups: Path | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
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


def make_plan(request: StudyRequest) -> Plan:
    """Match the images of all arguments by patient.

    Raises
    ------
    InputRefused
        If an argument holds no images, no patient has both a reference and a synthetic CT, or the
        names tell that the two were swapped.
    """
    refs = find_images(request.ref, role="ref")
    preds = {m.name: find_images(m.path, role="pred") for m in request.methods}
    masks = find_images(request.mask, role="mask") if request.mask else None
    mrs = find_images(request.mr, role="mr") if request.mr else None
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
            patients.append(Patient(case, ref, images, mask, _of(case, mrs, single)))
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
    given = [refs, *preds.values(), *(images for images in (masks, mrs) if images is not None)]
    return Plan(apart, (*refusals, *shared), warnings + _links_said(given))


def _links_said(given: list[Images]) -> tuple[str, ...]:
    """Name what was not looked into, as whatever lies behind it is not in the study."""
    links = sorted({link for images in given for link in images.links})
    if not links:
        return ()
    names = path_text(named(links, most=10))
    return (
        f"{len(links)} links to folders, or to nothing, were not looked into: {names}. Give the "
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
            reason = images.unclear.get(case, "no synthetic CT of this name")
            missing.append(Refusal(case, name, reason))
    return found, missing


def _without_reference(refs: Images, preds: dict[str, Images], single: str) -> list[Refusal]:
    known = {*refs.by_case, *refs.unclear}
    return [
        Refusal(case, name, "no reference CT of this name")
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
