"""A model of another part of the body, from a training to its results, without a line of code."""

from __future__ import annotations

import re
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.task import HEAD, BodyPart
from medcyclegan.core.volume import Volume
from medcyclegan.errors import InputRefused
from medcyclegan.imaging.plausibility import bone_warning
from medcyclegan.io.dicom.write import write_dicom_mr
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.card import Card
from medcyclegan.models.store import load_model, read_card, save_model
from medcyclegan.quality.input_checks import check_source
from medcyclegan.quality.input_features import figures_of
from medcyclegan.quality.out_of_distribution import RunFeatures, out_of_distribution_warnings
from tests.cli.conversion_inputs import NOW, Run
from tests.cli.test_train import SMALL
from tests.tiny_model import known, scan_of, tiny_card, tiny_folder, tiny_task

KNEE = BodyPart(
    name="knee", least_litres=0.4, least_slices=6, least_bone_share=0.05, contrast_depth_mm=10.0
)
# The same, as it is said on the command line or in a configuration.
SAID = "{name: knee, least_litres: 0.4, least_slices: 6, least_bone_share: 0.05, "
SAID += "contrast_depth_mm: 10}"
SPACING_MM = 8.0


def knee(height: int = 16, *, wide_mm: float = 44.0) -> tuple[Volume, Volume]:
    """MR and CT of a leg: muscle in fat, with a bone that ends in a gap; 0.7 litres."""
    grid = geometry_from_spacing((18, 18, height), (SPACING_MM,) * 3)
    x, y, z = np.moveaxis(grid.to_world(np.stack(np.indices(grid.shape), -1).astype(float)), -1, 0)
    away = np.hypot(x, y)
    fat, muscle = away < wide_mm, away < wide_mm - 9.0
    bone = (away < 17.0) & (np.abs(z) > 6.0)
    signal = np.select([bone, muscle, fat], [500.0, 300.0 + x, 800.0], 0.0)
    hounsfield = np.select([bone, muscle, fat], [700.0, 50.0, -100.0], -1000.0)
    mr = Volume(signal.astype(np.float32), grid, "a.u.")
    return mr, Volume(hounsfield.astype(np.float32), grid, "HU")


@pytest.fixture
def model(run: Run, tmp_path: Path) -> Path:
    """Two steps of a training on four legs, exported."""
    for number in range(4):
        side = "A" if number < 2 else "B"
        (tmp_path / side).mkdir(exist_ok=True)
        image = knee(wide_mm=36.0 + 5.0 * number)[side == "B"]
        target = tmp_path / side / f"subject-{number}.nii.gz"
        write_nifti(image, source_header=ItkSourceHeader(), to=target)
    sides = ("--data-a", tmp_path / "A", "--data-b", tmp_path / "B", "--device", "cpu")
    settings = (*SMALL, "steps=2", f"data.body_part={SAID}", "data.validation_share=0.5")
    code, _, error = run("train", "mr_ct", *sides, "--out", tmp_path / "run", *settings)
    assert code == 0, error
    code, _, error = run("export", tmp_path / "run", "--out", tmp_path / "model")
    assert code == 0, error
    return tmp_path / "model"


def of_heads(model: Path, folder: Path) -> Path:
    """The same weights with a card that says nothing of a part of the body: the control."""
    opened = load_model(model)
    card = opened.card.model_dump(mode="json")
    del card["task"]["body_part"]
    save_model(folder, card=Card.model_validate(card), weights=opened.generator.state_dict())
    return folder


def test_a_model_of_knees_is_trained_and_run_by_its_own_limits(
    run: Run, model: Path, tmp_path: Path
) -> None:
    assert read_card(model).task.body_part == KNEE
    heads = of_heads(model, tmp_path / "other")

    def told(height: int, by: Path) -> str:
        source, made = tmp_path / f"leg-{height}.nii.gz", tmp_path / f"{by.name}-{height}.nii.gz"
        if not source.exists():
            write_nifti(knee(height)[0], source_header=ItkSourceHeader(), to=source)
        asked = ("synth-ct", "--mri", source, "--model", by, "--out", made, "--device", "cpu")
        code, out, error = run(*asked)
        assert code == 0, error
        return out + error

    whole, short = told(16, model), told(6, model)
    assert "litres" not in whole
    assert "much less than a knee: the model is for knees only" in short
    assert not re.search(r"\b(head|skull|brain)s?\b", whole + short)
    assert "much less than a head: the model is for heads only" in told(16, heads)


def test_batch_sets_series_aside_by_the_slices_that_the_part_needs(
    run: Run, tmp_path: Path
) -> None:
    numbers = count(1)
    (tmp_path / "in").mkdir()
    for height in (5, 8, 12):
        write_dicom_mr(
            knee(height)[0], to=tmp_path / "in" / f"n{height}", description="t1", now=NOW,
            new_uid=lambda: f"2.25.{next(numbers)}",
        )  # fmt: skip

    def told(part: BodyPart) -> str:
        model = tiny_folder(tmp_path / part.name, task=tiny_task(body_part=part))
        asked = ("batch", tmp_path / "in", "--out", tmp_path / "out", "--model", model)
        code, out, error = run(*asked, "--select", "all", "--dry-run")
        assert code == 0, error
        return " ".join(out.split())

    of_knees = told(KNEE)
    assert "5 slices; fewer than 6 do not make a knee" in of_knees
    assert "8 slices" not in of_knees
    assert "8 slices; fewer than 10 do not make a head" in told(HEAD)


def test_bone_and_noise_are_told_of_the_part() -> None:
    ct = knee()[1]
    body = ct.with_voxels((ct.voxels > -500.0).astype(np.float32), unit="mask")
    some = ct.with_voxels(np.where(np.indices(ct.voxels.shape)[2] < 8, ct.voxels, 0.0))
    assert bone_warning(ct, body, KNEE) == ()
    assert bone_warning(some, body, HEAD) == ()  # the control
    more = KNEE.model_copy(update={"least_bone_share": 0.14})
    assert "this may be no knee, or a contrast" in bone_warning(some, body, more)[0]
    noise = np.random.default_rng(0).uniform(0, 255, ct.voxels.shape).astype(np.float32)
    for part in (KNEE, HEAD):
        with pytest.raises(InputRefused) as refused:
            check_source(scan_of(knee()[0].with_voxels(noise)), tiny_task(body_part=part))
        assert f"mark the {part.name} with --mask" in refused.value.remedy


def test_signs_of_what_lies_deep_are_measured_as_the_part_says() -> None:
    mr, ct = knee()
    body = mr.with_voxels((mr.voxels > 0).astype(np.float32), unit="mask")

    def features(part: BodyPart) -> set[str]:
        return set(figures_of(mr, body, ct, tiny_task(body_part=part), is_plane=False))

    assert {"deep_middle", "even_deep"} & features(KNEE) == {"deep_middle", "even_deep"}
    assert "deep_soft" not in features(KNEE)
    assert "deep_soft" in features(HEAD)
    assert "deep_middle" not in features(BodyPart(name="knee"))
    assert "deep_middle" not in features(KNEE.model_copy(update={"contrast_height_mm": 1.0}))

    def said(part: BodyPart) -> str:
        ranges = {"reference_ranges": known(even_deep=(0.1, 0.2))}
        card = tiny_card(tiny_task(body_part=part)).model_copy(update=ranges)
        return out_of_distribution_warnings(RunFeatures({"even_deep": 0.9}), card)[0]

    assert "most even tissue deep in the body is brighter than 90% of" in said(KNEE)
    assert "deep in the body, white matter in a head, is brighter than 90% of" in said(HEAD)


def test_a_card_of_before_is_of_heads_and_a_part_without_a_name_is_refused(run: Run) -> None:
    before = tiny_card().model_dump(mode="json")
    del before["task"]["body_part"]
    assert Card.model_validate(before).task.body_part == HEAD
    assert BodyPart(name="ankle").one == "an ankle"
    assert BodyPart(name="pelvis", plural="pelves").several == "pelves"
    code, _, error = run("config", "show", "mr_ct", "data.body_part.least_litres=2")
    assert code == 2, error
