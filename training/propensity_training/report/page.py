"""A report as one self-contained HTML file."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from propensity.pages import environment
from propensity.pages.words import chance, left_alone, signed
from propensity_training.report import words
from propensity_training.report.cautions import cautions
from propensity_training.report.charts import charts
from propensity_training.report.contents import ModelReport


def render(report: ModelReport) -> str:
    """The page of a report, everything inside."""
    drawn = {name: Markup(chart) for name, chart in charts(report).items()}
    shown = {"report": report, "words": words, "cautions": cautions(report), "charts": drawn}
    return _environment().get_template("report.html").render(**shown)


def document(report: ModelReport) -> dict[str, Any]:
    """What the page shows, as JSON-ready values: its sentences, its cautions and its figures."""
    return {
        "headline": words.headline(report),
        "lead": words.lead(report),
        "cautions": [caution._asdict() for caution in cautions(report)],
        "figures": report.to_json(),
    }


@cache
def _environment() -> Environment:
    made = environment(Path(__file__).with_name("templates"))
    made.filters |= {
        "arm": words.arm,
        "chance": chance,
        "left_alone": left_alone,
        "signed": signed,
        "percent": words.percent,
        "money": words.money,
        "p": words.p_value,
    }
    return made
