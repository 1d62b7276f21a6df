"""Charts as self-contained SVG, each with a text alternative."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import vl_convert as vlc

from propensity.evaluation import Estimate
from propensity_experiments.summary import Summary
from propensity_experiments.words import action_words, lift_per_thousand

INK = "#1f2933"
CONTACT = "#17324d"
MUTED = "#7b8794"


def lift_chart(summary: Summary) -> str:
    """Each arm's extra reactivations per 1,000 people, with 95 % intervals; empty where no arm can be compared."""
    rows = [
        _row(action_words(a.action), lift_per_thousand(x))
        for a in summary.arms
        if (x := a.reactivation_lift) is not None
    ]
    return _intervals(rows, f"extra {_many(summary)} per 1,000 people contacted")


def policy_chart(summary: Summary) -> str:
    """Each policy's net value per 1,000 held-out people, with 95 % intervals."""
    if summary.assessment is None:
        return ""
    rows = [_row(action_words(p.title), p.net_value) for p in summary.assessment.policies if p.key != "nobody"]
    return _intervals(rows, f"net value per 1,000 people, {summary.campaign['currency']}")


def propensity_chart(summary: Summary) -> str:
    """Predicted against observed share of people who come back without contact, by tenths of held-out people."""
    if summary.assessment is None:
        return ""
    return _calibration(summary.assessment.propensity_calibration, f"{_many(summary)} per 1,000 people")


def effect_chart(summary: Summary) -> str:
    """Predicted against observed effect of each person's best action, by tenths of held-out people."""
    if summary.assessment is None:
        return ""
    return _calibration(summary.assessment.effect_calibration, f"extra {_many(summary)} per 1,000 people")


def _many(summary: Summary) -> str:
    return str(summary.campaign["reactivated_words"])


def _calibration(rows: list[dict[str, Any]], what: str) -> str:
    if len(rows) < 2:
        return ""
    table = pd.DataFrame(rows)
    figures = ["predicted", "observed", "low", "high"]
    table[figures] *= 1000
    bounds = [float(table[["predicted", "low"]].min().min()), float(table[["predicted", "high"]].max().max())]
    x = alt.X("predicted:Q", title=f"predicted {what}", scale=alt.Scale(zero=False))
    line = alt.Chart(pd.DataFrame({"at": bounds})).mark_line(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q", y="at:Q")
    bars = alt.Chart(table).mark_rule(color=CONTACT).encode(x=x, y=alt.Y("low:Q", title="observed"), y2="high:Q")
    points = alt.Chart(table).mark_point(filled=True, size=60, color=CONTACT).encode(x=x, y="observed:Q")
    return _svg((line + bars + points).properties(width=340, height=240))


def _row(name: str, estimate: Estimate) -> dict[str, object]:
    return {"name": name, "value": estimate.value, "low": estimate.low, "high": estimate.high}


def _intervals(rows: list[dict[str, object]], title: str) -> str:
    if not rows:
        return ""
    table = pd.DataFrame(rows)
    # the labels' room is set by their length: the reader's font is not known here
    room = 8 + 7.5 * table["name"].str.len().max()
    y = alt.Y("name:N", sort=list(table["name"]), title=None, axis=alt.Axis(labelLimit=0, minExtent=room))
    base = alt.Chart(table)
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q")
    bars = base.mark_rule(color=CONTACT, strokeWidth=3).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
    points = base.mark_point(filled=True, size=90, color=CONTACT).encode(x="value:Q", y=y)
    height = max(80, 34 * len(table))
    return _svg((zero + bars + points).properties(width=340, height=height))


def _svg(chart: alt.LayerChart) -> str:
    styled = chart.configure(font="system-ui, sans-serif", background="transparent").configure_axis(
        labelColor=INK,
        titleColor=INK,
        gridColor="#e4e7eb",
        labelFontSize=13,
        titleFontSize=13,
        titleFontWeight="normal",
    )
    return vlc.vegalite_to_svg(styled.configure_view(stroke=None).to_json())
