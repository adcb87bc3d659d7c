"""Several registered images of one subject as the channels of a model's input."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from medcyclegan.core.task import Task
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused, UsageError
from medcyclegan.imaging.preprocessing import Prepared, fit_window, on_grid
from medcyclegan.imaging.resampling import mask_on
from medcyclegan.io.scan import Scan

# With less of the first image's body inside another, the two do not lie at one place.
_LEAST_COVERED = 0.5


def in_order(given: Sequence[str], task: Task) -> tuple[Path, ...]:
    """The paths of a model's channels in their order, from ``PATH`` or ``NAME=PATH`` each.

    Raises
    ------
    UsageError
        If one is missing or named twice, or if the name of a file is that of another channel.
    """
    names = task.source.channels
    wanted = f"the model takes {_listed(task)}"
    if len(given) != task.source.channel_count:
        raise UsageError(
            f"{len(given)} {'image' if len(given) == 1 else 'images'}: "
            f"{', '.join(given)}", rule=wanted, remedy="give each by its own --mri",
        )  # fmt: skip
    if not names:
        return (Path(given[0]),)
    named: dict[str, Path] = {}
    for number, text in enumerate(given):
        name, sign, path = text.partition("=")
        known = {known.lower(): known for known in names}
        channel = known.get(name.lower()) if sign else None
        place = Path(path) if channel is not None else Path(text)
        channel = channel or names[number]
        if channel in named:
            raise UsageError(
                f"--mri {channel} twice: {named[channel]} and {place}",
                rule=wanted,
                remedy="name each image once, as --mri NAME=PATH, or give all in this order",
            )
        named[channel] = place
    for channel, place in named.items():
        _refuse_swapped(channel, place, names)
    return tuple(named[name] for name in names)


def with_channels(first: Scan, others: Sequence[Scan]) -> Scan:
    """The first image with all others of its subject."""
    said = tuple(text for scan in others for text in scan.warnings if text not in first.warnings)
    return replace(first, channels=tuple(others), warnings=(*first.warnings, *said))


def refuse_missing(scan: Scan, task: Task) -> None:
    """Refuse a scan that has not as many images as the task takes.

    Raises
    ------
    InputRefused
        If it has more or fewer.
    """
    found, wanted = 1 + len(scan.channels), task.source.channel_count
    if found != wanted:
        raise InputRefused(
            f"{scan.source}: {found} {'image' if found == 1 else 'images'} of the subject",
            rule=f"the model takes {_listed(task)}",
            remedy="give them to synth-ct, each by its own --mri",
        )


def stacked(ready: Prepared, scan: Scan, body: Volume, task: Task) -> Prepared:
    """Add the other images of a subject to its first one; values (C, D, H, W).

    Each is brought to the grid of the first and scaled by its own percentiles.

    Raises
    ------
    InputRefused
        If one does not lie where the first does.
    """
    if not scan.channels:
        return ready
    values: list[Tensor] = [ready.values]
    for other in scan.channels:
        own = mask_on(body, other.volume.geometry)
        everywhere = other.volume.with_voxels(own.voxels * 0.0 + 1.0, unit="mask")
        seen = mask_on(everywhere, body.geometry).voxels[body.voxels > 0].mean()
        if seen < _LEAST_COVERED:
            raise InputRefused(
                f"{other.source} covers {seen:.0%} of the body in {scan.source}",
                rule="the images of a subject lie at one place in space",
                remedy="register them first",
            )
        window = fit_window(other.volume, own, task.source)
        values.append(on_grid(other.volume, ready.geometry, window).values)
    return replace(ready, values=torch.stack(values))


def _listed(task: Task) -> str:
    names = task.source.channels
    count = task.source.channel_count
    return f"{count} images, {', '.join(names)}" if count > 1 else "one image"


def _refuse_swapped(channel: str, path: Path, names: Sequence[str]) -> None:
    """Refuse a file whose name says that it is another channel."""
    words = {word.lower() for word in re.split(r"[^A-Za-z0-9]+", path.name)}
    said = [name for name in names if _says(words, name)]
    if said and channel not in said:
        raise UsageError(
            f"{path} for the channel {channel}",
            rule=f"its name says {said[0]}",
            remedy=f"give the images in the order {', '.join(names)}, or each as --mri NAME=PATH "
            "with a file whose name does not say another",
        )


def _says(words: set[str], name: str) -> bool:
    """Whether one of the words of a file's name is a channel, as t1 or t1w for T1."""
    short = name.lower().removesuffix("w")
    return bool(words & {short, f"{short}w"})
