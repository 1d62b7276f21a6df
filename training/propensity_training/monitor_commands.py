"""`propensity monitor`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl, utc_time

ALARM_EXIT = 3
"""Exit code of a run that raises an alarm; 1 and 2 are failed jobs and bad input."""


class FailOn(StrEnum):
    """What makes the command fail."""

    alarm = "alarm"
    none = "none"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(monitor)


def monitor(
    model: Annotated[
        str | None,
        typer.Option("--model", help="directory of a model, or name of the registered one; default: the only one"),
    ] = None,
    alias: Annotated[str, typer.Option(help="alias, or number of the version, in the registry")] = "champion",
    campaign: Annotated[str | None, typer.Option(help="default: all campaigns")] = None,
    since: Annotated[str | None, typer.Option(help="a time; default: seven days before --until")] = None,
    until: Annotated[str | None, typer.Option(help="a time; default: now")] = None,
    reference_days: Annotated[float, typer.Option(min=1, help="days before --since that count as before")] = 28,
    response_days: Annotated[float, typer.Option(min=0.5, help="within which an answer counts")] = 7,
    grace_days: Annotated[float, typer.Option(min=0, help="after which what was decided should be sent")] = 2,
    ledger: LedgerUrl = DEFAULT_LEDGER,
    json_file: Annotated[Path | None, typer.Option("--json", help="write all figures to this JSON file")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="write one page to this file")] = None,
    prometheus_file: Annotated[
        Path | None, typer.Option("--prometheus", help="write gauges to this file, as node-exporter collects them")
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option(help="alarm: exit with 3 where one is raised; none: only report")
    ] = FailOn.alarm,
    seed: Annotated[int, typer.Option(help="of permutations")] = 0,
) -> None:
    """Check whether people, predictions, answers and sending are still what the model and the playbook stand on."""
    import json

    import pandas as pd

    from propensity.files import write_text
    from propensity.ledger import Ledger
    from propensity.monitoring.monitor import Settings
    from propensity.monitoring.monitor import monitor as run
    from propensity.terminal import show
    from propensity_training.monitoring import shown
    from propensity_training.monitoring.gather import gather, period_of, serving_model

    period = period_of(
        None if since is None else utc_time(since, "--since"),
        None if until is None else utc_time(until, "--until"),
        reference_days,
        pd.Timestamp.now("UTC"),
    )
    campaign = None if campaign is None else campaign.strip()
    opened = Ledger(ledger).open()
    try:
        loaded = serving_model(model, alias)
        observed = gather(opened, loaded, period, campaign)
    finally:
        opened.close()
    found = run(loaded, observed, period, campaign=campaign, settings=Settings(response_days, grace_days, seed))
    show(shown.table(found))
    typer.echo(shown.headline(found))
    files = (
        (json_file, lambda: json.dumps(shown.document(found), indent=1)),
        (html_file, lambda: shown.page(found)),
        (prometheus_file, lambda: shown.prometheus(found)),
    )
    for file, text in files:
        if file is not None:
            write_text(file, text())
    if found.alarms and fail_on is FailOn.alarm:
        raise typer.Exit(ALARM_EXIT)
