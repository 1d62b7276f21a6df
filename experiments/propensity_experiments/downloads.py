"""A summary as files: JSON with every figure, and a table with one figure a row for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from propensity.evaluation import Estimate
from propensity_experiments.contents import OutcomeResult, Summary, json_ready
from propensity_experiments.verdict import verdict

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""With one of these a text is a formula to a spreadsheet."""


class Row(NamedTuple):
    """One figure: where it stands, whose it is, what it is, and in which unit."""

    section: str
    arm: str
    measure: str
    value: float | None
    low: float | None
    high: float | None
    unit: str


def document(summary: Summary) -> dict[str, Any]:
    """The verdict and every figure, as JSON-ready values."""
    return {"verdict": json_ready(verdict(summary)), **summary.to_json()}


def as_json(summary: Summary, indent: int | None = 1) -> str:
    """`document` as text."""
    return json.dumps(document(summary), indent=indent, ensure_ascii=False)


def as_csv(summary: Summary) -> str:
    """All figures, one a row, none rounded; of an unhealthy experiment only those that say so."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(Row._fields)
    for row in rows(summary):
        table.writerow([_cell(value) for value in row])
    return written.getvalue()


def rows(summary: Summary) -> Iterator[Row]:
    """The rows of the table."""
    yield from _health(summary)
    if not summary.health.healthy:
        return
    for result in summary.outcomes:
        yield from _outcome(result, summary.campaign["currency"])
    money = summary.campaign["currency"]
    for part in summary.money_parts:
        unit = f"{money} per person"
        yield _estimated("revenue parts", part.action, "by more buyers", part.by_more_buyers, unit)
        yield _estimated("revenue parts", part.action, "by larger amounts", part.by_larger_amounts, unit)
    for of_arm in summary.measures:
        for m in of_arm.measures:
            unit = money if m.unit == "money" else m.unit
            yield Row("measures", of_arm.action, m.title, m.value, m.low, m.high, unit)
    for guard in summary.guardrails:
        yield Row("guardrails", "any_contact", guard.title, guard.contacted, None, None, "share")
        yield Row("guardrails", "control", guard.title, guard.held_out, None, None, "share")
        yield _estimated("guardrails", "any_contact", f"{guard.title}, extra", guard.difference, "share")
        yield Row("guardrails", "", f"{guard.title}, tolerated", guard.margin, None, None, "share")
    yield from _over_days(summary)
    for step in summary.funnel:
        for arm, people in step.people.items():
            yield Row("funnel", arm, step.title, people, None, None, "people")
    yield from _reach(summary)
    for s in summary.segments:
        name = f"{s.segment}: {s.value}"
        yield _estimated("segments", "any_contact", name, s.reactivations, "per 1,000 people")
        yield Row("segments", "any_contact", f"{name}, people", s.people, None, None, "people")
    for cell in summary.cells:
        name = f"{cell.archetype}, {cell.channel}, {cell.offer}"
        yield Row("cells", cell.action, f"{name}, people", cell.people, None, None, "people")
        if cell.difference is not None:
            yield _estimated("cells", cell.action, name, cell.difference, "share")
    yield from _policies(summary)
    yield from _targeting(summary)
    yield from _next_wave(summary)


def _health(summary: Summary) -> Iterator[Row]:
    health = summary.health
    yield Row("health", "", "people", summary.people, None, None, "people")
    yield Row("health", "", "windows still open", summary.open_windows, None, None, "decisions")
    yield Row("health", "", "p-value of the arms' sizes", health.sample_ratio.p_value, None, None, "probability")
    for arm, people in health.sample_ratio.observed.items():
        yield Row("health", arm, "people", people, None, None, "people")
        yield Row("health", arm, "people planned", health.sample_ratio.expected[arm], None, None, "people")
    if health.balance_p_value is not None:
        yield Row("health", "", "p-value of balance", health.balance_p_value, None, None, "probability")
    yield Row("health", "", "crossed over", health.crossed_over, None, None, "people")
    for campaign, people in (health.in_other_experiments or {}).items():
        yield Row("health", "", f"also in {campaign}", people, None, None, "people")


def _outcome(result: OutcomeResult, currency: str) -> Iterator[Row]:
    is_money = result.outcome.kind == "money"
    section, unit = result.outcome.key, f"{currency} per person" if is_money else "share"
    for arm in result.totals:
        yield Row(section, arm.action, "people", arm.people, None, None, "people")
        yield Row(section, arm.action, "people with it", arm.with_it, None, None, "people")
        yield Row(section, arm.action, "total", arm.total, None, None, currency if is_money else "people")
    for effect in [*([result.any_contact] if result.any_contact else []), *result.effects]:
        yield Row(section, effect.action, "mean", effect.mean, None, None, unit)
        yield _estimated(section, effect.action, "extra", effect.difference, unit)
        yield _estimated(section, effect.action, "extra, as counted", effect.unadjusted, unit)
        if effect.relative is not None:
            yield _estimated(section, effect.action, "extra, of no contact's mean", effect.relative, "share")
        yield Row(section, effect.action, "extra to expect if chosen", effect.shrunk, None, None, unit)
        yield Row(section, effect.action, "by chance alone", effect.p_adjusted, None, None, "probability")


def _over_days(summary: Summary) -> Iterator[Row]:
    for point in summary.over_time:
        yield _estimated("over time", "any_contact", f"extra by {point.day.isoformat()}", point.difference, "share")
    for curve in summary.returns:
        for day, share, low, high in zip(curve.days, curve.share, curve.low, curve.high, strict=True):
            yield Row("time to come back", curve.action, f"by day {day}", share, low, high, "share")


def _reach(summary: Summary) -> Iterator[Row]:
    reach = summary.reach
    if reach is None:
        return
    yield Row("reach", "", "people", reach.people, None, None, "people")
    yield Row("reach", "", "contacted, of all decisions", reach.share, None, None, "share")
    for name in ("contacted", "held_out", "suppressed", "not_sent", "left_out"):
        yield Row("reach", "", name.replace("_", " "), getattr(reach, name), None, None, "decisions")
    for reason, n in reach.suppressed_by.items():
        yield Row("reach", "", f"suppressed: {reason}", n, None, None, "decisions")


def _policies(summary: Summary) -> Iterator[Row]:
    for policy in summary.assessment.policies if summary.assessment else ():
        money = f"{summary.campaign['currency']} per 1,000 people"
        yield Row("policies", policy.title, "contacted", policy.contacted_share, None, None, "share")
        yield _estimated("policies", policy.title, "extra returns", policy.reactivations, "per 1,000 people")
        yield _estimated("policies", policy.title, "extra revenue", policy.revenue, money)
        yield Row("policies", policy.title, "cost of sending", policy.cost, None, None, money)
        yield _estimated("policies", policy.title, "net value", policy.net_value, money)


def _targeting(summary: Summary) -> Iterator[Row]:
    """Every point of the assessment's curves; as arm, the order in which people are contacted."""
    curves = summary.assessment.curves if summary.assessment else None
    if curves is None:
        return
    people, money = "per 1,000 people", f"{summary.campaign['currency']} per 1,000 people"
    for row in curves.qini:
        name = f"extra returns, {row['share']:.0%} contacted"
        yield Row("Qini curve", "most promising first", name, row["gain"], row["low"], row["high"], people)
        yield Row("Qini curve", "at random", name, row["random"], None, None, people)
    for row in curves.budgets:
        spend = f"{row['spend']:.2f} spent"
        yield Row("what money buys", "best buys first", f"contacted, {spend}", row["contacted"], None, None, "share")
        for what, key, unit in (("net value", "net_value", money), ("extra returns", "reactivations", people)):
            of, name = row[key], f"{what}, {spend}"
            yield Row("what money buys", "best buys first", name, of["value"], of["low"], of["high"], unit)
            yield Row("what money buys", "at random", name, of["random"], None, None, unit)


def _next_wave(summary: Summary) -> Iterator[Row]:
    wave = summary.next_wave
    if wave is None:
        return
    yield Row("next wave", "", "people", wave.people, None, None, "people")
    yield Row("next wave", "", "cost of sending", wave.cost, None, None, summary.campaign["currency"])
    for arm, people in wave.sent.items():
        yield Row("next wave", arm, "people", people, None, None, "people")


def _estimated(section: str, arm: str, measure: str, found: Estimate, unit: str) -> Row:
    return Row(section, arm, measure, found.value, found.low, found.high, unit)


def _cell(value: object) -> object:
    """A number as it is, nothing where there is none, a text that no spreadsheet takes for a formula."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
