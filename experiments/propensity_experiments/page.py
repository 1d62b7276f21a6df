"""A summary as one self-contained HTML page."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from propensity.pages import environment
from propensity.pages.words import action_words, chance, signed
from propensity.segments import SEGMENTS
from propensity_experiments import charts, words
from propensity_experiments.contents import Summary


def render(summary: Summary) -> str:
    """The page of an experiment, everything inside."""
    shown = {
        "summary": summary,
        "verdict": words.verdict(summary),
        "segments": [(name, list(rows)) for name, rows in groupby(summary.segments, lambda x: x.segment)],
        "segments_note": words.segments_note(summary),
        "lift_chart": Markup(charts.lift_chart(summary)),
        "policy_chart": Markup(charts.policy_chart(summary)),
        "propensity_chart": Markup(charts.propensity_chart(summary)),
        "effect_chart": Markup(charts.effect_chart(summary)),
    }
    return _environment().get_template("summary.html").render(**shown)


def render_list(campaigns: list[dict[str, Any]]) -> str:
    """The page that lists experiments."""
    return _environment().get_template("list.html").render(campaigns=campaigns)


def render_problem(title: str, detail: str) -> str:
    """A page that says what is wrong."""
    return _environment().get_template("problem.html").render(title=title, detail=detail)


@cache
def _environment() -> Environment:
    made = environment(Path(__file__).with_name("templates"))
    made.filters |= {
        "action": action_words,
        "chance": chance,
        "meaning": lambda name: SEGMENTS[name].description,
        "signed": signed,
    }
    return made
