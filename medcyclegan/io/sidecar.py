"""The JSON file beside a NIfTI that medcyclegan makes: from what, with what, and how sure.

Its keys are those of BIDS for derivatives where BIDS has one; all else is under ``medcyclegan``. It
holds neither times nor folders, so that the same run gives the same bytes, and nothing of a header.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcyclegan.core.text import MOST_TABLE_BYTES, parse_json, path_text, read_text
from medcyclegan.errors import InputRefused
from medcyclegan.io.bids import BIDS_KEYS, dataset_of, source_name
from medcyclegan.io.held_files import sha256_of
from medcyclegan.io.leftovers import sidecar_path
from medcyclegan.io.scan import Scan
from medcyclegan.io.targets import SIDECAR_MAKER, is_our_sidecar

_UNITS = {"a.u.": "arbitrary"}


@dataclass(frozen=True)
class Sidecar:
    """What a sidecar tells.

    ``description`` is a sentence, ``unit`` that of the voxels. ``version`` is medcyclegan's.
    ``facts`` go under ``medcyclegan``, and hold what JSON can. Where they name a source, or one of
    ``others``, by its path, its name alone is kept: folders may tell who somebody is.
    """

    description: str
    scan: Scan
    unit: str
    version: str
    facts: Mapping[str, Any]
    others: tuple[Path, ...] = ()

    def text(self, output: Path) -> str:
        """Return the JSON for ``output``; reads the files of the source once, for their sha256.

        Raises
        ------
        InputRefused
            If they cannot be read any more.
        """
        sources = [self.scan, *self.scan.channels]
        content = {
            "Description": self.description,
            "Sources": [path_text(source_name(one.source, output)) for one in sources],
            "GeneratedBy": [{"Name": SIDECAR_MAKER, "Version": self.version}],
            "Units": _UNITS.get(self.unit, self.unit),
            **({} if dataset_of(output) is None else BIDS_KEYS),
            "medcyclegan": {
                "sources_sha256": [sha256_of_source(files_of(one)) for one in sources],
                **self._facts(),
            },
        }
        return json.dumps(content, indent=2) + "\n"

    def _facts(self) -> dict[str, Any]:
        """The facts with the names of files in place of their paths."""
        text = json.dumps(dict(self.facts))
        for path in (self.scan.source, *(one.source for one in self.scan.channels), *self.others):
            text = text.replace(
                json.dumps(path_text(path))[1:-1], json.dumps(path_text(path.name))[1:-1]
            )
        return dict(json.loads(text))


def sidecar_if_nifti(output: Path, sidecar: Sidecar) -> str | None:
    """Return the text where the output is one that gets a sidecar; nothing is hashed else."""
    return sidecar.text(output) if sidecar_path(output) is not None else None


def model_told_by(path: Path) -> str:
    """Return the model that our sidecar says made the image; "" if it names none, or is not ours.

    That of an aligned CT names none: its HU were acquired.
    """
    if not is_our_sidecar(path):
        return ""
    content: Any = parse_json(read_text(path, most_bytes=MOST_TABLE_BYTES))
    facts = content.get("medcyclegan")
    return str(facts.get("model") or "") if isinstance(facts, dict) else ""


def sha256_of_source(files: Iterable[Path]) -> str:
    """Return the sha256 of a source's files, as ``held_files.sha256_of`` does.

    Raises
    ------
    InputRefused
        If one cannot be read.
    """
    try:
        return sha256_of(files)
    except OSError as error:
        raise InputRefused(
            f"{error.filename}: cannot be read again ({error.strerror})",
            rule="its sha256 goes into the sidecar of the output",
            remedy="leave it in its place until the output is written",
        ) from error


def files_of(scan: Scan) -> tuple[Path, ...]:
    """Return the files that a scan was read from; of a scan from memory its source."""
    return scan.files or (scan.source,)
