"""Charts as self-contained SVG. A page gives each a text alternative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd
import vl_convert as vlc

INK = "#1f2933"
CONTACT = "#17324d"
MUTED = "#7b8794"
GRID = "#e4e7eb"


def calibration_chart(rows: Sequence[dict[str, Any]], what: str) -> str:
    """Predicted against observed, both per 1,000 people, from rows of `calibration_table`; empty for one group."""
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
    return svg((line + bars + points).properties(width=340, height=240))


def interval_chart(rows: Sequence[dict[str, object]], title: str) -> str:
    """A point and an interval for each row of ``name, value, low, high``, around 0; empty without rows."""
    if not rows:
        return ""
    table = pd.DataFrame(rows)
    y = named_rows(list(table["name"]))
    base = alt.Chart(table)
    zero = alt.Chart(pd.DataFrame({"at": [0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(x="at:Q")
    bars = base.mark_rule(color=CONTACT, strokeWidth=3).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y)
    points = base.mark_point(filled=True, size=90, color=CONTACT).encode(x="value:Q", y=y)
    height = max(80, 34 * len(table))
    return svg((zero + bars + points).properties(width=340, height=height))


def named_rows(names: list[str]) -> alt.Y:
    """Rows in their order, with room for their names: the reader's font is not known here."""
    room = 8 + 7.5 * max(map(len, names))
    return alt.Y("name:N", sort=names, title=None, axis=alt.Axis(labelLimit=0, minExtent=room))


def svg(chart: alt.TopLevelMixin) -> str:
    """A chart in the house's style."""
    return vlc.vegalite_to_svg(styled(chart).to_json())


def styled(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """The same chart with the house's letters, lines and colours."""
    dressed = chart.configure(font="system-ui, sans-serif", background="transparent").configure_axis(
        labelColor=INK,
        titleColor=INK,
        gridColor=GRID,
        labelFontSize=13,
        titleFontSize=13,
        titleFontWeight="normal",
    )
    return dressed.configure_view(stroke=None)
