"""Plan of a batch: the images selected, and the names of their outputs."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from medcyclegan.core.text import path_text
from medcyclegan.errors import ExitCode, UsageError
from medcyclegan.io.bids import derivative_name, is_dataset
from medcyclegan.io.discover import VOLUME_ENDINGS
from medcyclegan.io.naming import is_png, output_path
from medcyclegan.workflow.batch.candidate import CONTRASTS, Candidate, Contrast
from medcyclegan.workflow.batch.finding import Catalogue
from medcyclegan.workflow.batch.item import Item, Row, Settings, Status, has_record, up_to_date
from medcyclegan.workflow.batch.single_images import stem_of

AUTO = "auto"
# In a data set in BIDS, beside the folders of the subjects.
_NO_SUBJECTS = frozenset({"code", "stimuli", "phenotype"})


class Rule(Protocol):
    """Says which candidates of one group are taken."""

    @property
    def says(self) -> str:
        """The rule as a sentence."""

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Return why a candidate is not taken, empty if it is; ``group`` holds those fit for it."""

    def names(self, candidate: Candidate) -> bool:
        """Whether the rule asks for this candidate by its name."""


@dataclass(frozen=True)
class Preference:
    """One image of a group: the first contrast of the list that is there."""

    contrasts: tuple[Contrast, ...] = CONTRASTS

    @property
    def says(self) -> str:
        """The rule as a sentence."""
        return (
            f"one image a visit, the first there is of {', '.join(self.contrasts)}; of several, "
            "original, without contrast agent, 3D, axial, most slices, lowest number"
        )

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Return why a candidate is not taken, empty if it is."""
        fitting = [other for other in group if other.contrast in self.contrasts]
        if candidate not in fitting:
            return f"its contrast is {candidate.contrast}, asked for is {self.contrasts[0]}"
        best = min(fitting, key=self._place)
        if candidate == best:
            return ""
        if candidate.contrast == best.contrast:
            return f"another {best.contrast} of this visit is preferred"
        return f"the {best.contrast} of this visit is preferred"

    def names(self, candidate: Candidate) -> bool:
        """Never."""
        return False

    def _place(self, candidate: Candidate) -> tuple[object, ...]:
        place = self.contrasts.index(candidate.contrast)
        return (place, candidate.order, str(candidate.source), candidate.series_uid)


@dataclass(frozen=True)
class Described:
    """Every image whose name or description holds a pattern."""

    pattern: re.Pattern[str]

    @property
    def says(self) -> str:
        """The rule as a sentence."""
        return f"all images whose name or description holds {self.pattern.pattern!r}"

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Return why a candidate is not taken, empty if it is."""
        return "" if self.names(candidate) else "its name or description does not fit --select"

    def names(self, candidate: Candidate) -> bool:
        """Whether name or description holds the pattern."""
        return self.pattern.search(candidate.label) is not None


@dataclass(frozen=True)
class Everything:
    """Every image that was not set aside."""

    @property
    def says(self) -> str:
        """The rule as a sentence."""
        return "all images, but localizers, maps, masks and other modalities"

    def refusal(self, candidate: Candidate, group: list[Candidate]) -> str:
        """Take it."""
        return ""

    def names(self, candidate: Candidate) -> bool:
        """Never."""
        return False


def parse_rule(text: str) -> Rule:
    """Understand ``auto``, ``all``, ``description~PATTERN``, or contrasts as ``T2w,T1w``.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    if text == AUTO:
        return Preference()
    if text == "all":
        return Everything()
    kind, tilde, pattern = text.partition("~")
    if tilde and kind == "description" and pattern:
        try:
            return Described(re.compile(pattern, re.IGNORECASE))
        except re.error as error:
            raise _unknown(text, f"; {pattern!r} is no regular expression: {error}") from error
    known = {contrast.lower(): contrast for contrast in CONTRASTS}
    asked = [part.strip().lower() for part in text.split(",")]
    if not all(part in known for part in asked):
        raise _unknown(text, "")
    return Preference(tuple(known[part] for part in dict.fromkeys(asked)))


def _unknown(text: str, detail: str) -> UsageError:
    return UsageError(
        f"--select {text}{detail}",
        rule=f"it is auto, all, description~PATTERN, or a list of {', '.join(CONTRASTS)}",
        remedy="see what is there with --dry-run",
    )


def _why_by_place(candidate: Candidate) -> str:
    """Why what lies there is no work: the folders of BIDS that hold no raw images of subjects."""
    for folder in candidate.source.parts:
        if folder == "sourcedata":
            return "in a folder of source data, which the images beside it were made of"
        if folder in _NO_SUBJECTS:
            return f"in a folder {folder}/, which holds no images of subjects"
    return ""


def set_aside(candidates: Iterable[Candidate], rule: Rule) -> dict[Candidate, str]:
    """Return every candidate with the reason why it is not taken, empty if it is."""
    reasons: dict[Candidate, str] = {}
    groups: defaultdict[tuple[str, ...], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        bears = candidate.aside_unless_named and rule.names(candidate)
        aside = candidate.aside or _why_by_place(candidate)
        reasons[candidate] = "" if bears else aside
        if not reasons[candidate] and not candidate.refused:
            groups[candidate.group].append(candidate)
    for group in groups.values():
        for candidate in group:
            reasons[candidate] = rule.refusal(candidate, group)
    return reasons


# Hashing reads files; a few at a time keep a disk or a network share busy.
_HASHING_THREADS = 4
_DICOM = ".dcm"


@dataclass(frozen=True)
class Plan:
    """What a run has to do (``items``), and the rows of all inputs as they stand before it.

    ``labels`` has the name or description of each row's input, for the terminal; ``known`` are all
    items, those that are up to date among them.
    """

    items: tuple[Item, ...]
    rows: tuple[Row, ...]
    labels: tuple[str, ...]
    passed_over: dict[str, int]
    rule: str
    known: tuple[Item, ...] = ()


def make_plan(catalogue: Catalogue, rule: Rule, settings: Settings) -> Plan:
    """Choose by the rule, name the outputs, find the masks, and leave out what is up to date."""
    reasons = set_aside(catalogue.candidates, rule)
    refused = {c: c.refused or _why_no_output(c, settings) for c in reasons}
    masks: dict[Candidate, Path] = {}
    if settings.extras.masks is not None:
        for candidate in (c for c, reason in reasons.items() if not reason and not refused[c]):
            found, why = mask_of(candidate, settings.root, settings.extras.masks)
            if found is None:
                refused[candidate] = why
            else:
                masks[candidate] = found
    taken = [c for c, reason in reasons.items() if not reason and not refused[c]]
    items = dict(zip(taken, _items(taken, settings, masks), strict=True))
    standing = _standing(list(items.values()), settings)
    rows = []
    for candidate, reason in reasons.items():
        if candidate in items:
            rows.append(standing[items[candidate]])
            continue
        status = Status.SET_ASIDE if reason else Status.REFUSED
        rows.append(
            Row(
                source=candidate.source.as_posix(),
                series=candidate.series_name,
                status=status,
                reason=reason or refused[candidate],
                code=0 if reason else ExitCode.INPUT_REFUSED,
                contrast=candidate.contrast,
            )
        )
    todo = tuple(item for item, row in standing.items() if row.status is Status.WAITING)
    labels = tuple(candidate.label for candidate in reasons)
    return Plan(todo, tuple(rows), labels, catalogue.passed_over, rule.says, tuple(standing))


def _why_no_output(candidate: Candidate, settings: Settings) -> str:
    """Why the format asked for cannot be made of it, as working on it would find out."""
    is_dicom = candidate.series_uid and settings.format != "nifti"
    if settings.extras.deidentifier and not (is_dicom or settings.format == "dicom"):
        return "--deidentify is for DICOM output; in the header of another file may be anything"
    return candidate.no_dicom if is_dicom else ""


def _standing(items: list[Item], settings: Settings) -> dict[Item, Row]:
    """The row of each item: up to date, or waiting with the reason why it is done again."""

    def stand(item: Item) -> Row:
        if settings.overwrite:
            return item.row(Status.WAITING)
        row = up_to_date(item, settings)
        again = "input, model or options changed, or the output is gone"
        return row or item.row(Status.WAITING, again if has_record(item, settings) else "")

    with ThreadPoolExecutor(_HASHING_THREADS) as pool:
        return dict(zip(items, pool.map(stand, items), strict=True))


def _items(
    candidates: list[Candidate], settings: Settings, masks: dict[Candidate, Path]
) -> list[Item]:
    """Give each candidate its output: the tree mirrored, and no two of one name."""
    outputs = [_output(candidate, settings, settings.suffix) for candidate in candidates]
    times = Counter(_folded(output) for output in outputs)
    return [
        Item(
            source=candidate.source,
            files=candidate.files,
            series_uid=candidate.series_uid,
            series_name=candidate.series_name,
            contrast=candidate.contrast,
            output=output if times[_folded(output)] == 1 else _told_apart(candidate, settings),
            is_plane=candidate.is_plane,
            mask=masks.get(candidate),
        )
        for candidate, output in zip(candidates, outputs, strict=True)
    ]


def _output(candidate: Candidate, settings: Settings, suffix: str) -> Path:
    source, name = candidate.source, candidate.source.name or "series"
    if not candidate.series_uid:
        named = derivative_name(name, suffix) if is_dataset(settings.root) else None
        if named is not None and settings.format != "dicom":
            return source.with_name(named)
        made = output_path(Path("/", name), out=None, format=settings.format, suffix=suffix)
        # PNG holds no numbers below 0.
        made = made.with_suffix(".tif") if settings.unit == "HU" and is_png(made) else made
        return source.with_name(made.name)
    if candidate.files == (source,):  # a radiograph, told by its file
        name = name[: -len(_DICOM)] if name.lower().endswith(_DICOM) else name
    stem = f"{name}_{candidate.series_name}" if candidate.series_name else name
    ending = ".nii.gz" if settings.format == "nifti" else ""
    named = f"{stem}{suffix}{ending}"
    return source.with_name(named) if source.name else Path(named)


def _folded(path: Path) -> str:
    """As file systems compare that do not tell capitals from small letters, and as records do."""
    return path_text(path).casefold()


def _told_apart(candidate: Candidate, settings: Settings) -> Path:
    """Put eight digits of a hash of the input's path and series into the name."""
    text = f"{candidate.source.as_posix()}\n{candidate.series_uid}"
    digits = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]
    return _output(candidate, settings, f"_{digits}{settings.suffix}")


_MASK_FORMS = ("{0}_mask", "{0}-mask", "mask_{0}", "{0}_body", "mask")


def mask_of(candidate: Candidate, root: Path, masks: Path) -> tuple[Path | None, str]:
    """Return the mask of an image, or why there is none.

    ``masks`` has the folders of the tree ``root``, which it may be itself. The mask of
    ``p1/t1.nii.gz`` is there in ``p1/``: ``t1_mask``, ``t1-mask``, ``mask_t1``, ``t1_body``,
    ``mask``, or in a folder of masks alone ``t1``; of a series in the folder ``p2/SE3`` the same
    with ``SE3``, in ``p2/`` or in ``p2/SE3/``. Of several forms the first counts.
    """
    source = candidate.source
    is_own_tree = masks.resolve() == root.resolve()
    is_series = bool(candidate.series_uid) and candidate.files != (source,)
    stem = source.name if is_series else stem_of(source.name)
    forms = [form.format(stem) for form in _MASK_FORMS] + ([] if is_own_tree else [stem])
    folders = [source.parent, *([source] if is_series else [])]
    for form in forms:
        found = [
            path
            for folder in folders
            for path in _volumes_in(masks / folder)
            if stem_of(path.name).lower() == form.lower()
        ]
        if len(found) > 1:
            names = " and ".join(sorted(path.name for path in found))
            return None, f"it has two masks, {names}; leave one"
        if found:
            return found[0], ""
    return None, f"no mask of it in {folders[0].as_posix()}/ of --mask: one of {', '.join(forms)}"


def _volumes_in(folder: Path) -> list[Path]:
    try:
        return [p for p in sorted(folder.iterdir()) if p.name.lower().endswith(VOLUME_ENDINGS)]
    except OSError:
        return []
