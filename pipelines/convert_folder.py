"""Turn every MR of a folder into a synthetic CT, one after the other.

    python pipelines/convert_folder.py MR_FOLDER SCT_FOLDER

Files that are refused are named with the reason; the others are done all the same.
"""

from __future__ import annotations

import sys
from pathlib import Path

from medcyclegan import load_model, read_scan, synthesize, write_scan
from medcyclegan.errors import ExitCode, InputRefused


def convert_folder(source: Path, target: Path) -> list[Path]:
    """Convert the .nii.gz files of ``source``; returns the paths that were refused."""
    model = load_model("head-mr-ct")
    target.mkdir(parents=True, exist_ok=True)
    refused: list[Path] = []
    for path in sorted(source.glob("*.nii.gz")):
        try:
            scan = read_scan(path, modality="MR")
            result = synthesize(scan, model)
        except InputRefused as error:
            print(f"refused: {error}")
            refused.append(path)
            continue
        out = target / path.name.replace(".nii.gz", "_sct.nii.gz")
        write_scan(result.image, passport=scan.passport, to=out)
        print(out)
    return refused


if __name__ == "__main__":
    sys.exit(ExitCode.SOME_REFUSED if convert_folder(Path(sys.argv[1]), Path(sys.argv[2])) else 0)
