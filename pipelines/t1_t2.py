"""T1 and T2 weighted MR, both ways: from unpaired volumes or pictures to images that are scored.

    python pipelines/t1_t2.py --out t1_t2/ --subjects 24
    python pipelines/t1_t2.py --out t1_t2/ --data-a TrainT1/ --data-b TrainT2/ --test-a TestT1/

docs/t1-t2.md tells the same, command by command.
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
    partner,
    result_name,
    train,
)
from scores import Score, magnetic, matched, picture, save_scores, score


def main() -> None:
    """Simulate, train, export both directions, translate what was held back, and score it."""
    way = begin(options(__doc__ or "", subjects=24), "t1-t2")
    run = train(way, "t1_t2")
    to_t2 = export(way, run, "t1_t2_model")
    to_t1 = export(way, run, "t2_t1_model", "--direction", "b-to-a")
    scores: list[Score] = []
    for name, model, sources, truths, training in (
        ("t2", to_t2, way.test_a, way.test_b, way.b),
        ("t1", to_t1, way.test_b, way.test_a, way.a),
    ):
        made = new_folder(way, name)
        style = [magnetic(path) for path in images_in(training)] if way.paired else []
        for mr in images_in(sources):
            out = made / result_name(mr)
            medcyclegan("translate", "--input", mr, "--model", model, "--out", out, "--overwrite")
            if way.paired and truths:
                truth, case = magnetic(partner(mr, truths)), f"{name}/{mr.name}"
                scores.append(score(case, "model", picture(out), truth))
                scores.append(score(case, "histogram", matched(magnetic(mr), style), truth))
    save_scores(scores, to=way.out / "scores.csv")


if __name__ == "__main__":
    main()
