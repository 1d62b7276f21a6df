"""`propensity serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl


def register(app: typer.Typer) -> None:
    """Add the command of this door."""
    app.command()(serve)


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
) -> None:
    """Serve decisions over HTTP, by an approved playbook."""
    from propensity.registered import tracking_address
    from propensity_serving.settings import ALIAS_VARIABLE, LEDGER_VARIABLE, MODEL_VARIABLE, UNAPPROVED_VARIABLE
    from propensity_serving.starting import start

    environment = {
        "MLFLOW_TRACKING_URI": tracking_address(),
        LEDGER_VARIABLE: ledger,
        MODEL_VARIABLE: model or "",
        ALIAS_VARIABLE: alias,
        UNAPPROVED_VARIABLE: "1" if unapproved_playbook else "",
    }
    start(host, _free_port(host, port), workers, ledger, environment)


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
