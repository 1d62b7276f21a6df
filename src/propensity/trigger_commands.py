"""`propensity due`: who is due for a decision because of an event."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from propensity.decide_commands import TEXTS

if TYPE_CHECKING:
    import pandas as pd

    from propensity.playbook import Playbook

WRITERS = (".parquet", ".csv")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(due)


def due(
    customers: Annotated[Path, typer.Argument(help="everybody who left: Parquet or CSV")],
    events: Annotated[Path, typer.Option(help="all that people did since they left: an outcomes table")],
    since: Annotated[
        datetime, typer.Option(help="when the last list ended, UTC; what was due then is not in this one")
    ],
    until: Annotated[datetime, typer.Option(help="when this list ends, UTC")],
    out: Annotated[Path, typer.Option(help="where to write the people who are due: .parquet or .csv")],
    playbook: Annotated[str, typer.Option(help="TOML file, or the name of a shipped playbook")] = "default",
    trigger: Annotated[str | None, typer.Option(help="only this trigger of the playbook")] = None,
    step: Annotated[int | None, typer.Option(min=1, help="only this step of a trigger")] = None,
) -> None:
    """List who is due for a decision because they cancelled or abandoned a cart, to hand to `decide` or the service.

    Decide each step in a campaign of its own (--trigger, --step): within one a decision stands for its whole window.
    """
    from propensity import contract
    from propensity import playbook as playbooks
    from propensity.dataset import read_file
    from propensity.errors import InputError
    from propensity.triggers import due as steps_due
    from propensity.triggers import due_customers

    if out.suffix not in WRITERS:
        raise InputError(f"--out {out}: expected a file that ends in {' or '.join(WRITERS)}")
    book = playbooks.load(playbook)
    _require_step(book, trigger, step)
    people = contract.check("customers", read_file(customers, TEXTS)).good
    happened = contract.check("outcomes", read_file(events, TEXTS)).good
    first, last = _utc(since), _utc(until)
    steps = steps_due(people, happened, book, first, last)
    found = due_customers(people, steps, last)
    for column, wanted in (("trigger", trigger), ("step", step)):
        if wanted is not None:
            found = found[found[column] == wanted]
    _write(found, out)
    _report(found, out)


def _utc(at: datetime) -> pd.Timestamp:
    import pandas as pd

    moment = pd.Timestamp(at)
    return moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")


def _require_step(book: Playbook, trigger: str | None, step: int | None) -> None:
    from propensity.errors import InputError

    if trigger is not None and trigger not in book.triggers:
        raise InputError(
            f"--trigger {trigger}: expected one of {', '.join(book.triggers) or 'none'} (playbook {book.name})"
        )
    most = max((len(t.after_hours) for name, t in book.triggers.items() if trigger in (None, name)), default=0)
    if step is not None and step > most:
        raise InputError(f"--step {step}: expected at most {most} (playbook {book.name})")


def _write(found: pd.DataFrame, out: Path) -> None:
    from propensity.files import written_aside

    with written_aside(out) as aside:
        if out.suffix == ".csv":
            found.to_csv(aside, index=False)
        else:
            found.to_parquet(aside, index=False)


def _report(found: pd.DataFrame, out: Path) -> None:
    if found.empty:
        typer.echo(f"Nobody is due: {out} has no rows.")
        return
    counts = found.groupby(["trigger", "step"], as_index=False).size()
    for name, number, n in counts.itertuples(index=False):
        typer.echo(f"{name}, step {number}: {n:,} due")
    typer.echo(f"{len(found):,} people, each with their last step: {out}")
