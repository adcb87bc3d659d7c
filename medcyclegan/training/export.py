"""From a run to a model folder, with a card that says what was really trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from medcyclegan.bounded_text import parse_json
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.io.targets import refusals_of
from medcyclegan.models.card import Card, DataSource, Score, Training
from medcyclegan.models.store import save_model
from medcyclegan.training.checkpoint import BEST, newest_checkpoint, read_checkpoint
from medcyclegan.training.config import LossWeights, TrainConfig
from medcyclegan.training.cyclegan import Direction, source_of
from medcyclegan.training.run_folder import RunFolder, last_validation, read_run
from medcyclegan.training.settings import checked

LIMITS = (
    "Not checked by anyone but whoever trained it: look at the scores and what they are on.",
    "Images unlike those it was trained on (other scanners, other parts of the body, implants) may "
    "be translated into something that looks right and is wrong.",
)


def export_run(
    folder: RunFolder, out: Path, *, direction: Direction, best: bool, version: str, simulated: bool
) -> Card:
    """Write the averaged generator of one direction as a model folder; returns its card.

    ``best`` takes the weights with the lowest error in validation in place of the last ones.
    ``simulated`` says on the card that the data were simulated.

    Raises
    ------
    UsageError
        If there is no run, or it did not train this direction.
    CannotWrite
        If ``out`` exists.
    InputRefused
        If the checkpoint is damaged.
    """
    _, about = read_run(folder)
    if out.exists():
        raise CannotWrite(
            f"{out} exists already", rule="a model is not replaced", remedy="name another --out"
        )
    content = _best(folder) if best else newest_checkpoint(folder.checkpoints)
    where = f"the checkpoint of {folder.root}"
    config = checked(parse_json(content["config"]), TrainConfig, where=where)
    if direction not in content["averages"]:
        raise UsageError(
            f"{folder.root} did not train {direction}",
            rule=f"it trained {', '.join(content['averages'])}",
            remedy="train with directions=both",
        )
    card = _card(config, about, content, direction=direction, version=version, simulated=simulated)
    scores = _scores(last_validation(folder, direction, step=content["step"]))
    weights = _plain(content["averages"][direction])
    return _save_whole(out, card.model_copy(update={"scores": scores}), weights)


def _best(folder: RunFolder) -> dict[str, Any]:
    path = folder.checkpoints / BEST
    if not path.exists():
        raise UsageError(
            f"{folder.root} has no best weights",
            rule="the best are those of a validation",
            remedy="export the last ones",
        )
    return read_checkpoint(path)


def _save_whole(out: Path, card: Card, weights: dict[str, torch.Tensor]) -> Card:
    """Save beside ``out`` under a temporary name first, so that ``out`` is whole once there."""
    temporary = out.with_name(f".{out.name}.part")
    with refusals_of(out):
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            signed = save_model(temporary, card=card, weights=weights)
            temporary.rename(out)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
    return signed


def _plain(averages: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The generator's own names: ``AveragedModel`` puts ``module.`` before them."""
    prefix = "module."
    return {
        name.removeprefix(prefix): value
        for name, value in averages.items()
        if name.startswith(prefix)
    }


def _card(
    config: TrainConfig,
    about: dict[str, Any],
    content: dict[str, Any],
    *,
    direction: Direction,
    version: str,
    simulated: bool,
) -> Card:
    task = config.data.task(source_of(direction))
    sides = about.get("data", {})
    return Card(
        name=f"{config.name}-{direction}",
        version=version,
        summary=f"{task.source.modality} to {task.target.modality}: {config.summary}",
        task=task,
        generator=config.generator,
        weights_sha256="0" * 64,
        training=Training(
            data=(
                *_beginning(config, direction),
                *(_data_source(side, sides[side]) for side in sorted(sides)),
            ),
            simulated=simulated,
            config=str(about.get("config", config.name)),
            seed=config.seed,
            steps=content["step"],
            hours=round(content["seconds"] / 3600.0, 3),
            machine=str(about.get("machine", "not recorded")),
            method=_method(config),
        ),
        scores=(),
        intended_use="Research. Not for diagnosis or treatment.",
        limits=LIMITS,
        licence="not stated; that of the training data may bind",
    )


def _beginning(config: TrainConfig, direction: Direction) -> tuple[DataSource, ...]:
    """The model that a generator began with, if it did; its data are at work in this one too."""
    if config.begin_from is None or direction != "a-to-b":
        return ()
    return (
        DataSource(
            name=f"weights of the model {config.begin_from}",
            licence="as on the card of that model",
            use="what the training began with",
        ),
    )


def _data_source(side: str, counts: dict[str, Any]) -> DataSource:
    return DataSource(
        name=f"{counts['inputs']} images of {counts['subjects']} subjects, folder "
        f"{counts['folder']}",
        licence="not stated",
        use=f"side {side}, {counts['modality']}",
    )


def _method(config: TrainConfig) -> str:
    used = _used(config.losses)
    if config.start is not None:
        used += f"; in the first {config.start.steps} steps {_used(config.start.losses)}"
    if config.data.matched_noise:
        used += f"; noise of A added to B in {config.data.matched_noise:.0%} of the items"
    pairs = "pairs by name" if config.data.pairs == "by-name" else "unpaired"
    both = "both directions" if config.directions == "both" else "a to b"
    kind = "CycleGAN" if config.losses.adversarial and config.losses.cycle else "training"
    return (
        f"{kind}, {pairs}, {both}; weights of the losses: {used}; batch "
        f"{config.batch_size}, moving average of the weights {config.ema_decay:g}"
    )


def _used(losses: LossWeights) -> str:
    weights = losses.model_dump()
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight)


def _scores(row: dict[str, str] | None) -> tuple[Score, ...]:
    """The figures of the validation at the exported step, if there was one."""
    if row is None:
        return ()
    on = f"{row['cases']} validation cases of this run, on the model grid"
    units = {"mae": row["unit"], "psnr_db": "dB", "ssim": "", "cycle_mae": "", "nmi": ""}
    return tuple(
        Score(measure=name, value=float(row[name]), unit=unit, on=on)
        for name, unit in units.items()
        if row[name] not in ("nan", "inf")
    )
