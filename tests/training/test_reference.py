"""The list of all settings is whole, and the page that is made of it is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest

from medcyclegan.training.config import TrainConfig
from medcyclegan.training.reference import HELP, page, settings_in
from medcyclegan.training.settings import read_settings
from medcyclegan.training.shipped import shipped_configs

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


def test_every_key_has_a_line_of_help_and_no_line_is_left_over() -> None:
    for kind, lines in HELP.items():
        assert set(lines) == set(kind.model_fields), kind.__name__
        assert all(0 < len(line) < 100 for line in lines.values()), kind.__name__


@pytest.mark.parametrize("name", sorted(shipped_configs()))
def test_every_key_of_a_configuration_is_told(name: str) -> None:
    found = list(settings_in(read_settings(shipped_configs()[name], TrainConfig)))
    keys = [setting.key for setting in found]
    assert len(keys) == len(set(keys))
    assert {"steps", "engine.kind", "data.size_px", "data.a.scaling.lower"} <= set(keys)


def test_the_page_is_what_the_program_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), (
        "write it anew: python -c 'from medcyclegan.training.reference import page; "
        f'print(page(), end="")\' > {PAGE}'
    )
