"""Two processes of torchrun land where one does, share out the items, and one of them writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from medcyclegan.errors import UsageError
from medcyclegan.training.batches import items_a_step, items_of_step, refuse_uneven_shares
from medcyclegan.training.checkpoint import LAST, read_checkpoint
from medcyclegan.training.parallel import Crew
from tests.training.simulated_training import simulated_config
from tests.training.tiny_training import (
    fresh,
    numbers_of,
    parallel_config,
    run_tiny,
    tiny_config,
    tiny_job,
)

ROOT = Path(__file__).parents[2]


def apart(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """The distance between the generators of two runs."""
    names = [name for name in one if "to" in name and name.startswith(("networks", "averages"))]
    return float(sum((one[name] - other[name]).square().sum() for name in names) ** 0.5)


@pytest.mark.parametrize("engine", ["contrastive", "cyclegan", "supervised"])
def test_two_processes_land_where_one_does(engine: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
         "-m", "tests.training.parallel_child", tmp_path, engine],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    numbers = [torch.load(tmp_path / f"numbers_{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert apart(numbers[0], numbers[1]) == 0.0  # the processes stay together
    config = parallel_config(engine)
    alone = numbers_of(run_tiny(tiny_job(tmp_path / "alone", config)))
    way = apart(numbers_of(fresh(config)), alone)
    assert apart(numbers[0], alone) < 0.05 * way
    # The control: one process with the share of one of two goes elsewhere.
    half = config.model_copy(update={"batch_size": 2})
    assert apart(numbers_of(run_tiny(tiny_job(tmp_path / "half", half))), alone) > 0.2 * way

    items = [json.loads((tmp_path / f"items_{rank}.json").read_text()) for rank in (0, 1)]
    assert not set(items[0]) & set(items[1])
    assert sorted(items[0] + items[1]) == list(range(3 * 4))
    assert not (tmp_path / "run_1").exists()
    content = read_checkpoint(tmp_path / "run_0" / "checkpoints" / LAST)
    assert len(content["members"]) == 2


@pytest.mark.parametrize(("size", "accumulate"), [(1, 1), (2, 1), (1, 3), (2, 3), (3, 2)])
def test_every_item_is_taken_once(size: int, accumulate: int) -> None:
    config = tiny_config(batch_size=12, accumulate=accumulate)
    taken = []
    for step in range(5):
        for rank in range(size):
            parts = items_of_step(12 * step, config, Crew(rank, size))
            assert [len(part) for part in parts] == [12 // size // accumulate] * accumulate
            taken += [item for part in parts for item in part]
        assert sorted(taken) == list(range(12 * (step + 1)))


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    refuse_uneven_shares(tiny_config(batch_size=4, accumulate=2), Crew(0, 2))
    with pytest.raises(UsageError, match=r"batch_size 4 with 3 processes.* a multiple"):
        refuse_uneven_shares(tiny_config(batch_size=4), Crew(0, 3))


LATE = {"from_share": 0.5, "size_px": 48, "batch_size": 2}


def test_late_steps_take_other_sizes_and_leave_no_item_out() -> None:
    config = simulated_config(batch_size=4, late=LATE)
    parts = items_of_step(8, config, Crew(1, 2), late=True)
    assert parts == [[(9, 48)]]
    assert items_of_step(8, config, Crew(1, 2)) == [[9, 11]]
    assert [items_a_step(config, late=late) for late in (False, True)] == [4, 2]
    with pytest.raises(UsageError, match="batch_size 2 with 4 processes"):
        refuse_uneven_shares(config, Crew(0, 4))
