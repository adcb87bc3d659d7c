"""No file of ours can run code when it is read, and no code of ours reads such files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import medcyclegan

PACKAGE = Path(medcyclegan.__file__).parent
ROOT = PACKAGE.parent
SOURCES = [
    path
    for folder in (PACKAGE, ROOT / "pipelines", ROOT / "benchmarks")
    for path in sorted(folder.rglob("*.py"))
]
_ENDINGS = ".json .safetensors .j2 .typed .yaml .csv .md .txt .js .css .html .svg .png"
DATA_ENDINGS = set(_ENDINGS.split())
# What a pickle (protocol 2 and later) and torch.save (a zip; before 1.6 a pickle) begin with.
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
UNSAFE_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
_CALLS = "eval exec os.system os.popen yaml.load yaml.unsafe_load yaml.full_load"
UNSAFE_CALLS = set(_CALLS.split())


def is_suspicious(path: Path) -> bool:
    """Whether a file that is no code might be a pickle."""
    return path.suffix not in DATA_ENDINGS or path.read_bytes()[:4].startswith(PICKLE_STARTS)


def unsafe_steps(text: str) -> Iterator[str]:
    """What in a module reads pickles, runs text as code or calls a shell."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            for name in [*names, module]:
                if name.split(".")[0] in UNSAFE_MODULES and not _only_its_error(tree, name):
                    yield f"import of {name}"
        if isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _only_its_error(tree: ast.Module, module: str) -> bool:
    """Whether of a module nothing is used but the error, which torch.load raises too."""
    uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == module]
    errors = [n for n in ast.walk(tree) if ast.unparse(n) == "pickle.UnpicklingError"]
    return bool(uses) and len(uses) == len(errors)


def _unsafe_call(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {word.arg: ast.unparse(word.value) for word in call.keywords}
    if name in UNSAFE_CALLS or given.get("shell", "False") != "False":
        yield name
    if name.endswith("torch.load") and given.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        yield f"{name} with allow_pickle"


def test_no_data_file_of_the_package_can_hold_code() -> None:
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    data = [path for path in files if path.suffix != ".py"]
    assert [path for path in data if is_suspicious(path)] == []
    assert any(path.suffix == ".safetensors" for path in data)


@pytest.mark.parametrize("name", ["a.pt", "a.ckpt", "a.safetensors", "a.json"])
def test_a_pickle_is_found_under_any_name(tmp_path: Path, name: str) -> None:
    import pickle

    import torch

    (tmp_path / name).write_bytes(pickle.dumps([1]))
    assert is_suspicious(tmp_path / name)
    torch.save([1], tmp_path / name)
    assert is_suspicious(tmp_path / name)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_that_is_read_is_run(path: Path) -> None:
    assert list(unsafe_steps(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    ["import pickle", "import pickle\npickle.UnpicklingError, pickle.loads",
     "from pickle import loads", "import joblib.numpy_pickle", "eval('1')",
     "torch.load(p)", "torch.load(p, weights_only=False)", "torch.load(p, weights_only=flag)",
     "np.load(p, allow_pickle=True)", "yaml.load(t, Loader=yaml.Loader)",
     "subprocess.run('ls', shell=True)", "os.system('ls')"],
)  # fmt: skip
def test_each_unsafe_step_is_found(text: str) -> None:
    assert len(list(unsafe_steps(text))) == 1
    assert list(unsafe_steps("torch.load(p, weights_only=True); yaml.safe_load(t)")) == []
    assert list(unsafe_steps("import pickle\nerror = pickle.UnpicklingError")) == []
