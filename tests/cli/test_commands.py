"""The other commands, help, and the process as users start it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medcyclegan.cli import common
from medcyclegan.cli.common import Voice
from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.io.read import read_scan
from medcyclegan.models.store import read_card, shipped_models
from tests.cli.conversion_inputs import Run, tree_hash

COMMANDS = [
    (),
    ("synth-ct",),
    ("demo",),
    ("phantom",),
    ("models",),
    ("models", "show"),
    ("train",),
    ("export",),
    ("export-onnx",),
    ("config",),
    ("config", "list"),
    ("config", "show"),
    ("simulate",),
    ("simulate", "mr-ct"),
    ("simulate", "t1-t2"),
    ("simulate", "ct-denoise"),
    ("simulate", "ct-images"),
    ("simulate", "xray-ct"),
    ("derive",),
    ("enhance-xray",),
    ("evaluate",),
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_has_an_example(run: Run, command: tuple[str, ...], flag: str) -> None:
    code, out, err = run(*command, flag)
    assert (code, err) == (0, "")
    assert "Example" in out
    assert f"medcyclegan {' '.join(command)}".rstrip() in out.split("Example", 1)[1]


def test_version_no_command_and_no_such_command(run: Run) -> None:
    assert run("--version") == (0, f"medcyclegan {version('medcyclegan')}\n", "")
    assert run("no-such-command")[0] == 2
    assert run()[0] in (0, 2)


def test_models_are_listed_and_shown(run: Run) -> None:
    code, out, err = run("models")
    assert (code, err) == (0, "")
    for name, folder in shipped_models().items():
        card = read_card(folder)
        assert any(line.startswith(name) and card.summary in line for line in out.splitlines())
        code, shown, _ = run("models", "show", name)
        assert code == 0
        for part in (card.name, card.weights_sha256, card.licence, card.intended_use):
            assert part in shown
    code, out, err = run("models", "show", "no-such-model")
    assert (code, out) == (5, "")
    assert "head-mr-ct" in err


def test_phantom_writes_what_it_says(run: Run, tmp_path: Path) -> None:
    arguments = ("phantom", "--spacing", 8, 8, 10, "--tilt", 12, "--seed", 7, "--dicom")
    code, out, err = run(*arguments, "--out", tmp_path / "new" / "p")
    assert (code, err) == (0, "")
    folder = tmp_path / "new" / "p"
    said = sorted(Path(line) for line in out.splitlines())
    assert said == sorted(folder.iterdir())
    assert {path.name for path in said} == {
        "mr_t1.nii.gz", "ct.nii.gz", "labels.nii.gz", "body_mask.nii.gz", "mr_t1_dicom",
        "ct_dicom",
    }  # fmt: skip
    mr, series = read_scan(folder / "mr_t1.nii.gz"), read_scan(folder / "mr_t1_dicom")
    assert mr.volume.geometry.spacing_mm == pytest.approx((8.0, 8.0, 10.0))
    assert series.modality == "MR"
    assert not np.allclose(mr.volume.geometry.directions_ras, np.eye(3), atol=0.1)

    again = tmp_path / "again"
    run(*arguments[:-1], "--out", again, "--quiet")
    assert tree_hash(again) == {
        name: digest for name, digest in tree_hash(folder).items() if "dicom" not in name
    }
    before = tree_hash(tmp_path)
    code, out, err = run(*arguments, "--out", folder)
    assert code == 4
    assert tree_hash(tmp_path) == before
    assert run(*arguments[:-1], "--out", tmp_path / "q", "--quiet")[1] == ""


def test_phantom_of_a_given_size_and_bad_options(run: Run, tmp_path: Path) -> None:
    given = ("phantom", "--out", tmp_path / "p", "--spacing", 9, 9, 9)
    assert run(*given, "--size", 5, 6, 7, "--contrast", "flair")[0] == 0
    assert read_scan(tmp_path / "p" / "mr_flair.nii.gz").volume.geometry.shape == (5, 6, 7)
    for bad in (("--contrast", "t3"), ("--spacing", 0, 1, 1), ("--tilt", 90), ("--size", 0, 1, 1)):
        assert run("phantom", "--out", tmp_path / "q", *bad)[0] == 2
    (tmp_path / "file").write_text("x")
    assert run(*given[:2], tmp_path / "file", *given[3:], "--size", 2, 2, 2)[0] == 4
    assert not (tmp_path / "q").exists()


def test_the_demo_does_not_fill_a_folder_that_holds_something(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    code, out, err = run("demo", "--out", tmp_path)
    assert (code, out) == (4, "")
    assert "not empty" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_demo_leaves_images_a_picture_and_scores(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a coarser phantom, as the whole one takes a minute."""
    coarse = geometry_from_spacing((52, 60, 56), (4.0, 4.0, 4.0))
    monkeypatch.setattr("medcyclegan.simulate.phantom.head.default_geometry", lambda: coarse)
    code, out, err = run("demo", "--out", tmp_path / "demo", "--json")
    assert code == 0, err
    made = json.loads(out)
    assert {Path(path).name for path in made["written"]} >= {
        "mr_t1.nii.gz", "ct.nii.gz", "sct.nii.gz", "sct_dicom", "picture.png",
    }  # fmt: skip
    assert (tmp_path / "demo" / "picture.png").read_bytes().startswith(b"\x89PNG")
    sct = read_scan(tmp_path / "demo" / "sct.nii.gz").volume
    assert sct.geometry.shape == coarse.shape
    assert made["scores"]["dice_bone"] > 0.5  # water has 0


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys, atexit\n"
        "heavy = {'torch', 'monai', 'numpy', 'pydicom', 'nibabel', 'SimpleITK', 'matplotlib'}\n"
        "atexit.register(lambda: print('loaded:', sorted(heavy & sys.modules.keys())))\n"
        "sys.argv = ['medcyclegan', *sys.argv[1:]]\n"
        "from medcyclegan.cli import main\n"
        "main()"
    )
    for command in ((), ("synth-ct",)):
        done = python("-c", code, *command, "--help")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "loaded: []"
    control = python("-c", "import numpy\n" + code, "--help")
    assert control.stdout.splitlines()[-1] == "loaded: ['numpy']"


def test_the_process_returns_the_exit_code() -> None:
    done = python("-m", "medcyclegan", "models", "show", "no-such-model")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("Error: No model no-such-model")
    assert "Traceback" not in done.stderr
    debug = python("-m", "medcyclegan", "synth-ct", "--mri", "none.nii.gz", "--debug")
    assert debug.returncode == 3
    assert "Traceback" in debug.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 2**18, b"just: text: x", b"a text"])
def test_what_is_no_configuration_is_not_shown(run: Run, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.yaml").write_bytes(content)
    code, out, err = run("config", "show", tmp_path / "a.yaml")
    assert (code, out, "a.yaml" in err) == (2, "", True)


def test_warnings_of_the_log_look_as_all_others() -> None:
    code = (
        "import logging\n"
        "from medcyclegan.cli.common import Voice\n"
        "Voice(level=1, debug=False, json=False).start_logging()\n"
        "log = logging.getLogger('medcyclegan.io.atomic')\n"
        "log.warning('%s is odd', 'it')\n"
        "log.info('a detail')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.info('a cause', exc_info=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, second, *rest = done.stderr.splitlines()
    assert first == "Warning: it is odd"
    assert second == "INFO medcyclegan.io.atomic: a detail"
    assert rest[-1].startswith("ZeroDivisionError")


def test_what_takes_long_writes_lines_where_no_terminal_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([0.0, 4.0, 9.0, 31.0, 32.0, 45.0])
    monkeypatch.setattr(common, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Voice(level=0, debug=False, json=False).progress("Preparing heads") as progress:
        for done in range(1, 6):
            progress(done, 5)
    said = capsys.readouterr()
    assert said.err == "Preparing heads: 60%\nPreparing heads: 100%\n"
    assert said.out == ""


@pytest.mark.parametrize("voice", [Voice(-1, False, False), Voice(0, False, True)])
def test_quiet_and_json_write_no_lines(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "SECONDS_BETWEEN_LINES", 0.0)
    with voice.progress("Preparing heads") as progress:
        progress(1, 5)
    assert capsys.readouterr().err == ""
