"""How often a batch opens an input: at most once to find it, and once to read it."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from medcyclegan.io.dicom.header import dicom_start, load_header
from medcyclegan.io.held_files import HeldFiles
from medcyclegan.io.itk.image import write_itk
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.read import read_scan
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.workflow.batch import finding as finding_module
from medcyclegan.workflow.batch import work
from medcyclegan.workflow.batch.item import Extras, Status, make_state
from medcyclegan.workflow.batch.run import Order, plan_batch
from tests.radiographs import write_radiograph
from tests.tiny_model import tiny_folder
from tests.tiny_tasks import write_input
from tests.workflow.batch.trees import order, provenance, small_nifti, small_series


class _Opens:
    """What Python opens below a folder, while one is watched; an audit hook cannot be removed."""

    def __init__(self) -> None:
        self.below = ""
        self.found: Counter[str] = Counter()
        sys.addaudithook(self._heard)

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.below and event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            path = os.fsdecode(arguments[0])
            if path.startswith(self.below):
                self.found[path.removeprefix(self.below)] += 1


_OPENS = _Opens()


@contextmanager
def opens(root: Path) -> Iterator[Counter[str]]:
    """Count the openings of each file below a folder."""
    _OPENS.below, _OPENS.found = f"{root}/", Counter()
    try:
        yield _OPENS.found
    finally:
        _OPENS.below = ""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model") / "tiny")


def detached(path: Path) -> Path:
    """The ball of ``small_nifti`` as a header and a file of voxels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scan = read_scan(small_nifti(path.parent.parent.parent / "other" / "t1.nii"))
    write_itk(scan.volume, source_header=ItkSourceHeader(), to=path)
    return path


def plain(root: Path) -> None:
    small_nifti(root / "p1" / "t1.nii.gz")
    small_nifti(root / "p2" / "t1.nii")


TREES: dict[str, Callable[[Path], object]] = {
    "NIfTI": plain,
    "DICOM": lambda root: small_series(root / "p3" / "SE1"),
    "MetaImage": lambda root: detached(root / "p4" / "t1.mha"),
    "MetaImage in two files": lambda root: detached(root / "p5" / "t1.mhd"),
    "NRRD": lambda root: detached(root / "p6" / "t1.nrrd"),
}


def counted(todo: Order, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], Counter[str]]:
    """The openings of each input by the plan, and by the work on all items."""
    worker = SimpleNamespace(address="here", state=SimpleNamespace(nthreads=1))
    monkeypatch.setattr(work, "get_worker", lambda: worker)
    with opens(todo.root) as finding:
        plan, settings = plan_batch(todo, provenance=provenance())
    make_state(settings)
    with opens(todo.root) as working:
        rows = [work.work(item, settings) for item in plan.items]
    assert rows
    assert {row.status for row in rows} <= {Status.DONE, Status.DOUBTFUL}, rows
    return finding, working


def held(root: Path, finding: Counter[str], working: Counter[str]) -> bool:
    """The law; an input that was never opened breaks it, too."""
    files = [p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()]
    return all(finding[name] <= 1 and working[name] == 1 for name in files)


@pytest.mark.parametrize(
    ("kind", "format_"),
    [
        ("NIfTI", None), ("NIfTI", "dicom"), ("DICOM", None), ("DICOM", "nifti"),
        ("MetaImage", None), ("MetaImage in two files", None), ("NRRD", None),
    ],
)  # fmt: skip
def test_each_file_is_opened_once_to_be_found_and_once_to_be_read(
    kind: str, format_: str | None, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    TREES[kind](root)
    finding, working = counted(order(root, tmp_path / "out", model, format=format_), monkeypatch)
    assert held(root, finding, working), (finding, working)


def test_masks_and_what_stands_in_the_report_too(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    image = small_nifti(root / "p1" / "t1.nii.gz")
    mask = read_scan(image).volume
    body = mask.with_voxels((mask.voxels > 0).astype(np.float32), unit="mask")
    write_nifti(body, source_header=ItkSourceHeader(), to=root / "p1" / "t1_mask.nii.gz")
    todo = order(root, tmp_path / "out", model, report=True, extras=Extras(masks=root))
    finding, working = counted(todo, monkeypatch)
    assert held(root, finding, working), (finding, working)


def test_pictures_and_radiographs_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "in"
    root.mkdir()
    for name in ("a.png", "b.tif", "c.jpg"):
        write_input(root / name, "image")
    write_radiograph(root / "xray")
    todo = Order(root, tmp_path / "out", "", methods=("hist-eq",), takes="planes", suffix="_new")
    finding, working = counted(todo, monkeypatch)
    assert held(root, finding, working), (finding, working)


def test_the_control_an_item_whose_files_are_not_held(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    plain(root)
    monkeypatch.setattr(work, "held_files", lambda: nullcontext(HeldFiles()))
    finding, working = counted(order(root, tmp_path / "out", model), monkeypatch)
    assert not held(root, finding, working)
    assert min(working.values()) > 5


def test_the_control_a_plan_that_looks_at_a_file_first(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "in"
    small_series(root / "p3" / "SE1")

    def looking_first(path: Path):
        return load_header(path) if any(dicom_start(path)) else None

    monkeypatch.setattr(finding_module, "load_header", looking_first)
    finding, working = counted(order(root, tmp_path / "out", model), monkeypatch)
    assert not held(root, finding, working)
