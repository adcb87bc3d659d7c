"""A MONAI bundle gives the voxels of ``synth-ct``, and its metadata has all usual fields."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow, verify_net_in_out

from medcyclegan.core.geometry import Geometry
from medcyclegan.core.task import Domain
from medcyclegan.errors import CannotWrite, InputRefused, ModelRefused
from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from medcyclegan.models.store import Model, load_model
from medcyclegan.workflow.bundle_export import metadata_of, write_bundle
from medcyclegan.workflow.convert import Provenance, Request, convert
from medcyclegan.workflow.synthesize import Options
from tests.cli.conversion_inputs import NOW, Run, runner, uid_maker
from tests.image_factory import OBLIQUE
from tests.tiny_model import head_on, tiny_card, tiny_folder
from tests.tiny_tasks import SHARE, head_of, task_of, write_input

pytestmark = pytest.mark.filterwarnings("ignore:NvImgCodec:UserWarning")

# The union of the fields in eight bundles of MONAI's model zoo: segmentation (BraTS, spleen, whole
# body, VISTA-3D, coronary arteries), generation (BraTS volumes and slices, MAISI); what only
# latent diffusion has (autoencoder_data_format) left out, and optional_packages_version, which
# MONAI takes for required_packages_version and warns of.
FIELDS = {
    "schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version",
    "required_packages_version", "supported_apps", "name", "task",
    "description", "authors", "copyright", "data_source", "data_type", "image_classes",
    "label_classes", "pred_classes", "eval_metrics", "intended_use", "references",
    "network_data_format",
}  # fmt: skip
FORMAT_FIELDS = {
    "type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range",
    "is_patch_data", "channel_def",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tiny model folder."""
    return tiny_folder(tmp_path / "tiny")


@pytest.fixture
def bundle(folder: Path, tmp_path: Path) -> Path:
    """Its bundle."""
    return write_bundle(load_model(folder), tmp_path / "bundle", version="1.2.3").folder


def run_here(bundle: Path, **override: Any) -> None:
    """Run a bundle in this process as ``monai.bundle run`` does."""
    configs = bundle / "configs"
    workflow = ConfigWorkflow(
        config_file=str(configs / "inference.json"),
        meta_file=str(configs / "metadata.json"),
        logging_file=False,
        workflow_type="infer",
        bundle_root=str(bundle),
        **override,
    )
    workflow.initialize()
    assert not workflow.check_properties()  # those that MONAI asks of an inference
    workflow.run()
    workflow.finalize()


def by_synth_ct(path: Path, model: Model, to: Path, *, views: int = 1) -> nibabel.Nifti1Image:
    """What medcyclegan itself writes."""
    provenance = Provenance(version="1.2.3", now=lambda: NOW, new_uid=uid_maker())
    options = Options(views=views)
    convert(Request(source=path, out=to), model, provenance=provenance, options=options)
    return nibabel.load(to)


def write_odd_heads(into: Path) -> list[str]:
    """A usual head, an oblique one, one in metres with a slope, one with NaN; their names."""
    into.mkdir()
    write_input(into / "usual.nii.gz", "MR")
    head = head_of("MR")
    turned = OBLIQUE.copy()
    turned[:3, :3] *= 4.0 / np.linalg.norm(OBLIQUE[:3, :3], axis=0)
    turned[:3, 3] = -turned[:3, :3] @ ((np.asarray(head.geometry.shape) - 1) / 2.0)
    oblique, _ = head_on(Geometry(head.geometry.shape, turned), radius_mm=55.0)
    write_nifti(oblique, source_header=ItkSourceHeader(), to=into / "oblique.nii")
    metres = np.diag([1e-3, 1e-3, 1e-3, 1.0]) @ head.geometry.affine_ras
    image = nibabel.Nifti1Image(np.rint(head.voxels).astype(np.int16), metres)
    image.header.set_xyzt_units("meter")
    image.header["sform_code"] = 1
    nibabel.save(image, into / "metres.nii.gz")
    holed = np.array(head.voxels)
    holed[0, 0, :3] = np.nan
    nibabel.save(nibabel.Nifti1Image(holed, head.geometry.affine_ras), into / "holed.nii.gz")
    return ["usual", "oblique", "metres", "holed"]


def test_the_voxels_are_those_of_synth_ct(bundle: Path, folder: Path, tmp_path: Path) -> None:
    names = write_odd_heads(tmp_path / "in")
    run_here(bundle, dataset_dir=str(tmp_path / "in"), output_dir=str(tmp_path / "out"))
    model = load_model(folder)
    for name in names:
        (path,) = (tmp_path / "in").glob(f"{name}.*")
        wanted = by_synth_ct(path, model, tmp_path / f"{name}_sct.nii.gz")
        found = nibabel.load(tmp_path / "out" / f"{name}_sct.nii.gz")
        assert found.get_data_dtype() == np.int16
        assert np.array_equal(np.asanyarray(found.dataobj), np.asanyarray(wanted.dataobj)), name
        if name != "metres":  # MONAI writes millimetres
            assert np.allclose(found.affine, wanted.affine, atol=1e-5), name
    # The control: other weights give other voxels.
    other = load_model(tiny_folder(tmp_path / "other", seed=5))
    unlike = by_synth_ct(tmp_path / "in" / "usual.nii.gz", other, tmp_path / "unlike.nii.gz")
    usual = nibabel.load(tmp_path / "out" / "usual_sct.nii.gz")
    assert not np.array_equal(np.asanyarray(usual.dataobj), np.asanyarray(unlike.dataobj))


def test_it_runs_as_a_process_of_its_own(bundle: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = write_input(tmp_path / "in" / "head.nii.gz", "MR")
    command = [
        sys.executable, "-m", "monai.bundle", "run",
        "--config_file", str(bundle / "configs" / "inference.json"),
        "--meta_file", str(bundle / "configs" / "metadata.json"),
        "--bundle_root", str(bundle), "--dataset_dir", str(path.parent),
        "--output_dir", str(tmp_path / "out"),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = nibabel.load(tmp_path / "out" / "head_sct.nii.gz")
    wanted = by_synth_ct(path, load_model(folder), tmp_path / "wanted.nii.gz")
    assert np.array_equal(np.asanyarray(found.dataobj), np.asanyarray(wanted.dataobj))


def test_three_views_are_those_of_synth_ct(bundle: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = write_input(tmp_path / "in" / "head.nii.gz", "MR")
    run_here(bundle, dataset_dir=str(path.parent), output_dir=str(tmp_path / "out"), views=3)
    found = np.asanyarray(nibabel.load(tmp_path / "out" / "head_sct.nii.gz").dataobj)
    model = load_model(folder)
    three = by_synth_ct(path, model, tmp_path / "three.nii.gz", views=3)
    assert np.array_equal(found, np.asanyarray(three.dataobj))
    one = by_synth_ct(path, model, tmp_path / "one.nii.gz")  # the control
    assert not np.array_equal(found, np.asanyarray(one.dataobj))


def test_what_is_not_in_hu_is_float32(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "mr", task=task_of("mr-mr"))
    model = load_model(folder)
    bundle = write_bundle(model, tmp_path / "bundle", version="1").folder
    (tmp_path / "in").mkdir()
    path = write_input(tmp_path / "in" / "head.nii.gz", "MR")
    run_here(bundle, dataset_dir=str(path.parent), output_dir=str(tmp_path / "out"))
    wanted = by_synth_ct(path, model, tmp_path / "wanted.nii.gz")
    (made,) = (tmp_path / "out").iterdir()
    assert made.name == "head_tiny.nii.gz"
    found = nibabel.load(made)
    assert found.get_data_dtype() == np.float32
    assert np.array_equal(np.asanyarray(found.dataobj), np.asanyarray(wanted.dataobj))


def test_the_metadata_has_every_usual_field(bundle: Path) -> None:
    meta = json.loads((bundle / "configs" / "metadata.json").read_text())
    assert set(meta) == FIELDS
    sides = meta["network_data_format"]
    assert set(sides["inputs"]["image"]) == set(sides["outputs"]["pred"]) == FORMAT_FIELDS
    assert meta["required_packages_version"]["medcyclegan"] == "1.2.3"
    assert meta["eval_metrics"] == {}
    assert meta["version"] in meta["changelog"]


def test_scores_of_the_card_are_its_metrics() -> None:
    score = {"measure": "MAE", "value": 61.5, "unit": "HU", "on": "40 heads"}
    card = tiny_card().model_validate(tiny_card().model_dump() | {"scores": [score]})
    assert metadata_of(card, version="1")["eval_metrics"] == {"MAE (HU), 40 heads": 61.5}


def test_monai_finds_the_network_as_the_metadata_says(bundle: Path) -> None:
    files = {f: str(bundle / "configs" / f"{f}.json") for f in ("metadata", "inference")}
    given = {
        "net_id": "network_def",
        "meta_file": files["metadata"],
        "config_file": files["inference"],
        "device": "cpu",
        "any": 37,
        "bundle_root": str(bundle),
    }
    verify_net_in_out(**given)
    wrong = {"_meta_#network_data_format#outputs#pred#num_channels": 4}
    with pytest.raises(ValueError, match="output channel number"):
        verify_net_in_out(**given, **wrong)


def test_weights_that_are_not_the_bundles_are_refused(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_input(tmp_path / "in" / "head.nii.gz", "MR")
    path = bundle / "models" / "model.pt"
    weights = torch.load(path, weights_only=True)
    next(iter(weights.values())).add_(1e-3)
    torch.save(weights, path)
    out = str(tmp_path / "out")
    with pytest.raises(RuntimeError) as raised:
        run_here(bundle, dataset_dir=str(tmp_path / "in"), output_dir=out)
    assert "other weights than its card" in _whole(raised.value)
    assert not list(tmp_path.glob("out/*"))


def test_a_folder_without_images_and_a_ct_for_an_mr_are_refused(
    bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    given = {"dataset_dir": str(tmp_path / "in"), "output_dir": str(tmp_path / "out")}
    with pytest.raises((InputRefused, RuntimeError)) as raised:
        run_here(bundle, **given)
    assert "no image" in _whole(raised.value)
    write_input(tmp_path / "in" / "ct.nii.gz", "CT")
    with pytest.raises((InputRefused, RuntimeError)) as raised:
        run_here(bundle, **given)
    assert "CT" in _whole(raised.value)


def test_models_that_no_bundle_can_hold(tmp_path: Path) -> None:
    look = load_model(tiny_folder(tmp_path / "look", task=task_of("image-image", depth=1)))
    with pytest.raises(ModelRefused, match="takes pictures"):
        write_bundle(look, tmp_path / "bundle", version="1")
    both = Domain(modality="MR", unit="a.u.", scaling=SHARE, channels=("T1w", "T2w"))
    card = tiny_card(task_of("mr-ct", source=both))
    with pytest.raises(ModelRefused, match="several images"):
        write_bundle(Model(card, torch.nn.Identity()), tmp_path / "bundle", version="1")
    assert not (tmp_path / "bundle").exists()


def test_the_command_writes_it_and_replaces_its_own_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run: Run = runner(monkeypatch, capsys)
    out = tmp_path / "made"
    code, printed, err = run("export-bundle", folder, "--out", out, "--json")
    assert (code, err) == (0, "")
    assert json.loads(printed)["written"] == [str(out)]
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert {
        "configs/metadata.json", "configs/inference.json", "models/model.pt", "models/card.json",
        "docs/README.md", "docs/data_license.txt", "LICENSE",
    } < files  # fmt: skip
    assert run("export-bundle", folder, "--out", out)[0] == 4
    assert run("export-bundle", folder, "--out", out, "--overwrite")[0] == 0
    (out / "notes.txt").write_text("mine")
    with pytest.raises(CannotWrite):
        write_bundle(load_model(folder), out, version="1", overwrite=True)
    code, _, err = run("export-bundle", "no-such-model", "--out", tmp_path / "b")
    assert code == 5
    assert "no-such-model" in err


def test_every_expression_of_the_configuration_is_parsed(bundle: Path) -> None:
    parser = ConfigParser()
    parser.read_config(str(bundle / "configs" / "inference.json"))
    parser["bundle_root"] = str(bundle)
    assert parser.get_parsed_content("network_def").multiple >= 1
    assert parser.get_parsed_content("preprocessing").transforms[0].keys == ("image",)


def _whole(error: BaseException | None) -> str:
    """The messages of an error and of all that caused it."""
    said = []
    while error is not None:
        said.append(str(error))
        error = error.__cause__ or error.__context__
    return "\n".join(said)
