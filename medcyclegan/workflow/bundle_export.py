"""A model as a MONAI bundle: configuration, metadata, weights, licences, and a page on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

import torch

from medcyclegan.core.task import Domain, Task
from medcyclegan.errors import ModelRefused
from medcyclegan.io.atomic import atomic_folder
from medcyclegan.io.targets import COMPLETION_RECORD
from medcyclegan.io.voxel_rules import HU_RANGE
from medcyclegan.models.card import Card, DataSource
from medcyclegan.models.store import Model
from medcyclegan.workflow.bundle import CARD, WEIGHTS, digest_of
from medcyclegan.workflow.request import made_name, source_name, suffix_of

METADATA, INFERENCE = "configs/metadata.json", "configs/inference.json"
README, DATA_LICENCES, LICENCE = "docs/README.md", "docs/data_license.txt", "LICENSE"
# The newest that published bundles name. What it holds was not seen: the fields are theirs.
SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
_REQUIRED = ("medcyclegan", "nibabel", "scikit-image", "scipy")
# The command line of monai.bundle is made by it; it need not be here to write a bundle.
_FIRE = {"fire": "0.7.1"}
_RUNTIME = "medcyclegan.workflow.bundle"


@dataclass(frozen=True)
class Bundle:
    """What was written, and the sha256 of the weights in it, in float32."""

    folder: Path
    weights_sha256: str


def write_bundle(model: Model, to: Path, *, version: str, overwrite: bool = False) -> Bundle:
    """Write a model as a MONAI bundle, whole or not at all; ``version`` is medcyclegan's.

    Raises
    ------
    ModelRefused
        If the model takes no volumes, or several images of a subject.
    CannotWrite
        If ``to`` exists and ``overwrite`` is false or it holds other files, or the system refuses.
    """
    refuse_unfit(model.card)
    weights = {
        name: value.detach().float().cpu().contiguous()
        for name, value in model.generator.state_dict().items()
    }
    digest = digest_of(weights)
    texts = {
        CARD: model.card.model_dump_json(indent=2),
        METADATA: json.dumps(metadata_of(model.card, version=version), indent=4),
        INFERENCE: json.dumps(inference_of(model.card, weights_sha256=digest), indent=4),
        README: _readme(model.card, version),
        DATA_LICENCES: "\n".join(f"{d.name}: {d.licence} ({d.use})" for d in _data(model.card)),
        LICENCE: _licence(model.card),
    }
    with atomic_folder(to, overwrite=overwrite) as part:
        for name, text in texts.items():
            (part / name).parent.mkdir(exist_ok=True)
            (part / name).write_text(text.rstrip() + "\n", encoding="utf-8")
        torch.save(weights, part / WEIGHTS)
        # by this list the folder is known as ours, and may be replaced
        record = {"written_by": "medcyclegan", "files": [*texts, WEIGHTS]}
        (part / COMPLETION_RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
    return Bundle(to, digest)


def refuse_unfit(card: Card) -> None:
    """Raise ModelRefused if a bundle cannot hold this kind of model."""
    source = card.task.source
    if source.modality not in ("MR", "CT") or source.channel_count > 1:
        what = "pictures or radiographs" if source.channel_count == 1 else "several images at once"
        raise ModelRefused(
            f"The model {card.name} takes {what}",
            rule="a bundle is made of a model that takes one volume of MR or CT",
            remedy="use medcyclegan itself, or export-onnx for the network alone",
        )


def inference_of(card: Card, *, weights_sha256: str) -> dict[str, Any]:
    """Return ``configs/inference.json``: MONAI's usual ids, in the syntax of its ConfigParser."""
    return {
        "imports": ["$import glob", "$import numpy", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/input'",
        "output_dir": "$@bundle_root + '/eval'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "views": 1,
        "card": f"$@bundle_root + '/{CARD}'",
        "network_def": {"_target_": f"{_RUNTIME}.network_of", "card": "@card"},
        "network": "$@network_def.to(@device)",
        "load_weights": f"$@network.load_state_dict(torch.load(@bundle_root + '/{WEIGHTS}', "
        "map_location=@device, weights_only=True))",
        "datalist": "$[{'image': path} for path in sorted(glob.glob(@dataset_dir + '/*.nii*'))]",
        "preprocessing": _preprocessing(card),
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {
            "_target_": f"{_RUNTIME}.ScanInferer",
            "card": "@card",
            "weights_sha256": weights_sha256,
            "device": "$@device.type",
            "views": "@views",
        },
        "postprocessing": _postprocessing(card),
        "evaluator": {
            "_target_": f"{_RUNTIME}.BundleRun",
            "dataset": "@dataset",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "initialize": ["@load_weights"],
        "run": ["$@evaluator.run()"],
    }


def _preprocessing(card: Card) -> dict[str, Any]:
    reader = {"_target_": f"{_RUNTIME}.ScanReader", "modality": card.task.source.modality}
    reading = {
        "_target_": "LoadImaged",
        "keys": "image",
        "reader": reader,
        "image_only": True,
        "ensure_channel_first": True,
    }
    return {"_target_": "Compose", "transforms": [reading]}


def _postprocessing(card: Card) -> dict[str, Any]:
    """HU are rounded and clipped as medcyclegan stores them: saving alone would cut them off."""
    is_hu = card.task.target.unit == "HU"
    lowest, highest = HU_RANGE
    rounded = {
        "_target_": "Lambdad",
        "keys": "pred",
        "func": f"$lambda hu: hu.round().clamp({lowest}, {highest})",
    }
    saved = {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": "@output_dir",
        "output_postfix": suffix_of(card).lstrip("_"),
        "output_dtype": f"$numpy.{'int16' if is_hu else 'float32'}",
        "separate_folder": False,
        "resample": False,
    }
    return {"_target_": "Compose", "transforms": [rounded, saved] if is_hu else [saved]}


def metadata_of(card: Card, *, version: str) -> dict[str, Any]:
    """Return ``configs/metadata.json``, with every field that MONAI's published bundles have."""
    task = card.task
    return {
        "schema": SCHEMA,
        "version": card.version,
        "changelog": {card.version: f"exported by medcyclegan {version}"},
        "monai_version": version_of("monai"),
        "pytorch_version": version_of("torch").partition("+")[0],
        "numpy_version": version_of("numpy"),
        "required_packages_version": {
            name: version if name == "medcyclegan" else version_of(name) for name in _REQUIRED
        }
        | _FIRE,
        "supported_apps": {},
        "name": card.name,
        "task": f"{made_name(task)} from {source_name(task)}",
        "description": card.summary,
        "authors": "the authors of the model; the export is by medcyclegan",
        "copyright": f"the authors of the model; licence of the weights: {card.licence}",
        "data_source": "; ".join(f"{d.name} ({d.licence})" for d in _data(card)) or "none named",
        "data_type": "nibabel",
        "image_classes": f"one {source_name(task)} volume",
        "label_classes": f"{_unit_text(task.target)} on the grid of the input",
        "pred_classes": f"{_unit_text(task.target)} on the grid of the input",
        "eval_metrics": {f"{s.measure} ({s.unit}), {s.on}": s.value for s in card.scores},
        "intended_use": card.intended_use,
        "references": [],
        "network_data_format": {
            "inputs": {"image": _side_format(task, task.source)},
            "outputs": {"pred": _side_format(task, task.target)},
        },
    }


def _data(card: Card) -> Sequence[DataSource]:
    return card.training.data


def _unit_text(domain: Domain) -> str:
    return f"{domain.modality} in {'HU' if domain.unit == 'HU' else 'arbitrary units'}"


def _side_format(task: Task, domain: Domain) -> dict[str, Any]:
    formats = {"HU": "hounsfield", "a.u.": "magnitude"}
    return {
        "type": "image",
        "format": formats[domain.unit],
        "modality": domain.modality,
        "num_channels": task.depth,
        "spatial_shape": ["*", "*"],
        "dtype": "float32",
        "value_range": [-1, 1],
        "is_patch_data": True,
        "channel_def": {str(n): f"slice {n + 1} of a slab" for n in range(task.depth)},
    }


def _licence(card: Card) -> str:
    return (
        f"Weights ({WEIGHTS}): {card.licence}, as the model's card says.\n\n"
        "All other files of this bundle were written by medcyclegan and are licensed under the\n"
        "Apache License, Version 2.0: http://www.apache.org/licenses/LICENSE-2.0\n"
    )


def _readme(card: Card, version: str) -> str:
    limits = "\n".join(f"- {limit}" for limit in card.limits)
    scores = "\n".join(f"| {s.measure} | {s.value:g} {s.unit} | {s.on} |" for s in card.scores)
    table = f"| measure | value | on |\n| --- | --- | --- |\n{scores}\n" if scores else "None.\n"
    return f"""# {card.name} {card.version}

{card.summary}

{made_name(card.task)} from {source_name(card.task)}, on the input's own grid.
Intended use: {card.intended_use} Research use only.

## Run it

    pip install medcyclegan=={version} fire
    python -m monai.bundle run --config_file configs/inference.json --bundle_root . \\
      --dataset_dir DIR --output_dir OUT

Every .nii and .nii.gz in DIR is translated into OUT, under its name with {suffix_of(card)}. The
voxels are those that medcyclegan makes with this model; the header is MONAI's, with the same
affine. Inputs are checked as medcyclegan does it, and warnings are logged.

## Limits

{limits}

## Scores

{table}"""
