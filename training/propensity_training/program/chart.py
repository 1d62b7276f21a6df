"""What each policy has gained by each wave, as a picture."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.files import written_aside
from propensity.pages.charts import CONTACT, INK, MUTED
from propensity_training.program.contest import FORESIGHT, FROZEN, NAME, ORACLE, POLICIES, Results, mean_with_interval

WIDTH, HEIGHT, PADDING = 560, 360, 5
LETTERS = 11
"""Size of names, pixels."""
SPARE_EM = 0.13
"""Left free on the right for each letter of the longest name: many browsers' sans-serif is so much wider (up to 0.55 em
a letter) than the one by which the picture's width is found."""
TITLE = "gained above contacting nobody, thousands"
STYLES = {
    ORACLE: (MUTED, [2, 3]),
    FORESIGHT: (MUTED, [6, 3]),
    NAME: (CONTACT, [1, 0]),
    FROZEN: (CONTACT, [6, 3]),
    "rules": (INK, [1, 0]),
    "blast": (INK, [6, 3]),
    "propensity only": (INK, [2, 3]),
}
"""Colour and dashes of each line, from the top."""


def gains_table(results: Results) -> pd.DataFrame:
    """One row a policy and wave: ``gained`` until then, in thousands, with ``low`` and ``high`` over worlds."""
    rows = []
    for name in STYLES:
        until = results.gained(name).cumsum(axis=1) / 1_000
        for wave in range(until.shape[1]):
            mean, low, high = mean_with_interval(until[:, wave])
            known = np.isfinite([low, high]).all()
            rows.append(
                {
                    "policy": POLICIES[name],
                    "wave": wave + 1,
                    "gained": mean,
                    "low": low if known else mean,
                    "high": high if known else mean,
                }
            )
    return pd.DataFrame(rows)


def gains_chart(results: Results) -> alt.LayerChart:
    """Lines of cumulative gains with bands, each named at its end; shifts are marked."""
    table = gains_table(results)
    names = [POLICIES[name] for name in STYLES]
    colour = alt.Color("policy:N", scale=alt.Scale(domain=names, range=[c for c, _ in STYLES.values()]), legend=None)
    dash = alt.StrokeDash("policy:N", scale=alt.Scale(domain=names, range=[d for _, d in STYLES.values()]), legend=None)
    waves = results.contest.waves
    x = alt.X("wave:Q", title="wave (a month each)", axis=alt.Axis(tickCount=waves), scale=alt.Scale(domain=[1, waves]))
    y = alt.Y("gained:Q", title=TITLE)
    base = alt.Chart(table)
    band = base.mark_area(opacity=0.16).encode(x=x, y=alt.Y("low:Q", title=TITLE), y2="high:Q", color=colour)
    line = base.mark_line(strokeWidth=2.2).encode(x=x, y=y, color=colour, strokeDash=dash)
    last = table[table["wave"] == waves].sort_values("gained")
    # names that would cover one another are moved apart
    step = 0.052 * float(table["high"].max())
    places = last["gained"].to_numpy().copy()
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + step)
    ends = alt.Chart(last.assign(at=places)).mark_text(align="left", dx=6, fontSize=LETTERS, color=INK)
    labels = ends.encode(x=alt.X("wave:Q"), y=alt.Y("at:Q"), text="policy:N")
    layers = [band, line, labels]
    if results.contest.shifts:
        shifts = pd.DataFrame([{"wave": s.wave, "why": s.why} for s in results.contest.shifts if s.wave <= waves])
        marks = alt.Chart(shifts)
        layers.append(marks.mark_rule(color=MUTED, strokeDash=[2, 4]).encode(x="wave:Q"))
        layers.append(
            marks.mark_text(align="left", dx=4, fontSize=LETTERS, color=MUTED).encode(
                x="wave:Q", y=alt.value(8), text="why:N"
            )
        )
    spare = round(SPARE_EM * LETTERS * max(map(len, names)))
    padding = {"left": PADDING, "top": PADDING, "bottom": PADDING, "right": PADDING + spare}
    return alt.layer(*layers).properties(width=WIDTH, height=HEIGHT, padding=padding)


def require_picture(file: Path) -> None:
    """Refuse a file that `write_chart` could not write.

    Raises
    ------
    InputError
        It does not end in .svg, .png or .html.
    """
    if file.suffix not in (".svg", ".png", ".html"):
        raise InputError(f"--chart {file}: expected a file that ends in .svg, .png or .html")


def write_chart(results: Results, file: Path) -> None:
    """Write the chart as SVG, PNG or HTML; errors are those of `require_picture`."""
    require_picture(file)
    with written_aside(file) as aside:
        gains_chart(results).save(str(aside), **({"scale_factor": 2} if file.suffix == ".png" else {}))
