"""MR and CT, both ways: from unpaired volumes to synthetic CT that is scored.

    python pipelines/mr_ct.py --out mr_ct/ --subjects 24
    python pipelines/mr_ct.py --out mr_ct/ --data-a mr/ --data-b ct/ --test-a test_mr/

docs/mr-ct.md tells the same, command by command.
"""

from __future__ import annotations

import sys
from pathlib import Path

# Scripts of a folder find each other however they are started.
sys.path.insert(0, str(Path(__file__).parent))
from commands import (
    begin,
    export,
    images_in,
    medcyclegan,
    new_folder,
    options,
    result_name,
    train,
)


def main() -> None:
    """Simulate, train, export both directions, translate what was held back, and score it."""
    way = begin(options(__doc__ or "", subjects=24), "mr-ct")
    run = train(way, "mr_ct")
    to_ct = export(way, run, "mr_ct_model")
    to_mr = export(way, run, "ct_mr_model", "--direction", "b-to-a")

    sct, smr = new_folder(way, "sct"), new_folder(way, "smr")
    for mr in images_in(way.test_a):
        target = sct / result_name(mr)
        medcyclegan("synth-ct", "--mri", mr, "--model", to_ct, "--out", target, "--overwrite")
    for ct in images_in(way.test_b):
        target = smr / result_name(ct)
        medcyclegan("translate", "--input", ct, "--model", to_mr, "--out", target, "--overwrite")
    if way.paired:
        study = way.out / "study"
        references = ("--ref", way.test_b, "--mr", way.test_a)
        medcyclegan("evaluate", "--pred", sct, *references, "--out", study, "--overwrite")


if __name__ == "__main__":
    main()
