"""Kill commands at random moments, look at what is left, run them again, and compare.

    python -m benchmarks.kill_conversions --work DIR [--kills 50] [--seed 1]
    python -m benchmarks.kill_conversions --work DIR --kills 10 -- COMMAND ... {out} ...

Without a COMMAND it takes turns with four: the writing of a DICOM series, the same over an older
series, a conversion to NIfTI by the command line, and a conversion to DICOM with a clock that
stands still. ``{out}`` stands for a new folder in which the COMMAND makes its output, whatever it
consists of. Half of the kills come at any moment of the run, half once something is being written.

After each kill, every visible entry of the folder must be absent, or as a whole what it was before,
or what an unbroken run makes of it. Then the COMMAND runs again. In the end the folder must hold
what the unbroken run made, to the byte, and nothing else: no leftovers.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from pathlib import Path

from benchmarks.killing import Kill, Victim, kill_once, run_unbroken


def make_inputs(work: Path) -> None:
    """Make an MR series and its NIfTI twin from the phantom, and a model with fresh weights."""
    import torch

    from medcyclegan.models.store import read_card, save_model, shipped_models
    from medcyclegan.networks.factory import GeneratorConfig, make_generator

    torch.manual_seed(1)
    card = read_card(shipped_models()["head-mr-ct"])
    task = card.task.model_copy(update={"spacing_mm": 5.0, "thick_slice_mm": 8.0})
    tiny = GeneratorConfig(widths=(4, 4))
    # fresh weights know nothing, so nothing is to be judged by what head-mr-ct knows
    unknown = {"reference_ranges": None, "reverse": None, "uncertainty": None}
    card = card.model_copy(update={"name": "tiny", "task": task, "generator": tiny, **unknown})
    weights = make_generator(tiny, depth=task.depth).state_dict()
    save_model(work / "tiny", card=card, weights=weights)
    phantom = ("phantom", "--spacing", "5", "5", "4", "--dicom", "--out", str(work / "phantom"))
    subprocess.run([sys.executable, "-m", "medcyclegan", *phantom, "--quiet"], check=True)


def default_victims(work: Path) -> list[Victim]:
    """The four that the module's text names, on the inputs of ``make_inputs``."""
    nifti, series = work / "phantom" / "mr_t1.nii.gz", work / "phantom" / "mr_t1_dicom"
    model = ("--model", str(work / "tiny"))
    ours = (sys.executable, "-m", "benchmarks.repeatable")
    write = (*ours, "write", "--mri", str(series), "--out", "{out}/sct")
    synth = (sys.executable, "-m", "medcyclegan", "synth-ct", "--device", "cpu", *model)
    return [
        Victim("write a series", write),
        Victim("write over a series", (*write, "--overwrite"), (*write, "--label", "older")),
        Victim("convert to NIfTI", (*synth, "--mri", str(nifti), "--out", "{out}/sct.nii.gz")),
        Victim("convert to DICOM", (*ours, "convert", *write[4:], *model)),
    ]


def run_kills(victims: list[Victim], work: Path, *, kills: int, seed: int) -> list[Kill]:
    """Kill the victims in turns."""
    chance = random.Random(seed)
    unbroken = [run_unbroken(victim, work / "runs") for victim in victims]
    done = []
    for number in range(kills):
        turn = number % len(victims)
        out = work / "runs" / f"kill_{number}"
        done.append(kill_once(victims[turn], unbroken[turn], out, chance))
        print(f"{number + 1:3} {done[-1]}", file=sys.stderr, flush=True)
    return done


def table(kills: list[Kill]) -> str:
    """The results as a table, a row for each victim."""
    rows = ["| what was killed | kills | while it ran | left a temporary | damaged or unlike |"]
    rows.append("| --- | --- | --- | --- | --- |")
    for name in dict.fromkeys(kill.victim for kill in kills):
        ours = [kill for kill in kills if kill.victim == name]
        counts = (
            len(ours),
            sum(kill.hit for kill in ours),
            sum(kill.leftovers > 0 for kill in ours),
            sum(bool(kill.faults) for kill in ours),
        )
        rows.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join(rows)


def main() -> None:
    """Parse the arguments, kill, print the table; returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder to make")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    work = arguments.work.absolute()
    work.mkdir(parents=True)
    if arguments.command:
        victims = [Victim("command", tuple(arguments.command))]
    else:
        make_inputs(work)
        victims = default_victims(work)
    kills = run_kills(victims, work, kills=arguments.kills, seed=arguments.seed)
    print(table(kills))
    for kill in kills:
        for fault in kill.faults:
            print(f"{kill.victim}, after {kill.seconds:.3f} s: {fault}")
    sys.exit(any(kill.faults for kill in kills))


if __name__ == "__main__":
    main()
