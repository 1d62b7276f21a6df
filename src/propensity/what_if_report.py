"""What-ifs on a terminal: scenarios side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from propensity.pages.words import action_words, left_alone
from propensity.terminal import new_table, show

MOST_MOVES = 5
MOST_VALUES = 12
"""Rows of a table that are shown; the JSON file has all."""
BLANK = ""


def show_what_if(content: dict[str, Any]) -> None:
    """Print what `WhatIf.to_json` holds."""
    scenarios = content["scenarios"]
    names = [s["name"] for s in scenarios]
    currency = content["currency"]
    people = scenarios[0]["people"]
    table = new_table(f"What if: {people:,} people, nothing recorded", [""], names)
    for label, cells in _figures(scenarios, currency):
        table.add_row(label, *cells)
    show(table)
    show(_actions(scenarios, names))
    show(_funnel(scenarios, names))
    if any(s["limits"] for s in scenarios):
        show(_limits(scenarios, names, currency))
    for scenario in scenarios[1:]:
        if any(scenario["moved"].values()):
            show(_moves(scenario, names[0]))
    for scenario in scenarios:
        for column in scenario["protected"]:
            show(_rates(column, scenario))
    for scenario in scenarios:
        if scenario["not_learnt"]:
            labels = ", ".join(scenario["not_learnt"])
            print(f"{scenario['name']}: the model knows nothing of {labels}, so nobody gets that here.")


def _figures(scenarios: list[dict[str, Any]], currency: str) -> Iterator[tuple[str, list[str]]]:
    yield "contacted", [f"{s['contacted']:,}" for s in scenarios]
    yield "  of them drawn at random, to keep learning", [f"{s['explored']:,}" for s in scenarios]
    yield "held out, to measure", [f"{s['held_out']:,}" for s in scenarios]
    yield f"contacts cost, {currency}", [f"{s['contacts_cost']:,.0f}" for s in scenarios]
    yield f"offers cost as far as redeemed, {currency}", [f"{s['offers_cost']:,.0f}" for s in scenarios]
    if any(s["production_cost"] for s in scenarios):
        made = [f"{s['messages']:,}: {s['production_cost']:,.0f}" for s in scenarios]
        yield f"messages to make, one an action and value tier: {currency}", made
    yield "extra people who come back (95 % sure)", [_sure(s["expected"]["reactivated"]) for s in scenarios]
    yield f"extra revenue, {currency} (95 % sure)", [_sure(s["expected"]["revenue"]) for s in scenarios]
    yield f"net value as predicted, {currency}", [f"{s['net_value_predicted']:,.0f}" for s in scenarios]
    if len(scenarios) > 1:
        for kind in scenarios[1]["moved"]:
            yield kind, [BLANK, *(f"{s['moved'][kind]:,}" for s in scenarios[1:])]


def _sure(found: dict[str, float]) -> str:
    return f"{found['value']:,.0f} ({found['low']:,.0f} to {found['high']:,.0f})"


def _actions(scenarios: list[dict[str, Any]], names: list[str]) -> Any:
    table = new_table("People per action", ["action"], names)
    counts = [{label: row["people"] for label, row in s["actions"].items()} for s in scenarios]
    for label in sorted({a for c in counts for a in c}, key=lambda a: -counts[0].get(a, 0)):
        table.add_row(action_words(label), *(f"{c.get(label, 0):,}" for c in counts))
    return table


def _funnel(scenarios: list[dict[str, Any]], names: list[str]) -> Any:
    table = new_table("Why people are left alone", ["step"], names)
    stopped = [{row["step"]: row["stopped"] for row in s["funnel"] if row["stopped"]} for s in scenarios]
    # each scenario has its steps in the order of the rules; those of the later ones come where they first appear
    for step in {step: None for found in stopped for step in found}:
        table.add_row(left_alone(step), *(f"{found.get(step, 0):,}" for found in stopped))
    return table


def _limits(scenarios: list[dict[str, Any]], names: list[str], currency: str) -> Any:
    table = new_table(f"Limits: used of what there is (one more is worth, {currency})", ["limit"], names)
    for name in {limit: None for s in scenarios for limit in s["limits"]}:
        cells = []
        for s in scenarios:
            limit = s["limits"].get(name)
            cells.append(
                "no limit"
                if limit is None
                else f"{limit['used']:,.0f} of {limit['amount']:,.0f} ({limit['price']:,.2f})"
            )
        table.add_row(action_words(name), *cells)
    return table


def _moves(scenario: dict[str, Any], first: str) -> Any:
    title = f"Who moves: {first} -> {scenario['name']}"
    table = new_table(title, [first, scenario["name"]], ["people"])
    for move in scenario["moves"][:MOST_MOVES]:
        table.add_row(*(_what(move[end]) for end in ("from", "to")), f"{move['people']:,}")
    others = sum(move["people"] for move in scenario["moves"][MOST_MOVES:])
    if others:
        table.add_row("other moves", BLANK, f"{others:,}")
    return table


def _what(action: str) -> str:
    return "no contact" if action == "control" else action_words(action)


def _rates(column: str, scenario: dict[str, Any]) -> Any:
    """Contact and offer rates by the values of a protected column."""
    title = f"By {action_words(column)}, which no model sees: {scenario['name']} (95 % sure)"
    table = new_table(title, [column], ["people", "may get something", "contacted", "made an offer"])
    rows = scenario["protected"][column]
    for row in rows[:MOST_VALUES]:
        rates = (
            f"{row[r]['value']:.1%} ({row[r]['low']:.1%} to {row[r]['high']:.1%})" for r in ("contacted", "offered")
        )
        table.add_row(row["value"], f"{row['people']:,}", f"{row['may_be_contacted']:.1%}", *rates)
    if len(rows) > MOST_VALUES:
        table.add_row(f"and {len(rows) - MOST_VALUES} more values", BLANK)
    return table
