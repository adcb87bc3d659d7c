"""``medcyclegan config``."""

from __future__ import annotations

import click

EXAMPLES = """\b
Examples:
  medcyclegan config list
  medcyclegan config show mr_ct
"""


@click.group("config", epilog=EXAMPLES)
def config() -> None:
    """Look at the configurations that come along for training."""


@config.command("list", epilog="Example:  medcyclegan config list")
def list_() -> None:
    """List the shipped configurations, a line each."""
    import yaml

    from medcyclegan.training.shipped import shipped_configs

    shipped = shipped_configs()
    width = max(map(len, shipped))
    for name, path in shipped.items():
        click.echo(f"{name:{width}} {yaml.safe_load(path.read_text(encoding='utf-8'))['summary']}")


@config.command("show", epilog="Example:  medcyclegan config show mr_ct > mine.yaml")
@click.argument("name")
def show(name: str) -> None:
    """Print the shipped configuration NAME, with its comments."""
    from medcyclegan.training.shipped import find_config

    click.echo(find_config(name).read_text(encoding="utf-8"), nl=False)
