"""Charts of curves: over days, over a growing share of people, over money spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import altair as alt
import pandas as pd

from propensity.assessment import PEOPLE
from propensity.contract import CONTROL
from propensity.evaluation import Estimate
from propensity.pages.charts import CONTACT, INK, MUTED
from propensity.pages.interactive import Drawing
from propensity.pages.words import signed
from propensity_experiments.charts import HEIGHT, PALE, WIDTH, arm_words, bounds, tips_of, zero_line
from propensity_experiments.contents import ReturnCurve, Summary

T = TypeVar("T")

RANDOM = "at random"
MOST_POINTS = 120
"""Of a line, about three pixels apart on the narrowest screen; tables and files have more."""


def time_chart(summary: Summary) -> Drawing | None:
    """The effect of any contact on the primary outcome as it stood on each day, with the always-valid band."""
    if len(summary.over_time) < 2:
        return None
    days = _thinned(summary.over_time)
    points = [{"day": x.day.isoformat(), "people": x.people, **bounds(x.difference)} for x in days]
    known = [p for p in points if None not in (p["value"], p["low"], p["high"])]
    if len(known) < 2:
        return None
    what = f"extra {summary.campaign['reactivated_words']} per 1,000 people"
    x = alt.X("day:T", title=None, axis=alt.Axis(format="%-d %b", tickCount=4))
    base = alt.Chart(pd.DataFrame(known))
    tips = [alt.Tooltip("day:T", title="day", format="%-d %B %Y"), alt.Tooltip("people:Q", format=","), *tips_of(what)]
    drawn = _band_and_line(base, x, what) + _reading_points(base, "day", x, tips) + zero_line("y")
    bounded = [x for x in summary.over_time if math.isfinite(x.difference.high - x.difference.low)]
    first, last = bounded[0], bounded[-1]
    now = last.difference.times(PEOPLE)
    return Drawing(
        "chart-time",
        f"Line of {what} from {first.day} to {last.day}, with a band that narrows as people are added; on the last day "
        f"{_sentence(now)}.",
        "The line is what had been measured by that day. The band holds the true effect on all days at once, so that "
        "you may look every day and stop when it leaves the dashed line of no effect.",
        drawn.properties(width=WIDTH, height=HEIGHT),
    )


def return_chart(summary: Summary) -> Drawing | None:
    """Share of people who came back by days since contact, contacted and not."""
    curves = [c for c in summary.returns if len(c.days) > 1]
    if not curves:
        return None
    names = [arm_words(c.action) for c in curves]
    rows = [row for curve in curves for row in _curve_rows(curve)]
    base = alt.Chart(pd.DataFrame(rows))
    what = f"{summary.campaign['reactivated_words']} per 1,000 people"
    x = alt.X("day:Q", title="days since the decision", axis=alt.Axis(tickCount=6))
    colours = [MUTED if c.action == CONTROL else CONTACT for c in curves]
    dashes = [[5, 4] if c.action == CONTROL else [1, 0] for c in curves]
    colour = alt.Color("line:N", sort=names, scale=alt.Scale(domain=names, range=colours), legend=None)
    dash = alt.StrokeDash("line:N", sort=names, scale=alt.Scale(domain=names, range=dashes), legend=None)
    band = base.mark_area(opacity=PALE).encode(x=x, y=alt.Y("low:Q", title=what), y2="high:Q", color=colour)
    line = base.mark_line(strokeWidth=2.5).encode(x=x, y="value:Q", color=colour, strokeDash=dash)
    tips = [alt.Tooltip("line:N", title="people"), alt.Tooltip("day:Q", title="days"), *tips_of(what)]
    ends = "; ".join(
        f"after {c.days[-1]} days {PEOPLE * c.share[-1]:,.1f} per 1,000 of those {_who(c.action)}" for c in curves
    )
    return Drawing(
        "chart-returns",
        f"Rising lines of {what} by days since the decision: {ends}.",
        "Where the lines stop drawing apart, contact has done what it does. Bands are 95 % intervals.",
        (band + line + _line_names(curves) + _reading_points(base, "day", x, tips)).properties(
            width=WIDTH, height=HEIGHT
        ),
    )


def qini_chart(summary: Summary) -> Drawing | None:
    """What contacting a growing share of held-out people brings, the most promising first, and at random."""
    curves = summary.assessment.curves if summary.assessment else None
    if curves is None or not curves.qini:
        return None
    what = f"extra {summary.campaign['reactivated_words']} per 1,000 people"
    kept = ("share", "low", "high", "random")
    rows = [{"value": row["gain"], **{name: row[name] for name in kept}} for row in curves.qini]
    axis = alt.Axis(format=".0%", tickCount=5)
    x = alt.X("share:Q", title="share of people contacted", axis=axis)
    tips = [alt.Tooltip("share:Q", title="contacted", format=".0%"), *_against_random(what, ",.1f")]
    half, end = rows[len(rows) // 2], rows[-1]
    return Drawing(
        "chart-qini",
        f"Line of {what} as more of them are contacted, the most promising first: {signed(half['value'])} at "
        f"{half['share']:.0%}, where as many at random bring {signed(half['random'])}; {signed(end['value'])} when all "
        "are contacted.".replace("%", " %"),
        "The line is what contact really brought when the model chooses who comes first, the band its 95 % interval. "
        "The dashed line is as many people drawn at random.",
        _over_random(rows, "share", x, what, tips),
    )


def spend_charts(summary: Summary) -> list[Drawing]:
    """What money buys, in the order of predicted value per cost: net value, and people who come back."""
    curves = summary.assessment.curves if summary.assessment else None
    if curves is None or not curves.budgets:
        return []
    currency, many = summary.campaign["currency"], summary.campaign["reactivated_words"]
    told = (
        ("chart-spend-value", "net_value", f"net value per 1,000 people, {currency}", ",.0f", 0),
        ("chart-spend-returns", "reactivations", f"extra {many} per 1,000 people", ",.1f", 1),
    )
    drawings = []
    for key, name, what, form, digits in told:
        kept = ("value", "low", "high", "random")
        rows = [{"spend": row["spend"], **{field: row[name][field] for field in kept}} for row in curves.budgets]
        title = f"spend per 1,000 people, {currency}"
        x = alt.X("spend:Q", title=title, axis=alt.Axis(tickCount=5))
        tips = [alt.Tooltip("spend:Q", title=title, format=",.2f"), *_against_random(what, form)]
        stop = next(row for row in curves.budgets if row["budget"] == curves.best_budget)
        drawn = _over_random(rows, "spend", x, what, tips) + _stop_line(stop["spend"])
        end = curves.budgets[-1]
        drawings.append(
            Drawing(
                key,
                f"Line of {what} by money spent, best buys first: {signed(stop[name]['value'], digits)} at {currency} "
                f"{stop['spend']:,.2f}, beyond which nothing more is predicted to pay, and "
                f"{signed(end[name]['value'], digits)} at {currency} {end['spend']:,.2f}, at the end.",
                "The line is what contact really brought, the band its 95 % interval, the dashed line the same money "
                "spent in random order. Beyond the upright line nothing more is predicted to pay.",
                drawn.properties(width=WIDTH, height=HEIGHT),
            )
        )
    return drawings


def _over_random(
    rows: Sequence[dict[str, Any]], over: str, x: alt.X, what: str, tips: list[alt.Tooltip]
) -> alt.LayerChart:
    """A line with its band, and a dashed one of the same at random."""
    base = alt.Chart(pd.DataFrame(rows))
    dashed = base.mark_line(color=MUTED, strokeWidth=2, strokeDash=[5, 4]).encode(x=x, y="random:Q")
    drawn = _band_and_line(base, x, what) + dashed + _zero_of(rows) + _reading_points(base, over, x, tips)
    return drawn.properties(width=WIDTH, height=HEIGHT)


def _zero_of(rows: Sequence[dict[str, Any]]) -> alt.Chart | alt.LayerChart:
    """The line of nothing, which a curve that begins there needs only where it may go below."""
    return zero_line("y") if min(row["low"] for row in rows) < 0 else alt.layer()


def _stop_line(spend: float) -> alt.Chart:
    rule = alt.Chart(pd.DataFrame({"at": [spend]})).mark_rule(color=INK, strokeWidth=1.5)
    return rule.encode(x="at:Q", tooltip=[alt.Tooltip("at:Q", title="nothing more pays beyond", format=",.2f")])


def _against_random(what: str, form: str) -> list[alt.Tooltip]:
    return [*tips_of(what, form), alt.Tooltip("random:Q", title=RANDOM, format=form)]


def _band_and_line(base: alt.Chart, x: alt.X, what: str) -> alt.LayerChart:
    band = base.mark_area(color=CONTACT, opacity=PALE).encode(x=x, y=alt.Y("low:Q", title=what), y2="high:Q")
    return band + base.mark_line(color=CONTACT, strokeWidth=2.5).encode(x=x, y="value:Q")


def _reading_points(base: alt.Chart, field: str, x: alt.X, tips: list[alt.Tooltip]) -> alt.Chart:
    """Points that show up, with their figures, nearest to the pointer."""
    near = alt.selection_point(nearest=True, on="pointerover", fields=[field], empty=False)
    return (
        base.mark_point(filled=True, size=70, color=INK, aria=False)
        .encode(x=x, y="value:Q", tooltip=tips, opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0)))
        .add_params(near)
    )


def _curve_rows(curve: ReturnCurve) -> list[dict[str, Any]]:
    columns = zip(curve.days, curve.share, curve.low, curve.high, strict=True)
    return [
        {"line": arm_words(curve.action), "day": day, "value": PEOPLE * at, "low": PEOPLE * low, "high": PEOPLE * high}
        for day, at, low, high in _thinned(list(columns))
    ]


def _thinned(points: Sequence[T]) -> Sequence[T]:
    """As many as can be told apart, evenly; the first and the last among them."""
    if len(points) <= MOST_POINTS:
        return points
    return [points[round(k * (len(points) - 1) / (MOST_POINTS - 1))] for k in range(MOST_POINTS)]


def _line_names(curves: Sequence[ReturnCurve]) -> alt.LayerChart:
    """The name of each line at its end, above its band."""
    names = []
    for curve in curves:
        end = {"day": curve.days[-1], "at": PEOPLE * curve.high[-1], "line": arm_words(curve.action)}
        text = alt.Chart(pd.DataFrame([end])).mark_text(align="right", dy=-8, fontSize=13, color=INK, aria=False)
        names.append(text.encode(x="day:Q", y="at:Q", text="line:N"))
    return alt.layer(*names)


def _sentence(estimate: Estimate) -> str:
    return f"{signed(estimate.value)} (95 % sure: {signed(estimate.low)} to {signed(estimate.high)})"


def _who(action: str) -> str:
    return "not contacted" if action == CONTROL else "contacted"
