"""`propensity experiment publish` and `published`: a summary is frozen in the ledger, and read again as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl


def publish(
    campaign: Annotated[str, typer.Argument(help="which experiment")],
    who: Annotated[str, typer.Option(help="who publishes it")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
) -> None:
    """Freeze the summary as it is now: what was said, every figure, the page, and the fingerprint of the data."""
    import pandas as pd

    from propensity.ledger import Ledger, publish_summary
    from propensity_experiments import downloads, page
    from propensity_experiments.summary import summarise

    opened = Ledger(ledger).open()
    found = summarise(opened, campaign, now=pd.Timestamp.now("UTC"))
    number = publish_summary(
        opened,
        campaign,
        who=who,
        as_of=found.as_of,
        fingerprint=found.fingerprint,
        content=downloads.document(found),
        page=page.render(found),
    )
    typer.echo(f"Published as number {number} of {campaign}; fingerprint of the data: {found.fingerprint}.")
    typer.echo(f"Read it again with: propensity experiment published {campaign} --number {number} --html FILE")


def published(
    campaign: Annotated[str, typer.Argument(help="which experiment")],
    number: Annotated[int | None, typer.Option(help="which one; default: the newest")] = None,
    html: Annotated[Path | None, typer.Option(help="write the page as it was to this file")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write every figure as it was to this file")] = None,
    ledger: LedgerUrl = DEFAULT_LEDGER,
) -> None:
    """List what was published of an experiment, or write one of it as it was."""
    import json

    from propensity.files import write_text
    from propensity.ledger import Ledger, published_summaries, published_summary
    from propensity.terminal import new_table, show

    opened = Ledger(ledger).open()
    if html is None and json_file is None and number is None:
        opened.campaign(campaign)
        table = new_table("", ["number", "published", "by", "data until", "fingerprint", "verdict"])
        for row in published_summaries(opened, campaign):
            at, as_of = (f"{row[name]:%Y-%m-%d %H:%M}" for name in ("at", "as_of"))
            table.add_row(str(row["id"]), at, row["who"], as_of, row["fingerprint"], row["headline"])
        if not table.row_count:
            command = f"propensity experiment publish {campaign} --who NAME"
            typer.echo(f"Nothing of {campaign} was published; do so with: {command}")
            return
        show(table)
        return
    found = published_summary(opened, campaign, number)
    typer.echo(f"Number {found['id']}, published by {found['who']} on {found['at']:%Y-%m-%d %H:%M} UTC:")
    typer.echo(found["content"]["verdict"]["headline"])
    if html is not None:
        write_text(html, found["page"])
    if json_file is not None:
        write_text(json_file, json.dumps(found["content"], indent=1, ensure_ascii=False))
