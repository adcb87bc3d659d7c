"""The page over all outputs of a batch: a thumbnail, the figures and the warnings of each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from medcyclegan.evaluation.report import page_template
from medcyclegan.evaluation.thumbnail import thumbnail
from medcyclegan.io.atomic import atomic_file
from medcyclegan.workflow.batch.item import STATE_FOLDER, Item, Row, Settings, Status
from medcyclegan.workflow.convert import Conversion

INDEX_NAME = "index.html"
_THUMBNAILS = "thumbnails"
# Those that need a look come first.
_ORDER = (
    Status.FAILED, Status.REFUSED, Status.DOUBTFUL, Status.DONE, Status.UP_TO_DATE, Status.WAITING,
    Status.SET_ASIDE,
)  # fmt: skip
_FIGURES = {
    "body_ml": "body (ml)",
    "body_median_hu": "median (HU)",
    "body_bone_percent": "bone (%)",
}


def thumbnail_path(item: Item, settings: Settings) -> Path:
    """Where the thumbnail of an item is kept: with the records."""
    return settings.state / _THUMBNAILS / f"{item.key}.png"


def write_preview(done: Conversion, to: Path) -> None:
    """Write the thumbnail of one conversion."""
    scan = done.scan
    picture = thumbnail(scan.volume, done.written, done.synthesis.body, is_plane=scan.is_plane)
    to.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(to, overwrite=True) as part:
        part.write_bytes(picture)


def write_index(
    rows: Sequence[Row], thumbnails: dict[str, Path], settings: Settings, *, model: str, note: str
) -> Path:
    """Write the page beside the record; ``thumbnails`` are by output. Returns its path."""
    figures = [name for name in _FIGURES if any(name in row.qa for row in rows)]
    ordered = sorted(rows, key=lambda row: _ORDER.index(row.status))
    page = page_template("batch_index.html.j2").render(
        model=model,
        version=settings.provenance.version,
        note=note,
        counts=[
            (status.value, sum(row.status is status for row in rows))
            for status in _ORDER
            if any(row.status is status for row in rows)
        ],
        with_warnings=sum(bool(row.warnings) for row in rows),
        headings=[_FIGURES[name] for name in figures],
        rows=[_shown(row, figures, thumbnails, settings) for row in ordered],
    )
    to = settings.out / INDEX_NAME
    with atomic_file(to, overwrite=True) as part:
        part.write_text(page, encoding="utf-8", errors="backslashreplace")
    return to


def _shown(
    row: Row, figures: list[str], thumbnails: dict[str, Path], settings: Settings
) -> dict[str, object]:
    picture = thumbnails.get(row.output) if row.output else None
    is_made = row.status in (Status.DONE, Status.DOUBTFUL, Status.UP_TO_DATE)
    links = [("report", row.report), ("output", row.output), ("uncertainty", row.uncertainty)]
    links += [(_short(path, row.output), path) for path in row.derived]
    others = [said for said in row.warnings if said not in row.doubts]
    return {
        "name": f"{row.source} {row.series}".strip(),
        "status": row.status.value,
        "reason": row.reason,
        "picture": "" if picture is None or not picture.is_file() else _address(picture, settings),
        "links": [(name, quote(path)) for name, path in links if path and is_made],
        "report": quote(row.report) if is_made else "",
        "doubts": row.doubts,
        "warnings": others,
        "figures": [row.qa.get(name) for name in figures],
        "seconds": row.seconds,
    }


def _short(derived: str, output: str) -> str:
    """What a derived file is called beside its output: ``mu511``, ``skull.csv``."""
    name, stem = Path(derived).name, Path(output).name.removesuffix(".nii.gz").removesuffix(".nii")
    short = name.removeprefix(stem).strip("_").removesuffix(".nii.gz").removesuffix(".nii")
    return short or name


def _address(picture: Path, settings: Settings) -> str:
    return f"{STATE_FOLDER}/{_THUMBNAILS}/{quote(picture.name)}"
