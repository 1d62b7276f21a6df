"""`propensity ledger`: the record of customers, decisions and outcomes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl

Address = Annotated[str, typer.Argument(help="address of the database")]

ledger_app = typer.Typer(help="The record of customers, decisions and outcomes.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the ledger's commands."""
    app.add_typer(ledger_app, name="ledger")


@ledger_app.command("init")
def init(ledger: Address = DEFAULT_LEDGER) -> None:
    """Make the ledger's tables, or bring those that are there up to date; what they hold stays."""
    from propensity.ledger import Ledger

    typer.echo(f"The ledger is ready: {Ledger(ledger).create().name}")


@ledger_app.command("import")
def import_directory(
    directory: Annotated[Path, typer.Argument(help="holds customers, contacts or outcomes, as .parquet or .csv")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
    playbook: Annotated[str, typer.Option(help="whose actions and columns they are")] = "default",
) -> None:
    """Record what is known already: snapshots of customers, past contacts, what people did. Again changes nothing."""
    from contextlib import closing

    from propensity import playbook as playbooks
    from propensity.ledger import Ledger
    from propensity.ledger_import import import_tables

    book = playbooks.load(playbook)
    with closing(Ledger(ledger).open()) as opened:
        for found in import_tables(opened, directory, book):
            new = "" if found.new is None else f", {found.new:,} of them new"
            typer.echo(f"{found.table}: {found.rows:,} rows{new}")
        typer.echo(f"Ledger: {opened.name}")


@ledger_app.command("upgrade")
def upgrade(
    revision: Annotated[str, typer.Argument(help="where to; head is the newest")] = "head",
    ledger: LedgerUrl = DEFAULT_LEDGER,
) -> None:
    """Bring the tables forward to a revision; what they hold stays."""
    from propensity.ledger import Ledger

    opened = Ledger(ledger)
    opened.revision()  # of a file that is not there yet, init makes a ledger
    opened.upgrade(revision)
    typer.echo(f"The ledger is at revision {opened.revision()}.")


@ledger_app.command("downgrade")
def downgrade(
    revision: Annotated[str, typer.Argument(help="where to; see propensity ledger history")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without this, only what is lost is said")] = False,
) -> None:
    """Bring the tables back to a revision, for an older version; what only later ones can hold is lost."""
    from propensity.errors import InputError
    from propensity.ledger import Ledger

    opened = Ledger(ledger)
    lost = [f"{many:,} {what}" for what, many in opened.lost_by_downgrade(revision).items() if many]
    told = f"Going back to {revision} destroys for good: {'; '.join(lost) or 'nothing'}."
    if not yes:
        raise InputError(
            f"{told} A service that runs stops deciding. Stop it, make a copy of the ledger, and add --yes to do it"
        )
    typer.echo(told)
    opened.downgrade(revision)
    typer.echo(f"The ledger is at revision {opened.revision()}.")


@ledger_app.command("current")
def current(ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """Print the revision of the tables."""
    from propensity.ledger import Ledger

    typer.echo(Ledger(ledger).revision() or "none: empty, or older than the migrations")


@ledger_app.command("history")
def history() -> None:
    """Print all revisions, oldest first."""
    from propensity.ledger.migrating import revisions

    for revision in revisions():
        typer.echo(f"{revision.revision}  {revision.what}")


@ledger_app.command("export")
def export(directory: Path, ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """Write every table as a Parquet file."""
    from propensity.ledger import Ledger

    Ledger(ledger).open().export(directory)
    typer.echo(f"Exported the ledger to {directory}.")


@ledger_app.command("show")
def show(customer_id: str, ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """Print everything that is held on a person, as JSON."""
    from propensity.ledger import Ledger

    typer.echo(json.dumps(Ledger(ledger).open().held_on(customer_id), indent=2, ensure_ascii=False))


@ledger_app.command("erase")
def erase(customer_id: str, ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """Forget a person, and never contact them again."""
    from propensity.ledger import Ledger

    held = Ledger(ledger).open().erase(customer_id)
    what = "Erased" if held else "Nothing was held on"
    typer.echo(f"{what} {customer_id}; they will not be contacted again.")
