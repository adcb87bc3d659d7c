"""Model folders: found, checked, opened, saved, and given another card."""

from __future__ import annotations

import hashlib
import json
import shutil
import stat
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from medcyclegan.core.task import Task
from medcyclegan.errors import ModelRefused
from medcyclegan.io.atomic import atomic_file, atomic_folder
from medcyclegan.io.targets import COMPLETION_RECORD, make_parents
from medcyclegan.models.card import Card
from medcyclegan.models.folders import CARD_NAME, WEIGHTS_NAME, find_model, shipped_models
from medcyclegan.networks.factory import GeneratorConfig, least_weights, make_generator

__all__ = [
    "CARD_NAME",
    "WEIGHTS_NAME",
    "Model",
    "find_model",
    "fresh_generator",
    "load_model",
    "read_card",
    "save_model",
    "shipped_models",
]

# No generator of ours comes near this; a larger file is not one of them.
MAX_WEIGHTS_BYTES = 2_000_000_000
MAX_CARD_BYTES = 1_000_000
_WEIGHT_TYPES = (torch.float16, torch.bfloat16, torch.float32)
_AGAIN = "install or export the model again"


@dataclass(frozen=True, eq=False)
class Model:
    """A generator of slabs in [-1, 1], with its card.

    It takes (N, C * depth, H, W), the channels of the source one after the other, and gives
    (N, depth, H, W).
    """

    card: Card
    generator: nn.Module

    @property
    def task(self) -> Task:
        """What the model translates into what."""
        return self.card.task


def read_card(folder: Path) -> Card:
    """Read and check the card of a model folder.

    Raises
    ------
    ModelRefused
        If it cannot be read or breaks a rule.
    """
    path = folder / CARD_NAME
    content = _read_file(path, most_bytes=MAX_CARD_BYTES)
    try:
        return Card.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ModelRefused(
            f"{path}: {key}: {first['msg']}",
            rule="a model folder holds a valid card",
            remedy=_AGAIN,
        ) from error


def load_model(name_or_folder: str | Path = "head-mr-ct") -> Model:
    """Open a model: card read, weights checked against the card, generator ready for inference.

    Raises
    ------
    ModelRefused
        If anything is missing, damaged or not finite, or the sha256 does not fit.
    """
    folder = find_model(name_or_folder)
    card = read_card(folder)
    weights = _read_weights(folder / WEIGHTS_NAME, card)
    _check_size(card.generator, weights, folder / WEIGHTS_NAME)
    generator = fresh_generator(card, folder / CARD_NAME)
    _check_shapes(generator.state_dict(), weights, folder / WEIGHTS_NAME)
    generator.load_state_dict({name: value.float() for name, value in weights.items()})
    generator.eval().requires_grad_(False)
    return Model(card, generator.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def fresh_generator(card: Card, path: Path) -> nn.Module:
    """Build the generator of a card, which lies at ``path``, with fresh weights.

    Raises
    ------
    ModelRefused
        If there is none such.
    """
    task = card.task
    channels = task.source.channel_count, task.target.channel_count
    try:
        return make_generator(card.generator, depth=task.depth, channels=channels)
    except ValueError as error:
        raise ModelRefused(f"{path}: {error}", remedy=_AGAIN) from error


def _read_file(path: Path, *, most_bytes: int) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise ModelRefused(f"{path} is no regular file", remedy=_AGAIN)
        if status.st_size > most_bytes:
            raise ModelRefused(
                f"{path} has {status.st_size} bytes", rule=f"at most {most_bytes}", remedy=_AGAIN
            )
        return path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{path} cannot be read ({error.strerror})", remedy=_AGAIN) from error


def _read_weights(path: Path, card: Card) -> dict[str, Tensor]:
    content = _read_file(path, most_bytes=MAX_WEIGHTS_BYTES)
    found = hashlib.sha256(content).hexdigest()
    if found != card.weights_sha256:
        raise ModelRefused(
            f"{path} has sha256 {found[:12]}…",
            rule=f"its card says {card.weights_sha256[:12]}…",
            remedy="the file is damaged or belongs to another card; install or export it again",
        )
    try:
        return load(content)
    except SafetensorError as error:
        raise ModelRefused(f"{path} is no safetensors file ({error})", remedy=_AGAIN) from error


def _check_size(config: GeneratorConfig, found: dict[str, Tensor], path: Path) -> None:
    """Refuse a card whose generator is far larger than its weights, before memory is taken."""
    held, needed = sum(value.numel() for value in found.values()), least_weights(config)
    if held < needed:
        raise ModelRefused(
            f"{path} holds {held} weights",
            rule=f"the generator on the card needs more than {needed}",
            remedy=_AGAIN,
        )


def _check_shapes(wanted: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    if wanted.keys() != found.keys():
        odd = sorted(wanted.keys() ^ found.keys())[0]
        raise ModelRefused(
            f"{path}: tensor {odd}", rule="names must be those of the generator", remedy=_AGAIN
        )
    for name, value in found.items():
        if value.shape != wanted[name].shape:
            raise ModelRefused(
                f"{path}: {name} has shape {tuple(value.shape)}",
                rule=f"the generator on the card needs {tuple(wanted[name].shape)}",
                remedy=_AGAIN,
            )
        if value.dtype not in _WEIGHT_TYPES:
            raise ModelRefused(
                f"{path}: {name} is of {value.dtype}",
                rule="weights are float16, bfloat16, float32",
                remedy=_AGAIN,
            )
        if not torch.isfinite(value).all():
            raise ModelRefused(
                f"{path}: {name} holds NaN or infinity", rule="weights are finite", remedy=_AGAIN
            )


def save_model(folder: Path, *, card: Card, weights: dict[str, Tensor]) -> Card:
    """Write a model folder, weights in half precision; returns the card with the new sha256.

    The folder must not exist yet, and appears once it is whole.

    Raises
    ------
    ModelRefused
        If a weight is not finite in half precision.
    CannotWrite
        If the folder exists, or the system refuses.
    """
    halves = {name: value.half().contiguous() for name, value in weights.items()}
    for name, value in halves.items():
        if not torch.isfinite(value).all():
            raise ModelRefused(f"{name} is not finite in half precision", rule="|w| < 65504")
    content = save(halves)
    signed = card.model_copy(update={"weights_sha256": hashlib.sha256(content).hexdigest()})
    make_parents(folder)
    with atomic_folder(folder, overwrite=False, record=False) as part:
        (part / WEIGHTS_NAME).write_bytes(content)
        (part / CARD_NAME).write_text(_text_of(signed), encoding="utf-8")
    return signed


def _text_of(card: Card) -> str:
    return card.model_dump_json(indent=2) + "\n"


def write_card(folder: Path, card: Card) -> None:
    """Replace the card in a model folder; a run that is killed leaves the old one whole.

    Raises
    ------
    CannotWrite
        If the system refuses.
    """
    with atomic_file(folder / CARD_NAME, overwrite=True) as part:
        part.write_text(_text_of(card), encoding="utf-8")


def copy_with_card(folder: Path, card: Card, *, to: Path, overwrite: bool = False) -> None:
    """Copy a model folder's weights and put ``card`` beside them, whole or not at all.

    Raises
    ------
    CannotWrite
        If ``to`` exists and ``overwrite`` is false, or holds what medcyclegan did not write.
    """
    with atomic_folder(to, overwrite=overwrite) as part:
        shutil.copyfile(folder / WEIGHTS_NAME, part / WEIGHTS_NAME)
        (part / CARD_NAME).write_text(_text_of(card), encoding="utf-8")
        # by this list the folder is known as ours, and may be replaced
        record = {"written_by": "medcyclegan", "files": [CARD_NAME, WEIGHTS_NAME]}
        (part / COMPLETION_RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")


def is_shipped(folder: Path) -> bool:
    """Whether a model folder is one of those inside the package."""
    return folder.resolve() in {shipped.resolve() for shipped in shipped_models().values()}


def is_checkout() -> bool:
    """Whether the package runs from its source tree, whose files are its user's own."""
    return (Path(str(files("medcyclegan"))).parent / "pyproject.toml").is_file()
