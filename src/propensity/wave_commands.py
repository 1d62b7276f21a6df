"""`propensity wave`: one round from ledger to ledger."""

from __future__ import annotations

from typing import Annotated

import typer

from propensity.cli import (
    DEFAULT_DECISIONS,
    DEFAULT_LEDGER,
    AddressColumn,
    BudgetOption,
    DecidedAt,
    DecisionsFile,
    LedgerUrl,
    ListsDirectory,
    ModelAlias,
    ModelName,
    utc_time,
)
from propensity.decide_commands import show_wave


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(wave)


def wave(
    campaign: Annotated[str, typer.Argument(help="name of the round, such as win-back-2026-03: one for each")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
    out: DecisionsFile = DEFAULT_DECISIONS,
    model: ModelName = None,
    alias: ModelAlias = "champion",
    at: DecidedAt = None,
    budget: BudgetOption = None,
    weeks: Annotated[
        float | None,
        typer.Option(min=0.01, help="weeks until the next round; default: the playbook's decision window"),
    ] = None,
    seen_within: Annotated[
        float | None,
        typer.Option(min=0, help="days that a person's newest snapshot may be old; default: the decision window"),
    ] = None,
    audiences: ListsDirectory = None,
    hashed_email: AddressColumn = None,
) -> None:
    """Decide on everybody in the ledger who comes up, and record it there: the round of a month.

    People come up who left inside the playbook's horizon, were seen lately, are not back, and have no decision whose
    attribution window is still open. Run again in its decision window, the round's decisions stand and are written
    again; who comes up since is added, within what the round has left.
    """
    import math
    from contextlib import closing

    import pandas as pd

    from propensity import registry
    from propensity.audiences import Audiences
    from propensity.errors import InputError
    from propensity.ledger import Ledger
    from propensity.monthly_wave import Round, decide_round
    from propensity.progress import CountBar

    campaign = campaign.strip()
    if not campaign:
        raise InputError("CAMPAIGN: expected a name, found nothing; a round's decisions are found by it")
    for option, value in (("--budget", budget), ("--weeks", weeks), ("--seen-within", seen_within)):
        if value is not None and not math.isfinite(value):
            raise InputError(f"{option} {value}: expected a finite number; leave {option} out for the default")
    if hashed_email is not None and audiences is None:
        raise InputError("--hashed-email: is for lists; name a directory with --audiences")
    time = pd.Timestamp.now("UTC") if at is None else utc_time(at, "--at")
    loaded, registered = registry.load(model, alias)
    lists = Audiences(audiences, hashed_email) if audiences else None
    with closing(Ledger(ledger).open()) as opened, CountBar("Deciding") as bar:
        found = decide_round(
            loaded, opened, Round(time, campaign, budget, weeks, seen_within), out, audiences=lists, show=bar.show
        )
        name = opened.name
    if found is None:
        typer.echo(f"Nobody in {name} comes up for a decision at {time:%Y-%m-%d %H:%M} UTC; nothing was written.")
        seen = loaded.playbook.program.decision_window_days if seen_within is None else seen_within
        typer.echo(
            f"Who comes up has a snapshot of the last {seen:g} days (--seen-within), left inside the playbook's "
            "horizon, is not back, and has no decision whose window is open. Snapshots come in by `propensity ledger "
            "import` or PUT /v1/customers."
        )
        return
    show_wave(found, loaded.playbook.currency)
    kept = ""
    if found.standing:
        new = found.people - found.standing
        kept = f"; {found.standing:,} had a decision of this round already, which stands; {new:,} came up since"
    typer.echo(
        f"Decided on {found.people:,} people as of {time:%Y-%m-%d %H:%M} UTC with {registered.name} version "
        f"{registered.version}{kept}. Ledger: {name}. Decisions: {out}"
    )
    if audiences:
        typer.echo(f"Lists: {audiences}")
