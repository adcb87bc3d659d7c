"""A tiny training as one of the processes of ``torchrun``; run by ``test_parallel``.

    torchrun --nproc-per-node 2 -m tests.training.parallel_child FOLDER ENGINE

Each process notes the items that it loaded in ``items_<rank>.json``, and saves its weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from medcyclegan.training.data.types import Sample
from medcyclegan.training.loop import Job, Watcher, train
from medcyclegan.training.parallel import joined_crew
from medcyclegan.training.run_folder import RunFolder, start_run
from tests.training.tiny_training import (
    Shapes,
    TrainingData,
    numbers_of,
    parallel_config,
    tiny_data,
)


class Noting(Shapes):
    """Shapes that note which items were asked for."""

    def __init__(self) -> None:
        super().__init__(pair_every=4)
        self.items: list[int] = []

    def __getitem__(self, index: int) -> Sample:
        self.items.append(index)
        return super().__getitem__(index)


def main() -> None:
    torch.set_num_threads(1)
    folder, data, slabs = Path(sys.argv[1]), tiny_data(), Noting()
    with joined_crew() as crew:
        run = RunFolder(folder / f"run_{crew.rank}")
        job = Job(
            parallel_config(sys.argv[2]),
            TrainingData(slabs, data.validation, data.summary),
            run,
            torch.device("cpu"),
            crew,
        )
        if crew.leads:
            start_run(run, job.config, {})
        state = train(job, resume=False, watcher=Watcher())
        (folder / f"items_{crew.rank}.json").write_text(json.dumps(slabs.items))
        torch.save(numbers_of(state), folder / f"numbers_{crew.rank}.pt")


if __name__ == "__main__":
    main()
