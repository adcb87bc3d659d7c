"""The five ways from data to results: each script runs, and its page says what it does."""

from __future__ import annotations

import csv
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import numpy as np
import pytest
from PIL import Image

from medcyclegan import read_scan
from medcyclegan.cli.main import cli
from medcyclegan.models.store import read_card
from tests.pipelines.test_pipelines import ROOT, run

# Settings under which two steps take no time.
TINY = (
    "data.size_px=32", "generator.widths=[4,8]", "engine.discriminator.width=4",
    "engine.discriminator.layers=1", "workers=0", "validation_cases=1", "panel_steps=[]",
    "precision=float32",
)  # fmt: skip
HEADS = "--spacing 5 5 8"
Shape = tuple[str, frozenset[str]]


def go(
    capsys: pytest.CaptureFixture[str], script: str, out: Path, simulate: str, *more: str
) -> list[list[str]]:
    """Run a script on three simulated subjects for two steps; the commands that it ran."""
    capsys.readouterr()
    run(script, "--out", out, "--subjects", 3, "--steps", 2, "--simulate", simulate, *TINY, *more)
    return printed_commands(capsys.readouterr().out)


def printed_commands(text: str) -> list[list[str]]:
    """The command lines that a script printed, as words."""
    return [
        shlex.split(line)[2:] for line in text.splitlines() if line.startswith("$ medcyclegan ")
    ]


def page_commands(text: str) -> list[list[str]]:
    """The command lines of a page's shell blocks, as words."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.strip().startswith("medcyclegan ")]


def shape_of(line: Sequence[str]) -> Shape:
    """A command with its names, and its options without their values or what tries are spared."""
    command: click.Command = cli
    words = list(line)
    names = []
    while isinstance(command, click.Group):
        names.append(words.pop(0))
        command = command.commands[names[-1]]
    if names == ["train"]:
        names.append(words.pop(0))
    # A copy, as click takes words off the list that it is given.
    command.make_context("medcyclegan", [*names[1:], *words] if names[0] == "train" else [*words])
    options = {word for word in words if word.startswith("--")} - {"--overwrite"}
    for method in [n for n, word in enumerate(words) if word == "--method"]:
        options.add(words[method + 1])
    return " ".join(names), frozenset(options)


def shapes_of(lines: Sequence[Sequence[str]]) -> list[Shape]:
    """The shapes of commands; of one that is repeated for each image, the first alone."""
    return list(dict.fromkeys(shape_of(line) for line in lines))


def left_out(done: Sequence[Shape], told: Sequence[Shape]) -> list[Shape]:
    """What was done and is not told at its place in the order."""
    rest: Iterator[Shape] = iter(told)
    return [shape for shape in done if shape not in rest]


def check_page(page: str, commands: list[list[str]], *, extra: str) -> None:
    """The page has each command that the script ran, in its order; ``extra`` of ``--simulate``."""
    added = {word for word in extra.split() if word.startswith("--")}
    done = [(name, options - added) for name, options in shapes_of(commands)]
    told = shapes_of(page_commands((ROOT / "docs" / page).read_text(encoding="utf-8")))
    assert left_out(done, told) == []


def test_a_command_that_a_page_leaves_out_or_tells_too_early_is_found() -> None:
    one, other = ("export", frozenset({"--out"})), ("train mr_ct", frozenset({"--out"}))
    assert left_out([other, one], [other, ("config list", frozenset()), one]) == []
    assert left_out([other, one], [other]) == [one]
    assert left_out([other, one], [one, other]) == [one]
    shape = shape_of(["train", "mr_ct", "--out", "run/", "--data-a", "a/", "steps=2"])
    assert shape == ("train mr_ct", frozenset({"--out", "--data-a"}))
    with pytest.raises(click.ClickException, match="No such option"):
        shape_of(["export", "run/", "--out", "model/", "--swiftly"])


def rows_of(table: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def same_grid(one: Path, other: Path) -> bool:
    """Whether two images lie on one grid."""
    return read_scan(one).volume.geometry.same_grid(read_scan(other).volume.geometry)


def check_model(folder: Path, *, sides: tuple[str, str], simulated: bool = True) -> None:
    """The card says what was trained."""
    card = read_card(folder)
    assert (card.task.source.modality, card.task.target.modality) == sides
    assert (card.training.steps, card.training.simulated) == (2, simulated)


def test_mr_and_ct_go_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mr_ct"
    commands = go(capsys, "mr_ct.py", out, HEADS, "data.spacing_mm=5", "data.depth=3")
    check_page("mr-ct.md", commands, extra=HEADS)
    check_model(out / "mr_ct_model", sides=("MR", "CT"))
    check_model(out / "ct_mr_model", sides=("CT", "MR"))
    sct, smr = (out / name / "subject-003.nii.gz" for name in ("sct", "smr"))
    assert same_grid(sct, out / "data" / "testA" / "subject-003.nii.gz")
    assert same_grid(smr, out / "data" / "testB" / "subject-003.nii.gz")
    assert read_scan(smr).volume.voxels.max() <= 1000.0
    (row,) = rows_of(out / "study" / "metrics.csv")
    assert 0.0 < float(row["mae_hu"]) < 3000.0
    assert (out / "study" / "report.html").is_file()


def test_ct_is_denoised_and_scored_beside_its_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, extra = tmp_path / "ct_denoise", "--spacing 4 4 6 --size 64 64 2 --views 60"
    check_page("ct-denoise.md", go(capsys, "ct_denoise.py", out, extra), extra=extra)
    check_model(out / "denoiser", sides=("CT", "CT"))
    rows = {row["method"]: float(row["mae_hu"]) for row in rows_of(out / "study" / "metrics.csv")}
    assert rows.keys() == {"low-dose", "denoised"}
    # the output is the input and a correction, which is small after two steps, and not yet right
    assert 0.0 < rows["low-dose"] < rows["denoised"] < 50.0


def test_t1_and_t2_go_both_ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "t1_t2"
    commands = go(capsys, "t1_t2.py", out, HEADS, "data.spacing_mm=5")
    check_page("t1-t2.md", commands, extra=HEADS)
    check_model(out / "t1_t2_model", sides=("MR", "MR"))
    check_model(out / "t2_t1_model", sides=("MR", "MR"))
    made = out / "t2" / "subject-003.nii.gz"
    assert same_grid(made, out / "data" / "testA" / "subject-003.nii.gz")
    check_scores(out / "scores.csv", ["t2/subject-003.nii.gz", "t1/subject-003.nii.gz"])


def test_pictures_go_to_ct_slices_and_colour_pictures_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, extra = tmp_path / "ct_images", "--pixels 64 72 --slices 2"
    commands = go(capsys, "ct_images.py", out, extra, "data.plane_px=48")
    check_page("ct-images.md", commands, extra=extra)
    check_model(out / "look_model", sides=("image", "CT"))
    names = sorted(path.name for path in (out / "data" / "testA").iterdir())
    check_scores(out / "scores.csv", names)

    colour = tmp_path / "colour"
    for folder in ("trainA", "testA"):
        (colour / folder).mkdir(parents=True)
        for path in (out / "data" / folder).iterdir():
            grey = np.asarray(Image.open(path))
            tinted = np.stack([grey, grey // 2, 255 - grey], axis=2)
            Image.fromarray(tinted).save(colour / folder / f"{path.stem}.jpg", quality=95)
    folders = ("--data-a", colour / "trainA", "--data-b", out / "data" / "trainB")
    held_back = ("--test-a", colour / "testA", "--test-b", out / "data" / "testB", "--paired")
    again = tmp_path / "again"
    run("ct_images.py", "--out", again, *folders, *held_back, "--steps", 2, *TINY,
        "data.plane_px=48")  # fmt: skip
    check_model(again / "look_model", sides=("image", "CT"), simulated=False)
    assert sorted(path.name for path in (again / "made").iterdir()) == names
    check_scores(again / "scores.csv", [name.replace(".png", ".jpg") for name in names])
    assert Image.open(again / "made" / names[0]).mode == "L"


def test_radiographs_are_enhanced_and_go_towards_ct(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, extra = tmp_path / "xray_ct", "--pixel 5 --size 48 48 --view lateral"
    commands = go(capsys, "xray_ct.py", out, extra, "data.plane_px=40", "data.validation_share=0")
    check_page("xray.md", commands, extra=extra)
    check_model(out / "look_model", sides=("XR", "CT"))
    (made,) = (out / "made").glob("subject-003_001_enhanced*.png")
    assert same_grid(made, out / "data" / "testA" / "subject-003_001.png")
    assert (out / "made" / "contact_sheet.png").stat().st_size > 0


def check_scores(table: Path, cases: list[str]) -> None:
    """Every case has figures of the model and of the baseline, which are not the same."""
    rows = rows_of(table)
    assert [(row["case"], row["method"]) for row in rows] == [
        (case, method) for case in cases for method in ("model", "histogram")
    ]
    for one, other in zip(rows[::2], rows[1::2], strict=True):
        assert 0.0 < float(one["mae_percent"]) < 100.0
        assert float(one["psnr_db"]) != float(other["psnr_db"])
        assert -1.0 <= float(one["ssim"]) <= 1.0


def test_refusals_are_one_line_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = ("--data-a", tmp_path / "no_a", "--data-b", tmp_path / "no_b")
    with pytest.raises(SystemExit) as stop:
        run("mr_ct.py", "--out", tmp_path / "out", *nowhere)
    assert stop.value.code == 3
    assert "no_a" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stop:
        run("mr_ct.py", "--out", tmp_path / "out", *nowhere[:2])
    assert stop.value.code == 2
    assert "belong together" in capsys.readouterr().err
