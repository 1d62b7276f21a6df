"""Charts of a report as self-contained SVG; empty where there is nothing to draw."""

from __future__ import annotations

import altair as alt
import pandas as pd

from propensity.pages.charts import CONTACT, MUTED, calibration_chart, interval_chart, named_rows, svg
from propensity.pages.words import action_words
from propensity_training.report.contents import ModelReport

N_FEATURES = 15
"""Features that the chart of importances shows; the table shows all."""
POLICIES = {
    "model": "this model",
    "per_person": "each person's best",
    "one_action": "best action to all",
    "likeliest": "likelier half only",
    "rules": "rule playbook",
    "random": "random action",
}
"""Policies in few words, by key."""
_RIVAL = "#b4540a"
_SIZE = {"width": 420, "height": 280}


def charts(report: ModelReport) -> dict[str, str]:
    """All charts by name."""
    many = report.many
    return {
        "effects": _effects(report),
        "qini": _qini(report),
        "toc": _toc(report),
        "cost": _cost(report),
        "policies": _policies(report),
        "propensity": calibration_chart(report.assessment.propensity_calibration, f"{many} per 1,000 people"),
        "effect": calibration_chart(report.assessment.effect_calibration, f"extra {many} per 1,000 people"),
        "importance": _importance(report),
    }


def _effects(report: ModelReport) -> str:
    """Measured on held-out people with intervals (filled), and what the model starts from (hollow)."""
    rows = [
        {
            "name": action_words(e.action),
            "shrunk": e.trained_shrunk,
            "value": e.held_out.value,
            "low": e.held_out.low,
            "high": e.held_out.high,
        }
        for e in report.learnt.effects
        if e.held_out is not None
    ]
    if not rows:
        return ""
    table = pd.DataFrame(rows)
    y = named_rows(list(table["name"]))
    x = alt.X("low:Q", title=f"extra {report.many} per 1,000 people", axis=alt.Axis(tickCount=5))
    base = alt.Chart(table)
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q")
    bars = base.mark_rule(color=CONTACT, strokeWidth=3).encode(x=x, x2="high:Q", y=y)
    measured = base.mark_point(filled=True, size=80, color=CONTACT).encode(x="value:Q", y=y)
    shrunk = base.mark_point(filled=True, size=90, shape="diamond", color=_RIVAL).encode(x="shrunk:Q", y=y)
    return svg((zero + bars + measured + shrunk).properties(width=340, height=max(80, 26 * len(table))))


def _qini(report: ModelReport) -> str:
    table = pd.DataFrame(report.assessment.curves.qini if report.assessment.curves else [])
    if table.empty:
        return ""
    table["share"] *= 100
    lines = _long(table, "share", {"gain": "in the model's order", "random": "at random"})
    x, y = "share of people contacted, %", f"extra {report.many} per 1,000 people"
    band = (
        alt.Chart(table)
        .mark_area(color=CONTACT, opacity=0.15)
        .encode(x=alt.X("share:Q", title=x, axis=alt.Axis(tickCount=5)), y=alt.Y("low:Q", title=y), y2="high:Q")
    )
    return svg((band + _lines(lines, "share", x, y)).properties(**_SIZE))


def _toc(report: ModelReport) -> str:
    table = pd.DataFrame(report.curves.toc)
    if table.empty:
        return ""
    table["share"] *= 100
    x = alt.X("share:Q", title="share of people contacted, highest ranks first, %", axis=alt.Axis(tickCount=5))
    title = f"{report.many} per 1,000, above all people's"
    base = alt.Chart(table)
    wide = base.mark_area(color=CONTACT, opacity=0.12).encode(x=x, y=alt.Y("low_all:Q", title=title), y2="high_all:Q")
    narrow = base.mark_area(color=CONTACT, opacity=0.2).encode(x=x, y="low:Q", y2="high:Q")
    line = base.mark_line(color=CONTACT).encode(x=x, y="toc:Q")
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y="at:Q")
    return svg((wide + narrow + line + zero).properties(**_SIZE))


def _cost(report: ModelReport) -> str:
    table = pd.DataFrame(report.curves.cost)
    if table.empty:
        return ""
    nothing = dict.fromkeys(table.columns, 0.0)
    table = pd.concat([pd.DataFrame([nothing]), table], ignore_index=True)
    table["even"] = table["budget"]
    names = {
        "value": "in the model's order",
        "random": "in random order",
        "single": "the best single action",
        "even": "what it costs",
    }
    x, y = f"budget per 1,000 people, {report.currency}", f"value before cost, {report.currency}"
    band = (
        alt.Chart(table)
        .mark_area(color=CONTACT, opacity=0.15)
        .encode(x=alt.X("budget:Q", title=x, axis=alt.Axis(tickCount=5)), y=alt.Y("low:Q", title=y), y2="high:Q")
    )
    return svg((band + _lines(_long(table, "budget", names), "budget", x, y)).properties(**_SIZE))


def _policies(report: ModelReport) -> str:
    rows = [
        {"name": POLICIES.get(p.key, p.title), **{k: getattr(p.net_value, k) for k in ("value", "low", "high")}}
        for p in report.assessment.policies
        if p.key != "nobody"
    ]
    return interval_chart(rows, f"net value per 1,000 people, {report.currency}")


def _importance(report: ModelReport) -> str:
    rows = [{"name": action_words(f.feature), "share": 100 * f.share} for f in report.importance[:N_FEATURES]]
    if not rows:
        return ""
    bars = alt.Chart(pd.DataFrame(rows)).mark_bar(color=CONTACT)
    x = alt.X("share:Q", title="share of what moves predicted effects, %")
    shown = bars.encode(x=x, y=named_rows([str(row["name"]) for row in rows]))
    return svg(shown.properties(width=340, height=max(60, 24 * len(rows))))


def _long(table: pd.DataFrame, x: str, names: dict[str, str]) -> pd.DataFrame:
    lines = table[[x, *names]].rename(columns=names)
    return lines.melt(x, var_name="line", value_name="value")


def _lines(lines: pd.DataFrame, x: str, x_title: str, y_title: str) -> alt.Chart:
    names = list(dict.fromkeys(lines["line"]))
    colours, dashes = [CONTACT, MUTED, _RIVAL, MUTED], [[1, 0], [6, 4], [1, 0], [2, 3]]
    legend = alt.Legend(
        title=None, orient="top", columns=2, columnPadding=24, labelFontSize=13, labelLimit=0, symbolSize=300
    )
    return (
        alt.Chart(lines)
        .mark_line()
        .encode(
            x=alt.X(f"{x}:Q", title=x_title, axis=alt.Axis(tickCount=5)),
            y=alt.Y("value:Q", title=y_title),
            color=alt.Color("line:N", sort=names, scale=alt.Scale(domain=names, range=colours), legend=legend),
            strokeDash=alt.StrokeDash("line:N", sort=names, scale=alt.Scale(domain=names, range=dashes), legend=legend),
        )
        .properties(**_SIZE)
    )
