"""Derivatives in the names of BIDS, and the description of the data set that they make.

BIDS (1.10) has no suffix for CT. A derivative keeps the suffix of the image that it is made from,
and ``desc-`` says what it is: ``sub-01_desc-sct_T1w.nii.gz`` is a synthetic CT of ``sub-01_T1w``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from medcyclegan.core.text import MOST_TABLE_BYTES, parse_json, read_text
from medcyclegan.io.atomic import atomic_file
from medcyclegan.io.targets import SIDECAR_MAKER, make_parents

DESCRIPTION, IGNORED = "dataset_description.json", ".bidsignore"
BIDS_VERSION = "1.10.0"
# What is not stripped stays as it is; a source that was stripped says so in its own sidecar.
BIDS_KEYS: dict[str, Any] = {"SkullStripped": False}
_DERIVATIVES = Path("derivatives", SIDECAR_MAKER)
_NAME = re.compile(
    r"(?P<entities>sub-[a-zA-Z0-9]+(_[a-z]+-[a-zA-Z0-9]+)*?)(_desc-(?P<desc>[a-zA-Z0-9]+))?"
    r"_(?P<suffix>[a-zA-Z0-9]+)(?P<ending>\.nii(\.gz)?)"
)
# Pages, tables and folders of ours, which BIDS has no names for.
_NOT_BIDS = ("*_report.html", "batch.json", "*.csv", "index.html")


def dataset_of(path: Path) -> Path | None:
    """Return the root of the BIDS data set that a file of a subject lies in, or None."""
    whole = Path(os.path.abspath(path))
    for folder in whole.parents:
        if (folder / DESCRIPTION).is_file():
            return folder if whole.relative_to(folder).parts[0].startswith("sub-") else None
    return None


def is_dataset(folder: Path) -> bool:
    """Whether a folder is the root of a BIDS data set."""
    return (folder / DESCRIPTION).is_file()


def derivative_name(name: str, suffix: str) -> str | None:
    """Return the name of what is made of the NIfTI ``name``; None if that is no name of BIDS, or
    names are kept (an empty ``suffix``).

    ``suffix`` is what names get elsewhere, ``_sct``. What ``desc-`` the source has already stays:
    ``desc-sct`` and ``_rsp`` make ``desc-sctRsp``.
    """
    found = _NAME.fullmatch(name)
    words = re.findall(r"[a-zA-Z0-9]+", suffix)
    if found is None or not words:
        return None
    made = "".join([words[0], *(word.capitalize() for word in words[1:])])
    if found["desc"]:
        made = found["desc"] + made[:1].upper() + made[1:]
    return f"{found['entities']}_desc-{made}_{found['suffix']}{found['ending']}"


def derivative_path(source: Path, suffix: str) -> Path | None:
    """Return where what is made of a NIfTI goes by default, if that lies in a BIDS data set.

    Of raw data that is ``derivatives/medcyclegan`` in it, which mirrors its folders; of derivatives
    it is beside their file.
    """
    name = derivative_name(source.name, suffix)
    root = dataset_of(source) if name is not None else None
    if name is None or root is None:
        return None
    if _described(root).get("DatasetType", "raw") == "derivative":
        return source.with_name(name)
    inside = Path(os.path.abspath(source)).relative_to(root)
    return root / _DERIVATIVES / inside.with_name(name)


def make_ready(output: Path, *, version: str) -> None:
    """Make the folders and the description of the data set that ``derivative_path`` leads into.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    for folder in output.parents:
        if folder.parts[-2:] == _DERIVATIVES.parts and is_dataset(folder.parents[1]):
            describe(folder, raw=folder.parents[1], version=version)
            break
    make_parents(output)


def describe(folder: Path, *, raw: Path, version: str) -> None:
    """Write the description of a data set of derivatives of ``raw``, where there is none yet.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    source = _described(raw)
    here = os.path.relpath(os.path.realpath(raw), os.path.realpath(folder))
    described = {
        "Name": f"{source.get('Name', 'Data set')}: derivatives by {SIDECAR_MAKER}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": SIDECAR_MAKER, "Version": version}],
        "SourceDatasets": [{"DOI": doi}] if (doi := source.get("DatasetDOI")) else [{"URL": here}],
        "DatasetLinks": {"raw": here},
    }
    texts = {DESCRIPTION: json.dumps(described, indent=2), IGNORED: "\n".join(_NOT_BIDS)}
    for name, text in texts.items():
        if not (folder / name).exists():
            make_parents(folder / name)
            with atomic_file(folder / name, overwrite=True) as part:
                part.write_text(f"{text}\n", encoding="utf-8")


def source_name(source: Path, output: Path) -> str:
    """Return what the sidecar of ``output`` calls a source: its BIDS URI, or its name elsewhere."""
    root, here = dataset_of(source), dataset_of(output)
    if root is None or here is None:
        return source.name
    inside = Path(os.path.abspath(source)).relative_to(root).as_posix()
    if root == here:
        return f"bids::{inside}"
    return (
        f"bids:raw:{inside}" if "raw" in _described(here).get("DatasetLinks", {}) else source.name
    )


def _described(root: Path) -> dict[str, Any]:
    """The description of a data set; empty if it cannot be read."""
    try:
        content = parse_json(read_text(root / DESCRIPTION, most_bytes=MOST_TABLE_BYTES))
    except (ValueError, OSError):
        return {}
    return content if isinstance(content, dict) else {}
