"""A summary as one self-contained HTML page: served, mailed as a file, or on its way to paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from propensity.pages import environment
from propensity.pages.interactive import Drawing, content_policy, vega
from propensity.pages.words import action_words, left_alone, listed
from propensity.segments import SEGMENTS
from propensity_experiments import charts, downloads, shown, words
from propensity_experiments.charts import arm_words
from propensity_experiments.contents import ANY_CONTACT, Cell, Measure, Summary
from propensity_experiments.glossary import Glossary
from propensity_experiments.verdict import verdict

Form = Literal["served", "file", "paper"]
"""Where a page is read: paper has no scripts, and everything is unfolded."""

VERDICTS = {
    "roll_out": ("▲", "Roll out"),
    "stop": ("■", "Stop"),
    "keep_running": ("●", "Not decided yet"),
    "unhealthy": ("✕", "Do not read"),
    "no_comparison": ("–", "Nothing to compare"),
}
STANDINGS = {"good": ("✓", "as it should be"), "watch": ("!", "watch this"), "bad": ("✕", "not as it should be")}
ON_PAPER = 10
"""Of many days, about so many have a row on paper."""
_TEMPLATES = Path(__file__).with_name("templates")


def render(summary: Summary, form: Form = "file") -> str:
    """The page of an experiment, everything inside."""
    glossary = Glossary(paper=form == "paper")
    drawn = _drawings(summary) if summary.health.healthy else {}
    scripts = _scripts(bool(drawn)) if form != "paper" else ()
    content = {
        "summary": summary,
        "verdict": verdict(summary),
        "readable": summary.health.healthy,
        "paper": form == "paper",
        "policy": content_policy(*scripts),
        "scripts": [Markup(script) for script in scripts],
        "links": _links(summary, form),
        "drawn": drawn,
        "segments": [(name, list(rows)) for name, rows in groupby(summary.segments, lambda x: x.segment)],
        "segments_note": words.segments_note(summary),
        "spend": _return_on_spend(summary),
        "matrix": _matrix(summary.cells),
        "glossary": glossary,
        "term": glossary.term,
        "define": glossary.define,
        "sampled": _sampled if form == "paper" else list,
    }
    return _environment().get_template("summary.html").render(**content)


def render_list(campaigns: list[dict[str, Any]]) -> str:
    """The page that lists experiments."""
    return _environment().get_template("list.html").render(campaigns=campaigns)


def render_problem(title: str, detail: str) -> str:
    """A page that says what is wrong."""
    return _environment().get_template("problem.html").render(title=title, detail=detail)


def served_policy() -> str:
    """The content security policy under which a page is served."""
    return content_policy(*_scripts(charts=True)) + "; frame-ancestors 'none'"


def _drawings(summary: Summary) -> dict[str, Drawing]:
    """The charts that there is something to draw for, by their ids."""
    made = [
        *(charts.outcome_chart(result, summary) for result in summary.outcomes),
        charts.time_chart(summary),
        charts.return_chart(summary),
        charts.policy_chart(summary),
        charts.propensity_chart(summary),
        charts.uplift_chart(summary),
        charts.segment_chart(summary),
        charts.money_chart(summary),
        charts.guardrail_chart(summary),
        charts.funnel_chart(summary),
    ]
    return {drawing.key: drawing for drawing in made if drawing is not None}


def _links(summary: Summary, form: Form) -> list[tuple[str, str, str]]:
    """Word, address and file name of each download; none of what must not be read, and none on paper."""
    if form == "paper" or not summary.health.healthy:
        return []
    campaign = str(summary.campaign["campaign"])
    name = campaign.rsplit("/", 1)[-1]
    if form == "served":
        kinds = [("Spreadsheet (CSV)", "csv"), ("All figures (JSON)", "json")]
        kinds += [("PDF", "pdf")] if find_spec("weasyprint") else []
        return [(word, f"./{quote(name, safe='')}.{kind}", f"{name}.{kind}") for word, kind in kinds]
    return [
        ("Spreadsheet (CSV)", _inside("text/csv", downloads.as_csv(summary)), f"{name}.csv"),
        ("All figures (JSON)", _inside("application/json", downloads.as_json(summary, None)), f"{name}.json"),
    ]


def _sampled(days: Sequence[Any]) -> list[Any]:
    """About ten of many days, the last among them: paper is short."""
    step = max(1, len(days) // ON_PAPER)
    return list(days)[::-1][::step][::-1]


def _inside(media_type: str, content: str) -> str:
    return f"data:{media_type};charset=utf-8;base64,{base64.b64encode(content.encode()).decode()}"


def _matrix(cells: tuple[Cell, ...]) -> dict[str, Any]:
    """Archetypes down, channels across, and in each field the offers."""
    archetypes, channels = (list(dict.fromkeys(getattr(c, name) for c in cells)) for name in ("archetype", "channel"))
    fields = {(a, c): [x for x in cells if (x.archetype, x.channel) == (a, c)] for a in archetypes for c in channels}
    return {"archetypes": archetypes, "channels": channels, "fields": fields}


def _return_on_spend(summary: Summary) -> Measure | None:
    """Of any contact, where it is known."""
    known = [m for of_arm in summary.measures if of_arm.action == ANY_CONTACT for m in of_arm.measures]
    return next((m for m in known if m.key == "return_on_spend" and m.value is not None), None)


@cache
def _scripts(charts: bool) -> tuple[str, ...]:
    """What a page runs; the charts' part is large, and a page without any goes without."""
    own = (_TEMPLATES / "summary.js").read_text(encoding="utf-8")
    return (vega(), own) if charts else (own,)


@cache
def _environment() -> Environment:
    made = environment(_TEMPLATES)
    made.filters |= {
        "action": action_words,
        "arm": arm_words,
        "listed": listed,
        "meaning": lambda name: SEGMENTS[name].description if name in SEGMENTS else "",
        "left_alone": left_alone,
        "together": lambda text: text.replace(" %", "\u00a0%"),
        "day": lambda at: f"{at.day} {at:%B %Y}",
    }
    made.globals |= {
        "figure": shown.figure,
        "percent": shown.percent,
        "probability": shown.probability,
        "estimate": shown.estimate,
        "measure_value": shown.measure,
        "VERDICTS": VERDICTS,
        "STANDINGS": STANDINGS,
    }
    return made
