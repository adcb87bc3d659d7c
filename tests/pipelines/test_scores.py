"""The scores of the pipelines: of the truth, of known errors, and of the baseline."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from medcyclegan.io.nifti.image import write_nifti
from medcyclegan.io.scan import ItkSourceHeader
from tests.cli.conversion_inputs import head_mr
from tests.pipelines.test_pipelines import ROOT


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, as the scripts beside it find it."""
    monkeypatch.setattr(sys, "path", [str(ROOT / "pipelines"), *sys.path])
    import scores

    return scores


def test_the_truth_is_perfect_and_a_known_error_is_measured(
    scores: ModuleType, tmp_path: Path
) -> None:
    grey = np.random.default_rng(1).integers(0, 200, (20, 24), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "truth.png")
    Image.fromarray(grey + np.uint8(51)).save(tmp_path / "brighter.png")
    truth, brighter = (scores.picture(tmp_path / f"{name}.png") for name in ("truth", "brighter"))
    perfect = scores.score("a", "b", truth, truth)
    assert (perfect.mae_percent, perfect.psnr_db) == (0.0, float("inf"))
    assert perfect.ssim == pytest.approx(1.0)
    worse = scores.score("a", "b", brighter, truth)
    assert worse.mae_percent == pytest.approx(20.0)  # 51 of 255
    assert worse.psnr_db == pytest.approx(-20.0 * np.log10(0.2))
    assert worse.ssim < 0.99


def test_the_baseline_has_the_histogram_of_the_style(scores: ModuleType) -> None:
    rng = np.random.default_rng(2)
    everywhere = np.ones((1, 40, 40), bool)
    image = scores.Shown(rng.uniform(0.0, 0.2, everywhere.shape).astype(np.float32), everywhere)
    style = scores.Shown(rng.uniform(0.5, 1.0, everywhere.shape).astype(np.float32), everywhere)
    made = scores.matched(image, [style])
    shares = (0.1, 0.5, 0.9)
    wanted = np.quantile(style.values, shares)
    assert np.quantile(made.values, shares) == pytest.approx(wanted, abs=0.01)
    assert np.quantile(image.values, shares) != pytest.approx(wanted, abs=0.01)
    order = np.argsort(image.values.ravel())
    assert np.all(np.diff(made.values.ravel()[order]) >= 0.0)


def test_an_mr_is_scored_inside_the_body_whatever_its_unit(
    scores: ModuleType, tmp_path: Path
) -> None:
    mr = head_mr()
    for name, factor in (("one", 1.0), ("other", 3.0)):
        scaled = mr.with_voxels(mr.voxels * np.float32(factor))
        write_nifti(scaled, source_header=ItkSourceHeader(), to=tmp_path / f"{name}.nii.gz")
    one, other = (scores.magnetic(tmp_path / f"{name}.nii.gz") for name in ("one", "other"))
    assert 0.0 < one.body.mean() < 1.0
    assert scores.score("a", "b", one, other).mae_percent < 0.01
    plain = scores.picture(tmp_path / "one.nii.gz")
    assert scores.score("a", "b", plain, other).mae_percent > 0.01
