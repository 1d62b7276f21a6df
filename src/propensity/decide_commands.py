"""`propensity decide`: decisions for a file of customers."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from propensity.decide_file import WaveSummary


TEXTS = ("customer_id", "decision_id", "event_id", "source", "campaign", "action")
"""Columns that are texts whatever they look like."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(decide)


def decide(
    file: Annotated[Path, typer.Argument(help="customers: Parquet, CSV or Arrow")],
    out: Annotated[Path, typer.Option(help="where to write the decisions: .parquet or .csv")] = Path(
        "decisions.parquet"
    ),
    model: Annotated[str | None, typer.Option(help="registered model; default: the only one")] = None,
    alias: Annotated[str, typer.Option(help="alias of the version to decide with")] = "champion",
    at: Annotated[datetime | None, typer.Option(help="when the decisions are taken, UTC; default: now")] = None,
    campaign: Annotated[str, typer.Option(help="campaign that the decisions belong to")] = "default",
    budget: Annotated[float | None, typer.Option(min=0, help="currency to spend; default: the playbook's")] = None,
    weeks: Annotated[float, typer.Option(min=0.01, help="for how many weeks of capacity the wave is")] = 1.0,
    contacts: Annotated[Path | None, typer.Option(help="what was sent before, so that rules on touches apply")] = None,
    outcomes: Annotated[Path | None, typer.Option(help="what people did since; goes with --contacts")] = None,
    suppressed: Annotated[Path | None, typer.Option(help="text file: an id a line that must not be contacted")] = None,
    ledger: Annotated[
        str | None, typer.Option(help="record the wave in this ledger, and go by what it knows of these people")
    ] = None,
    audiences: Annotated[Path | None, typer.Option(help="also write one list a channel and offer here")] = None,
    hashed_email: Annotated[
        str | None, typer.Option(help="column of addresses, of which lists carry the SHA-256")
    ] = None,
) -> None:
    """Decide for everybody in a file, within budget and capacities.

    With a ledger the whole wave is recorded or nothing of it; who has a decision of the campaign and decision window
    already keeps it.
    """
    from contextlib import closing, nullcontext

    import pandas as pd

    from propensity import contract, registry
    from propensity.audiences import Audiences
    from propensity.dataset import read_file
    from propensity.decide_file import WaveFile, decide_file
    from propensity.errors import InputError
    from propensity.ledger import Ledger
    from propensity.progress import Counter

    if (contacts is None) != (outcomes is None):
        raise InputError("--contacts and --outcomes go together: rules on touches need both")
    if hashed_email is not None and audiences is None:
        raise InputError("--hashed-email: is for lists; name a directory with --audiences")
    loaded, registered = registry.load(model, alias)
    opened = Ledger(ledger).open() if ledger else None
    now = pd.Timestamp.now("UTC") if at is None else pd.Timestamp(at)
    wave = WaveFile(
        source=file,
        at=now.tz_localize("UTC") if now.tzinfo is None else now.tz_convert("UTC"),
        campaign=campaign,
        weeks=weeks,
        budget=budget,
        suppressed=_ids(suppressed),
        contacts=contract.check("contacts", read_file(contacts, TEXTS)).good if contacts else None,
        outcomes=contract.check("outcomes", read_file(outcomes, TEXTS)).good if outcomes else None,
        ledger=opened,
    )
    with closing(opened) if opened else nullcontext(), Counter("Deciding") as counter:
        lists = Audiences(audiences, hashed_email) if audiences else None
        summary = decide_file(loaded, wave, out, audiences=lists, show=counter.show)
    _report(summary, loaded.playbook.currency)
    typer.echo(f"Decided with {registered.name} version {registered.version}. Decisions: {out}")
    if opened:
        kept = f"; {summary.standing:,} people had a decision already, which stands" if summary.standing else ""
        typer.echo(f"Ledger: {opened.name}{kept}.")
    if audiences:
        typer.echo(f"Lists: {audiences}")


def _ids(file: Path | None) -> list[str]:
    from propensity.errors import InputError

    if file is None:
        return []
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--suppressed {file}: cannot be read ({error})") from error


def _report(summary: WaveSummary, currency: str) -> None:
    from propensity.pages.words import action_words, left_alone
    from propensity.terminal import new_table, show

    people = new_table(f"{summary.people:,} people", ["step"], ["people", "left"])
    for step, stopped, left in summary.funnel().itertuples(index=False):
        known = {"in the wave": "in the wave", "contacted": "contacted"}
        people.add_row(known.get(step) or left_alone(step), f"{stopped:,}" if stopped else "", f"{left:,}")
    show(people)
    if len(summary.actions):
        actions = new_table(
            f"What they get, in {currency}", ["action"], ["people", "contacts cost", "expected revenue", "net value"]
        )
        for label, row in summary.actions.sort_values("people", ascending=False).iterrows():
            figures = (f"{x:,.2f}" for x in row.iloc[1:])
            actions.add_row(action_words(str(label)), f"{row['people']:,.0f}", *figures)
        total = summary.actions.sum()
        actions.add_row("all", f"{total['people']:,.0f}", *(f"{x:,.2f}" for x in total.iloc[1:]))
        show(actions)
    if summary.amounts:
        limits = new_table("Limits", ["limit"], ["there is", "used", f"one more is worth, {currency}"])
        for name, amount in summary.amounts.items():
            limits.add_row(
                action_words(name), f"{amount:,.0f}", f"{summary.used[name]:,.0f}", f"{summary.prices[name]:,.2f}"
            )
        show(limits)
