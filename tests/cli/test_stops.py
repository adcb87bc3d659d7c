"""The process under faults: signals, closed pipes, full disks, a strange environment."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from medcyclegan.cli.main import has_temporary_folder
from tests.cli.conversion_inputs import Run, runner, tree_hash, write_mr
from tests.dicom_factory import make_series
from tests.tiny_model import tiny_folder

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
NOBODY = 65534

# The command line with a command that writes a series as `synth-ct` does, without the network:
# that takes a second to load, and torch many.
DRIVER = """
import sys
import click
from benchmarks.repeatable import trial_of_writing
from medcyclegan.cli.main import cli, main
@cli.command("write")
@click.argument("mri")
@click.argument("out")
def write(mri, out):
    trial_of_writing(mri, out)
"""
# Stays in the writing until a signal comes, and says so on stdout.
SLOW = """
import time
from medcyclegan.io.dicom import write as dicom_write
def wait(*_):
    print("writing", flush=True)
    time.sleep(100)
dicom_write._refuse_other_content = wait
main()
"""
# Gives up being root after a first trial, by which all is imported, as the interpreter may lie in
# root's home.
AS_NOBODY = """
import os, tempfile
with tempfile.TemporaryDirectory() as folder:
    trial_of_writing(sys.argv[2], folder + "/trial")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
main()
"""


@pytest.fixture(scope="module")
def mr() -> Iterator[Path]:
    """An MR series that anybody may read."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    make_series(folder / "mr", shape=(40, 40, 4))
    folder.chmod(0o755)
    yield folder / "mr"
    shutil.rmtree(folder)


def python(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *map(str, arguments)]
    settings = {"capture_output": True, "text": True, "timeout": 300, **options}
    return subprocess.run(command, check=False, **settings)  # type: ignore[call-overload,no-any-return]


def one_line(text: str) -> bool:
    return text.startswith("Error: ") and text.count("\n") == 1


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_signals_while_writing(mr: Path, tmp_path: Path, number: int, code: int) -> None:
    command = [sys.executable, "-c", DRIVER + SLOW, "write", str(mr), str(tmp_path / "out")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "writing\n"
        (temporary,) = tmp_path.iterdir()
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o700
        child.send_signal(number)
        _, errors = child.communicate()
    assert child.returncode == code
    if number == signal.SIGKILL:  # the control: there was something to be removed
        assert list(tmp_path.iterdir()) == [temporary]
    else:
        assert list(tmp_path.iterdir()) == []
        assert one_line(errors)


def test_an_ignored_signal_stays_ignored(mr: Path, tmp_path: Path) -> None:
    """As in ``nohup`` and in the background of a shell without job control."""
    program = f"import os, signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{DRIVER}{SLOW}"
    program = program.replace("time.sleep(100)", "os.kill(os.getpid(), signal.SIGINT)")
    done = python("-c", program, "write", mr, tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 4


def test_a_closed_pipe() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = python("-m", "medcyclegan", "--help", capture_output=False, stdout=writer,
                  stderr=subprocess.PIPE)  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_stdout_and_none() -> None:
    if Path("/dev/full").exists():
        with Path("/dev/full").open("w") as full:
            done = python("-m", "medcyclegan", "--version", capture_output=False, stdout=full,
                          stderr=subprocess.PIPE)  # fmt: skip
        assert done.returncode == 4
        assert one_line(done.stderr)
        assert "No space left" in done.stderr
    closed = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m medcyclegan --version >&-"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (closed.returncode, closed.stderr) == (0, "")


def limit_files() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))


def test_a_limit_on_files(mr: Path, tmp_path: Path) -> None:
    given = ("-c", f"{DRIVER}main()", "write", mr, tmp_path / "out")
    done = python(*given, preexec_fn=limit_files)
    assert done.returncode == 4
    assert one_line(done.stderr)
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert python(*given).returncode == 0  # the control


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    if (
        shutil.which("mount") is None
        or subprocess.run(mount, check=False, capture_output=True).returncode
    ):
        pytest.skip("no disk can be mounted here: a full one was not tested")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(mr: Path, small_disk: Path) -> None:
    done = python("-c", f"{DRIVER}main()", "write", mr, small_disk / "out")
    assert done.returncode == 4
    assert one_line(done.stderr)
    assert "No space left" in done.stderr
    assert list(small_disk.iterdir()) == []


def test_a_folder_that_another_user_may_not_write_to(mr: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        given = ("-c", DRIVER + AS_NOBODY, "write", mr, folder / "out")
        done = python(*given)
        assert done.returncode == 4, done.stderr
        assert one_line(done.stderr)
        assert "Permission denied" in done.stderr
        assert list(folder.iterdir()) == []
        folder.chmod(0o777)  # the control
        done = python(*given)
        assert (done.returncode, done.stderr) == (0, "")
        assert {path.stat().st_uid for path in folder.rglob("*")} == {NOBODY}


def test_no_home_no_locale_and_a_name_that_is_no_text(tmp_path: Path) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/h\xff.nii.gz"))
    try:
        source.rename(odd)
    except OSError:
        odd = source  # this file system takes text only
    bare = {"PATH": os.defpath, "HOME": "/dev/null", "LC_ALL": "C", "OMP_NUM_THREADS": "1"}
    bare["PYTHONPATH"] = os.pathsep.join(sys.path)
    model = tiny_folder(tmp_path / "tiny")
    done = python("-m", "medcyclegan", "synth-ct", "--mri", odd, "--model", model, "--report",
                  env=bare, text=False)  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    stem = os.fsencode(odd).removesuffix(b".nii.gz")
    assert stem + b"_sct.nii.gz" in done.stdout
    assert Path(os.fsdecode(stem + b"_sct_report.html")).is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_two_runs_into_one_folder(mr: Path, tmp_path: Path) -> None:
    alone, out = tmp_path / "alone", tmp_path / "out"
    command = [sys.executable, "-m", "benchmarks.repeatable", "write", "--mri", str(mr)]
    subprocess.run([*command, "--out", str(alone)], check=True)
    for extra in ((), ("--overwrite",)):
        runs = [
            subprocess.Popen([*command, "--out", str(out), *extra], stderr=subprocess.PIPE)
            for _ in range(3)
        ]
        for run in runs:
            run.communicate()
        codes = sorted(run.returncode for run in runs)
        assert codes[0] == 0
        assert set(codes) <= {0, 4}
        assert tree_hash(out) == tree_hash(alone)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "out"]
        if not extra:
            assert codes == [0, 4, 4]


def test_no_folder_for_temporary_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run: Run = runner(monkeypatch, capsys)
    assert has_temporary_folder()

    def none_usable() -> str:
        raise FileNotFoundError

    def fail(**_: object) -> None:
        raise OSError("Matplotlib requires access to a writable cache directory")

    monkeypatch.setattr(sys.modules["medcyclegan.cli.main"], "cli", fail)
    assert run()[0] == 1  # the control: another fault of the system
    monkeypatch.setattr(tempfile, "gettempdir", none_usable)
    code, _, err = run()
    assert (code, "TMPDIR" in err) == (4, True)
