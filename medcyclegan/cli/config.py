"""``medcyclegan config``."""

from __future__ import annotations

from typing import Any

import click

EXAMPLES = """\b
Examples:
  medcyclegan config list
  medcyclegan config show mr_ct
  medcyclegan config show mr_ct --all
"""


@click.group("config", epilog=EXAMPLES)
def config() -> None:
    """Look at the configurations that come along for training."""


@config.command("list", epilog="Example:  medcyclegan config list")
def list_() -> None:
    """List the shipped configurations, a line each."""
    from medcyclegan.bounded_text import MOST_SETTINGS_BYTES, parse_yaml, read_text
    from medcyclegan.training.shipped import shipped_configs

    shipped = shipped_configs()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        content: Any = parse_yaml(read_text(path, most_bytes=MOST_SETTINGS_BYTES))
        click.echo(f"{name:{width}} {content['summary']}")


@config.command("show", epilog="Example:  medcyclegan config show mr_ct > mine.yaml")
@click.argument("name")
@click.option("--all", "every", is_flag=True, help="Every key, with its default and what it means.")
def show(name: str, every: bool) -> None:
    """Print the shipped configuration NAME, with its comments."""
    from medcyclegan.bounded_text import MOST_SETTINGS_BYTES, parse_yaml, read_text
    from medcyclegan.errors import UsageError
    from medcyclegan.training.shipped import find_config

    if every:
        _show_all(name)
        return
    path = find_config(name)
    try:
        text = read_text(path, most_bytes=MOST_SETTINGS_BYTES)
        is_one = isinstance(parse_yaml(text), dict)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as YAML ({error})") from error
    if not is_one:
        raise UsageError(f"{path} holds no keys", rule="a configuration is keys and values")
    click.echo(text, nl=False)


def _show_all(name: str) -> None:
    """Print a line for each key: what it is set to, its default where that differs, its meaning."""
    from medcyclegan.training.config import TrainConfig
    from medcyclegan.training.reference import as_yaml, settings_in
    from medcyclegan.training.settings import read_settings
    from medcyclegan.training.shipped import find_config

    for setting in settings_in(read_settings(find_config(name), TrainConfig)):
        value = as_yaml(setting.value)
        default = "" if setting.default in (value, "required") else f" (default {setting.default})"
        click.echo(f"{setting.key}={value}{default}  # {setting.help}")
