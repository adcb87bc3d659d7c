"""Conversions with a clock that stands still and counted UIDs: the same bytes in every run.

    python -m benchmarks.repeatable convert --mri SCAN --model MODEL --out OUT [--overwrite]
    python -m benchmarks.repeatable write --mri SERIES --out FOLDER [--overwrite] [--label TEXT]

``convert`` is all of a conversion. ``write`` only reads a series and writes it as a CT, without any
network; ``--label`` begins its description.
"""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from medcyclegan.errors import MedcycleganError
from medcyclegan.io.dicom.derive import Derivation, seeded_uid_maker
from medcyclegan.io.dicom.read import read_dicom
from medcyclegan.io.dicom.write import write_dicom_ct

NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def convert_scan(arguments: argparse.Namespace) -> None:
    """Convert a scan."""
    from medcyclegan.models.store import load_model
    from medcyclegan.workflow.convert import Provenance, Request, convert
    from medcyclegan.workflow.synthesize import Options

    request = Request(arguments.mri, out=arguments.out, overwrite=arguments.overwrite)
    provenance = Provenance(version="0", now=lambda: NOW, new_uid=seeded_uid_maker("repeatable"))
    model = load_model(arguments.model)
    convert(request, model, provenance=provenance, options=Options(device="cpu"))


def trial_of_writing(
    mri: Path | str, out: Path | str, *, label: str = "trial", overwrite: bool = False
) -> None:
    """Write an MR's own numbers as a CT; they mean nothing."""
    scan = read_dicom(Path(mri))
    derivation = Derivation(
        model_name="",
        model_sha256="",
        software_version="0",
        method="A trial of writing",
        now=NOW,
        new_uid=seeded_uid_maker(label),
        series_label=label,
    )
    write_dicom_ct(
        scan.volume.with_voxels(scan.volume.voxels, unit="HU"),
        source_header=scan.source_header,
        to=Path(out),
        derivation=derivation,
        overwrite=overwrite,
    )


def main() -> None:
    """Parse the arguments and do what they say; the exit codes are those of medcyclegan."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["convert", "write"])
    parser.add_argument("--mri", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--overwrite", action="store_true")
    parser.add_argument("--label", default="trial")
    arguments = parser.parse_args()
    try:
        if arguments.what == "convert":
            convert_scan(arguments)
        else:
            given = {"label": arguments.label, "overwrite": arguments.overwrite}
            trial_of_writing(arguments.mri, arguments.out, **given)
    except MedcycleganError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
