"""Charts of an experiment: each one specification, a text alternative and how it is read. Empty where nothing is known.

What tells things apart is always a shape, a dash or a place besides the colour.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from propensity.assessment import PEOPLE
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.pages.charts import CONTACT, INK, MUTED
from propensity.pages.interactive import Drawing
from propensity.pages.words import action_words, signed
from propensity_experiments.contents import ANY_CONTACT, OutcomeResult, Summary

WIDTH = 340
"""Of a still picture, in pixels: what a phone shows without making letters smaller."""
ROW = 46
HEIGHT = 240
PALE = 0.16
_SHAPES = alt.Scale(domain=[True, False], range=[CONTACT, "white"])
INTERVALS = (
    "Points are measured, bars are 95 % intervals. A filled point can be told from no effect; a hollow one cannot."
)


def outcome_chart(result: OutcomeResult, summary: Summary) -> Drawing | None:
    """What any contact and each arm changed, per 1,000 people."""
    found = [*([result.any_contact] if result.any_contact else []), *result.effects]
    rows = [_row(arm_words(x.action), x.difference.times(PEOPLE), x.clear) for x in found]
    what = outcome_unit(result, summary)
    return _intervals(f"chart-{result.outcome.key}", rows, what, INTERVALS)


def policy_chart(summary: Summary) -> Drawing | None:
    """Each policy's net value per 1,000 held-out people."""
    if summary.assessment is None:
        return None
    rows = [
        _row(action_words(p.title), p.net_value, p.net_value.low > 0 or p.net_value.high < 0)
        for p in summary.assessment.policies
        if p.key != "nobody"
    ]
    what = f"net value per 1,000 people, {summary.campaign['currency']}"
    caption = "Points are measured, bars are 95 % intervals. A filled point's bar does not reach contacting nobody."
    return _intervals("chart-policies", rows, what, caption)


def propensity_chart(summary: Summary) -> Drawing | None:
    """Predicted against observed share of people who come back without contact, by tenths of held-out people."""
    rows = summary.assessment.propensity_calibration if summary.assessment else []
    caption = "How many come back without contact: points on the dashed line are predictions that came true."
    return _tenths(
        "chart-propensity", rows, f"{summary.campaign['reactivated_words']} per 1,000", caption, diagonal=True
    )


def uplift_chart(summary: Summary) -> Drawing | None:
    """What contact brought to each tenth of held-out people, from the least to the most promising."""
    rows = summary.assessment.effect_calibration if summary.assessment else []
    caption = (
        "Held-out people in tenths, the least promising first. Points are what contact really brought, bars are 95 % "
        "intervals, diamonds what was predicted."
    )
    return _tenths("chart-tenths", rows, f"extra {summary.campaign['reactivated_words']} per 1,000", caption)


def segment_chart(summary: Summary) -> Drawing | None:
    """What contact brought to the people of each segment that is told from everybody else."""
    found = [s for s in summary.segments if s.differs]
    rows = [_row(f"{action_words(s.segment)}: {action_words(s.value)}", s.reactivations, True) for s in found]
    what = f"extra {summary.campaign['reactivated_words']} per 1,000 people"
    caption = "The segments that can be told from everybody else, allowing for how many were looked at."
    return _intervals("chart-segments", rows, what, caption)


def money_chart(summary: Summary) -> Drawing | None:
    """How much of the extra revenue comes from more buyers, and how much from larger amounts."""
    rows = [
        {"name": arm_words(part.action), "part": word, **bounds(estimate)}
        for part in summary.money_parts
        for word, estimate in (("more buyers", part.by_more_buyers), ("larger amounts", part.by_larger_amounts))
    ]
    rows = [row for row in rows if row["value"] is not None]
    if not rows:
        return None
    what = f"extra revenue per 1,000 people, {summary.campaign['currency']}"
    names = list(dict.fromkeys(str(row["name"]) for row in rows))
    base = alt.Chart(pd.DataFrame(rows))
    y = _bands(names)
    # the first place is the name's
    place = alt.YOffset("part:N", scale=alt.Scale(domain=["name", "more buyers", "larger amounts"]))
    shape = alt.Shape(
        "part:N",
        sort=["more buyers", "larger amounts"],
        scale=alt.Scale(domain=["more buyers", "larger amounts"], range=["circle", "diamond"]),
        legend=alt.Legend(title=None, orient="top", labelFontSize=13, symbolSize=110, symbolFillColor=CONTACT),
    )
    bars = base.mark_rule(color=CONTACT, strokeWidth=2, aria=False).encode(
        x=alt.X("low:Q", title=what, axis=alt.Axis(tickCount=5)), x2="high:Q", y=y, yOffset=place
    )
    tips = [alt.Tooltip("name:N", title="arm"), alt.Tooltip("part:N"), *tips_of(what, ",.0f")]
    points = base.mark_point(filled=True, size=90, color=CONTACT, opacity=1).encode(
        x="value:Q", y=y, yOffset=place, shape=shape, tooltip=tips
    )
    height = 1.5 * ROW * len(names)
    told = "; ".join(f"{row['name']}, {row['part']}: {signed(float(str(row['value'])), 0)}" for row in rows)
    return Drawing(
        "chart-money",
        f"{what.capitalize()}: {told}.",
        "Circles: more people bought. Diamonds: those who bought spent more (or less). The two add up to the "
        "difference in revenue.",
        (zero_line("x") + bars + points + _names(names, above=ROW // 2)).properties(width=WIDTH, height=height),
    )


def guardrail_chart(summary: Summary) -> Drawing | None:
    """How much more often harm happened with contact, against the most that is tolerated."""
    rows = [
        {**_row(g.title, g.difference.times(PEOPLE), g.kept is not None), "margin": PEOPLE * g.margin}
        for g in summary.guardrails
        if g.reported
    ]
    caption = (
        "Points are measured, bars are 95 % intervals, and the upright stroke is the most that is tolerated. Filled: "
        "shown to be below or above it; hollow: cannot be told yet."
    )
    drawing = _intervals("chart-guardrails", rows, "extra events per 1,000 people contacted", caption)
    if drawing is None:
        return None
    margin = alt.Chart(pd.DataFrame(rows)).mark_tick(color=INK, thickness=3, size=26, yOffset=9)
    tips = [alt.Tooltip("name:N", title="event"), alt.Tooltip("margin:Q", title="tolerated", format=",.1f")]
    stroke = margin.encode(x="margin:Q", y=_bands([str(row["name"]) for row in rows]), tooltip=tips)
    height = ROW * len(rows)
    whole = (drawing.chart + stroke).properties(width=WIDTH, height=height)
    return Drawing(drawing.key, drawing.alternative, drawing.caption, whole)


def funnel_chart(summary: Summary) -> Drawing | None:
    """How many contacted people reached each step."""
    rows = [{"name": step.title, "people": sum(step.people.values())} for step in summary.funnel]
    if not rows or not any(row["people"] for row in rows):
        return None
    names = [str(row["name"]) for row in rows]
    base = alt.Chart(pd.DataFrame(rows))
    x = alt.X("people:Q", title="people", axis=alt.Axis(tickCount=4))
    tips = [alt.Tooltip("name:N", title="step"), alt.Tooltip("people:Q", format=",")]
    bars = base.mark_bar(color=CONTACT, height={"band": 0.34}).encode(x=x, y=_bands(names), tooltip=tips)
    missing = {step.title for step in summary.funnel if step.key in summary.health.missing_outcomes}
    named = {
        str(row["name"]): f"{row['name']}: " + ("not reported" if row["name"] in missing else f"{row['people']:,}")
        for row in rows
    }
    told = ", ".join(named.values())
    return Drawing(
        "chart-funnel",
        f"Bars of people who reached each step. {told}.",
        "All arms together; the table has each arm.",
        (bars + _names(names, named, above=15)).properties(width=WIDTH, height=ROW * len(rows)),
    )


def arm_words(action: str) -> str:
    """An arm for people."""
    return {CONTROL: "not contacted", ANY_CONTACT: "any contact"}.get(action, action_words(action))


def outcome_unit(result: OutcomeResult, summary: Summary) -> str:
    """In what a difference in an outcome is shown."""
    if result.outcome.kind == "money":
        return f"extra {result.outcome.words} per 1,000 people, {summary.campaign['currency']}"
    return f"extra {result.outcome.words} per 1,000 people"


def _intervals(key: str, rows: Sequence[dict[str, Any]], what: str, caption: str) -> Drawing | None:
    """A point and an interval for each row, its name above it, around 0."""
    rows = [row for row in rows if row["value"] is not None]
    if not rows:
        return None
    names = [str(row["name"]) for row in rows]
    y = _bands(names)
    x = alt.X("low:Q", title=what, axis=alt.Axis(tickCount=5))
    rows = [{**row, "told": f"{row['name']}: {_told(row)}"} for row in rows]
    base, tips = alt.Chart(pd.DataFrame(rows)), [alt.Tooltip("name:N", title="of"), *tips_of(what)]
    bars = base.mark_rule(color=CONTACT, strokeWidth=3, yOffset=9, aria=False).encode(
        x=x, x2="high:Q", y=y, tooltip=tips
    )
    points = base.mark_point(size=90, stroke=CONTACT, strokeWidth=2, opacity=1, yOffset=9).encode(
        x="value:Q", y=y, fill=alt.Fill("clear:N", scale=_SHAPES, legend=None), tooltip=tips, description="told:N"
    )
    told = "; ".join(str(row["told"]) for row in rows)
    drawn = (zero_line("x") + bars + points + _names(names)).properties(width=WIDTH, height=ROW * len(rows))
    return Drawing(key, f"{what[0].upper()}{what[1:]}. {told}.", caption, drawn)


def _tenths(
    key: str, rows: Sequence[dict[str, Any]], what: str, caption: str, *, diagonal: bool = False
) -> Drawing | None:
    """Tenths of people: observed with intervals over what was predicted, or over their rank beside it."""
    if len(rows) < 2:
        return None
    table = pd.DataFrame(rows)
    figures = ["predicted", "observed", "low", "high"]
    table[figures] *= PEOPLE
    base = alt.Chart(table)
    title = f"observed {what}" if diagonal else what
    x = (
        alt.X("predicted:Q", title=f"predicted {what}", scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=5))
        if diagonal
        else alt.X("group:O", title="tenth of people by prediction", axis=alt.Axis(labelAngle=0))
    )
    tips = [
        alt.Tooltip("group:O", title="tenth"),
        alt.Tooltip("n:Q", title="people", format=","),
        *(alt.Tooltip(f"{name}:Q", format=",.1f") for name in figures),
    ]
    bars = base.mark_rule(color=CONTACT, strokeWidth=2, aria=False).encode(
        x=x, y=alt.Y("low:Q", title=title), y2="high:Q"
    )
    points = base.mark_point(filled=True, size=60, color=CONTACT, opacity=1).encode(x=x, y="observed:Q", tooltip=tips)
    if diagonal:
        ends = pd.DataFrame({"at": [table[["predicted", "low"]].min().min(), table[["predicted", "high"]].max().max()]})
        beside = alt.Chart(ends).mark_line(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q", y="at:Q")
    else:
        beside = zero_line("y") + base.mark_point(shape="diamond", size=70, stroke=INK, fill="white", opacity=1).encode(
            x=x, y="predicted:Q", tooltip=tips
        )
    first, last = table.iloc[0], table.iloc[-1]
    alternative = (
        f"Tenths of people by prediction, {what}: predicted {first['predicted']:,.1f} in the lowest, observed "
        f"{first['observed']:,.1f}; predicted {last['predicted']:,.1f} in the highest, observed "
        f"{last['observed']:,.1f}."
    )
    return Drawing(key, alternative, caption, (beside + bars + points).properties(width=WIDTH, height=HEIGHT))


def _bands(names: list[str]) -> alt.Y:
    return alt.Y("name:N", sort=names, axis=None, scale=alt.Scale(domain=names))


def _names(names: list[str], shown: dict[str, str] | None = None, above: int = 9) -> alt.Chart:
    """Names at the left, above the middle of their rows, so that long ones have room on a narrow screen."""
    base = alt.Chart(pd.DataFrame({"name": names, "shown": [(shown or {}).get(name, name) for name in names]}))
    text = base.mark_text(color=INK, align="left", fontSize=13, dy=-above, limit=WIDTH, aria=False)
    return text.encode(x=alt.value(2), y=_bands(names), text="shown:N")


def zero_line(side: str) -> alt.Chart:
    """The dashed line of no effect, upright (``x``) or level (``y``)."""
    base = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color=MUTED, strokeDash=[4, 4])
    return base.encode(x="at:Q") if side == "x" else base.encode(y="at:Q")


def tips_of(what: str, form: str = ",.1f") -> list[alt.Tooltip]:
    """What is told of a point with an interval."""
    return [
        alt.Tooltip("value:Q", title=what, format=form),
        alt.Tooltip("low:Q", title="95 % sure: from", format=form),
        alt.Tooltip("high:Q", title="to", format=form),
    ]


def _row(name: str, estimate: Estimate, clear: bool) -> dict[str, Any]:
    return {"name": name, **bounds(estimate, 1), "clear": clear}


def bounds(estimate: Estimate, factor: float = PEOPLE) -> dict[str, float | None]:
    """Value and bounds; None where a number does not exist."""
    return {
        key: getattr(estimate, key) * factor if math.isfinite(getattr(estimate, key)) else None
        for key in ("value", "low", "high")
    }


def _told(row: dict[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return signed(row["value"])
    return f"{signed(row['value'])} ({signed(row['low'])} to {signed(row['high'])})"
