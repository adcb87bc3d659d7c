"""What is wrong around the scan: paths, outputs, models, devices."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from medcyclegan.core.task import Domain, Window
from medcyclegan.errors import ExitCode
from medcyclegan.models.store import save_model
from tests.odd.case import Case, Family, Make, converted
from tests.odd.inputs import head, nifti, series
from tests.tiny_model import tiny_card, tiny_folder, tiny_task, tiny_weights


class _Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def _with_model(change: Callable[[Path], None]) -> Make:
    """Make a good scan, and a model in ``m`` beside it that is then changed."""

    def make(folder: Path) -> Path:
        change(tiny_folder(folder / "m"))
        return nifti()(folder)

    return make


def _weights(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(model: Path) -> None:
        path = model / "weights.safetensors"
        path.write_bytes(change(path.read_bytes()))

    return apply


def _card(**changes: Any) -> Callable[[Path], None]:
    def apply(model: Path) -> None:
        path = model / "card.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return apply


def _pickled(model: Path) -> None:
    content = pickle.dumps(_Planted(model.parent / "planted"))
    (model / "weights.safetensors").write_bytes(content)
    _fit_sha(model)


def _fit_sha(model: Path) -> None:
    """Let the card say the sha256 of the weights as they are, so that only their content counts."""
    content = (model / "weights.safetensors").read_bytes()
    _card(weights_sha256=hashlib.sha256(content).hexdigest())(model)


def _nan(model: Path) -> None:
    weights = load_file(model / "weights.safetensors")
    next(iter(weights.values())).fill_(torch.nan)
    save_file(weights, model / "weights.safetensors")
    _fit_sha(model)


def _cut_and_signed(model: Path) -> None:
    _weights(lambda data: data[: len(data) // 2])(model)
    _fit_sha(model)


def _other_depth(model: Path) -> None:
    task = json.loads((model / "card.json").read_text())["task"]
    _card(task={**task, "depth": 5})(model)


def _other_task(folder: Path) -> Path:
    target = Domain(modality="MR", unit="a.u.", scaling=Window(lower=0.0, upper=1.0))
    swapped = tiny_task(source=tiny_task().target, target=target)
    save_model(folder / "m", card=tiny_card(swapped), weights=tiny_weights())
    return nifti()(folder)


def _model(name: str, make: Make, *says: str) -> Case:
    return Case(
        name,
        make,
        f'model refused, saying "{says[0]}"',
        says=says,
        code=ExitCode.MODEL_REFUSED,
        options=("--model", "{in}/m"),
    )


def _with_mask(folder: Path) -> Path:
    (folder / "mask").mkdir()
    nifti(voxels=np.ones_like(head()))(folder / "mask")
    return nifti()(folder)


def _missing(folder: Path) -> Path:
    return folder / "none.nii.gz"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "scan.nii")
    return folder / "scan.nii"


def _device(folder: Path) -> Path:
    (folder / "scan.nii").symlink_to("/dev/zero")
    return folder / "scan.nii"


def _loop(folder: Path) -> Path:
    (folder / "scan.nii").symlink_to(folder / "scan.nii")
    return folder / "scan.nii"


def _folder(folder: Path) -> Path:
    (folder / "scan.nii").mkdir()
    return folder / "scan.nii"


def _hard_link(folder: Path) -> Path:
    path = nifti()(folder)
    (folder / "link.nii").hardlink_to(path)
    return path


def _case(name: str, make: Make, *says: str, **more: Any) -> Case:
    return Case(name, make, f'refused, saying "{says[0]}"', says=says, **more)


def _unwritable(name: str, make: Make, says: str, *, out: str) -> Case:
    does = f'cannot be written, saying "{says}"'
    return Case(name, make, does, says=(says,), code=ExitCode.CANNOT_WRITE, out=out)


_USAGE = ExitCode.USAGE
CASES = (
    Case(
        "a mask that marks all",
        _with_mask,
        "converted",
        code=ExitCode.DONE,
        options=("--mask", "{in}/mask/scan.nii"),
    ),
    _case("no such file", _missing, "No such file", "check the path"),
    _case("a pipe", _fifo, "a pipe, socket or device"),
    _case("a link to /dev/zero", _device, "a pipe, socket or device"),
    _case("a link to itself", _loop, "cannot be read"),
    _case("an empty folder", _folder, "holds no DICOM images"),
    Case(
        "a name with blanks and umlauts", nifti(name="Käfig 1.nii"), "converted", code=ExitCode.DONE
    ),
    _unwritable("the output is the input", nifti(), "is the input", out="../in/scan.nii"),
    _unwritable(
        "the output is a hard link to it", _hard_link, "is the input", out="../in/link.nii"
    ),
    _unwritable("a series into its own input", series(), "lies inside the input", out="../in/mr/x"),
    _unwritable("a series around its input", series(), "holds the input", out="../in"),
    _unwritable("a parent folder that is missing", nifti(), "No such file", out="none/sct.nii"),
    _unwritable("a parent that is a file", nifti(), "Not a directory", out="../in/scan.nii/x.nii"),
    _unwritable("an output name of 300 letters", nifti(), "too long", out="n" * 300 + ".nii"),
    Case(
        "an output with an ending that is not written",
        nifti(),
        "usage: the ending decides the format",
        says=("sct.png",),
        code=_USAGE,
        out="sct.png",
    ),
    Case(
        "a format and an ending that contradict",
        nifti(),
        "usage: change one of them",
        says=("--format dicom",),
        code=_USAGE,
        options=("--format", "dicom"),
    ),
    Case(
        "a GPU that is not there",
        nifti(),
        "refused: no such device",
        says=("--device mps", "finds no such device"),
        code=ExitCode.DEVICE_OR_MEMORY,
        options=("--device", "mps"),
    ),
    _model("a model folder that is not there", nifti(), "No model"),
    _model("a pickle that runs code, as weights", _with_model(_pickled), "is no safetensors file"),
    _model(
        "weights of another sha256", _with_model(_weights(lambda d: d[:-1] + b"x")), "has sha256"
    ),
    _model("weights cut off", _with_model(_weights(lambda data: data[:-9])), "has sha256"),
    _model(
        "weights cut off, with their sha256", _with_model(_cut_and_signed), "no safetensors file"
    ),
    _model("weights that hold NaN", _with_model(_nan), "holds NaN or infinity"),
    _model("weights of another shape", _with_model(_other_depth), "has shape"),
    _model("a card that is no JSON", _with_model(lambda m: _text(m, "{")), "card.json"),
    _model("a card with an unknown key", _with_model(_card(surprise=1)), "surprise"),
    _model("a card with a wrong type", _with_model(_card(scores="good")), "scores"),
    _model("a card of 2 MB", _with_model(lambda m: _text(m, " " * 2_000_000)), "has 2000000 bytes"),
    _model(
        "a generator larger than any memory",
        _with_model(_card(generator={"widths": [1024] * 7, "blocks": 32})),
        "needs more than",
    ),
    _model("a model of another task (CT to MR)", _other_task, "translates CT to MR"),
)


def _text(model: Path, text: str) -> None:
    (model / "card.json").write_text(text)


FAMILY = Family(
    "Paths, outputs, models and devices",
    converted("a good file and a good model", nifti(), "converted"),
    CASES,
)
