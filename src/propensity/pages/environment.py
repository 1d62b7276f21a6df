"""Templates with the house's base page."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(templates: Path) -> Environment:
    """An environment for a directory of templates; these may extend ``base.html``. All texts are escaped."""
    return Environment(
        loader=FileSystemLoader([templates, Path(__file__).with_name("templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
