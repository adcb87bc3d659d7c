"""Train in processes that kill themselves at given moments; run by ``test_resume``.

    python -m tests.training.killed_child RUN ENGINE MOMENT...

A MOMENT is the number of a step, after which the process dies, or ``saving``: in the middle of
writing the next checkpoint. Each but the first goes on from where the one before was killed.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from medcyclegan.training import checkpoint
from medcyclegan.training.loop import train
from medcyclegan.training.run_folder import start_run
from tests.training.tiny_training import Calling, tiny_config, tiny_job


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_half_way(content: Any, path: Path) -> None:
    path.write_bytes(b"half of a checkpoint")
    die()


def train_until(folder: Path, engine: str, moment: str, *, resume: bool) -> None:
    """Train in this process until it is killed."""
    if moment == "saving":
        checkpoint.torch.save = die_half_way
    job = tiny_job(folder, tiny_config(engine=engine))
    if not resume:
        start_run(job.folder, job.config, {})
    watcher = Calling(lambda step: die() if str(step) == moment else None)
    train(job, resume=resume, watcher=watcher)


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    engine = sys.argv[2]
    for number, moment in enumerate(sys.argv[3:]):
        child = os.fork()
        if child == 0:
            train_until(folder, engine, moment, resume=number > 0)
            os._exit(0)  # not killed: the parent complains
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"{moment}: not killed, status {status}"
        assert os.WTERMSIG(status) == signal.SIGKILL


if __name__ == "__main__":
    main()
