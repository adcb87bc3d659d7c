"""The tutorial runs from its first cell to its last, and what is committed of it can be shown."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

PATH = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"
# The tagged cell is overwritten by this: a few coarse heads, a few steps.
SMALL = "SUBJECTS = 3\nPIXEL_MM, SLICE_MM = 6.0, 9.0\nSTEPS = 4\n"


def tutorial(parameters: str) -> NotebookNode:
    """The notebook with other parameters, and without outputs."""
    notebook = nbformat.read(PATH, as_version=4)
    tagged = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert names_in(tagged[0].source) == names_in(parameters)
    tagged[0].source = parameters
    for cell in code_cells(notebook):
        cell.outputs = []
    return notebook


def names_in(parameters: str) -> list[str]:
    """What a cell of parameters sets."""
    return re.findall(r"^([\w, ]+) =", parameters, flags=re.MULTILINE)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells of code, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_in(folder: Path, notebook: NotebookNode) -> None:
    """Run all cells, working in a folder."""
    where = {"metadata": {"path": str(folder)}}
    client = NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where)
    client.execute()


def texts_of(cell: NotebookNode) -> str:
    """What a cell printed."""
    return "".join(output.get("text", "") for output in cell.outputs)


def pictures_of(notebook: NotebookNode) -> list[int]:
    """How many pictures each code cell that shows some has shown."""
    shown = [
        sum("image/png" in output.get("data", {}) for output in cell.outputs)
        for cell in code_cells(notebook)
    ]
    return [count for count in shown if count]


def test_the_tutorial_runs_and_ends_with_scores(tmp_path: Path) -> None:
    notebook = tutorial(SMALL)
    run_in(tmp_path, notebook)
    rows = [line.split() for line in texts_of(code_cells(notebook)[-1]).splitlines()[1:]]
    assert [(row[0], row[-5]) for row in rows] == [
        ("subject-003", "training"), ("subject-003", "water"),
    ]  # fmt: skip
    assert all(float(figure) >= 0.0 for row in rows for figure in row[-4:])
    assert pictures_of(notebook) == [1, 1, 1, 1]
    assert (tmp_path / "tutorial" / "model" / "card.json").is_file()

    # The control: a cell that fails ends it, and is not passed over.
    broken = tutorial(SMALL)
    broken.cells = [*broken.cells[:4], nbformat.v4.new_code_cell('medcyclegan("no-such-command")')]
    with pytest.raises(CellExecutionError, match="no-such-command"):
        run_in(tmp_path, broken)


def test_what_is_committed_was_run_in_order_and_tells_no_paths() -> None:
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert pictures_of(notebook) == [1, 1, 1, 1]
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error"]
    printed = "\n".join(texts_of(cell) for cell in cells)
    assert absolute_paths(printed) == []
    assert PATH.stat().st_size < 1_000_000


def errors_of(printed: str) -> dict[str, list[float]]:
    """The MAE of each subject by the table of scores: of the training, then of water."""
    rows = [line.split() for line in printed.splitlines()[1:]]
    found: dict[str, list[float]] = {}
    for row in rows:
        found.setdefault(row[0], []).append(float(row[-4]))
    return found


def wins_clearly(printed: str) -> bool:
    """Whether the error of the training is below three quarters of water's for every subject."""
    return all(trained < 0.75 * water for trained, water in errors_of(printed).values())


def test_the_first_training_of_a_newcomer_wins_clearly() -> None:
    notebook = nbformat.read(PATH, as_version=4)
    printed = texts_of(code_cells(notebook)[-1])
    assert len(errors_of(printed)) == 2
    assert wins_clearly(printed)
    control = "case method MAE PSNR SSIM Dice\nsubject-007 this training 220 21.0 0.62 0.42\n"
    assert not wins_clearly(control + "subject-007 water 218 19.8 0.56 0.00\n")


def absolute_paths(text: str) -> list[str]:
    """Words that look like a path from the root of a computer."""
    return re.findall(r"(?<![\w.])(?:/\w[^\s]*/|[A-Z]:\\)\S*", text)


def test_an_absolute_path_is_found() -> None:
    assert absolute_paths("tutorial/run/panels\nstep 1 of 2  cycle 1/2") == []
    assert absolute_paths("read /home/anna/x.nii, C:\\scans") == ["/home/anna/x.nii,", "C:\\scans"]
