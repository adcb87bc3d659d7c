"""What a start costs: a mistyped path, the steps of one conversion, and a second scan in a process.

    python -m benchmarks.startup [--only steps] [--mri HEAD] [--model head-mr-ct] [--repeats 3]

Times are seconds of the processor, which other programs on the computer change less than those of
the clock; the median of the repeats is printed. The first scan of a process pays for the imports
and the model, a later one for itself alone. Without ``--mri`` the scan is a phantom, a DICOM series
of 176 slices of 220 x 220. The steps are told by the clock, too, and the whole beside what
``import torch, monai.transforms`` takes in the same run; the load of the computer is printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MISTYPED = {
    "synth-ct": ("--mri", "no.nii.gz"),
    "translate": ("--model", "head-t1-t2", "--input", "no.nii.gz"),
    "denoise-ct": ("--ct", "no.nii.gz"),
    "enhance-xray": ("--image", "no.png", "--method", "clahe"),
    "batch": ("no", "--out", "out"),
    "evaluate": ("--pred", "no", "--ref", "no", "--out", "out"),
    "train": ("mr_ct", "--data-a", "no", "--data-b", "no"),
    "derive": ("no.nii.gz", "--to", "density"),
    "export": ("no", "--out", "out"),
    "export-onnx": ("no", "--out", "out.onnx"),
    "export-bundle": ("no", "--out", "out"),
    "calibrate": ("no", "--images", "no"),
}


def of_children(command: tuple[str, ...]) -> float:
    """Processor seconds of a command, which must be one that is refused."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if subprocess.run(command, capture_output=True, check=False).returncode in (0, 1):
        raise SystemExit(f"{' '.join(command)} was not refused")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def refusals(repeats: int) -> None:
    """Print what it takes to refuse a mistyped path, by command."""
    print("| command | processor seconds |\n| --- | --- |")
    for name, arguments in MISTYPED.items():
        command = (sys.executable, "-m", "medcyclegan", name, *arguments)
        taken = statistics.median(of_children(command) for _ in range(repeats))
        print(f"| `{name}` | {taken:.2f} |", flush=True)


def scans(mri: Path, model: str, repeats: int) -> None:
    """Print what the first and a later scan of one process take, imports and model included."""
    started = time.process_time()
    from medcyclegan import load_model, read_scan, synthesize

    opened = load_model(model)
    start_s = time.process_time() - started
    each = []
    for _ in range(1 + repeats):
        begun = time.process_time()
        synthesize(read_scan(mri), opened)
        each.append(time.process_time() - begun)
    first, later = start_s + each[0], statistics.median(each[1:])
    print(f"imports and model {start_s:.2f} s, scan {each[0]:.2f} s: first {first:.2f} s")
    print(f"later {later:.2f} s, {later / first:.2f} of the first")


SIZE = ("220", "220", "176")
# Runs the command line with the processor's time in place of the clock's, if asked for.
_BY_CLOCK = """
import sys, time
if sys.argv.pop(1) == "processor":
    time.perf_counter = time.process_time
from medcyclegan.cli.main import main
main()
"""


def made_series(folder: Path) -> Path:
    """Make the phantom as a DICOM series."""
    command = ("phantom", "--size", *SIZE, "--dicom", "--out", str(folder), "-q")
    subprocess.run((sys.executable, "-m", "medcyclegan", *command), check=True)
    return folder / "mr_t1_dicom"


def seconds_of(mri: Path, model: str, clock: str) -> dict[str, float]:
    """Seconds by step, and of the whole, of one conversion in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sct"
        options = ("--mri", str(mri), "--model", model, "--out", str(out), "--format", "dicom")
        done = subprocess.run(
            (sys.executable, "-c", _BY_CLOCK, clock, "synth-ct", *options, "--report", "--json"),
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode not in (0, 9):  # a phantom need not be like what the model knows
        raise SystemExit(done.stderr)
    told = json.loads(done.stdout)
    return {**told["seconds_by_step"], "whole": told["seconds"]}


def imports_s(clock: str) -> float:
    """Seconds that torch and MONAI's transforms take to import, in a process of its own."""
    timer = "time.process_time" if clock == "processor" else "time.perf_counter"
    code = f"import time; t = {timer}(); import torch, monai.transforms; print({timer}() - t)"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True)
    return float(done.stdout)


def steps(mri: Path, model: str, repeats: int) -> None:
    """Print what each step of a conversion takes, and its ratio to the imports alone."""
    found: dict[str, list[dict[str, float]]] = {"processor": [], "clock": []}
    for _ in range(repeats):
        for clock, runs in found.items():
            runs.append({**seconds_of(mri, model, clock), "imports alone": imports_s(clock)})
    print("load", *(f"{load:.1f}" for load in os.getloadavg()))
    print("| step | processor s | clock s | share |\n| --- | --- | --- | --- |")
    medians = {
        clock: {step: statistics.median(run[step] for run in runs) for step in runs[0]}
        for clock, runs in found.items()
    }
    for step, processor_s in medians["processor"].items():
        share = processor_s / medians["processor"]["whole"]
        print(f"| {step} | {processor_s:.2f} | {medians['clock'][step]:.2f} | {share:.0%} |")
    ratios = (times["whole"] / times["imports alone"] for times in medians.values())
    print("whole to imports alone: {:.2f} of the processor, {:.2f} by the clock".format(*ratios))


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("refusals", "steps", "scans"))
    parser.add_argument("--mri", type=Path)
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    only, repeats = arguments.only, arguments.repeats
    if only in (None, "refusals"):
        refusals(repeats)
    if only == "refusals":
        return
    with tempfile.TemporaryDirectory() as folder:
        mri = arguments.mri or made_series(Path(folder) / "phantom")
        if only in (None, "steps"):
            steps(mri, arguments.model, repeats)
        if only in (None, "scans"):
            scans(mri, arguments.model, repeats)


if __name__ == "__main__":
    main()
