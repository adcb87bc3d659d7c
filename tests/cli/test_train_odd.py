"""``train`` and ``train --check`` on odd folders: what is told on the screen and in the record."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.cli.conversion_inputs import Run
from tests.cli.test_train import SMALL
from tests.training.data.data_factory import ct_values, heads, mr_values, write_volume


def test_a_check_names_an_mr_among_ct_and_what_is_swapped(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heads(tmp_path, a=1, b=1)
    asked = ("train", "mr_ct", "--data-a", "a", "--data-b", "b", "--check", *SMALL)
    code, _, said = run(*asked)
    assert code == 0, said
    code, _, said = run("train", "mr_ct", "--data-a", "b", "--data-b", "a", "--check", *SMALL)
    assert code == 3
    assert "b/ct00.nii.gz looks like a CT" in said
    assert "a/mr00_t1.nii.gz does not look like a CT in HU" in said
    assert "A and B look swapped" in said
    write_volume(tmp_path / "c" / "x.nii", mr_values(9))
    code, _, said = run("train", "ct_denoise", "--data-a", "c", "--data-b", "a", "--check")
    assert code == 3
    assert "2 of 2 inputs cannot be used" in said


def test_a_check_names_links_that_lead_nowhere(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    heads(tmp_path, a=1, b=1)
    (tmp_path / "a" / "lost.nii.gz").symlink_to("/nowhere")
    code, _, said = run("train", "mr_ct", "--data-a", "a", "--data-b", "b", "--check", *SMALL)
    assert code == 0
    assert "links that lead nowhere passed over: 1 (lost.nii.gz)" in " ".join(said.split())


def test_names_that_are_no_text_are_trained_on(run: Run, tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"set\xf6")
    for n in range(3):
        name = os.fsdecode(b"p\xf6%d.nii" % n)
        write_volume(tmp_path / "x.nii", mr_values(n)).rename(_made(place / "mr") / name)
        write_volume(tmp_path / "x.nii", ct_values(n)).rename(_made(place / "ct") / name)
    out = tmp_path / "run"
    asked = ("train", "mr_ct", "--data", place, "--out", out, "--device", "cpu", *SMALL)
    steps = ("steps=2", "validate_every=1", "data.pairs=by-name", "data.validation_share=0.4")
    code, _, said = run(*asked, *steps)
    assert code == 0, said
    assert "set" in json.loads((out / "run.json").read_text())["source"]["a"]
    code, _, said = run("train", "mr_ct", "--out", out, "--resume", *SMALL, *steps, "steps=3")
    assert code == 0, said
    code, _, said = run("export", out, "--out", tmp_path / "model")
    assert code == 0, said


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def test_one_place_and_two_are_not_given_together(run: Run, tmp_path: Path) -> None:
    code, _, said = run("train", "mr_ct", "--data", tmp_path, "--data-a", tmp_path)
    assert (code, "--data with --data-a or --data-b" in said) == (2, True)
    code, _, said = run("train", "t1_t2", "--data", tmp_path, "--check")
    assert (code, "say by which names" in said) == (2, True)


def test_several_channels_are_read_trained_on_and_exported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for n, name in enumerate(("p1_t1", "p1_t2", "p1_ct")):
        write_volume(tmp_path / f"set/{name}.nii", ct_values(9) if n == 2 else mr_values(n))
    unlike = ("engine.losses.structure=0", "engine.warmup.losses.structure=0")
    asked = ("train", "mr_ct", "--data", "set", *SMALL, "data.a.channels=[t1, t2]", *unlike)
    code, table, said = run(*asked, "--check")
    assert code == 0, said
    assert "t1, t2" in table
    code, _, said = run(*asked, "steps=2", "--out", "run")
    assert code == 0, said
    code, _, said = run("export", "run", "--out", "model")
    assert code == 0, said
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["task"]["source"]["channels"] == ["t1", "t2"]
