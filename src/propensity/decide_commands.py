"""`propensity decide`: decisions for a file of customers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from propensity.cli import utc_time

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

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
    at: Annotated[
        str | None, typer.Option(help="when the decisions are taken, UTC where it names no zone; default: now")
    ] = None,
    campaign: Annotated[str, typer.Option(help="campaign that the decisions belong to")] = "default",
    budget: Annotated[float | None, typer.Option(min=0, help="currency to spend; default: the playbook's")] = None,
    weeks: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="weeks until the next wave: this one may use the channels' capacities of so many, and the budget once",
        ),
    ] = 1.0,
    contacts: Annotated[Path | None, typer.Option(help="what was sent before, so that rules on touches apply")] = None,
    outcomes: Annotated[Path | None, typer.Option(help="what people did since; goes with --contacts")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="add the column explanation: each decision in plain words")
    ] = False,
    suppressed: Annotated[Path | None, typer.Option(help="text file: an id a line that must not be contacted")] = None,
    audiences: Annotated[Path | None, typer.Option(help="also write one list a channel and offer here")] = None,
    hashed_email: Annotated[
        str | None, typer.Option(help="column of addresses, of which lists carry the SHA-256")
    ] = None,
) -> None:
    """Decide for everybody in a file, within budget and capacities."""
    import math

    import pandas as pd

    from propensity import contract, registry
    from propensity.audiences import Audiences
    from propensity.dataset import read_file
    from propensity.decide_file import MEND, WaveFile, decide_file
    from propensity.errors import InputError
    from propensity.progress import CountBar

    for option, value in (("--budget", budget), ("--weeks", weeks)):
        if value is not None and not math.isfinite(value):
            raise InputError(f"{option} {value}: expected a finite number; leave {option} out for the default")
    if not campaign.strip():
        raise InputError("--campaign: expected a name, found nothing; a campaign's decisions are found by it")
    if (contacts is None) != (outcomes is None):
        raise InputError("--contacts and --outcomes go together: rules on touches need both")
    if hashed_email is not None and audiences is None:
        raise InputError("--hashed-email: is for lists; name a directory with --audiences")
    loaded, registered = registry.load(model, alias)
    wave = WaveFile(
        source=file,
        at=pd.Timestamp.now("UTC") if at is None else utc_time(at, "--at"),
        campaign=campaign,
        weeks=weeks,
        budget=budget,
        suppressed=_ids(suppressed),
        contacts=contract.check("contacts", read_file(contacts, TEXTS), fix=MEND).good if contacts else None,
        outcomes=contract.check("outcomes", read_file(outcomes, TEXTS), fix=MEND).good if outcomes else None,
    )
    with CountBar("Deciding") as bar:
        lists = Audiences(audiences, hashed_email) if audiences else None
        summary = decide_file(loaded, wave, out, audiences=lists, explain=explain, show=bar.show)
    _report(summary, loaded.playbook.currency)
    for caution in summary.cautions:
        typer.echo(f"Caution: {caution}.")
    typer.echo(
        f"Decided as of {wave.at:%Y-%m-%d %H:%M} UTC with {registered.name} version {registered.version}. "
        f"Decisions: {out}"
    )
    if audiences:
        typer.echo(f"Lists: {audiences}")


def _ids(file: Path | None) -> list[str]:
    from propensity.errors import InputError

    if file is None:
        return []
    try:
        ids = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"--suppressed {file}: cannot be read ({error.strerror}); name a text file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"--suppressed {file}: is no UTF-8 text (byte {error.start}); write one id a line") from error
    if not ids:
        raise InputError(f"--suppressed {file}: holds no id; write one id a line, or leave --suppressed out")
    return ids


def _report(summary: WaveSummary, currency: str) -> None:
    from propensity.terminal import show

    show(_people(summary))
    if len(summary.actions):
        show(_actions(summary, currency))
    if summary.amounts:
        show(_limits(summary, currency))


def _people(summary: WaveSummary) -> Table:
    from propensity.pages.words import left_alone
    from propensity.terminal import new_table

    table = new_table(f"{summary.people:,} people", ["step"], ["people", "left"])
    for step, stopped, left in summary.funnel().itertuples(index=False):
        table.add_row(left_alone(step), f"{stopped:,}" if stopped else "", f"{left:,}")
    return table


def _actions(summary: WaveSummary, currency: str) -> Table:
    """What pays apart from what is tried, each with its sum."""
    from propensity.pages.words import action_words
    from propensity.terminal import new_table

    table = new_table(
        f"What they get, in {currency}", ["action"], ["people", "contacts cost", "expected revenue", "net value"]
    )
    pays = summary.actions.sub(summary.tried, fill_value=0) if len(summary.tried) else summary.actions
    parts = {
        "chosen because it pays": pays[pays["people"] > 0],
        "tried to learn, whether it pays or not": summary.tried,
    }
    for words, actions in parts.items():
        if actions.empty:
            continue
        table.add_row(f"{words}:", *_figures(actions.sum()))
        for label, row in actions.sort_values("people", ascending=False, kind="stable").iterrows():
            table.add_row(f"  {action_words(str(label))}", *_figures(row))
        table.add_section()
    table.add_row("all", *_figures(summary.actions.sum()))
    return table


def _figures(row: pd.Series) -> list[str]:
    return [f"{row['people']:,.0f}", *(f"{x:,.2f}" for x in row.iloc[1:])]


def _limits(summary: WaveSummary, currency: str) -> Table:
    from propensity.pages.words import action_words
    from propensity.terminal import new_table

    table = new_table("Limits", ["limit"], ["there is", "used", f"one more is worth, {currency}"])
    for name, amount in summary.amounts.items():
        table.add_row(
            action_words(name), f"{amount:,.6g}", f"{summary.used[name]:,.6g}", f"{summary.prices[name]:,.2f}"
        )
    return table
