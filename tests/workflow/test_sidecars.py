"""What sidecars of conversions and maps tell, and derivatives that the BIDS validator takes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from medcyclegan.evaluation.study.plan import find_images
from medcyclegan.io.dicom.api import MapMaker
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.batch.run import run_batch
from medcyclegan.workflow.batch.workers import Crew
from medcyclegan.workflow.convert import Request, convert
from medcyclegan.workflow.derive import Request as DerivedRequest
from medcyclegan.workflow.derive import derive_file
from medcyclegan.workflow.quantities import Wanted
from medcyclegan.workflow.synthesize import Options
from tests.cli.conversion_inputs import write_mr
from tests.tiny_model import known, tiny_folder
from tests.workflow.batch.trees import Quiet, order, provenance, small_nifti

CPU = Options(device="cpu")


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """A tiny model that judges what it is given."""
    ranges = known(body_litres=(50.0, 60.0))
    return load_model(tiny_folder(tmp_path / "tiny", reference_ranges=ranges))


def sidecar_of(image: Path) -> dict[str, Any]:
    """The sidecar beside a NIfTI."""
    stem = image.name.removesuffix(".gz").removesuffix(".nii")
    return dict(json.loads(image.with_name(f"{stem}.json").read_text()))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def raw_dataset(root: Path) -> Path:
    """A BIDS data set of two subjects, one with sessions."""
    small_nifti(root / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    small_nifti(root / "sub-02" / "ses-a" / "anat" / "sub-02_ses-a_acq-mprage_T1w.nii", shift=50.0)
    described = {"Name": "heads", "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    (root / "dataset_description.json").write_text(json.dumps(described))
    (root / "README").write_text("Two balls of signal.")
    return root


def bids_errors(folder: Path) -> list[tuple[str, str, str]]:
    """What the BIDS validator finds wrong: code, sub-code and place of each error."""
    command = [_validator(), str(folder), "--ignoreWarnings", "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [
        (each["code"], each.get("subCode", ""), each.get("location", ""))
        for each in issues
        if each.get("severity") == "error"
    ]


def _validator() -> str:
    beside = Path(sys.executable).with_name("bids-validator-deno")
    found = str(beside) if beside.is_file() else shutil.which("bids-validator-deno")
    if found is None:
        pytest.skip("bids-validator-deno is not installed")
    return found


def test_a_sidecar_tells_model_source_options_and_verdict(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    done = convert(Request(source), model, provenance=provenance(), options=CPU)
    told = sidecar_of(done.output)
    ours = told["medcyclegan"]
    assert told["GeneratedBy"] == [{"Name": "medcyclegan", "Version": "0.0.1"}]
    assert (told["Sources"], told["Units"]) == (["head.nii.gz"], "HU")
    assert ours["sources_sha256"] == [sha256(source)]
    assert (ours["model"], ours["weights_sha256"]) == ("tiny", model.card.weights_sha256)
    assert ours["options"] == {
        "views": 1, "bias_correction": False, "mask_sha256": "", "device": "cpu",
    }  # fmt: skip
    assert ours["doubts"] == list(done.synthesis.out_of_distribution) != []
    assert ours["verdict"] != "not judged"
    assert ours["signs"]["body_litres"] > 0
    assert str(tmp_path) not in json.dumps(told)


def test_the_same_run_gives_the_same_sidecar_and_another_mask_another(
    model: Model, tmp_path: Path
) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    done = convert(
        Request(source, tmp_path / "a.nii.gz"), model, provenance=provenance(), options=CPU
    )
    convert(Request(source, tmp_path / "b.nii.gz"), model, provenance=provenance(), options=CPU)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    name = str(tmp_path / "of somebody" / "mask.nii.gz")
    note = f"The mask {name}: half of it is missing."
    masked = Options(device="cpu", mask=done.synthesis.body, mask_name=name, notes=(note,))
    convert(Request(source, tmp_path / "c.nii.gz"), model, provenance=provenance(), options=masked)
    ours = sidecar_of(tmp_path / "c.nii.gz")["medcyclegan"]
    assert len(ours["options"]["mask_sha256"]) == 64
    assert "The mask mask.nii.gz: half of it is missing." in ours["warnings"]


def test_of_a_series_all_files_count_and_other_formats_have_none(
    model: Model, tmp_path: Path
) -> None:
    source = write_mr(tmp_path / "series")
    done = convert(Request(source, format="nifti"), model, provenance=provenance(), options=CPU)
    each = sorted(sha256(path) for path in source.glob("*.dcm"))
    found = sidecar_of(done.output)["medcyclegan"]["sources_sha256"]
    assert found == [hashlib.sha256("\n".join(each).encode()).hexdigest()]
    convert(Request(source), model, provenance=provenance(), options=CPU)
    convert(Request(source, tmp_path / "a.mha"), model, provenance=provenance(), options=CPU)
    assert [path.name for path in tmp_path.glob("*.json")] == ["series_sct.json"]


def map_maker() -> MapMaker:
    made = provenance()
    return MapMaker(made.version, made.now(), made.new_uid)


def test_maps_and_uncertainty_have_their_own(model: Model, tmp_path: Path) -> None:
    source = write_mr(tmp_path / "head.nii.gz")
    done = convert(Request(source, uncertainty=True), model, provenance=provenance(), options=CPU)
    assert done.uncertainty is not None
    assert sidecar_of(done.uncertainty)["Description"].startswith("Map of the error")
    request = DerivedRequest(done.output, Wanted("density"))
    told = sidecar_of(derive_file(request, maker=map_maker()).output)
    assert told["Units"] == "g/cm3"
    assert told["medcyclegan"]["sources_sha256"] == [sha256(done.output)]
    assert told["medcyclegan"]["curve"] == "Schneider et al. 2000"
    assert len(told["medcyclegan"]["curve_slopes"]) + 1 == len(
        told["medcyclegan"]["curve_edges_hu"]
    )


def test_evaluate_and_reruns_do_not_mind_sidecars(model: Model, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    source = write_mr(tmp_path / "in" / "head.nii.gz")
    done = convert(Request(source), model, provenance=provenance(), options=CPU)
    found = find_images(tmp_path / "in", role="pred")
    assert list(found.by_case.values()) == [done.output]
    before = done.output.read_bytes()
    convert(Request(source, overwrite=True), model, provenance=provenance(), options=CPU)
    assert done.output.read_bytes() == before


def test_conversions_in_a_bids_data_set_are_valid_derivatives(model: Model, tmp_path: Path) -> None:
    root = raw_dataset(tmp_path / "raw")
    source = root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    request = Request(source, report=True, uncertainty=True, derive=(Wanted("mu511"),))
    done = convert(request, model, provenance=provenance(), options=CPU)
    made = root / "derivatives" / "medcyclegan"
    assert done.output == made / "sub-01" / "anat" / "sub-01_desc-sct_T1w.nii.gz"
    derive = DerivedRequest(done.output, Wanted("density"))
    derived = derive_file(derive, maker=map_maker())
    assert [path.name for path in done.derived] == ["sub-01_desc-sctMu511_T1w.nii.gz"]
    in_one_go = sidecar_of(done.derived[0])
    assert in_one_go["Description"].endswith(
        "the synthetic CT sub-01_desc-sct_T1w.nii.gz. Research use only."
    )
    assert derived.output.name == "sub-01_desc-sctDensity_T1w.nii.gz"
    assert sidecar_of(done.output)["Sources"] == ["bids:raw:sub-01/anat/sub-01_T1w.nii.gz"]
    assert sidecar_of(derived.output)["Sources"] == ["bids::sub-01/anat/sub-01_desc-sct_T1w.nii.gz"]
    assert bids_errors(root) == []
    assert bids_errors(made) == []
    # The control: the names of elsewhere are no names of BIDS.
    shutil.copy(done.output, made / "sub-01" / "anat" / "sub-01_T1w_sct.nii.gz")
    assert [code for code, _, _ in bids_errors(made)] == ["NOT_INCLUDED"]


@pytest.mark.slow
def test_a_batch_of_a_bids_data_set_is_a_valid_derivative(tmp_path: Path) -> None:
    root, out = raw_dataset(tmp_path / "raw"), tmp_path / "made"
    folder = tiny_folder(tmp_path / "plain")
    given = order(root, out, folder, report=True)
    outcome = run_batch(given, Crew(), provenance=provenance(), watcher=Quiet())
    assert sorted(path.name for path in out.rglob("*.nii*")) == [
        "sub-01_desc-sct_T1w.nii.gz", "sub-02_ses-a_acq-mprage_desc-sct_T1w.nii",
    ]  # fmt: skip
    assert {row.status for row in outcome.rows} == {"done"}
    described = json.loads((out / "dataset_description.json").read_text())
    assert described["DatasetLinks"] == {"raw": "../raw"}
    assert bids_errors(out) == []
    again = run_batch(given, Crew(), provenance=provenance(), watcher=Quiet())
    assert {row.status for row in again.rows} == {"skipped-up-to-date"}
    image = nibabel.load(out / "sub-01" / "anat" / "sub-01_desc-sct_T1w.nii.gz")
    assert image.get_data_dtype() == np.int16
