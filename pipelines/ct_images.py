"""Pictures of any kind to pictures of CT slices: from unpaired folders to translated pictures.

    python pipelines/ct_images.py --out ct_images/ --subjects 24
    python pipelines/ct_images.py --out ct_images/ --data-a trainA/ --data-b trainB/ --test-a testA/

docs/ct-images.md tells the same, command by command.
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
from scores import Score, matched, picture, save_scores, score


def main() -> None:
    """Simulate, train, export, translate what was held back; of pairs, score it."""
    way = begin(options(__doc__ or "", subjects=24), "ct-images")
    model = export(way, train(way, "ct_images"), "look_model")

    made = new_folder(way, "made")
    style = [picture(path) for path in images_in(way.b)] if way.paired else []
    scores: list[Score] = []
    for image in images_in(way.test_a):
        target = made / result_name(image)
        medcyclegan("translate", "--input", image, "--model", model, "--out", target, "--overwrite")
        if way.paired and way.test_b:
            truth = picture(partner(image, way.test_b))
            scores.append(score(image.name, "model", picture(target), truth))
            scores.append(score(image.name, "histogram", matched(picture(image), style), truth))
    save_scores(scores, to=way.out / "scores.csv")


if __name__ == "__main__":
    main()
