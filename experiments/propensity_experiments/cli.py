"""`propensity experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl
from propensity_experiments.plan_commands import plan_experiment
from propensity_experiments.publish_commands import publish, published

experiment_app = typer.Typer(help="Plan an experiment, and read what it brought in.", no_args_is_help=True)
experiment_app.command("plan")(plan_experiment)
experiment_app.command("publish")(publish)
experiment_app.command("published")(published)


def register(app: typer.Typer) -> None:
    """Add the commands of this door."""
    app.add_typer(experiment_app, name="experiment")


@experiment_app.command("list")
def list_experiments(ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """List the experiments of the ledger: whether they run, and how many people each has."""
    from datetime import UTC, datetime

    from propensity.ledger import Ledger
    from propensity.terminal import new_table, show
    from propensity_experiments.listing import NONE_YET, listed

    found = listed(Ledger(ledger).open(), datetime.now(UTC))
    if not found:
        typer.echo(NONE_YET)
        return
    table = new_table("", ["experiment", "title", "state", "to contact", "held out", "since"])
    for row in found:
        people = f"{row.to_contact:,}", f"{row.held_out:,}"
        table.add_row(row.campaign, row.title, row.state, *people, f"{row.started_at:%Y-%m-%d}")
    show(table)


@experiment_app.command("summary")
def summary(
    campaign: Annotated[str, typer.Argument(help="which experiment")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
    html: Annotated[Path | None, typer.Option(help="write the page to this file, to mail it")] = None,
    pdf_file: Annotated[Path | None, typer.Option("--pdf", help="write the page to this file, to print it")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every figure to this file")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="write a spreadsheet, one figure a row")] = None,
    no_color: Annotated[bool, typer.Option("--no-color", help="show no colours")] = False,
) -> None:
    """Say what an experiment brought in, and what to do next."""
    import pandas as pd

    from propensity.files import write_bytes, write_text
    from propensity.ledger import Ledger
    from propensity_experiments import downloads, page, terminal
    from propensity_experiments.pdf import as_pdf
    from propensity_experiments.summary import summarise

    found = summarise(Ledger(ledger).open(), campaign.strip(), now=pd.Timestamp.now("UTC"))
    terminal.show(found, no_color=no_color)
    if html is not None:
        write_text(html, page.render(found))
    if json_file is not None:
        write_text(json_file, downloads.as_json(found))
    if csv_file is not None:
        write_text(csv_file, downloads.as_csv(found))
    if pdf_file is not None:
        write_bytes(pdf_file, as_pdf(found))
