"""The templates of the pages that are written; whatever goes into one is escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, Template


def page_template(name: str) -> Template:
    """Return a template of the package; a value that it names and is not given is an error."""
    environment = Environment(
        loader=PackageLoader("medcyclegan.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
