"""Low-dose CT to the look of full dose, in HU: unpaired, with scores beside those of the input.

    python pipelines/ct_denoise.py --out ct_denoise/ --subjects 24
    python pipelines/ct_denoise.py --out ct_denoise/ --data-a low/ --data-b full/ --test-a test_low/

docs/ct-denoise.md tells the same, command by command.
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
    """Simulate, train, export, denoise what was held back, and score it beside its input."""
    way = begin(options(__doc__ or "", subjects=24), "ct-denoise")
    model = export(way, train(way, "ct_denoise"), "denoiser")

    denoised = new_folder(way, "denoised")
    for ct in images_in(way.test_a):
        target = denoised / result_name(ct)
        medcyclegan("denoise-ct", "--ct", ct, "--model", model, "--out", target, "--overwrite")
    if way.paired:
        methods = ("--pred", f"low-dose={way.test_a}", "--pred", f"denoised={denoised}")
        study = way.out / "study"
        medcyclegan("evaluate", *methods, "--ref", way.test_b, "--out", study, "--overwrite")


if __name__ == "__main__":
    main()
