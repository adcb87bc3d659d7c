"""Move the levels of bone of a model up, and measure what that costs on heads not trained on.

    python -m benchmarks.denser_levels --heads PREPARED --model MODEL [--take 0.12 --out DIR]

The output of a voxel is the mean of fixed levels of HU under a softmax. What is uncertain is drawn
to the middle of what is likely, and bone, the densest of all, comes out too soft. A share s moves
the levels above 250 HU from L to L + s (L - 250), at most to the end of the model's window; the
weights stay as they are. Printed for some shares: mean error and bone of the held-back slabs of
``head_mr_ct_continued`` (heads 13 and 14, which choose; 15 and 16 are for scores). ``head-mr-ct``
has .12, by which bone has its volume there; it costs 0.8 HU of the mean error.

With ``--take`` the model with that share is written to DIR. Its card tells of it; scores, reference
ranges and uncertainty have to be measured anew.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.agreeing_contrasts import CONFIG
from medcyclegan import load_model
from medcyclegan.core.task import Window
from medcyclegan.imaging.preprocessing import WindowScaling
from medcyclegan.inference.sliding_slabs import run_slab
from medcyclegan.models.card import Card
from medcyclegan.models.store import Model, fresh_generator, save_model
from medcyclegan.training.config import TrainConfig
from medcyclegan.training.data.simulated import SimulatedData, held_back_cases, load_prepared
from medcyclegan.training.data.types import ValidationCase
from medcyclegan.training.engines.supervised import BONE_HU
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import find_config

HELD_BACK = (13, 14)
SHARES = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25)
SIZE_PX = 224  # about whole slices


def moved_levels(levels: Sequence[float], window: Window, *, share: float) -> tuple[float, ...]:
    """Levels in [-1, 1] of a window in HU, those above 250 HU moved by a share of their height."""
    scaling = WindowScaling(window)
    hu = scaling.inverse(torch.tensor(levels, dtype=torch.float64))
    moved = scaling(hu + share * (hu - BONE_HU).clamp(min=0.0))
    return tuple(round(float(one), 6) for one in moved)


def with_share(model: Model, share: float) -> Card:
    """The card of a model with its levels moved up."""
    card = model.card
    levels = moved_levels(card.generator.levels, card.task.target_window, share=share)
    method = (
        f"{card.training.method}; then the output's levels above {BONE_HU:g} HU were moved up by "
        f"{share:.0%} of their height above it"
    )
    return card.model_copy(
        update={
            "generator": card.generator.model_copy(update={"levels": levels}),
            "training": card.training.model_copy(update={"method": method}),
            "scores": (),
            "reference_ranges": None,
            "uncertainty": None,
        }
    )


def network_of(card: Card, model: Model) -> nn.Module:
    """A network as a card has it, with the weights of a model."""
    made = fresh_generator(card, Path(card.name))
    made.load_state_dict(model.generator.state_dict())
    return made.eval()


def figures(generator: nn.Module, cases: Sequence[ValidationCase], window: Window) -> list[float]:
    """MAE in the body and mean error of bone (means over slabs), bone Dice and volume (of all)."""
    errors, softness, both, made, true = [], [], 0, 0, 0
    scaling = WindowScaling(window)
    for case in cases:
        assert case.a is not None
        assert case.b is not None
        assert case.mask is not None
        inside = case.mask.numpy()
        found, wanted = (
            scaling.inverse(one).numpy()[inside]
            for one in (run_slab(generator, case.a, device=torch.device("cpu")), case.b)
        )
        bone, said = wanted > BONE_HU, found > BONE_HU
        errors.append(float(np.abs(found - wanted).mean()))
        if bone.any():
            softness.append(float((found - wanted)[bone].mean()))
        both += int((bone & said).sum())
        made, true = made + int(said.sum()), true + int(bone.sum())
    dice, volume = 2.0 * both / max(1, made + true), made / max(1, true)
    return [float(np.mean(errors)), float(np.mean(softness)), dice, volume]


def main() -> None:
    """Parse the arguments, print a row a share, write the model that was chosen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--heads", type=Path, required=True, help="folder of prepared heads")
    parser.add_argument("--model", required=True)
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES))
    parser.add_argument("--take", type=float, help="share of the model to write")
    parser.add_argument("--out", type=Path, help="model folder to make")
    given = parser.parse_args()
    if (given.take is None) != (given.out is None):
        parser.error("--take and --out go together: the share, and the folder of the model to make")
    model = load_model(given.model)
    config = read_settings(find_config(CONFIG), TrainConfig)
    assert isinstance(config.data, SimulatedData)
    heads = load_prepared(given.heads, HELD_BACK)
    cases = held_back_cases(heads, config.data, seed=config.seed, size_px=SIZE_PX)
    print("| share | MAE HU | mean error of bone HU | bone Dice | bone volume over true |")
    print("| --- | --- | --- | --- | --- |")
    for share in given.shares:
        network = network_of(with_share(model, share), model)
        mae, softness, dice, volume = figures(network, cases, model.task.target_window)
        print(
            f"| {share:.2f} | {mae:.2f} | {softness:.0f} | {dice:.4f} | {volume:.3f} |", flush=True
        )
    if given.take is not None:
        weights = dict(model.generator.state_dict())
        save_model(given.out, card=with_share(model, given.take), weights=weights)


if __name__ == "__main__":
    main()
