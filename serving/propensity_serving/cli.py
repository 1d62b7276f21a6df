"""`propensity serve`, and the keys of those who ask."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl
from propensity_serving import keys_commands


def register(app: typer.Typer) -> None:
    """Add the commands of this door."""
    app.command()(serve)
    keys_commands.register(app)


def serve(
    host: Annotated[str, typer.Option(help="address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="port to listen on; 0 takes a free one")] = 3000,
    workers: Annotated[int, typer.Option(min=1, help="worker processes")] = 1,
    ledger: LedgerUrl = DEFAULT_LEDGER,
    model: Annotated[str | None, typer.Option(help="registered model; default: the only one")] = None,
    alias: Annotated[str, typer.Option(help="alias of the version to serve")] = "champion",
    unapproved_playbook: Annotated[
        bool, typer.Option("--unapproved-playbook", help="for development: decide by a playbook that nobody approved")
    ] = False,
    no_keys: Annotated[
        bool, typer.Option("--no-keys", help="for development: let everybody on this machine ask without a key")
    ] = False,
    webhook_secret_file: Annotated[
        Path | None,
        typer.Option(help="file of secrets, one a line: webhooks signed with one of them may report without a key"),
    ] = None,
) -> None:
    """Serve decisions over HTTP, by an approved playbook, to those who have a key."""
    import os

    from propensity.registered import tracking_address
    from propensity_serving.edge.webhooks import SECRET_FILE_VARIABLE, read_secrets
    from propensity_serving.settings import (
        ALIAS_VARIABLE,
        LEDGER_VARIABLE,
        MODEL_VARIABLE,
        NO_KEYS_VARIABLE,
        UNAPPROVED_VARIABLE,
    )
    from propensity_serving.starting import start

    if no_keys:
        _require_this_machine(host)
    port = _free_port(host, port)
    secrets = {} if webhook_secret_file is None else {SECRET_FILE_VARIABLE: str(webhook_secret_file.absolute())}
    read_secrets({**os.environ, **secrets})
    environment = {
        **secrets,
        "MLFLOW_TRACKING_URI": tracking_address(),
        LEDGER_VARIABLE: ledger,
        MODEL_VARIABLE: model or "",
        ALIAS_VARIABLE: alias,
        UNAPPROVED_VARIABLE: "1" if unapproved_playbook else "",
        NO_KEYS_VARIABLE: "1" if no_keys else "",
    }
    start(host, port, workers, ledger, environment)


def _require_this_machine(host: str) -> None:
    """Refuse to be open to others without keys.

    Raises
    ------
    InputError
        The address may be reached from elsewhere.
    """
    from propensity.errors import InputError

    if host != "127.0.0.1":
        raise InputError(f"host {host}: with --no-keys the service listens on 127.0.0.1 only; leave out one of the two")


def _free_port(host: str, port: int) -> int:
    """The port, found to be free; for 0, one that is.

    Raises
    ------
    InputError
        Somebody else listens there, or the address is not this machine's.
    """
    import errno
    import socket

    from propensity.errors import InputError

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise InputError(f"port {port}: is in use; choose another with --port, or 0 for a free one") from error
            raise InputError(f"host {host}, port {port}: cannot listen there ({error.strerror})") from error
        return probe.getsockname()[1]
