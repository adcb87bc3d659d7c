"""Inputs read and prepared, matched by name; every one that cannot be used is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from medcyclegan.core.text import path_text
from medcyclegan.errors import DeviceError, InputRefused, MedcycleganError
from medcyclegan.io.scan import Scan
from medcyclegan.training.data.case import Case, Facts, Meta, Stored, make_case, pack
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.inputs import Input, shown
from medcyclegan.training.data.load import body_of, prepare_partner, prepare_scan, read_image
from medcyclegan.training.data.store import Entry, Store, digest_of, key_of


@dataclass(frozen=True, eq=False)
class Matched:
    """Pairs, and the inputs of either side that are in none.

    ``unclear`` names the cases that both sides have and one of them more than once.
    """

    pairs: tuple[tuple[Input, Input], ...]
    a: tuple[Input, ...]
    b: tuple[Input, ...]
    unclear: tuple[str, ...] = ()

    def said(self) -> tuple[str, ...]:
        """What is to be told of those that are in no pair."""
        if not self.pairs or not (self.a or self.b):
            return ()
        parts = [
            f"{len(rest)} of {len(rest) + len(self.pairs)} inputs of {side} have no partner "
            f"({shown([found.name for found in rest])})"
            for side, rest in (("A", self.a), ("B", self.b))
            if rest
        ]
        unclear = f" Several inputs of one case: {shown(self.unclear)}." if self.unclear else ""
        return (f"Pairs by name: {len(self.pairs)}; {' and '.join(parts)}.{unclear}",)


def match(a: Sequence[Input], b: Sequence[Input]) -> Matched:
    """Pair inputs of the same name, and of the rest those of the same case.

    The case is the name without words that tell the kind of image, and without endings:
    ``P01_mr`` and ``ct_P01`` are both of ``P01``. A name that a side has more than once makes no
    pair.
    """
    pairs: list[tuple[Input, Input]] = []
    rest_a, rest_b = list(a), list(b)
    for key in (_name, _case):
        found = _by(key, rest_a, rest_b)
        pairs += found
        taken = {id(one) for pair in found for one in pair}
        rest_a = [one for one in rest_a if id(one) not in taken]
        rest_b = [one for one in rest_b if id(one) not in taken]
    both = {one.case for one in rest_a} & {one.case for one in rest_b}
    return Matched(tuple(pairs), tuple(rest_a), tuple(rest_b), tuple(sorted(both)))


def refuse_no_pair(matched: Matched) -> None:
    """Refuse data of which pairs were asked for and none was found.

    Raises
    ------
    InputRefused
        With the names that come nearest to each other.
    """
    if matched.pairs:
        return
    lines = [f"Not one pair among {len(matched.a)} inputs of A and {len(matched.b)} of B"]
    if matched.unclear:
        lines.append(f"a side has several inputs of {shown(matched.unclear)}")
    cases = sorted({one.case for one in matched.b})
    for one in matched.a[:3]:
        near = get_close_matches(one.case, cases, n=1, cutoff=0.0)
        if near and near[0] != one.case:
            lines.append(f"{one.name} of A is {one.case}, and the nearest of B is {near[0]}")
    raise InputRefused(
        "\n  ".join(lines)
        + "\nImages are a pair if their names are the same without endings and words such as mr, "
        "ct, sct or t1, and one on each side has this name",
        remedy="name them alike, choose by data.a.channels, list them in a table, or set "
        "data.pairs=none",
    )


def _name(found: Input) -> str:
    return found.name


def _case(found: Input) -> str:
    return found.case


def _by(
    key: Callable[[Input], str], a: Sequence[Input], b: Sequence[Input]
) -> list[tuple[Input, Input]]:
    """Pairs of those that are alone of their key on each side."""
    counts_a, counts_b = Counter(map(key, a)), Counter(map(key, b))
    partners = {key(one): one for one in b if counts_b[key(one)] == 1}
    alone = [one for one in a if counts_a[key(one)] == 1]
    return [(one, partners[key(one)]) for one in alone if key(one) in partners]


Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Job:
    """What is prepared together: an input of one side, or the two of a pair."""

    sides: tuple[Side, ...]
    inputs: tuple[Input, ...]


@dataclass(frozen=True, eq=False)
class Cases:
    """What was prepared, and the digests of the files of each side by path."""

    a: tuple[Case, ...]
    b: tuple[Case, ...]
    pairs: tuple[Case, ...]
    digests: dict[Side, dict[str, str]]


def plan_jobs(matched: Matched) -> list[Job]:
    """One job an input, and one for the two of a pair."""
    jobs = [Job(("a", "b"), pair) for pair in matched.pairs]
    jobs += [Job(("a",), (found,)) for found in matched.a]
    jobs += [Job(("b",), (found,)) for found in matched.b]
    return sorted(jobs, key=lambda job: (job.sides[0], job.inputs[0].name))


@dataclass(eq=False)
class Collector:
    """Prepares jobs one by one, and keeps count of them and of what cannot be used."""

    config: DataConfig
    store: Store
    total: int
    progress: Progress | None = None
    done: int = 0
    refused: list[tuple[Side, MedcycleganError]] = field(default_factory=list)

    def collect(self, jobs: Sequence[Job]) -> Cases:
        """Prepare all jobs; the errors of those that cannot be used go into ``refused``."""
        cases: dict[tuple[Side, ...], list[Case]] = {("a",): [], ("b",): [], ("a", "b"): []}
        digests: dict[Side, dict[str, str]] = {"a": {}, "b": {}}
        for job in jobs:
            try:
                cases[job.sides].extend(self._cases(job, digests))
            except InputRefused as error:
                self.refused.append((job.sides[0], error))
            except _Refused:
                pass
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, self.total)
        return Cases(tuple(cases["a",]), tuple(cases["b",]), tuple(cases["a", "b"]), digests)

    def _cases(self, job: Job, digests: dict[Side, dict[str, str]]) -> list[Case]:
        contents = []
        for side, found in zip(job.sides, job.inputs, strict=True):
            own = [_digest(image.paths) for image in found.images]
            _refuse_one_content(found, own)
            paths = [str(image.paths[0]) for image in found.images]
            digests[side] |= dict(zip(paths, own, strict=True))
            contents += own + ([_digest([found.mask])] if found.mask is not None else ["no mask"])
        key = key_of(contents, self.config, job.sides)
        try:
            entry = self.store.get(key) or self._prepare(job, key)
        except MemoryError as error:
            raise DeviceError(
                f"{job.inputs[0].source}: memory does not suffice to prepare it",
                remedy="set cache: disk, or free some memory",
            ) from error
        first = job.inputs[0]
        made = []
        for meta, images in entry:
            path = first.images[0].paths[meta.part or 0]
            part = "" if meta.part is None else f"/{path_text(path.stem)}"
            made.append(make_case(first.name + part, first.subject, first.format, meta, images))
        return made

    def _prepare(self, job: Job, key: str) -> Entry:
        scans = self._read(job)
        apart = next((one for some in scans for one in some if len(one) > 1), None)
        if apart is None:
            ready = [self._together(job, [[one[0] for one in some] for some in scans])]
        elif len(job.inputs) == 1:
            ready = self._slices(apart, job.sides[0])
        else:
            raise InputRefused(
                f"{apart[0].source.parent} is no regular volume",
                rule="the two volumes of a pair lie at one place in space",
                remedy="set pairs: none",
            )
        return self.store.put(key, ready)

    def _read(self, job: Job) -> list[list[list[Scan]]]:
        """The scans of each image of each input; all that cannot be used are noted."""
        read: list[list[list[Scan]]] = []
        is_refused = False
        for side, found in zip(job.sides, job.inputs, strict=True):
            read.append([])
            for image in found.images:
                try:
                    read[-1].append(read_image(image, self.config, side))
                except InputRefused as error:
                    self.refused.append((side, error))
                    is_refused = True
        if is_refused:
            raise _Refused
        return read

    def _slices(self, scans: Sequence[Scan], side: Side) -> list[tuple[Meta, Stored]]:
        """Prepare the slices of a series one by one, and leave out those that show no body."""
        ready, refused = [], []
        for number, scan in enumerate(scans):
            try:
                prepared, _ = prepare_scan(scan, body_of(scan, None)[1], self.config.task(side))
                meta = _meta([scan], {side: 1}, prepared.normal, part=number)
                ready.append((meta, pack([prepared.values], prepared.body)))
            except InputRefused as error:
                refused.append(error)
        if not ready:
            raise refused[0]
        return ready

    def _together(self, job: Job, scans: list[list[Scan]]) -> tuple[Meta, Stored]:
        """Prepare the channels of a side, or of both sides of a pair, on the grid of the first."""
        mask = next((found.mask for found in job.inputs if found.mask is not None), None)
        scans[0][0], body = body_of(scans[0][0], mask)
        first, images = scans[0][0], []
        ready, onto = prepare_scan(first, body, self.config.task(job.sides[0]))
        for side, found, some in zip(job.sides, job.inputs, scans, strict=True):
            # another contrast has the same body; the other of a pair is asked for its own
            its = body if side == job.sides[0] else body_of(some[0], found.mask)[1]
            for scan in some:
                if scan is first:
                    images.append(ready.values)
                    continue
                task = self.config.task(side)
                images.append(prepare_partner(scan, onto, task, first=first, body=its))
        flat = [scan for some in scans for scan in some]
        counts = {side: len(some) for side, some in zip(job.sides, scans, strict=True)}
        meta = _meta(flat, counts, ready.normal)
        return meta, pack(images, ready.body)


class _Refused(Exception):
    """Inputs of a job cannot be used; why is noted already."""


def _meta(
    scans: Sequence[Scan], counts: Mapping[Side, int], normal: int, *, part: int | None = None
) -> Meta:
    return Meta(
        part=part,
        normal=normal,
        plane=scans[0].is_plane,
        facts=tuple(_facts(one) for one in scans),
        channels=(counts.get("a", 0), counts.get("b", 0)),
    )


def _facts(scan: Scan) -> Facts:
    voxels, geometry = scan.volume.voxels, scan.volume.geometry
    return Facts(
        shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        values=(float(voxels.min()), float(voxels.max())),
        warnings=tuple(path_text(said) for said in scan.warnings),
    )


def _digest(paths: Sequence[Path]) -> str:
    try:
        return digest_of(paths)
    except OSError as error:
        raise InputRefused(
            f"{paths[0]}: cannot be read ({error.strerror or type(error).__name__})",
            remedy="check its permissions",
        ) from error


def _refuse_one_content(found: Input, digests: Sequence[str]) -> None:
    """Refuse an input of which two channels are the same file."""
    if len(set(digests)) < len(digests):
        sources = ", ".join(str(image.source) for image in found.images)
        raise InputRefused(
            f"{found.name}: two of its channels have the same content: {sources}",
            rule="each channel is an image of its own",
            remedy="give the image that belongs to each",
        )
