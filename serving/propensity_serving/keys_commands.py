"""`propensity keys`: make, list, rotate and revoke the keys of those who ask the service."""

from __future__ import annotations

from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl

keys_app = typer.Typer(help="Who may ask the service for what.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="NAME|PREFIX", help="name of the key, or its prefix")]
Scopes = Annotated[
    list[str],
    typer.Option("--scope", metavar="[decide|report|read|admin]", help="what the key is for; may be given again"),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(keys_app, name="keys")


@keys_app.command("create")
def create(
    name: Annotated[str, typer.Option(help="who will hold the key: a tool or a person")],
    scope: Scopes,
    expires_days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="days until it ends; default: when it is revoked")
    ] = None,
    ledger: LedgerUrl = DEFAULT_LEDGER,
) -> None:
    """Make a key and print it, this once."""
    from contextlib import closing
    from datetime import timedelta

    from propensity.ledger import Ledger
    from propensity.ledger.keys import create_key

    lifetime = None if expires_days is None else timedelta(days=expires_days)
    with closing(Ledger(ledger).open()) as opened:
        key, made = create_key(opened, name=name, scopes=scope, lifetime=lifetime)
    _say(f"Key {made.prefix} of {made.name}, for {', '.join(sorted(made.scopes))}.")
    typer.echo(key)


@keys_app.command("list")
def list_keys(ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """List the keys that there ever were; the keys themselves nobody knows."""
    from contextlib import closing
    from datetime import UTC, datetime

    from propensity.ledger import Ledger
    from propensity.ledger.keys import api_keys
    from propensity.terminal import new_table, show

    with closing(Ledger(ledger).open()) as opened:
        keys = api_keys(opened)
    if not keys:
        typer.echo(f"The ledger {opened.name} holds no key yet.")
        return
    now = datetime.now(UTC)
    table = new_table(f"Keys in {opened.name}", ["prefix", "name", "scopes", "created", "state"])
    for key in keys:
        created = f"{key.created_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(key.prefix, key.name, ", ".join(sorted(key.scopes)), created, key.state(now))
    show(table)


@keys_app.command("rotate")
def rotate(
    which: Which,
    grace_hours: Annotated[float, typer.Option(min=0, max=24 * 365, help="how long the old key works on")] = 24.0,
    ledger: LedgerUrl = DEFAULT_LEDGER,
) -> None:
    """Make a new key in place of another, which works a while longer."""
    from contextlib import closing
    from datetime import UTC, datetime, timedelta

    from propensity.ledger import Ledger
    from propensity.ledger.keys import rotate_key

    with closing(Ledger(ledger).open()) as opened:
        key, new, old = rotate_key(opened, which, grace=timedelta(hours=grace_hours))
    _say(f"Key {new.prefix} of {new.name}, in place of {old.prefix}, which {_state(old.state(datetime.now(UTC)))}.")
    typer.echo(key)


@keys_app.command("revoke")
def revoke(which: Which, ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """End a key, or all keys of a name; a running service knows within five seconds."""
    from contextlib import closing

    from propensity.ledger import Ledger
    from propensity.ledger.keys import revoke_keys

    with closing(Ledger(ledger).open()) as opened:
        ended = revoke_keys(opened, which)
    prefixes = ", ".join(key.prefix for key in ended)
    typer.echo(f"Revoked {prefixes} of {ended[0].name}; a running service refuses it within five seconds.")


def _say(sentence: str) -> None:
    """Beside the key, so that a script gets the key alone."""
    typer.echo(f"{sentence} It is shown this once; keep it where secrets are kept:", err=True)


def _state(words: str) -> str:
    return words if words.startswith("works") else f"is {words}"
