"""Features of a whole run: measured where the card asks for them, the way back if it is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from medcyclegan.core.geometry import geometry_from_spacing
from medcyclegan.models.store import Model, load_model, shipped_models
from medcyclegan.simulate.non_heads import bare_brain, bottle, head_slab, whole_head
from medcyclegan.workflow.synthesize import Options, Synthesis, synthesize
from tests.tiny_model import head_on, identity_model, known, scan_of, tiny_folder
from tests.tiny_tasks import task_of

GEOMETRY = geometry_from_spacing((34, 36, 35), (4.0, 4.0, 4.0))


def run(model: Model, **options: object) -> Synthesis:
    mr, mask = head_on(GEOMETRY, radius_mm=50.0)
    given = Options(device="cpu", mask=mask, **options)  # type: ignore[arg-type]
    return synthesize(scan_of(mr), model, options=given)


def test_a_card_that_says_nothing_costs_nothing() -> None:
    class Count(torch.nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x

    silent, asking = Count(), Count()
    card = identity_model().card
    done = run(Model(card, silent))
    assert done.features is None
    assert done.out_of_distribution == ()
    assert "signs" not in done.seconds
    judged = run(Model(card.model_copy(update={"reference_ranges": known()}), asking))
    assert judged.features is not None
    assert judged.out_of_distribution == ()
    assert asking.calls == silent.calls + 6  # three planes along each of two axes


@pytest.mark.parametrize("views", [1, 3])
def test_features_outside_their_ranges_are_warnings_too(views: int) -> None:
    card = identity_model().card.model_copy(
        update={"reference_ranges": known(body_litres=(3.0, 5.0))}
    )
    done = run(Model(card, torch.nn.Identity()), views=views)
    assert len(done.out_of_distribution) == 1
    assert done.out_of_distribution[0] in done.warnings
    # The features take the place of the sentences that know no model.
    assert not any("much less than a head" in warning for warning in done.warnings)


def test_the_way_back_is_measured_if_the_reverse_model_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_folder(tmp_path / "tiny-back", task=task_of("ct-mr"))
    there = tiny_folder(tmp_path / "tiny", reference_ranges=known(), reverse="tiny-back")
    features = run(load_model(there)).features
    assert features is not None
    assert features.cycle_information is not None
    assert 0.0 <= features.cycle_information <= 1.0
    assert features.reverse_sha256 == load_model(tmp_path / "tiny-back").card.weights_sha256

    tiny_folder(tmp_path / "coarse-back", task=task_of("ct-mr", spacing_mm=6.0))
    tiny_folder(tmp_path / "no-way", task=task_of("mr-mr"))
    for name, why in (
        ("coarse-back", "another grid"), ("no-way", "no CT"), ("nowhere", "No model nowhere"),
    ):  # fmt: skip
        other = tiny_folder(tmp_path / f"for {name}", reference_ranges=known(), reverse=name)
        found = run(load_model(other)).features
        assert found is not None
        assert found.cycle_information is None
        assert why in found.cycle_note


@pytest.mark.parametrize("make", [whole_head, bottle, head_slab, bare_brain])
@pytest.mark.slow
def test_the_shipped_model_knows_a_head_and_none_of_the_others(make: object) -> None:
    if "head-mr-ct" not in shipped_models():
        pytest.skip("no model is shipped")
    model = load_model()
    if model.card.reference_ranges is None:
        pytest.skip("the shipped card has no reference ranges yet")
    done = synthesize(scan_of(make(2.0)), model)  # type: ignore[operator]
    assert bool(done.out_of_distribution) == (make is not whole_head)
