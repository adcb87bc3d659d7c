"""Radiographs towards the look of CT slices, after classical enhancement, unpaired.

    python pipelines/xray_ct.py --out xray_ct/ --subjects 40
    python pipelines/xray_ct.py --out xray_ct/ --data-a radiographs/ --data-b slices/ --test-a test/

A slice is no truth for a projection, so there is nothing to score; look at the contact sheet.
docs/xray.md tells the same, command by command.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

# Scripts of a folder find each other however they are started.
sys.path.insert(0, str(Path(__file__).parent))
from commands import begin, export, medcyclegan, options, train

METHODS = ("--method", "denoise-nlm", "--method", "clahe")


def main() -> None:
    """Simulate, enhance, train on what was enhanced, export, and translate what was held back."""
    way = begin(options(__doc__ or "", subjects=40), "xray-ct")
    enhanced = way.out / "enhanced"
    medcyclegan("enhance-xray", "--image", way.a, *METHODS, "--out", enhanced, "--overwrite")
    # Those held back are enhanced by the last command; a validation would see them plain.
    run = train(replace(way, a=enhanced, test_b=None), "xray_ct")
    model = export(way, run, "look_model")
    if way.test_a:
        last = ("--model", model, "--contact-sheet", "--overwrite")
        made = way.out / "made"
        medcyclegan("enhance-xray", "--image", way.test_a, *METHODS, "--out", made, *last)


if __name__ == "__main__":
    main()
