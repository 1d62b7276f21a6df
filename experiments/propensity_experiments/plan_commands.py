"""`propensity experiment plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl

if TYPE_CHECKING:
    from propensity_experiments.plan import Plan


def plan_experiment(
    effect: Annotated[float, typer.Option(help="smallest extra worth finding, per person (0.01: 1 in 100 more)")],
    base: Annotated[float | None, typer.Option(help="outcome without contact, per person (0.05: 5 in 100)")] = None,
    like: Annotated[str | None, typer.Option(help="experiment that --base and the pace come from")] = None,
    people_a_day: Annotated[float | None, typer.Option(help="who may be contacted or held out")] = None,
    window_days: Annotated[float | None, typer.Option(help="attribution window; default 90, or that of --like")] = None,
    arms: Annotated[int, typer.Option(help="contacted arms to compare with no contact")] = 1,
    holdout: Annotated[float | None, typer.Option(help="share held out; default: several are compared")] = None,
    days: Annotated[int | None, typer.Option(help="days within which it must be read")] = None,
    sd: Annotated[float | None, typer.Option(help="standard deviation, where the outcome is money")] = None,
    power: Annotated[float, typer.Option(help="chance of finding an effect of this size")] = 0.8,
    alpha: Annotated[float, typer.Option(help="chance of finding any where there is none")] = 0.05,
    ledger: LedgerUrl = DEFAULT_LEDGER,
    html: Annotated[Path | None, typer.Option(help="write a page with a picture of effect against days")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every figure to this file")] = None,
) -> None:
    """Say how many people an experiment needs, how long it takes, and how many to hold out."""
    import json

    from propensity.errors import InputError
    from propensity.files import write_text
    from propensity_experiments import plan as planning
    from propensity_experiments.contents import json_ready
    from propensity_experiments.plan_page import render

    settings: dict[str, Any] = {"sd": sd, "arms": arms, "power": power, "alpha": alpha}
    words = {"word": "return", "words": "returns", "currency": ""}
    if like is not None:
        summary = _like(ledger, like)
        found = planning.question_of(summary, effect, people_a_day=people_a_day, **settings)
        question = _with(found, base=base, window_days=window_days)
        words = {"word": summary.campaign["reactivated_word"], "words": summary.campaign["reactivated_words"]}
        words["currency"] = summary.campaign["currency"]
    elif base is None or people_a_day is None:
        raise InputError("say --base and --people-a-day, or name an experiment of the ledger with --like")
    else:
        question = planning.Question(base, effect, people_a_day, window_days or 90.0, **settings)
    if sd is not None:
        words |= {"word": "revenue", "words": "revenue"}
    made = planning.plan(question, holdout=holdout, days=days)
    told = planning.sentences(made, **words)
    _show(made, told)
    if html is not None:
        write_text(html, render(made, told, words["words"]))
    if json_file is not None:
        write_text(json_file, json.dumps({"sentences": list(told), **json_ready(made)}, indent=1))


def _like(ledger: str, campaign: str) -> Any:
    import pandas as pd

    from propensity.ledger import Ledger
    from propensity_experiments.summary import summarise

    return summarise(Ledger(ledger).open(), campaign, now=pd.Timestamp.now("UTC"))


def _with(question: Any, **values: float | None) -> Any:
    from dataclasses import replace

    return replace(question, **{name: value for name, value in values.items() if value is not None})


def _show(made: Plan, told: Any) -> None:
    from propensity.terminal import new_table, show

    for sentence in told:
        typer.echo(f"- {sentence}")
    table = new_table("", ["held out", "people", "of them held out", "days of contact", "read on day"])
    for x in made.options:
        mark = " *" if x is made.advised else ""
        cells = (f"{x.people:,}", f"{x.held_out:,}", f"{x.contact_days:,}", f"{x.days:,}")
        table.add_row(f"{100 * x.holdout_share:.1f} %{mark}", *cells)
    show(table)
