"""What a run would refuse, told by names and headers alone, for those who ask before they run."""

from __future__ import annotations

from dataclasses import replace

from medcyclegan.io.dicom.api import derive_series, read_headers
from medcyclegan.io.naming import is_folder
from medcyclegan.io.scan import SourceHeader
from medcyclegan.io.targets import refuse_existing_file, refuse_existing_folder
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.batch.item import Item, Row, Settings, Status, has_record, was_begun
from medcyclegan.workflow.batch.plan import Plan
from medcyclegan.workflow.batch.work import row_of
from medcyclegan.workflow.convert import derivation_of


def foreseen(plan: Plan, settings: Settings) -> Plan:
    """Return a plan with the rows that a run would end with, where headers tell.

    The headers of DICOM series are held against each other, and outputs looked for. What only
    voxels tell, and other files but by their names, is not known before a run. Nothing is written.
    """
    model = load_model(settings.model) if settings.model else None
    ended: dict[str, Row] = {}
    for item in plan.items:
        try:
            _check(item, settings, model)
        except Exception as error:  # as a run does: a fault of one input is a row
            row = row_of(error, item, settings)
            ended[row.output] = row
    rows = tuple(
        ended.get(row.output, row) if row.status is Status.WAITING else row for row in plan.rows
    )
    todo = tuple(item for item in plan.items if item.row(Status.WAITING).output not in ended)
    return replace(plan, items=todo, rows=rows)


def _check(item: Item, settings: Settings, model: Model | None) -> None:
    output = settings.out / item.output
    is_series, folder = bool(item.series_uid), is_folder(output)
    may_replace = settings.overwrite or was_begun(item, settings) or has_record(item, settings)
    (refuse_existing_folder if folder else refuse_existing_file)(output, overwrite=may_replace)
    if not is_series or model is None:
        return
    files = tuple(settings.root / path for path in item.files)
    geometry, read = read_headers(files, untilt=settings.extras.untilt)
    source_header: SourceHeader = read
    if settings.extras.deidentifier is not None:
        source_header = settings.extras.deidentifier.source_header(source_header)
    if folder:
        derivation = derivation_of(model, settings.provenance)
        derive_series(geometry, source_header=source_header, derivation=derivation)
