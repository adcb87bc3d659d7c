"""Read and prepare all inputs of a training, and name every one that cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from medcyclegan.errors import DeviceError, InputRefused, MedcycleganError
from medcyclegan.io.scan import Scan
from medcyclegan.training.data.case import Case, Facts, Meta, Stored, make_case, pack
from medcyclegan.training.data.config import DataConfig, Side
from medcyclegan.training.data.find import Input
from medcyclegan.training.data.load import prepare_partner, prepare_scan, read_input
from medcyclegan.training.data.store import Entry, Store, digest_of, key_of

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Job:
    """What is prepared together: an input of one side, or the two of a pair."""

    sides: tuple[Side, ...]
    inputs: tuple[Input, ...]


@dataclass(frozen=True, eq=False)
class Cases:
    """What was prepared, and the digest of every input by its path."""

    a: tuple[Case, ...]
    b: tuple[Case, ...]
    pairs: tuple[Case, ...]
    digests: dict[str, str]


def plan_jobs(a: Sequence[Input], b: Sequence[Input], *, paired: bool) -> list[Job]:
    """One job an input; with ``paired``, one for two inputs of the same name.

    A name that a side has more than once makes no pair.
    """
    names_a, names_b = Counter(x.name for x in a), Counter(x.name for x in b)
    partners = {x.name: x for x in b if names_b[x.name] == 1} if paired else {}
    jobs, taken = [], set()
    for found in a:
        partner = partners.get(found.name) if names_a[found.name] == 1 else None
        if partner is None:
            jobs.append(Job(("a",), (found,)))
        else:
            jobs.append(Job(("a", "b"), (found, partner)))
            taken.add(found.name)
    jobs.extend(Job(("b",), (found,)) for found in b if found.name not in taken)
    return jobs


@dataclass(eq=False)
class Collector:
    """Prepares jobs one by one, and keeps count of them and of what cannot be used."""

    config: DataConfig
    store: Store
    total: int
    progress: Progress | None = None
    done: int = 0
    refused: list[MedcycleganError] = field(default_factory=list)

    def collect(self, jobs: Sequence[Job]) -> Cases:
        """Prepare all jobs; the errors of those that cannot be used go into ``refused``."""
        cases: dict[tuple[Side, ...], list[Case]] = {("a",): [], ("b",): [], ("a", "b"): []}
        digests: dict[str, str] = {}
        for job in jobs:
            try:
                cases[job.sides].extend(self._cases(job, digests))
            except InputRefused as error:
                self.refused.append(error)
            self.done += 1
            if self.progress is not None:
                self.progress(self.done, self.total)
        return Cases(tuple(cases["a",]), tuple(cases["b",]), tuple(cases["a", "b"]), digests)

    def _cases(self, job: Job, digests: dict[str, str]) -> list[Case]:
        contents = []
        for found in job.inputs:
            contents.append(_digest(found))
            digests[str(found.paths[0])] = contents[-1]
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
            path = first.paths[meta.part or 0]
            name = first.name if meta.part is None else f"{first.name}/{path.stem}"
            made.append(make_case(name, first.subject, first.format, meta, images))
        return made

    def _prepare(self, job: Job, key: str) -> Entry:
        first, side = job.inputs[0], job.sides[0]
        scans = read_input(first, self.config, side)
        if len(job.inputs) == 1:
            ready = self._slices(scans, side) if len(scans) > 1 else [self._alone(scans[0], side)]
        else:
            partners = read_input(job.inputs[1], self.config, job.sides[1])
            if len(scans) > 1 or len(partners) > 1:
                raise InputRefused(
                    f"{first.source} or {job.inputs[1].source} is no regular volume",
                    rule="the two volumes of a pair lie at one place in space",
                    remedy="set pairs: none",
                )
            ready = [self._pair(scans[0], partners[0])]
        return self.store.put(key, ready)

    def _slices(self, scans: Sequence[Scan], side: Side) -> list[tuple[Meta, Stored]]:
        """Prepare the slices of a series one by one, and leave out those that show no body."""
        ready, refused = [], []
        for number, scan in enumerate(scans):
            try:
                ready.append(self._alone(scan, side, part=number))
            except InputRefused as error:
                refused.append(error)
        if not ready:
            raise refused[0]
        return ready

    def _alone(self, scan: Scan, side: Side, *, part: int | None = None) -> tuple[Meta, Stored]:
        ready, _ = prepare_scan(scan, self.config.task(side))
        return _meta(scan, ready.normal, part=part), pack([ready.values], ready.body)

    def _pair(self, scan: Scan, partner: Scan) -> tuple[Meta, Stored]:
        ready, prepared = prepare_scan(scan, self.config.task("a"))
        second = prepare_partner(partner, prepared, self.config.task("b"), partner_of=scan)
        meta = _meta(scan, ready.normal, partner=partner)
        return meta, pack([ready.values, second], ready.body)


def _meta(scan: Scan, normal: int, *, part: int | None = None, partner: Scan | None = None) -> Meta:
    scans = [scan] if partner is None else [scan, partner]
    return Meta(
        part=part, normal=normal, plane=scan.is_plane, facts=tuple(_facts(one) for one in scans)
    )


def _facts(scan: Scan) -> Facts:
    voxels, geometry = scan.volume.voxels, scan.volume.geometry
    return Facts(
        shape=geometry.shape,
        spacing_mm=geometry.spacing_mm,
        values=(float(voxels.min()), float(voxels.max())),
        warnings=scan.warnings,
    )


def _digest(found: Input) -> str:
    try:
        return digest_of(found.paths)
    except OSError as error:
        raise InputRefused(
            f"{found.source}: cannot be read ({error.strerror or type(error).__name__})",
            remedy="check its permissions",
        ) from error
