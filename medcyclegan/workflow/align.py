"""Bring the CT of a patient onto the grid of the MR: one pair of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813  # the name that its users know

from medcyclegan.core.text import path_text
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, NotAligned, UsageError
from medcyclegan.evaluation.metrics import LOWEST_HU
from medcyclegan.evaluation.pictures import alignment_png
from medcyclegan.imaging.body_mask import body_mask_ct, body_mask_mr
from medcyclegan.imaging.itk_images import Level, itk_rigid, level_of, resampled
from medcyclegan.imaging.plausibility import refuse_ct, refuse_no_ct, refuse_noise
from medcyclegan.imaging.registration import (
    FINE_MM,
    MIDDLE_MM,
    Progress,
    folded_share,
    inverse_consistency_mm,
    register_deformable,
    register_rigid,
)
from medcyclegan.imaging.registration_fit import LIMITS, Fit, broken_limits, measure_fit, refitted
from medcyclegan.io.atomic import atomic_file, ensure_writable
from medcyclegan.io.leftovers import sidecar_path
from medcyclegan.io.naming import is_folder, is_picture, named_beside
from medcyclegan.io.read import read_scan, refuse_unknown
from medcyclegan.io.scan import Scan
from medcyclegan.io.sidecar import Sidecar, files_of, sha256_of_source
from medcyclegan.io.write import write_scan

SCHEMA = "medcyclegan-alignment 1"
# What lies outside the CT's field of view is air, as in scores.
OUTSIDE_HU = LOWEST_HU
# With less than this along an axis, turns about the others cannot be told.
LEAST_EXTENT_MM = 30.0
# More of the body than this outside the CT's field of view is worth a sentence.
_TOLD_SHARE = 0.02
_MOST_INVERSE_MM = 3.0


@dataclass(frozen=True)
class AlignRequest:
    """Which CT (``moving``) goes onto which MR (``fixed``), and into which file.

    Both are files or DICOM series; ``deformable`` adds a B-spline to the rigid transform, and
    ``untilt`` corrects the gantry tilt of a CT in DICOM.
    """

    fixed: Path
    moving: Path
    out: Path
    deformable: bool = False
    fixed_series: str | None = None
    moving_series: str | None = None
    untilt: bool = False
    overwrite: bool = False

    @property
    def outputs(self) -> dict[str, Path]:
        """The files to write by what they are: image, transform, record, picture."""
        stem = named_beside(self.out, "")
        beside = {"transform": ".tfm", "record": ".json", "picture": ".png"}
        named = {what: stem.with_name(stem.name + ending) for what, ending in beside.items()}
        return {"image": self.out, **named}


@dataclass(frozen=True, eq=False)
class Alignment:
    """A registered pair: the CT on the MR's grid, the transform, and how well it sits.

    ``matrix_ras`` (4, 4) is the rigid part, from fixed to moving points. ``folded_share`` and
    ``inverse_mm`` are of the B-spline, None without; ``left_out`` is the fit with a B-spline that
    was asked for, and not kept as it sits no better than the rigid transform.
    """

    image: Volume
    matrix_ras: np.ndarray
    transform: sitk.Transform
    fit: Fit
    folded_share: float | None = None
    inverse_mm: float | None = None
    left_out: Fit | None = None

    @property
    def kind(self) -> str:
        """What the transform is."""
        return "rigid" if self.folded_share is None else "B-spline"

    def figures(self) -> dict[str, float]:
        """All figures by name."""
        found = self.fit.figures()
        if self.folded_share is not None and self.inverse_mm is not None:
            found |= {"folded_share": self.folded_share, "inverse_mm": self.inverse_mm}
        return found


@dataclass(frozen=True, eq=False)
class Aligned:
    """What was written for a pair, and what is to be said of it."""

    outputs: dict[str, Path]
    alignment: Alignment
    warnings: tuple[str, ...]


def align_files(
    request: AlignRequest, *, version: str, progress: Progress | None = None
) -> Aligned:
    """Read an MR and a CT, register the CT, and write it on the MR's grid, with its record.

    The image is written last: where it stands, the other files do.

    Raises
    ------
    NotAligned
        If the two do not sit on each other in the end; nothing is written.
    MedcycleganError
        InputRefused, CannotWrite or UsageError, each before anything is written.
    """
    _refuse_output(request)
    fixed, moving = _read(request)
    alignment, before = align_volumes(
        fixed.volume, moving.volume, deformable=request.deformable, progress=progress
    )
    broken = _broken(alignment)
    if broken:
        raise NotAligned(
            f"{request.moving} does not sit on {request.fixed}: {'; '.join(broken)}",
            rule="a pair is written only if it is aligned as right pairs are",
            remedy="check that both are of one patient and one part of the body, and look whether "
            "left and right are right in both headers",
            figures=alignment.figures(),
        )
    warnings = (
        *(f"MR: {text}" for text in fixed.warnings),
        *(f"CT: {text}" for text in moving.warnings),
        *_warnings_of(alignment),
    )
    record = _record(request, alignment, (fixed, moving), version, warnings)
    _write(request, alignment, fixed, before, record=record)
    return Aligned(request.outputs, alignment, warnings)


def align_volumes(
    mr: Volume, ct: Volume, *, deformable: bool = False, progress: Progress | None = None
) -> tuple[Alignment, Volume]:
    """Register a CT (HU) to an MR; returns also the CT on the MR's grid by its header alone.

    Whether the two sit on each other is not judged here.
    """
    level = level_of(mr, body_mask_mr(mr), ct, body_mask_ct(ct), spacing_mm=FINE_MM)
    rigid = register_rigid(level, progress=progress)
    stiff = itk_rigid(rigid.matrix_ras)
    total, folded, inverse_mm, left_out = stiff, None, None, None
    fit = measure_fit(level, rigid, stiff)
    if deformable:
        bent, bent_folded, bent_mm = _bent(level.coarser(MIDDLE_MM), stiff)
        bent_fit = refitted(level, fit, bent)
        if bent_fit.is_better_than(fit):
            fit, total, folded, inverse_mm = bent_fit, bent, bent_folded, bent_mm
        else:
            left_out = bent_fit
    still = sitk.Transform(3, sitk.sitkIdentity)
    image, _ = resampled(ct, mr.geometry, total, fill=OUTSIDE_HU)
    before, _ = resampled(ct, mr.geometry, still, fill=OUTSIDE_HU)
    return Alignment(image, rigid.matrix_ras, total, fit, folded, inverse_mm, left_out), before


def _bent(level: Level, stiff: sitk.Euler3DTransform) -> tuple[sitk.Transform, float, float]:
    """The whole deformable transform, its folded share, and its distance from the way back."""
    there = register_deformable(level, stiff)
    back = register_deformable(level.swapped(), stiff.GetInverse())
    apart_mm = inverse_consistency_mm(there, back, level.points_lps_mm())
    return there, folded_share(level, there), apart_mm


def _broken(alignment: Alignment) -> tuple[str, ...]:
    broken = broken_limits(alignment.fit)
    if alignment.folded_share:
        broken += (f"the B-spline folds {alignment.folded_share:.2%} of the body",)
    if (alignment.inverse_mm or 0.0) > _MOST_INVERSE_MM:
        broken += (
            f"the B-splines there and back differ by {alignment.inverse_mm:.1f} mm, at most "
            f"{_MOST_INVERSE_MM:g} mm",
        )
    return broken


def _warnings_of(alignment: Alignment) -> tuple[str, ...]:
    said = []
    fit, bent = alignment.fit, alignment.left_out
    unseen = 1.0 - fit.seen_share
    if unseen > _TOLD_SHARE:
        said.append(
            f"{unseen:.0%} of the body in the MR lies outside the CT's field of view, and is "
            f"{OUTSIDE_HU:g} HU in the output."
        )
    if bent is not None:
        said.append(
            "The B-spline sits no better than the rigid transform, and was left out: the result is "
            f"rigid (shift left {fit.local_mm:.2f} mm, with the B-spline {bent.local_mm:.2f} mm; "
            f"information {fit.nmi_after:.4f}, with it {bent.nmi_after:.4f})."
        )
    return tuple(said)


def _refuse_output(request: AlignRequest) -> None:
    for path in (request.fixed, request.moving):
        refuse_unknown(path)
    if is_folder(request.out) or is_picture(request.out):
        raise UsageError(
            f"--out {request.out}",
            rule="an aligned CT is written as NIfTI, MetaImage or NRRD",
            remedy="name a .nii.gz, .mha or .nrrd file",
        )
    if request.fixed.samefile(request.moving) and request.fixed_series == request.moving_series:
        raise InputRefused(
            f"{request.fixed} is given as MR and as CT",
            rule="two images are registered",
            remedy="name the MR with --fixed and the CT with --moving",
        )
    for target in request.outputs.values():
        for source in (request.fixed, request.moving):
            ensure_writable(target, source=source, overwrite=request.overwrite)


def _read(request: AlignRequest) -> tuple[Scan, Scan]:
    fixed = read_scan(request.fixed, series_uid=request.fixed_series, modality="MR")
    moving = read_scan(
        request.moving,
        series_uid=request.moving_series,
        modality="CT",
        untilt=request.untilt,
    )
    for scan, name in ((fixed, "MR"), (moving, "CT")):
        extent = np.asarray(scan.volume.geometry.spacing_mm) * scan.volume.geometry.shape
        if scan.is_plane or extent.min() < LEAST_EXTENT_MM:
            size = " x ".join(f"{mm:.0f}" for mm in extent)
            raise InputRefused(
                f"The {name} {scan.source} spans {size} mm",
                rule=f"volumes of {LEAST_EXTENT_MM:g} mm or more along each axis are registered",
                remedy="give the whole series",
            )
        refuse_noise(scan.volume, source=scan.source)
    refuse_ct(fixed.volume, source=fixed.source)
    refuse_no_ct(moving.volume, source=moving.source)
    return fixed, moving


def _record(
    request: AlignRequest,
    alignment: Alignment,
    scans: tuple[Scan, Scan],
    version: str,
    warnings: tuple[str, ...],
) -> str:
    """The text of the record: the sidecar of a NIfTI, and the same beside other formats."""
    fixed, moving = scans
    facts = {
        "schema": SCHEMA,
        "version": version,
        "fixed": path_text(request.fixed.name),
        "fixed_sha256": sha256_of_source(files_of(fixed)),
        "transform": path_text(request.outputs["transform"].name),
        "kind": alignment.kind,
        "fixed_to_moving_ras": alignment.matrix_ras.tolist(),
        "outside_hu": OUTSIDE_HU,
        "figures": {name: round(value, 5) for name, value in alignment.figures().items()},
        "limits": {
            limit.figure: {"at least" if limit.least else "at most": limit.bound}
            for limit in LIMITS
        },
        "warnings": list(warnings),
    }
    sidecar = Sidecar(
        "CT, registered to an MR and resampled onto its grid. Research use only.",
        scan=moving,
        unit="HU",
        version=version,
        facts=facts,
        others=(request.fixed,),
    )
    return sidecar.text(request.out)


def _write(
    request: AlignRequest, alignment: Alignment, fixed: Scan, before: Volume, *, record: str
) -> None:
    outputs, overwrite = request.outputs, request.overwrite
    with atomic_file(outputs["transform"], overwrite=overwrite) as part:
        sitk.WriteTransform(alignment.transform, str(part))
    with atomic_file(outputs["picture"], overwrite=overwrite) as part:
        part.write_bytes(alignment_png(fixed.volume, before, alignment.image))
    has_sidecar = sidecar_path(request.out) is not None
    if not has_sidecar:
        with atomic_file(outputs["record"], overwrite=overwrite) as part:
            part.write_text(record, encoding="utf-8")
    write_scan(
        alignment.image,
        source_header=fixed.source_header,
        to=outputs["image"],
        overwrite=overwrite,
        sidecar=record if has_sidecar else None,
    )
