"""A summary as one self-contained HTML page: served, mailed as a file, or on its way to paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import cache, partial
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from jinja2 import Environment
from markupsafe import Markup

from propensity.pages import environment
from propensity.pages.interactive import Drawing, content_policy, packed_vega, vega
from propensity.pages.words import action_words, left_alone, listed
from propensity.segments import SEGMENTS
from propensity_experiments import charts, curve_charts, downloads, shown, words
from propensity_experiments.charts import arm_words
from propensity_experiments.contents import ANY_CONTACT, Cell, Measure, Summary
from propensity_experiments.glossary import Glossary
from propensity_experiments.listing import NONE_YET, Listed
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
SAMPLED, SAMPLED_ON_SCREEN = 10, 60
"""Of many days about so many have a row on paper, and at most so many on a screen; the files have them all."""
_NEWER = "<!-- newer figures -->"
"""Where a note on them stands."""
_TEMPLATES = Path(__file__).with_name("templates")


def render(summary: Summary, form: Form = "file") -> str:
    """The page of an experiment, everything inside."""
    glossary = Glossary(paper=form == "paper")
    drawn = _drawings(summary) if summary.health.healthy else {}
    own, alive = _own_script(), bool(drawn) and form != "paper"
    scripts = () if form == "paper" else (own, vega()) if alive else (own,)
    content = {
        "summary": summary,
        "verdict": verdict(summary),
        "readable": summary.health.healthy,
        "paper": form == "paper",
        "newer": Markup(_NEWER) if form == "served" else "",
        "policy": content_policy(*scripts),
        "script": "" if form == "paper" else Markup(own),
        "packed_vega": packed_vega() if alive else "",
        "links": _links(summary, form),
        "drawn": drawn,
        "segments": [(name, list(rows)) for name, rows in groupby(summary.segments, lambda x: x.segment)],
        "segments_note": words.segments_note(summary),
        "spend": _return_on_spend(summary),
        "matrix": _matrix(summary.cells),
        "glossary": glossary,
        "term": glossary.term,
        "define": glossary.define,
        "sampled": _sampled if form == "paper" else partial(_sampled, most=SAMPLED_ON_SCREEN),
        "curves": _curve_rows(summary),
    }
    return _environment().get_template("summary.html").render(**content)


def render_list(experiments: Sequence[Listed]) -> str:
    """The page that lists experiments."""
    return _environment().get_template("list.html").render(experiments=experiments, none_yet=NONE_YET)


def render_problem(title: str, detail: str) -> str:
    """A page that says what is wrong."""
    return _environment().get_template("problem.html").render(title=title, detail=detail)


def render_waiting(what: str, seconds: int) -> str:
    """A light page that loads itself again, without scripts, until what it waits for is there."""
    return _environment().get_template("waiting.html").render(what=what, seconds=seconds)


def with_newer_under_way(html: str) -> str:
    """The page with a note that newer figures are being computed."""
    note = (
        '<p class="newer" role="status">These figures are of the time at the foot of the page; newer ones are being '
        'computed. <a href="">Load again</a></p>'
    )
    return html.replace(_NEWER, note, 1)


def served_policy() -> str:
    """The content security policy under which a page is served."""
    return content_policy(_own_script(), vega()) + "; frame-ancestors 'none'"


def _drawings(summary: Summary) -> dict[str, Drawing]:
    """The charts that there is something to draw for, by their ids."""
    made = [
        *(charts.outcome_chart(result, summary) for result in summary.outcomes),
        curve_charts.time_chart(summary),
        curve_charts.return_chart(summary),
        charts.policy_chart(summary),
        curve_charts.qini_chart(summary),
        *curve_charts.spend_charts(summary),
        charts.propensity_chart(summary),
        charts.uplift_chart(summary),
        charts.segment_chart(summary),
        charts.money_chart(summary),
        charts.guardrail_chart(summary),
        charts.funnel_chart(summary),
    ]
    return {drawing.key: drawing for drawing in made if drawing is not None}


def _links(summary: Summary, form: Form) -> list[tuple[str, str, str]]:
    """Word, address and file name of each download; none of what must not be read, and none on paper.

    A server names its files itself.
    """
    if form == "paper" or not summary.health.healthy:
        return []
    campaign = str(summary.campaign["campaign"])
    name = campaign.rsplit("/", 1)[-1]
    if form == "served":
        kinds = [("Spreadsheet (CSV)", "csv"), ("All figures (JSON)", "json")]
        kinds += [("PDF", "pdf")] if find_spec("weasyprint") else []
        # a browser saves what is ready, and shows a page while it is not
        return [(word, f"./{quote(name, safe='')}.{kind}", "") for word, kind in kinds]
    return [
        ("Spreadsheet (CSV)", _inside("text/csv", downloads.as_csv(summary)), f"{name}.csv"),
        ("All figures (JSON)", _inside("application/json", downloads.as_json(summary, None)), f"{name}.json"),
    ]


def _sampled(points: Sequence[Any], most: int = SAMPLED) -> list[Any]:
    """About so many of many points, evenly, the last among them."""
    step = max(1, len(points) // most)
    return list(points)[::-1][::step][::-1]


def _curve_rows(summary: Summary) -> dict[str, list[Any]]:
    """About ten rows of each curve of the assessment, among those over money the one beyond which nothing pays."""
    curves = summary.assessment.curves if summary.assessment else None
    if curves is None:
        return {}
    few = {row["budget"] for row in _sampled(curves.budgets)} | {curves.best_budget}
    return {"qini": _sampled(curves.qini), "budgets": [row for row in curves.budgets if row["budget"] in few]}


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
def _own_script() -> str:
    return (_TEMPLATES / "summary.js").read_text(encoding="utf-8")


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
        "between": shown.between,
        "measure_value": shown.measure,
        "VERDICTS": VERDICTS,
        "STANDINGS": STANDINGS,
    }
    return made
