"""One CT on disk into one map of a physical quantity on disk, or into its skull."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.hu_curves import Curve
from medcyclegan.imaging.plausibility import refuse_no_ct, refuse_noise
from medcyclegan.imaging.skull import Skull, find_skull
from medcyclegan.io.atomic import ensure_writable
from medcyclegan.io.bids import make_ready
from medcyclegan.io.dicom.api import MapMaker, MapSource, ensure_highdicom, is_dicom, numbers
from medcyclegan.io.naming import Format, is_folder, output_path
from medcyclegan.io.read import read_scan, refuse_unknown
from medcyclegan.io.scan import DicomSourceHeader, Scan
from medcyclegan.workflow.ct_source import DerivedFrom
from medcyclegan.workflow.quantities import (
    SKULL,
    Wanted,
    derive_map,
    read_curve,
)
from medcyclegan.workflow.skull_output import skull_paths, skull_warning, write_skull


@dataclass(frozen=True)
class Request:
    """What to derive from which CT, and where it goes; ``untilt`` as ``read_scan`` has it."""

    source: Path
    wanted: Wanted
    out: Path | None = None
    format: Format | None = None
    series_uid: str | None = None
    overwrite: bool = False
    untilt: bool = False


@dataclass(frozen=True, eq=False)
class Derived:
    """What was written, by which curve, and what is to be said of it.

    ``image`` is the map, of a skull its thickness in mm; either ``curve`` or ``skull`` is None.
    """

    outputs: tuple[Path, ...]
    image: Volume
    curve: Curve | None
    skull: Skull | None
    warnings: tuple[str, ...]

    @property
    def output(self) -> Path:
        """The map, or the mask of the skull."""
        return self.outputs[0]


def derive_file(request: Request, *, maker: MapMaker) -> Derived:
    """Read a CT in HU, and write what is wanted of it on the CT's grid.

    A map is float32; of NIfTI and MetaImage the header is the source's own, of DICOM it is a
    parametric map that refers to the source. ``maker`` says who makes it, and when.

    Raises
    ------
    MedcycleganError
        InputRefused, CannotWrite or UsageError, each before anything is written.
    """
    refuse_unknown(request.source)
    outputs = _checked_outputs(request, maker.version)
    if request.wanted.curve is not None:
        read_curve(request.wanted.curve)
    scan = _read_ct(request)
    ct = DerivedFrom(scan.volume, scan, scan.source, _slices(scan))
    version, overwrite = maker.version, request.overwrite
    if request.wanted.name == SKULL:
        skull = find_skull(scan.volume)
        write_skull(skull, outputs, ct, version=version, overwrite=overwrite)
        return Derived(outputs, skull.thickness, None, skull, (*scan.warnings, skull_warning(ct)))
    found = derive_map(
        ct,
        request.wanted,
        outputs[0],
        maker=maker,
        overwrite=overwrite,
        told_kvp=_told_kvp(scan),
    )
    return Derived(outputs, found.image, found.curve, None, (*scan.warnings, *found.warnings))


def _checked_outputs(request: Request, version: str) -> tuple[Path, ...]:
    """Return the paths of the outputs; refuse them before any work."""
    name = request.wanted.name
    output = output_path(request.source, out=request.out, format=request.format, suffix=f"_{name}")
    if is_folder(output):
        _refuse_no_dicom(request, name)
        ensure_highdicom()
    if request.out is None:
        make_ready(output, version=version)
    outputs = skull_paths(output) if name == SKULL else (output,)
    for path in outputs:  # those of a skull are files
        is_series = name != SKULL and is_folder(path)
        ensure_writable(path, source=request.source, overwrite=request.overwrite, folder=is_series)
    return outputs


def _refuse_no_dicom(request: Request, name: str) -> None:
    """Refuse DICOM of what is none: a skull's mask and table, and a map without a series."""
    if name == SKULL:
        raise UsageError(
            f"{request.source} as DICOM of its skull",
            rule="mask and thickness of a skull are written as NIfTI, MetaImage or NRRD",
            remedy="add --format nifti, or name a .nii.gz or .mha file with --out",
        )
    if not (request.source.is_dir() or is_dicom(request.source)):
        raise UsageError(
            f"{request.source} as a parametric map in DICOM",
            rule="such a map refers to the DICOM series that it was derived from",
            remedy="give the CT as DICOM, or leave out --format dicom",
        )


def _read_ct(request: Request) -> Scan:
    """Read the input; refuse what is no CT in HU."""
    scan = read_scan(
        request.source, series_uid=request.series_uid, modality="CT", untilt=request.untilt
    )
    if scan.is_plane or scan.volume.unit != "HU":
        what = "a picture" if scan.is_plane else f"a scan with values in {scan.volume.unit}"
        raise InputRefused(
            f"{scan.source} is {what}",
            rule="quantities are derived from a CT in HU",
            remedy="give a CT or synthetic CT as NIfTI, MetaImage, NRRD or DICOM",
        )
    refuse_no_ct(scan.volume, source=scan.source)
    refuse_noise(scan.volume, source=scan.source)
    return scan


def _slices(scan: Scan) -> MapSource | None:
    header = scan.source_header
    if not isinstance(header, DicomSourceHeader):
        return None
    return MapSource(header.slices, header.frame_numbers, header.is_resampled)


def _told_kvp(scan: Scan) -> float | None:
    """The tube voltage in the header of a DICOM series; None where there is none."""
    if not isinstance(scan.source_header, DicomSourceHeader):
        return None
    told = numbers(scan.source_header.slices[0], "KVP", scan.source)
    return told[0] if told else None
