"""Where an output goes: by the name asked for, or beside the input by the input's name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal

from medcyclegan.errors import UsageError
from medcyclegan.io.bids import derivative_name, derivative_path
from medcyclegan.io.dicom.header import load_header
from medcyclegan.io.dicom.radiograph import is_radiograph
from medcyclegan.io.dicom.read import is_dicom
from medcyclegan.io.discover import (
    ITK_WRITTEN,
    NIFTI_WRITTEN,
    PAIR_ENDINGS,
    PICTURES_WRITTEN,
    without_ending,
)

Format = Literal["nifti", "dicom"]
SCT_SUFFIX = "_sct"
# Endings of files that are not written. Any other name is a folder, as those of series have dots in
# them: "1.2.840", "T1 2.5 mm".
NOT_WRITTEN = (".dcm", ".ima", ".hdr", ".img", ".nhdr", ".gz", ".zip", ".jpg", ".jpeg")
_ENDINGS = (*NIFTI_WRITTEN, *ITK_WRITTEN, *PICTURES_WRITTEN, *PAIR_ENDINGS, *NOT_WRITTEN)


def output_path(
    source: Path, *, out: Path | None, format: Format | None, suffix: str = SCT_SUFFIX
) -> Path:
    """Return the output of a conversion: a file, or a folder for DICOM.

    ``format`` None means that of ``out``'s ending, or else that of the input. A file of a DICOM
    series stands for its folder, a radiograph for itself. ``suffix`` follows the input's
    name where ``out`` is None; in a BIDS data set the output goes among its derivatives then, under
    a name of BIDS.

    Raises
    ------
    UsageError
        If the format asked for and the ending of ``out`` contradict each other.
    """
    wanted = format or _kind_of_ending(out) or _kind_of_input(source)
    if out is None:
        placed = derivative_path(source, suffix) if wanted == "nifti" else None
        return placed or _beside(source, wanted, suffix)
    ending = _kind_of_ending(out)
    if ending == "plane" and _kind_of_input(source) in ("nifti", "itk"):
        raise UsageError(
            f"--out {out} for the volume {source}",
            rule="a picture holds one slice",
            remedy="name a .nii.gz or .mha file",
        )
    if wanted == "dicom":
        _refuse(out, f"--format {wanted}", is_bad=not is_folder(out))
        return out
    if ending is None and out.is_dir():
        return out / _beside(source, wanted, suffix).name
    _refuse(out, f"--format {wanted}", is_bad=ending is None or (bool(format) and ending != wanted))
    return out


def suffix_for(name: str) -> str:
    """Return ``_name`` as it may stand in the name of a file: what is odd there becomes a dash."""
    return "_" + re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.")


def is_folder(output: Path) -> bool:
    """Whether an output is a folder of DICOM slices, by its name."""
    return not output.name.lower().endswith(_ENDINGS)


def is_picture(output: Path) -> bool:
    """Whether an output is a PNG or TIFF, by its name."""
    return output.name.lower().endswith(PICTURES_WRITTEN)


def is_png(output: Path) -> bool:
    """Whether an output is a PNG, by its name."""
    return output.suffix.lower() == ".png"


def report_path(output: Path) -> Path:
    """Return where the report on an output goes."""
    return output.with_name(f"{_stem(output)}_report.html")


def uncertainty_path(output: Path) -> Path:
    """Return where the map of uncertainty of an output goes: its like, beside it."""
    return companion_path(output, "_uncertainty")


def companion_path(output: Path, suffix: str, *, ending: str | None = None) -> Path:
    """Return where something goes that is made of an output: beside it, with its ending if None.

    Names of BIDS stay such: ``desc-sct`` and ``_mu511`` make ``desc-sctMu511``.
    """
    stem = output.name if is_folder(output) else _stem(output)
    own = output.name[len(stem) :]
    named = derivative_name(output.name, suffix) if "_desc-" in output.name else None
    if named is not None:
        stem, suffix = named[: -len(own)], ""
    return output.with_name(f"{stem}{suffix}{own if ending is None else ending}")


def _refuse(out: Path, wanted: str, *, is_bad: bool) -> None:
    if is_bad:
        raise UsageError(
            f"--out {out} with {wanted}",
            rule="a DICOM series goes into a folder, NIfTI into a file ending in .nii or .nii.gz "
            "or into a folder that exists",
            remedy="change --out or --format",
        )


def _kind_of_ending(out: Path | None) -> str | None:
    """``nifti``, ``itk``, ``plane`` or None, by the name."""
    if out is None:
        return None
    name = out.name.lower()
    if name.endswith(NIFTI_WRITTEN):
        return "nifti"
    if name.endswith(PICTURES_WRITTEN):
        return "plane"
    return "itk" if name.endswith(ITK_WRITTEN) else None


def _kind_of_input(source: Path) -> str:
    if source.is_dir() or (source.is_file() and is_dicom(source)):
        return "dicom"
    name = source.name.lower()
    if name.endswith((*PICTURES_WRITTEN, ".jpg", ".jpeg")):
        return "plane"
    return "itk" if name.endswith((*ITK_WRITTEN, ".nhdr")) else "nifti"


def _beside(source: Path, wanted: str, suffix: str) -> Path:
    series = source.parent if _is_slice(source) else source
    named = named_beside(series, suffix)
    if wanted == "dicom":
        return named
    ending = ".nii.gz"
    if wanted == "itk":
        ending = {".mhd": ".mhd", ".nrrd": ".nrrd", ".nhdr": ".nrrd"}.get(source.suffix, ".mha")
    elif wanted == "plane":
        ending = source.suffix if source.suffix.lower() in PICTURES_WRITTEN else ".png"
    elif source.name.lower().endswith(".nii"):
        ending = ".nii"
    return named.with_name(named.name + ending)


def named_beside(path: Path, suffix: str) -> Path:
    """Return a path beside ``path`` with its name, without ending, and ``suffix``.

    It is relative if ``path`` is; ``.`` and ``..`` stand for the folders' own names.
    """
    whole = path if path.name not in ("", "..") else Path(os.path.abspath(path))
    named = whole.with_name(f"{_stem(whole)}{suffix}")
    return named if path.is_absolute() or not named.is_absolute() else Path(os.path.relpath(named))


def _is_slice(path: Path) -> bool:
    """Whether a file is one of a DICOM series; a radiograph stands for itself."""
    if not (path.is_file() and is_dicom(path)):
        return False
    file = load_header(path)
    return file is not None and not is_radiograph(file)


def _stem(path: Path) -> str:
    return without_ending(path.name, _ENDINGS)
