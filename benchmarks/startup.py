"""What a start costs: a mistyped path on the command line, and a second scan in one process.

    python -m benchmarks.startup --mri head_t1.nii.gz [--model head-mr-ct] [--repeats 3]

Times are seconds of the processor, which other programs on the computer change less than those of
the clock; the median of the repeats is printed. The first scan of a process pays for the imports
and the model, a later one for itself alone.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
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


def main() -> None:
    """Parse the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mri", type=Path, required=True)
    parser.add_argument("--model", default="head-mr-ct")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    refusals(arguments.repeats)
    scans(arguments.mri, arguments.model, arguments.repeats)


if __name__ == "__main__":
    main()
