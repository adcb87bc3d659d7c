"""Every setting of a training, with its default, its unit and a line of help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from medcyclegan.core.task import BodyPart, Domain, Percentiles, Window
from medcyclegan.networks.discriminator import DiscriminatorConfig
from medcyclegan.networks.factory import GeneratorConfig
from medcyclegan.training.config import CardText, Inference, Late, TrainConfig
from medcyclegan.training.data.config import Augment, DataConfig
from medcyclegan.training.data.simulated import SimulatedData
from medcyclegan.training.engines.registry import ENGINES
from medcyclegan.training.losses import LossWeights, Warmup

_SIDES = {
    "task_name": "name of the task on the card; by default the two modalities",
    "a": "what side A is",
    "b": "what side B is",
    "spacing_mm": "mm, in plane, and between thin slices; null keeps every scan's own",
    "thick_slice_mm": "mm; slices from here on keep their own axis and spacing",
    "depth": "slices of a slab, odd; 1 for single images",
    "plane_px": "pixels that the shorter side of pictures is brought to; null keeps their own",
    "body_part": "what the images show, and what is usual of it; by default a head",
    "size_px": "pixels, edge of a patch",
}
_RATES = {
    "generator_rate": "Adam's rate of the generators, per step",
    "discriminator_rate": "Adam's rate of the discriminators, per step",
}

# By class, then by key; a test sees to it that none is missing and none is left over.
HELP: dict[type[BaseModel], dict[str, str]] = {
    TrainConfig: {
        "name": "name of the configuration, and of the run",
        "summary": "what is trained, a line",
        "card": "what the card of the model says beside what the training knows; null for nothing",
        "engine": "what is learned by which losses",
        "data": "where the images come from",
        "generator": "the network that translates",
        "inference": "how the trained model is run",
        "init_from": "model, by name or folder, whose weights the generator A to B begins with",
        "steps": "optimiser steps",
        "minutes": "train for so long in place of steps; shares are then of that time",
        "rate_warmup": "share of the training over which the rates rise from 0",
        "decay_from": "share of the training from which on the rates fall linearly",
        "least_rate": "share of the rates that is left at the end",
        "batch_size": "items of a step, over all processes",
        "accumulate": "parts that a process works through its share in: less memory, the same step",
        "late": "larger patches towards the end, of simulated data; null for none",
        "replay": "earlier slabs that come again beside each fresh one, 0 for none",
        "replay_slabs": "slabs that these are taken from",
        "ema_decay": "of the moving average of the weights, which is what is exported",
        "clip_norm": "greatest length of the gradient",
        "vanished_below": "a discriminator with a loss below it teaches no more; 0 never stops",
        "vanished_steps": "steps of that after which the run is stopped",
        "seed": "of first weights, items and splits",
        "precision": "auto (bfloat16 where the hardware multiplies it), float32, bfloat16",
        "compile": "compile the networks, on a GPU",
        "workers": "processes that load or simulate data; auto, or 0 for none",
        "log_every": "steps between rows of metrics.csv",
        "validate_every": "steps between validations",
        "validation_cases": "cases that a validation takes at most",
        "patience": "validations in a row without a lower error that end the run; null for never",
        "checkpoint_every": "steps between checkpoints",
        "panel_every": "steps between pictures of samples",
        "panel_steps": "further steps with such a picture",
    },
    CardText: {
        "name": "name of the model",
        "summary": "what it does, a line",
        "anatomy": "what the images were simulated from",
        "intended_use": "what it is meant for",
        "limits": "what it was not trained for, a sentence each",
    },
    Inference: {
        "stride": "slices from the start of a slab to that of the next; null for half of the depth",
        "thick_stride": "the same where slices are thick (data.thick_slice_mm); null for stride",
        "mirror": "translate the mirror image too, and take the mean",
    },
    Late: {
        "from_share": "share of the training from which on",
        "size_px": "pixels, edge of a patch",
        "batch_size": "items of a step",
    },
    GeneratorConfig: {
        "kind": "shuffle_unet, resnet, unet or concat_unet",
        "widths": "channels of each level, finest first",
        "blocks": "residual blocks of each level",
        "norm": "channel (each pixel by itself) or instance (each image)",
        "levels": "values in [-1, 1], ascending, that the output is a weighted mean of",
        "residual": "give the input and a correction",
        "notch": "take a grid of 2 pixels out of the output; not with levels",
    },
    DiscriminatorConfig: {
        "width": "channels of the first layer",
        "layers": "further layers; 3 judge patches of 70 pixels",
        "norm": "instance or none",
        "spectral_norm": "bound the slope of every layer",
    },
    Domain: {
        "modality": "MR, CT, XR or image",
        "unit": "HU or a.u.",
        "scaling": "how values become [-1, 1]",
        "channels": "names of the registered images that make up the side; empty for one image",
    },
    Window: {
        "kind": "window: fixed values",
        "lower": "value that becomes -1, in the unit of the side",
        "upper": "value that becomes 1, in the unit of the side",
    },
    Percentiles: {
        "kind": "percentiles: of the values inside the body",
        "lower": "percent that becomes -1",
        "upper": "percent that becomes 1",
    },
    BodyPart: {
        "name": "name in messages, as head or knee",
        "plural": "name of several; null for the name with an s",
        "least_litres": "litres of the body in view, below which the scan is warned of",
        "least_slices": "slices, below which batch sets a DICOM series aside",
        "least_bone_share": "share of the body above 250 HU, below which a result is warned of",
        "deep_mm": "mm; what lies deeper is mostly soft tissue; null to leave that out",
        "contrast_depth_mm": "mm; MR contrasts are told apart by what lies deeper; null for not",
        "contrast_height_mm": "mm below the top, up to which that is done; null for all",
        "even_tissue": "the most even tissue there, for a message",
    },
    Augment: {
        "flip": "probability of a mirror image, left for right",
        "turn_deg": "degrees, greatest turn in plane",
        "scale": "greatest relative change of size",
        "shift_px": "pixels, greatest shift",
        "gamma": "greatest natural logarithm of the exponent of an MR's contrast",
        "bias": "greatest coefficient of a smooth shading",
        "intensity": "sides whose contrast is changed, if they are MR",
    },
    DataConfig: {
        "kind": "folders: images on disk (--data, --data-a, --data-b)",
        **_SIDES,
        "pairs": "by-name: images of one case are pairs, aligned; none",
        "validation_pairs": "the same for held-back images",
        "masks": "auto takes images named as masks for bodies; none finds each body",
        "matched_noise": "share of items made of B with the noise that A has beyond it",
        "position_matched": "unpaired slabs of one place in the body, brought to one size",
        "validation_share": "share of the subjects held back, without folders for validation",
        "subjects": "name finds the subject in names and headers; file takes each file for one",
        "augment": "random changes of the slabs",
        "cache": "memory or disk: where prepared images are kept",
    },
    SimulatedData: {
        "kind": "simulated: drawn from label maps (--labels)",
        **_SIDES,
        "source": "random (MR of any contrast), t1, t2, t1_t2 (both), ct or low_dose_ct",
        "target": "ct, t1 or t2",
        "slices": "slices at a low dose that are projected before the training",
        "contrasts": "acquisitions drawn of each anatomy",
        "held_back": "slabs of other heads that validate",
    },
    LossWeights: {
        "adversarial": "weight of the discriminator's judgement",
        "cycle": "weight of there and back again, L1",
        "identity": "weight of L1 of what is of the target's kind already",
        "structure": "weight of the difference of MIND descriptors",
        "gradient": "weight of 1 - correlation of gradient magnitudes",
        "paired_l1": "weight of L1 on pairs",
        "matched": "weight of L1 + 2 L2 to the same place of another body",
    },
    Warmup: {
        "share": "share of the training",
        "losses": "weights of the losses in it",
    },
    ENGINES["cyclegan"].settings_type: {
        "kind": "cyclegan: two generators, cycle consistency",
        "discriminator": "the networks that judge",
        "losses": "weights of the losses, after the warm-up",
        "warmup": "a first part with weights of its own; null for none",
        "directions": "both, or a-to-b",
        **_RATES,
        "pool_size": "fakes that the discriminators look back on, 0 for none",
    },
    ENGINES["contrastive"].settings_type: {
        "kind": "contrastive: one generator, PatchNCE (CUT)",
        "discriminator": "the network that judges",
        "adversarial": "weight of the discriminator's judgement",
        "patch_nce": "weight of PatchNCE of input and output; 1 for CUT, 10 for FastCUT",
        "identity": "weight of PatchNCE of an image of B and its translation; 0 for FastCUT",
        "matched": "weight of L1 + 2 L2 to the same place of another body",
        "warmup_share": "share of the training without discriminator",
        "patches": "places of each level of features that are compared",
        "temperature": "of the softmax over these places",
        **_RATES,
    },
    ENGINES["supervised"].settings_type: {
        "kind": "supervised: one generator, from pairs",
        "learning_rate": "rate of the optimiser, per step",
        "optimiser": "muon or adamw",
        "l1_weight": "weight of L1, in normalised units",
        "l2_weight": "weight of L2, in normalised units",
        "level_weight": "weight of the cross-entropy of levels, for generators with such",
        "border_weight": "weight of the soft Dice of bone above 250 HU, for targets in HU",
        "volume_weight": "weight of the difference of its volumes",
        "density_weight": "weight of how far the mean of true bone is off, by slab",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """A key with the value it has, its default as text, and a line of help."""

    key: str
    value: object
    default: str
    help: str


def settings_in(settings: BaseModel, above: str = "") -> Iterator[Setting]:
    """Every key of some settings, those of settings inside them too, with what they are set to."""
    kind = type(settings)
    for name, field in kind.model_fields.items():
        value, key = getattr(settings, name), f"{above}{name}"
        if isinstance(value, BaseModel):
            yield from settings_in(value, f"{key}.")
        else:
            yield Setting(key, value, default_of(field), HELP[kind][name])


def default_of(field: FieldInfo) -> str:
    """The default as YAML has it; ``required`` without one, ``see below`` of settings inside."""
    if field.is_required() or field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, BaseModel):
        return "see below"
    return as_yaml(field.default)


def as_yaml(value: object) -> str:
    """A value as it may stand in a configuration."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset):
        inside = [as_yaml(one) for one in value]
        return f"[{', '.join(sorted(inside) if isinstance(value, frozenset) else inside)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


_TITLES: dict[type[BaseModel], str] = {
    TrainConfig: "The training",
    DataConfig: "data, of kind folders",
    SimulatedData: "data, of kind simulated",
    Augment: "data.augment",
    Domain: "data.a, data.b",
    BodyPart: "data.body_part",
    Window: "scaling, of kind window",
    Percentiles: "scaling, of kind percentiles",
    GeneratorConfig: "generator",
    ENGINES["cyclegan"].settings_type: "engine, of kind cyclegan",
    LossWeights: "engine.losses of a CycleGAN",
    Warmup: "engine.warmup of a CycleGAN",
    ENGINES["contrastive"].settings_type: "engine, of kind contrastive",
    DiscriminatorConfig: "engine.discriminator",
    ENGINES["supervised"].settings_type: "engine, of kind supervised",
    Late: "late",
    Inference: "inference",
    CardText: "card",
}


def page() -> str:
    """The page of docs with all of them, as Markdown."""
    parts = [
        "# Settings of a training\n\n"
        "Every key that a configuration may have, made from the program itself.\n"
        "`medcyclegan config show NAME --all` prints them with the values of a configuration.\n"
        "`KEY=VALUE` on the command line changes one, as `engine.losses.cycle=20`.\n"
    ]
    for kind, title in _TITLES.items():
        parts.append(f"## {title}\n\n| key | default | meaning |\n| --- | --- | --- |")
        parts[-1] += "".join(
            f"\n| `{name}` | `{default_of(field)}` | {HELP[kind][name]} |"
            for name, field in kind.model_fields.items()
        )
        parts[-1] += "\n"
    return "\n".join(parts)
