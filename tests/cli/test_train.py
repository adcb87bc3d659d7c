"""``train``, ``export`` and ``config`` from the command line, on tiny volumes and pictures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.core.volume import Volume
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.store import load_model
from medcyclegan.simulate import low_dose_ct as dose_slices
from medcyclegan.training.shipped import shipped_configs
from tests.cli.conversion_inputs import Run
from tests.simulate.head_labels import head_labels
from tests.tiny_model import head_on

# What makes the default configuration small: 8 mm, patches of 16 pixels, tiny networks, 4 steps.
SMALL = (
    "data.spacing_mm=8", "data.depth=3", "data.size_px=16", "generator.widths=[4, 4]",
    "engine.discriminator.width=4", "engine.discriminator.layers=1", "steps=4",
    "log_every=2", "validate_every=2", "checkpoint_every=2", "workers=0", "panel_steps=[]",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """trainA, trainB, testA, testB: balls of MR signal and of HU, the tests the same in both."""
    root = tmp_path_factory.mktemp("data")
    for number in range(6):
        grid = geometry_from_spacing((18, 20, 16), (8.0, 8.0, 8.0))
        mr, mask = head_on(grid, radius_mm=50.0 + 3.0 * number)
        hounsfield = np.where(mask.voxels > 0, 40.0 + mr.voxels / 10.0, -1000.0)
        ct = Volume(hounsfield.astype(np.float32), grid, "HU")
        parts = {0: "trainA", 1: "trainA", 2: "trainB", 3: "trainB"}.get(number, "testA testB")
        for part in parts.split():
            (root / part).mkdir(exist_ok=True)
            image = mr if part.endswith("A") else ct
            target = root / part / f"subject-{number:03d}.nii.gz"
            write_nifti(image, source_header=ItkSourceHeader(), to=target)
    return root


def sides(data: Path) -> tuple[object, ...]:
    return (
        "--data-a", data / "trainA", "--data-b", data / "trainB",
        "--validation-a", data / "testA", "--validation-b", data / "testB", "--device", "cpu",
    )  # fmt: skip


def test_a_run_that_is_all_warm_up_is_told(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # --check leaves a picture there

    def told(*changes: str) -> str:
        asked = ("train", "mr_ct", *sides(data), "--out", tmp_path / "run", "--check")
        return run(*asked, *SMALL, *changes)[2]

    assert "all of the training is the warm-up" in told("engine.warmup.share=1")
    assert "the warm-up" not in told()


def test_from_data_to_models_of_both_directions(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, said, progress = run("train", "mr_ct", *sides(data), "--out", out, *SMALL)
    assert code == 0, progress
    assert said.splitlines()[0] == str(out)
    assert "step 4 of 4" in progress
    assert yaml.safe_load((out / "config.yaml").read_text())["steps"] == 4
    assert json.loads((out / "run.json").read_text())["data"]["a"]["inputs"] == 2

    code, _, error = run("train", "mr_ct", *sides(data), "--out", out, *SMALL)
    assert (code, "a run is not replaced" in error) == (4, True)
    code, _, error = run("train", "mr_ct", "--out", out, "--resume", *SMALL, "seed=9")
    assert (code, "seed is 9, but the run has 0" in error) == (2, True)
    code, said, error = run(
        "train", "mr_ct", "--out", out, "--resume", *SMALL, "steps=6", "--device", "cpu", "--json"
    )
    assert code == 0, error
    assert json.loads(said)["steps"] == 6  # longer than asked for at first; folders are remembered

    for direction, target in (("a-to-b", "HU"), ("b-to-a", "a.u.")):
        model = tmp_path / direction
        code, said, error = run("export", out, "--out", model, "--direction", direction)
        assert code == 0, error
        card = load_model(model).card
        assert (card.task.target.unit, card.training.steps) == (target, 6)
        assert {source.name.split(",")[0] for source in card.training.data} == {
            "2 images of 2 subjects"
        }
        assert {score.measure for score in card.scores} >= {"mae", "psnr_db", "ssim", "nmi"}
    assert load_model(tmp_path / "b-to-a").task.target_window.upper == 1000.0
    code, _, error = run("export", out, "--out", tmp_path / "a-to-b")
    assert (code, "a model is not replaced" in error) == (4, True)
    code, _, error = run("export", out, "--out", tmp_path / "best", "--weights", "best")
    assert code == 0, error

    source = data / "testA" / "subject-004.nii.gz"
    code, _, error = run("synth-ct", "--mri", source, "--model", tmp_path / "a-to-b",
                         "--out", tmp_path / "sct.nii.gz", "--device", "cpu")  # fmt: skip
    assert code == 0, error
    made, given = read_scan(tmp_path / "sct.nii.gz").volume, read_scan(source).volume
    assert made.geometry.shape == given.geometry.shape


def test_a_check_reads_everything_and_trains_nothing(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, error = run("train", "mr_ct", *sides(data), "--check", *SMALL)
    assert code == 0, error
    assert "trainA" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mr_ct_check.png"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("mr_ct",), 2, "--data-a and --data-b are needed"),
        (("none", "--data-a", ".", "--data-b", "."), 2, "No configuration none"),
        (
            ("mr_ct", "--data-a", ".", "--data-b", ".", "engine.losses.cycle=-1"),
            2,
            "engine.losses.cycle = -1",
        ),
        (("mr_ct", "--data-a", ".", "--data-b", "."), 3, "hold no MR images"),
        (("mr_ct", "--out", "none", "--resume"), 2, "none holds no run"),
        (("mr_ct", "--data-a", ".", "--data-b", ".", "--validation-a", "."), 2, "Only one folder"),
        (("head_mr_ct", "--data-a", ".", "--data-b", "."), 2, "give --labels"),
        (("mr_ct", "--labels", "."), 2, "give --data-a and --data-b"),
        (("head_mr_ct", "--labels", "."), 3, "holds 0 label maps"),
    ],
)
def test_what_cannot_be_trained_is_told(
    arguments: tuple[str, ...], code: int, message: str, run: Run, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    found, out, error = run("train", *arguments)
    assert (found, out) == (code, "")
    assert message in error
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_cannot_be_exported(run: Run, tmp_path: Path) -> None:
    code, _, error = run("export", tmp_path, "--out", tmp_path / "model")
    assert (code, "holds no run" in error) == (2, True)


def test_configurations_are_listed_and_shown_with_their_comments(run: Run) -> None:
    code, said, _ = run("config", "list")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == list(shipped_configs())
    for name, path in shipped_configs().items():
        code, shown, _ = run("config", "show", name)
        assert (code, shown) == (0, path.read_text(encoding="utf-8"))
        assert shown.startswith("# ")
    code, _, error = run("config", "show", "none")
    assert (code, "one of ct_denoise" in error) == (2, True)


# What makes a training of a shipped model small: tiny networks and patches, two steps.
TINY_HEADS = (
    "generator.widths=[4, 8]", "data.size_px=32", "data.slices=2", "data.held_back=1", "late=null",
    "batch_size=1", "steps=2", "checkpoint_every=1", "workers=0", "panel_steps=[]",
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "model_name"),
    [("head_mr_ct", "head-mr-ct"), ("head_t1_t2", "head-t1-t2"), ("head_ct_denoise", "ct-denoise")],
)
def test_what_ships_is_trained_from_label_maps(
    name: str, model_name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dose_slices, "SIZE_PX", 32)
    monkeypatch.setattr(dose_slices, "_SLICES_A_HEAD", 2)
    monkeypatch.setattr(dose_slices, "_PHANTOM_SHARE", 0.0)
    labels, prepared, out = tmp_path / "labels", tmp_path / "prepared", tmp_path / "run"
    labels.mkdir()
    volume = head_labels()
    image = nib.Nifti1Image(volume.voxels.astype(np.int16), volume.geometry.affine_ras)
    for number in (1, 2):
        nib.save(image, labels / f"head_{number:02d}.nii.gz")
    asked = ("--labels", labels, "--heads", 1, "--prepared", prepared, "--device", "cpu")
    code, _, error = run("train", name, *asked, "--out", out, *TINY_HEADS)
    assert code == 0, error
    code, _, error = run("export", out, "--out", tmp_path / "model")
    assert code == 0, error
    card = load_model(tmp_path / "model").card
    assert (card.name, card.training.steps, card.generator.widths) == (model_name, 2, (4, 8))
    assert card.training.simulated
    assert card.training.data[0].name == "label maps of 1 head, folder labels"
    assert sorted(path.name for path in prepared.iterdir()) == ["head_01.npz", "head_02.npz"]
    # prepared heads are used again, and give the same model
    for path in labels.iterdir():
        path.write_bytes(b"")
    code, _, error = run("train", name, *asked, "--out", tmp_path / "again", *TINY_HEADS)
    assert code == 0, error
    run("export", tmp_path / "again", "--out", tmp_path / "same")
    assert load_model(tmp_path / "same").card.weights_sha256 == card.weights_sha256
    code, _, error = run("train", name, "--out", out, "--resume", *TINY_HEADS, "steps=3")
    assert code == 0, error  # the label maps are remembered


def test_a_run_goes_on_with_its_own_settings_and_no_other_configuration(
    run: Run, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    code, _, error = run("train", "mr_ct", *sides(data), "--out", out, *SMALL, "engine.pool_size=3")
    assert code == 0, error
    code, _, error = run("train", "--out", out, "--resume", "steps=6", "--device", "cpu")
    assert code == 0, error
    assert "step 6 of 6" in error
    assert "a-to-b mae" in error  # scores of the validation are shown
    assert yaml.safe_load((out / "config.yaml").read_text())["engine"]["pool_size"] == 3
    code, _, error = run("train", "t1_t2", "--out", out, "--resume")
    assert (code, "holds a run of mr_ct, not of t1_t2" in error) == (2, True)
    code, _, error = run("train", "--resume")
    assert (code, "--resume without --out" in error) == (2, True)
    code, _, error = run("train", *sides(data))
    assert (code, "No configuration" in error) == (2, True)


def test_an_export_says_what_it_is_told(run: Run, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert run("train", "mr_ct", *sides(data), "--out", out, *SMALL)[0] == 0
    said = ("--name", "our-ct", "--licence", "CC-BY-4.0", "--intended-use", "Tests.")
    code, _, error = run("export", out, "--out", tmp_path / "model", *said, "--simulated")
    assert code == 0, error
    card = load_model(tmp_path / "model").card
    assert (card.name, card.licence, card.intended_use) == ("our-ct", "CC-BY-4.0", "Tests.")
    assert card.training.simulated
    code, _, error = run("export", out, "--out", tmp_path / "b", "--name", "")
    assert (code, "name" in error) == (2, True)


def test_every_key_is_shown_with_its_default_and_its_meaning(run: Run) -> None:
    code, said, _ = run("config", "show", "mr_ct", "--all")
    assert code == 0
    assert "\nengine.losses.cycle=0.5 (default 10)  # weight of there and back again, L1\n" in said
    assert "\npatience=null  # " in said


def test_sigterm_to_the_whole_group_saves_and_ends_with_143(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    asked = [sys.executable, "-m", "medcyclegan", "train", "mr_ct", *map(str, sides(data)), "--out",
             str(out), *SMALL, "workers=2", "steps=100000", "log_every=1"]  # fmt: skip
    with subprocess.Popen(
        asked, start_new_session=True, stderr=subprocess.PIPE, text=True
    ) as child:
        metrics = out / "metrics.csv"
        deadline = time.monotonic() + 240.0
        while not (metrics.exists() and metrics.read_text().count("\n") > 2):
            assert child.poll() is None, child.stderr.read() if child.stderr else ""
            assert time.monotonic() < deadline
            time.sleep(0.2)
        os.killpg(child.pid, signal.SIGTERM)
        _, error = child.communicate(timeout=120)
    assert child.returncode == 143, error
    assert "Stopped by SIGTERM" in error
    assert "Traceback" not in error
    assert (out / "checkpoints" / "last.pt").exists()
