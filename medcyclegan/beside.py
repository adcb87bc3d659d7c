"""What is written beside an image: the map of uncertainty, and the report."""

from __future__ import annotations

from medcyclegan import product
from medcyclegan.doubt.verdict import judged, verdict_of
from medcyclegan.errors import UsageError
from medcyclegan.evaluation.columns import Names
from medcyclegan.evaluation.report import ScanReport
from medcyclegan.io.dicom.derive import DerivedSeries
from medcyclegan.io.dicom.map_series import derive_map
from medcyclegan.io.scan import DicomPassport, NiftiPassport, Scan
from medcyclegan.models.store import Model
from medcyclegan.request import Maker
from medcyclegan.synthesis import Synthesis

MAP_LABEL = "Uncertainty in HU of sCT (synthetic, not acquired)"
_CALIBRATED = "Map of the expected absolute error in HU of a synthetic CT."
_PLAIN = "Map of the spread in HU of translations of slightly changed images."


def map_series(series: DerivedSeries, scan: Scan, model: Model, maker: Maker) -> DerivedSeries:
    """Return the data sets of the map that goes with a derived series, without pixels.

    Raises
    ------
    UsageError
        If the series is not in HU.
    """
    if model.task.target.unit != "HU":
        raise UsageError(
            f"--uncertainty in DICOM of what the model {model.card.name} makes",
            rule="a DICOM series of it is in HU",
            remedy="add --format nifti",
        )
    method = _PLAIN if model.card.uncertainty is None else _CALIBRATED
    return derive_map(
        series, scan.volume.geometry, label=MAP_LABEL, method=method, new_uid=maker.new_uid
    )


def report_of(
    scan: Scan, synthesis: Synthesis, model: Model, *, seconds: float, version: str
) -> ScanReport:
    """Return what the report on a conversion tells."""
    signs = synthesis.signs
    kinds = {DicomPassport: "DICOM series", NiftiPassport: "NIfTI"}
    return ScanReport(
        mr=scan.volume,
        sct=synthesis.image,
        input_format=kinds.get(type(scan.passport), "MetaImage or NRRD"),
        model_name=model.card.name,
        model_sha256=model.card.weights_sha256,
        seconds=seconds,
        version=version,
        warnings=synthesis.warnings,
        body=synthesis.body,
        verdict="" if signs is None else verdict_of(signs, synthesis.doubts).rstrip("."),
        is_doubtful=bool(synthesis.doubts),
        signs=() if signs is None else judged(signs, model.card),
        uncertainty=synthesis.uncertainty,
        uncertainty_name="Spread" if model.card.uncertainty is None else "Expected error",
        names=Names(source=product.source_name(model.task), made=product.made_name(model.task)),
    )
