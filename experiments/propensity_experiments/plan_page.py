"""A plan as one self-contained page with a picture of effect against days."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import altair as alt

from propensity.pages import environment
from propensity.pages.interactive import Drawing
from propensity_experiments.plan import Plan, Question


def render(made: Plan, told: Sequence[str], words: str) -> str:
    """The page."""
    template = environment(Path(__file__).with_name("templates")).get_template("plan.html")
    return template.render(plan=made, told=told, drawing=effect_chart(made, words), unit=unit(made.question, words))


def unit(question: Question, words: str) -> str:
    """What effects are shown in."""
    return f"extra {words} per 1,000 people" if question.sd is None else f"extra {words} a person"


def effect_chart(made: Plan, words: str) -> Drawing | None:
    """The smallest effect that can be found, against the day on which it can be read."""
    factor = 1000 if made.question.sd is None else 1
    found = [p for p in made.curve if p.effect is not None]
    rows = [{"day": p.days, "effect": factor * (p.effect or 0.0), "people": p.people} for p in found]
    if len(rows) < 2:
        return None
    what = unit(made.question, words)
    x = alt.X("day:Q", title="days from the start until the result is read", scale=alt.Scale(zero=False))
    y = alt.Y("effect:Q", title=what)
    line = alt.Chart(alt.Data(values=rows)).mark_line(point=True, color="#222").encode(x, y)
    wanted = [{"effect": factor * made.question.effect}]
    rule = alt.Chart(alt.Data(values=wanted)).mark_rule(strokeDash=[6, 4], color="#555").encode(y="effect:Q")
    first, last = rows[0], rows[-1]
    return Drawing(
        key="effect-against-days",
        alternative=(
            f"Smallest effect that is found, {what}: {first['effect']:,.2f} when read on day {first['day']:,}, "
            f"{last['effect']:,.2f} on day {last['day']:,}; wanted is {wanted[0]['effect']:,.2f}."
        ),
        caption="Effects above the line are found with the wanted chance. Dashed: the effect that is wanted.",
        chart=(line + rule).properties(width=520, height=260),
    )
