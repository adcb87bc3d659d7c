"""Train a shipped configuration on prepared heads for some minutes, on a machine without scans.

    python -m benchmarks.gpu.train --heads HEADS --config head_mr_ct --minutes 10 --workers 15 \
        --run /tmp/run --out OUT batch_size=16 late.batch_size=6

Needs torch, numpy, scipy, scikit-image, matplotlib, pillow, PyYAML, rich and safetensors, and, of
wheels that lie beside it, monai, nibabel, pydicom, pydantic and tensorboardX, with the folder of
this checkout as PYTHONPATH. SimpleITK, gdcm and dask are not imported. HEADS holds
``head_01.npz`` and so on, which are made where the label maps are by

    medcyclegan train head_mr_ct --labels LABELMAPS --heads 12 --prepared HEADS --check

``--resume OUT/NAME`` goes on from what an earlier call left there. To OUT go, again and again and
at the end: ``NAME.model.tar.000`` and so on (model folder, tables of losses and scores, last panel)
and, unless ``--no-state``, ``NAME.state.tar.000`` and so on, from which a training is resumed.
``cat NAME.model.tar.* | tar x`` puts the parts, of at most 15 MiB, together. Several calls may
share a card.
"""

from __future__ import annotations

import argparse
import io
import json
import logging
import shutil
import tarfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from medcyclegan import __version__
from medcyclegan.training.checkpoint import LAST
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import (
    SimulatedData,
    SimulatedSlabs,
    held_back_cases,
    load_prepared,
)
from medcyclegan.training.data.types import SimulatedSource, TrainingData
from medcyclegan.training.export import export_run
from medcyclegan.training.loop import Job, Progress, Watcher, train
from medcyclegan.training.parallel import Crew
from medcyclegan.training.run import machine_of
from medcyclegan.training.run_folder import RunFolder, start_run
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config
from medcyclegan.training.validation import Validation

PART_BYTES = 15 * 2**20


class Report(Watcher):
    """Prints pace and scores, and packs what there is every ``keep_minutes``."""

    def __init__(self, job: Job, out: Path, *, keep_minutes: float, state: bool) -> None:
        self.job, self.out, self.state = job, out, state
        self.keep_s = 60.0 * keep_minutes
        self.started = self.printed = self.kept = time.monotonic()
        self.items, self.waited_s, self.first_items = 0, 0.0, -1
        self.card = CardLoad(job.device)

    def step(self, progress: Progress) -> None:
        """Print a line every 15 s."""
        now = time.monotonic()
        if self.first_items < 0:  # the first batch waits for all workers to start
            self.items = self.first_items = progress.items
            self.waited_s, self.printed = progress.waited_s, now
            print(f"first step after {now - self.started:.1f} s", flush=True)
        if now - self.printed >= 15.0 or progress.share >= 1.0:
            seconds = max(1e-9, now - self.printed)
            pace = (progress.items - self.items) / seconds
            waited = (progress.waited_s - self.waited_s) / seconds
            losses = "  ".join(f"{name} {value:.4f}" for name, value in progress.losses.items())
            print(
                f"{progress.share:5.1%}  step {progress.step}  {pace:.1f} items/s  "
                f"waited for data {waited:.0%}  GPU {self.card.share()}  {losses}",
                flush=True,
            )
            self.items, self.waited_s, self.printed = progress.items, progress.waited_s, now
        if now - self.kept >= self.keep_s:
            self.keep()

    def validated(self, step: int, results: Sequence[Validation]) -> None:
        """Print the scores."""
        for r in results:
            print(
                f"step {step}: held-back MAE {r.mae:.2f} {r.unit}, bone Dice {r.bone_dice:.4f}, "
                f"SSIM {r.ssim:.4f}",
                flush=True,
            )

    def keep(self) -> None:
        """Pack the last checkpoint, and the model that it holds."""
        self.kept = time.monotonic()
        if (self.job.folder.checkpoints / LAST).exists():
            pack(self.job, self.out, state=self.state)


class CardLoad:
    """Which share of the time the card has computed, asked for in the background."""

    def __init__(self, device: torch.device) -> None:
        self._shares: list[int] = []
        if device.type == "cuda":
            threading.Thread(target=self._ask, daemon=True).start()

    def share(self) -> str:
        """The mean since the last call, as text."""
        shares, self._shares = self._shares, []
        return f"{sum(shares) / len(shares):.0f} %" if shares else "not measured"

    def _ask(self) -> None:
        while True:
            try:
                self._shares.append(torch.cuda.utilization())
            except (ModuleNotFoundError, RuntimeError) as error:  # without NVML
                print(f"the load of the card cannot be asked for: {error}", flush=True)
                return
            time.sleep(0.5)


def pack(job: Job, out: Path, *, state: bool) -> None:
    """Write the model and the state of the newest checkpoint to ``out``."""
    root, name = job.folder.root, job.config.name
    model = root / "model"
    shutil.rmtree(model, ignore_errors=True)
    export_run(job.folder, model, direction="a-to-b", version=__version__)
    tables = [path for path in (job.folder.metrics, job.folder.validation) if path.exists()]
    panels = sorted(job.folder.panels.glob("*.png"))[-1:]
    write_tar(out / f"{name}.model.tar", [model, *tables, *panels], root)
    if state:
        kept = [job.folder.config, job.folder.about, *tables, job.folder.checkpoints / LAST]
        write_tar(out / f"{name}.state.tar", kept, root)


def write_tar(path: Path, members: Sequence[Path], root: Path) -> None:
    """Write an archive in numbered parts of at most ``PART_BYTES``."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for member in members:
            archive.add(member, member.relative_to(root))
    view = content.getbuffer()
    parts = [view[at : at + PART_BYTES] for at in range(0, len(view), PART_BYTES)]
    for number, part in enumerate(parts):
        name = Path(f"{path}.{number:03d}")
        temporary = name.with_name(f".{name.name}.part")
        temporary.write_bytes(part)
        temporary.rename(name)


def unpack(prefix: Path, run: Path) -> None:
    """Put together what ``write_tar`` split, and unpack it into a run folder."""
    parts = sorted(prefix.parent.glob(f"{prefix.name}.state.tar.*"))
    if not parts:
        raise SystemExit(f"{prefix}.state.tar.000 is not there")
    with tarfile.open(fileobj=io.BytesIO(b"".join(part.read_bytes() for part in parts))) as archive:
        archive.extractall(run, filter="data")


def open_heads(
    folder: Path, config: TrainConfig, *, heads: int, held_back: Sequence[int]
) -> TrainingData:
    """The first ``heads`` to train on, and some others to validate with."""
    data = config.data
    if not isinstance(data, SimulatedData) or data.source == "low_dose_ct":
        raise SystemExit(f"{config.name} is not trained on slabs of heads")
    trained = load_prepared(folder, range(1, heads + 1))
    others = load_prepared(folder, held_back)
    size_px = config.late.size_px if config.late else data.size_px
    cases = held_back_cases(others, data, seed=config.seed, size_px=size_px)
    source = SimulatedSource(folder, heads, len(others))
    return TrainingData(SimulatedSlabs(trained, data, seed=config.seed), cases, source)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="as batch_size=16")
    parser.add_argument("--heads", type=Path, required=True, help="folder of prepared heads")
    parser.add_argument("--count", type=int, default=12, help="how many of them to train on")
    parser.add_argument("--held-back", type=int, nargs="*", default=[13, 14], help="validate")
    parser.add_argument("--config", default="head_mr_ct", help="name or file of a configuration")
    parser.add_argument("--minutes", type=float, required=True, help="in all, with a resumed part")
    parser.add_argument("--workers", type=int, default=15, help="processes that simulate")
    parser.add_argument("--run", type=Path, required=True, help="run folder, on a local disk")
    parser.add_argument("--out", type=Path, required=True, help="what is to be brought home")
    parser.add_argument("--resume", type=Path, help="OUT/NAME of an earlier call")
    parser.add_argument("--keep-minutes", type=float, default=2.0, help="between two packings")
    parser.add_argument("--no-state", action="store_true", help="pack the model alone")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args()


def main() -> None:
    """Parse the arguments, train, pack."""
    given = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    started = time.monotonic()
    changes = [f"minutes={given.minutes}", f"workers={given.workers}", *given.changes]
    config = read_settings(find_config(given.config), TrainConfig, changes=changes)
    folder, device, crew = RunFolder(given.run), torch.device(given.device), Crew()
    given.out.mkdir(parents=True, exist_ok=True)
    if given.resume is not None:
        unpack(given.resume, given.run)
        folder.panels.mkdir(exist_ok=True)
    data = open_heads(given.heads, config, heads=given.count, held_back=given.held_back)
    if given.resume is None:
        facts = {
            "config": config.name,
            "medcyclegan": __version__,
            "machine": machine_of(device, config, crew),
            "source": {"folder": str(given.heads), "heads": given.count},
            "data": {"labels": {"folder": given.heads.name, "heads": given.count,
                                "validation_heads": len(given.held_back)}},
        }  # fmt: skip
        start_run(folder, config, facts)
    print(
        f"{machine_of(device, config, crew)}; ready after {time.monotonic() - started:.1f} s",
        flush=True,
    )
    job = Job(config, data, folder, device, crew)
    report = Report(job, given.out, keep_minutes=given.keep_minutes, state=not given.no_state)
    state = train(job, resume=given.resume is not None, watcher=report)
    seconds = time.monotonic() - report.started
    report.keep()
    cuda = device.type == "cuda"
    figures = {
        "steps": state.step,
        "items": state.items,
        "seconds": round(seconds, 1),
        "items_a_second": round(state.items / state.seconds, 1),
        "best_error": state.best,
        "peak_memory_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
