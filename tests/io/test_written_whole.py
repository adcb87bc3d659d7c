"""All that the package writes appears whole or not at all: by rule, and where it was not so."""

from __future__ import annotations

import ast
import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import medcyclegan
from medcyclegan.errors import CannotWrite
from medcyclegan.models.store import (
    CARD_NAME,
    copy_with_card,
    save_model,
    shipped_models,
    write_card,
)
from medcyclegan.simulate.label_heads.label_maps import HeadAnatomy
from medcyclegan.training.data import simulated
from medcyclegan.training.data.simulated import dose_slices, keep_prepared, prepared_path
from tests.architecture_rules import modules
from tests.tiny_model import tiny_card, tiny_weights
from tests.training.test_dose_patches import config

_WRITES = {
    "write_text", "write_bytes", "savez", "savez_compressed", "savefig", "imsave", "dcmwrite",
    "save_as", "tofile", "copyfile",
}  # fmt: skip
_WHOLE = {"atomic_file", "atomic_folder", "atomic_image", "_new_temporary"}
# What writes by a path that its caller has from ``atomic_folder``, or in a way of its own.
ELSEWHERE = {
    "evaluation.pictures.contact_sheet_png": "into memory",
    "evaluation.pictures.panel_png": "into memory",
    "evaluation.study.output._write_figure": "into the folder of write_study",
    "evaluation.study.output._write_tables": "into the folder of write_study",
    "evaluation.thumbnail.thumbnail": "into memory",
    "io.atomic._ready_sidecar": "the writing of pairs itself",
    "io.dicom.write._save": "into the folder of write_series",
    "io.nifti.image._open_for_writing": "the temporary of write_nifti",
    "service.store.write_part": "a part that gets its name once it is whole",
    "service.uploads._private": "a part that gets its name once it is whole",
    "simulate.datasets._write_records": "into the folder of write_folder",
    "training.run_folder.append_row": "a log grows by rows; a half row is dropped at the resuming",
    "workflow.batch.item.write_mark": "a damaged mark counts as begun, which is what it says",
}


def writes(name: str, text: str) -> Iterator[str]:
    """The functions of a module that write a file outside of a block of ``io.atomic``."""

    def visit(node: ast.AST, where: str, *, whole: bool) -> Iterator[str]:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}"
        if isinstance(node, ast.With):
            whole = whole or any(_called(item.context_expr) in _WHOLE for item in node.items)
        if isinstance(node, ast.Call) and _is_write(node) and not whole:
            yield where
        for child in ast.iter_child_nodes(node):
            yield from visit(child, where, whole=whole)

    yield from visit(ast.parse(text), name.removeprefix("medcyclegan."), whole=False)


def _called(node: ast.AST) -> str:
    if not isinstance(node, ast.Call):
        return ""
    # stack.enter_context(atomic_file(...)) too
    inner = [_called(arg) for arg in node.args if isinstance(arg, ast.Call)]
    own = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    return next((name for name in inner if name in _WHOLE), own)


def _is_write(call: ast.Call) -> bool:
    name = _called(call)
    if name in ("open", "fdopen"):
        modes = [*call.args, *(word.value for word in call.keywords if word.arg == "mode")]
        texts = [arg.value for arg in modes if isinstance(arg, ast.Constant)]
        return any(isinstance(mode, str) and mode[:1] in ("w", "a", "x") for mode in texts)
    # np.save, torch.save, Image.save; methods of our own that are called so take words alone
    is_method = isinstance(call.func, ast.Attribute)
    return name in _WRITES or (name == "save" and is_method and len(call.args) > 0)


def test_every_file_is_written_whole() -> None:
    all_modules = modules(Path(medcyclegan.__file__).parent)
    found = {where for name, text in all_modules.items() for where in writes(name, text)}
    assert found == set(ELSEWHERE)


@pytest.mark.parametrize(
    "line",
    [
        "path.write_text('a')",
        "np.save(path, values)",
        "with path.open('w') as file:\n        file.write('a')",
        "with open(path, mode='ab') as file:\n        file.write(b'a')",
        "with refusals_of(path):\n        figure.savefig(path)",
    ],
)
def test_a_write_by_itself_is_found(line: str) -> None:
    assert list(writes("medcyclegan.io.x", f"def f(path):\n    {line}\n")) == ["io.x.f"]
    whole = f"def f(path):\n  with atomic_file(path, overwrite=True) as path:\n    {line}\n"
    assert list(writes("medcyclegan.io.x", whole)) == []


def test_reading_is_no_writing() -> None:
    text = "def f(path):\n    with path.open('rb') as file, open(path) as other:\n        pass\n"
    assert list(writes("medcyclegan.io.x", text)) == []


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write puts down its first half, and fails."""

    def half(path: Path, content: str | bytes, **_: object) -> int:
        whole = content.encode() if isinstance(content, str) else content
        with path.open("wb") as file:
            file.write(whole[: len(whole) // 2])
        raise FULL

    def half_arrays(path: Path, **_: object) -> None:
        half(path, b"PK but no end")

    for name in ("write_text", "write_bytes"):
        monkeypatch.setattr(Path, name, half)
    monkeypatch.setattr(np, "savez_compressed", half_arrays)


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones among them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


HEAD = HeadAnatomy(np.zeros((4, 5, 6, 7), np.uint8), (1.0, 1.0, 1.0))


def keep_head(folder: Path) -> None:
    keep_prepared(HEAD, prepared_path(folder, 1))


def keep_slices(folder: Path) -> None:
    dose_slices([], config(), folder / "slices.npz", seed=0)


def save_new(folder: Path) -> None:
    save_model(folder / "m", card=tiny_card(), weights=tiny_weights())


def change_card(folder: Path) -> None:
    write_card(folder, tiny_card())


def copy(folder: Path) -> None:
    copy_with_card(shipped_models()["head-mr-ct"], tiny_card(), to=folder / "m")


def plainly(folder: Path) -> None:
    (folder / "card.json").write_text("all of it")


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize("write", [keep_head, keep_slices, save_new, change_card, copy])
def test_a_failure_in_the_middle_leaves_what_was_there(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = np.zeros((2, 32, 32), np.int16)
    monkeypatch.setattr(simulated, "make_dose_slices", lambda *_, **__: (slices, slices))
    for name in ("head_01.npz", CARD_NAME):
        with (tmp_path / name).open("wb") as file:
            file.write(b"old")
    before = tree(tmp_path)
    with pytest.raises(CannotWrite, match="No space left"):
        write(tmp_path)
    assert tree(tmp_path) == before
    with pytest.raises(OSError, match="No space left"):  # the control
        plainly(tmp_path)
    assert tree(tmp_path)["card.json"] == b"all "
