"""Train a generator on simulated pairs: L1, L2 and level loss, Muon, EMA, exact resume."""

from __future__ import annotations

import csv
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset, Sampler

from medcyclegan.networks.factory import make_generator
from medcyclegan.networks.layers import LevelHead
from medcyclegan.networks.shuffle_unet import ShuffleUNet
from medcyclegan.training.losses import l1_loss, l2_loss, level_loss
from medcyclegan.training.muon import ConvMuon
from medcyclegan.training.pairs_config import PairsConfig

log = logging.getLogger(__name__)

LOG_EVERY = 25  # steps; a row of the log holds their mean losses


class PairsRun:
    """The state of one run: generator, its moving average, optimiser and step."""

    def __init__(self, config: PairsConfig) -> None:
        torch.manual_seed(config.seed)
        self.config = config
        self.step = 0
        generator = make_generator(config.generator, depth=config.task.depth)
        assert isinstance(generator, ShuffleUNet)  # the settings have seen to it
        self.generator: ShuffleUNet = generator.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema = AveragedModel(
            self.generator, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay)
        )
        ends = (self.generator.stem, self.generator.head)
        self.optimiser = ConvMuon(self.generator, rate=config.learning_rate, ends=ends)

    def update(self, source: Tensor, target: Tensor) -> tuple[float, float]:
        """One step on (N, depth, P, P) normalised slabs; returns L1 and the weighted sum."""
        config, head = self.config, self.generator.head
        with torch.autocast("cpu", torch.bfloat16):
            features = self.generator.features(source)
        if isinstance(head, LevelHead):
            logits = head.logits(features)
            fake = head.mean(logits)
            loss = config.level_weight * level_loss(logits, target, head.levels)
        else:
            fake = self.generator.values(features, source)
            loss = source.new_zeros(())
        l1 = l1_loss(fake, target)
        loss = loss + l1 + config.l2_weight * l2_loss(fake, target)
        self.generator.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.generator.parameters(), 1.0)
        self.optimiser.step(config.rate_at(self.step))
        self.ema.update_parameters(self.generator)
        self.step += 1
        return float(l1.detach()), float(loss.detach())

    def averaged_weights(self) -> dict[str, Tensor]:
        """The moving average of the generator's weights, which is what is exported."""
        return {name: value.detach() for name, value in self.ema.module.state_dict().items()}

    def save(self, path: Path) -> None:
        """Write a checkpoint under a temporary name, then rename it."""
        state = {
            "step": self.step,
            "generator": self.generator.state_dict(),
            "ema": self.ema.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        temporary = path.with_name(f".{path.name}.part")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def load(self, path: Path) -> None:
        """Take up a checkpoint of a run with the same generator."""
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.step = int(state["step"])
        self.generator.load_state_dict(state["generator"])
        self.ema.load_state_dict(state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])


def train_on_pairs(run: PairsRun, data: Dataset[tuple[Tensor, Tensor]], folder: Path) -> None:
    """Go on from ``run.step`` to the last step; log to ``losses.csv``, save ``last.pt``.

    ``data`` gives slabs as ``SimulatedPairs`` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = run.config
    loader = DataLoader(
        data,
        batch_size=config.items_a_step,
        sampler=_Range(run.step * config.items_a_step, config.steps * config.items_a_step),
        num_workers=config.workers,
    )
    _drop_rows_after(folder / "losses.csv", run.step)
    started, window = time.monotonic(), []
    for pair in loader:
        slabs = [t.flatten(0, 1).contiguous(memory_format=torch.channels_last) for t in pair]
        window.append(run.update(slabs[0], slabs[1]))
        if run.step % LOG_EVERY == 0 or run.step == config.steps:
            _log_losses(folder / "losses.csv", run.step, time.monotonic() - started, window)
            window.clear()
        if run.step % config.checkpoint_every == 0 or run.step == config.steps:
            run.save(folder / "last.pt")


class _Range(Sampler[int]):
    """Indices from ``first`` up to ``last``: item n is always the n-th of the run."""

    def __init__(self, first: int, last: int) -> None:
        self.indices = range(first, last)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


def _drop_rows_after(path: Path, step: int) -> None:
    """Take back what a stopped run logged after its last checkpoint; it is done again."""
    if not path.exists():
        return
    header, *rows = path.read_text().splitlines(keepends=True)
    kept = [row for row in rows if int(row.split(",", 1)[0]) <= step]
    path.write_text("".join([header, *kept]))


def _log_losses(
    path: Path, step: int, seconds: float, window: Sequence[tuple[float, float]]
) -> None:
    l1 = sum(losses[0] for losses in window) / len(window)
    total = sum(losses[1] for losses in window) / len(window)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(("step", "seconds", "l1", "loss"))
        writer.writerow((step, round(seconds, 1), round(l1, 5), round(total, 5)))
    log.info("step %d  l1 %.4f  loss %.4f", step, l1, total)
