"""The documents keep their word: their Python runs, their links lead somewhere, options exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from medcyclegan.cli import translate
from medcyclegan.cli import translate as synth_ct
from medcyclegan.cli.common import Voice
from medcyclegan.cli.conversions import Outcome
from medcyclegan.cli.main import cli
from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.errors import ExitCode
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.simulate.phantom.head import default_geometry, make_phantom
from medcyclegan.workflow.convert import Conversion
from medcyclegan.workflow.synthesize import Options, synthesize
from tests.tiny_model import head_on, identity_model, scan_of

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_LONG_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return [body for found, body in _FENCE.findall(text) if found == language]


def headings(text: str) -> dict[str, str]:
    """The sections of the second level by title, each up to the next."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def anchors(text: str) -> set[str]:
    """The anchors of headings, as Git hosts make them."""
    titles = re.findall(r"^#+ (.*)$", _FENCE.sub("", text), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(text: str, path: Path) -> list[str]:
    """Relative links of a document at ``path`` whose file or heading is not there."""
    broken = []
    for link in _LINK.findall(_FENCE.sub("", text)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = path.parent / name
        if name and not target.exists():
            broken.append(link)
            continue
        there = target.read_text(encoding="utf-8") if anchor and name else text
        if anchor and anchor not in anchors(there):
            broken.append(link)
    return broken


def commands(group: click.Command, name: str) -> dict[str, click.Command]:
    """A command and all below it, by what is typed."""
    found = {name: group}
    if isinstance(group, click.Group):
        for child, command in group.commands.items():
            found |= commands(command, f"{name} {child}")
    return found


def context_of(command: click.Command) -> click.Context:
    """A context with the help options of the whole, which a command keeps from its first one."""
    return click.Context(command, help_option_names=cli.context_settings["help_option_names"])


def long_options(command: click.Command) -> set[str]:
    """The long names of a command's options."""
    params = command.get_params(context_of(command))
    names = {name for param in params if isinstance(param, click.Option) for name in param.opts}
    return {name for name in names if name.startswith("--")}


@pytest.fixture
def folder_with_mr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a small phantom's MR as ``head_t1.nii.gz`` in it."""
    subject = make_phantom(default_geometry(4.0), contrast="t1", seed=1)
    write_nifti(subject.mr, source_header=ItkSourceHeader(), to=tmp_path / "head_t1.nii.gz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# MONAI tries all of its readers; one of them warns of a decoder that it does not find.
@pytest.mark.filterwarnings("ignore:NvImgCodec:UserWarning")
@pytest.mark.parametrize("name", ["README.md", "docs/python.md"])
def test_python_blocks_run_one_after_the_other(name: str, folder_with_mr: Path) -> None:
    code = blocks((ROOT / name).read_text(encoding="utf-8"), "python")
    assert code
    names: dict[str, object] = {}
    for number, block in enumerate(code, start=1):
        exec(compile(block, f"{name}, block {number}", "exec"), names)
    assert (folder_with_mr / "head_t1_sct.nii.gz").is_file()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_relative_links_lead_to_files_and_headings(path: Path) -> None:
    assert broken_links(path.read_text(encoding="utf-8"), path) == []


def missing_files(text: str) -> list[str]:
    """Python files that a text names in code font, by path or by name, and that do not exist."""
    named = re.findall(r"`([\w/]+\.py)`", _FENCE.sub("", text))
    known = [f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.glob("*/**/*.py")]
    return [name for name in named if not any(path.endswith(f"/{name}") for path in known)]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_files_that_documents_name_exist(path: Path) -> None:
    assert path.name == "CHANGELOG.md" or missing_files(path.read_text(encoding="utf-8")) == []


def test_a_python_file_that_is_not_there_is_found() -> None:
    text = "`tests/test_docs.py`, `test_docs.py`, `no/test_docs.py` and `no_such_file.py`"
    assert missing_files(text) == ["no/test_docs.py", "no_such_file.py"]


def test_a_link_that_leads_nowhere_is_found() -> None:
    text = "# A b\n[x](#a-b) [y](no.md) ![z](no.png) [a](#none) [h](https://a.example)\n"
    text += "```sh\n[c](in-a-block.md)\n```\n[d](CONTRIBUTING.md#none)\n"
    assert broken_links(text, ROOT / "README.md") == [
        "no.md", "no.png", "#none", "CONTRIBUTING.md#none",
    ]  # fmt: skip


def test_every_command_has_its_section_with_its_options_and_no_others() -> None:
    sections = headings(CLI)
    for name, command in commands(cli, "medcyclegan").items():
        table = {line for line in sections[name].splitlines() if line.startswith("| `-")}
        told = {option for line in table for option in _LONG_OPTION.findall(line.split(" | ")[0])}
        assert told == long_options(command), name
    known = set().union(*(long_options(c) for c in commands(cli, "medcyclegan").values()))
    assert set(_LONG_OPTION.findall(CLI)) <= known


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_command_lines_in_documents_can_be_parsed(path: Path) -> None:
    text = "\n".join(blocks(path.read_text(encoding="utf-8"), "sh"))
    lines = text.replace("\\\n", " ").splitlines()
    ours = [line.split("&&")[-1].strip() for line in lines]
    for line in ours:
        if line.startswith("medcyclegan "):
            parse(shlex.split(line.split(" > ")[0])[1:])


def parse(arguments: list[str]) -> None:
    """Check arguments as click would, without running anything; raises a ClickException."""
    command: click.Command = cli
    while isinstance(command, click.Group) and arguments and arguments[0] in command.commands:
        command, arguments = command.commands[arguments[0]], arguments[1:]
    if not {"--help", "--version"} & set(arguments):
        command.make_context("medcyclegan", arguments, parent=context_of(cli))


def test_a_command_line_with_an_unknown_option_is_found() -> None:
    with pytest.raises(click.ClickException, match="No such option"):
        parse(["synth-ct", "--mri", "a.nii", "--fast"])


@pytest.mark.parametrize(
    ("name", "summarise"),
    [("synth-ct", synth_ct.summarise_synthetic_ct), ("translate", translate.summarise)],
)
def test_the_json_keys_are_those_in_the_table(
    capsys: pytest.CaptureFixture[str], name: str, summarise: Callable[[Voice, Outcome], None]
) -> None:
    model = identity_model()
    mr, mask = head_on(geometry_from_spacing((20, 20, 20), (8.0, 8.0, 8.0)))
    scan = scan_of(mr)
    result = synthesize(scan, model, options=Options(device="cpu", mask=mask))
    done = Conversion(scan, result, Path("a_sct.nii.gz"), None, result.seconds)
    summarise(Voice(level=0, debug=False, json=True), Outcome(done, model, 1.0))
    printed = set(re.findall(r'^  "(\w+)":', capsys.readouterr().out, flags=re.MULTILINE))
    table = headings(CLI)[f"medcyclegan {name}"].split("### JSON output")[1]
    rows = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `")]
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == printed


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)]
    assert told == sorted(set(ExitCode))  # each once, in order
    sections = [int(code) for code in re.findall(r"^## (\d+)", text, flags=re.MULTILINE)]
    assert sections == sorted(set(sections))


def test_every_dependency_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {re.split(r"[<>=\[]", line)[0] for needed in groups for line in needed}
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (\w[\w-]*) \| (?!why)", text, flags=re.MULTILINE)) == names
