"""`propensity experiment`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl

experiment_app = typer.Typer(help="Read what an experiment brought in.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands of this door."""
    app.add_typer(experiment_app, name="experiment")


@experiment_app.command("list")
def list_experiments(ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """List the campaigns of the ledger."""
    from propensity.ledger import Ledger

    campaigns = Ledger(ledger).open().campaigns()
    for row in campaigns:
        typer.echo(f"{row['campaign']}  {row['title']}  started {row['started_at']:%Y-%m-%d}")
    if not campaigns:
        typer.echo("The ledger holds no campaign yet.")


@experiment_app.command("summary")
def summary(
    campaign: Annotated[str, typer.Argument(help="which experiment")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
    html: Annotated[Path | None, typer.Option(help="write the page to this file")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every figure to this file")] = None,
) -> None:
    """Say what an experiment brought in, and what to do next."""
    import json

    import pandas as pd

    from propensity.files import write_text
    from propensity.ledger import Ledger
    from propensity_experiments import page, words
    from propensity_experiments.contents import json_ready
    from propensity_experiments.summary import summarise

    found = summarise(Ledger(ledger).open(), campaign.strip(), now=pd.Timestamp.now("UTC"))
    verdict = words.verdict(found)
    if html is not None:
        write_text(html, page.render(found))
    if json_file is not None:
        write_text(json_file, json.dumps({"verdict": json_ready(verdict), **found.to_json()}, indent=1))
    typer.echo(verdict.headline)
    for sentence in verdict.sentences:
        typer.echo(f"- {sentence}")
