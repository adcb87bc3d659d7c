"""From a run to a model folder, with a card that says what was really trained."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medcyclegan.core.text import counted, parse_json
from medcyclegan.errors import CannotWrite, UsageError
from medcyclegan.models.card import Card, DataSource, Score, Training
from medcyclegan.models.store import save_model
from medcyclegan.training.checkpoint import BEST, newest_checkpoint, read_checkpoint
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import SimulatedData
from medcyclegan.training.engines.base import Direction
from medcyclegan.training.run_folder import FORMER_KEYS, RunFolder, last_validation, read_run
from medcyclegan.training.settings import checked, with_new_keys


@dataclass(frozen=True)
class CardChanges:
    """What whoever exports says on the card in place of what the training knows; None leaves it.

    ``licence`` is that of the weights; ``simulated`` that the data were.
    """

    name: str | None = None
    licence: str | None = None
    intended_use: str | None = None
    simulated: bool = False

    def on(self, card: Card) -> Card:
        """Return the card with the changes, checked.

        Raises
        ------
        UsageError
            If one cannot stand on a card.
        """
        said = {name: value for name, value in vars(self).items() if value is not None}
        simulated = said.pop("simulated") or card.training.simulated
        content = card.model_copy(
            update={"training": card.training.model_copy(update={"simulated": simulated})}
        ).model_dump()
        return checked({**content, **said}, Card, where="the card")


LIMITS = (
    "Not checked by anyone but whoever trained it: look at the scores and what they are on.",
    "Images unlike those it was trained on (other scanners, other parts of the body, implants) may "
    "be translated into something that looks right and is wrong.",
)


def export_run(
    folder: RunFolder,
    out: Path,
    *,
    direction: Direction,
    version: str,
    best: bool = False,
    changes: CardChanges | None = None,
) -> Card:
    """Write the averaged generator of one direction as a model folder; returns its card.

    ``best`` takes the weights with the lowest error in validation in place of the last ones.
    ``changes`` say what else the card is to tell.

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
    former = parse_json(content["config"])
    config = checked(with_new_keys(former, FORMER_KEYS), TrainConfig, where=where)
    if direction not in content["averages"]:
        raise UsageError(
            f"{folder.root} did not train {direction}",
            rule=f"it trained {', '.join(content['averages'])}",
            remedy="train with directions=both",
        )
    card = _card(config, about, content, direction=direction, version=version)
    card = (changes or CardChanges()).on(card)
    scores = _scores(last_validation(folder, direction, step=content["step"]))
    weights = content["averages"][direction]
    return save_model(out, card=card.model_copy(update={"scores": scores}), weights=weights)


def _best(folder: RunFolder) -> dict[str, Any]:
    path = folder.checkpoints / BEST
    if not path.exists():
        raise UsageError(
            f"{folder.root} has no best weights",
            rule="the best are those of a validation",
            remedy="export the last ones",
        )
    return read_checkpoint(path)


def _card(
    config: TrainConfig,
    about: dict[str, Any],
    content: dict[str, Any],
    *,
    direction: Direction,
    version: str,
) -> Card:
    task, text = config.task(direction), config.card
    told = text is not None and direction == "a-to-b"
    return Card(
        name=text.name if text and told else f"{config.name}-{direction}",
        version=version,
        summary=text.summary
        if text and told
        else f"{task.source.modality} to {task.target.modality}: {config.summary}",
        task=task,
        generator=config.generator,
        weights_sha256="0" * 64,
        training=Training(
            data=(*_beginning(config, direction), *_data_sources(config, about.get("data", {}))),
            simulated=config.data.kind == "simulated",
            config=str(about.get("config", config.name)),
            seed=config.seed,
            steps=content["step"],
            hours=round(content["seconds"] / 3600.0, 3),
            machine=str(about.get("machine", "not recorded")),
            method=method_said(config),
        ),
        scores=(),
        intended_use=text.intended_use if text else "Research. Not for diagnosis or treatment.",
        limits=text.limits if text and told else LIMITS,
        licence="not stated; that of the training data may bind",
    )


def _beginning(config: TrainConfig, direction: Direction) -> tuple[DataSource, ...]:
    """The model that a generator began with, if it did; its data are at work in this one too."""
    if config.init_from is None or direction != "a-to-b":
        return ()
    return (
        DataSource(
            name=f"weights of the model {config.init_from}",
            licence="as on the card of that model",
            use="what the training began with",
        ),
    )


def _data_sources(config: TrainConfig, facts: dict[str, Any]) -> tuple[DataSource, ...]:
    """What was trained on, as ``run.json`` has it."""
    if "labels" in facts:
        labels = facts["labels"]
        anatomy = config.card.anatomy if config.card else None
        return (
            DataSource(
                name=f"label maps of {counted(labels['heads'], 'head')}, folder {labels['folder']}",
                licence="not stated",
                use=anatomy or "anatomy that images were simulated from",
            ),
        )
    return tuple(
        DataSource(
            name=f"{counted(facts[side]['inputs'], 'image')} of "
            f"{counted(facts[side]['subjects'], 'subject')}, folder {facts[side]['folder']}",
            licence="not stated",
            use=f"side {side}, {facts[side]['modality']}",
        )
        for side in ("a", "b")
        if side in facts
    )


def method_said(config: TrainConfig) -> str:
    """Return the method of a training, as its card tells it."""
    said = [config.engine.describe(config.generator), _pairs(config)]
    if config.late is not None:
        said.append(
            f"patches of {config.late.size_px} in place of {config.data.size_px} pixels from "
            f"{config.late.from_share:.0%} of the training on"
        )
    said.append(f"batch {config.batch_size}, moving average of the weights {config.ema_decay:g}")
    if config.replay:
        said.append(f"each slab about {config.replay + 1} times, among others each time")
    return "; ".join(said)


def _pairs(config: TrainConfig) -> str:
    data = config.data
    if isinstance(data, SimulatedData):
        return f"simulated pairs, {data.source} to {data.target}, {data.contrasts} of each anatomy"
    pairs = "pairs by name" if data.pairs == "by-name" else "unpaired"
    if data.matched_noise:
        pairs += f"; noise of A added to B in {data.matched_noise:.0%} of the items"
    return pairs


def _scores(row: dict[str, str] | None) -> tuple[Score, ...]:
    """The figures of the validation at the exported step, if there was one."""
    if row is None:
        return ()
    on = f"{row['cases']} validation cases of this run, on the model grid"
    units = {
        "mae": row["unit"], "psnr_db": "dB", "ssim": "", "correlation": "",
        "bone_dice": "", "cycle_mae": "", "nmi": "",
    }  # fmt: skip
    return tuple(
        Score(measure=name, value=float(row[name]), unit=unit, on=on)
        for name, unit in units.items()
        if row[name] not in ("nan", "inf")
    )
