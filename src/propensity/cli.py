"""The command line. Door commands come in by entry point, so that the core imports no door; heavy libraries are
imported inside commands, so that ``--help`` answers at once."""

from __future__ import annotations

import sys
import traceback
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from propensity.threads import one_thread_for_algebra

if TYPE_CHECKING:
    import pandas as pd

COMMANDS = "propensity.commands"
"""Entry points of this group are functions that add a door's commands to the application."""

app = typer.Typer(
    name="propensity",
    help="Decides whom to win back, with what, and reports what it brought in.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class _Simulate(TyperGroup):
    """`simulate DIRECTORY` is `simulate tables DIRECTORY`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments; what is no command's name is for `tables`."""
        if args and args[0] not in (*self.commands, *ctx.help_option_names):
            args = ["tables", *args]
        return super().parse_args(ctx, args)


simulate_app = typer.Typer(
    cls=_Simulate,
    help="Simulate a win-back program with known truth, as tables; or the whole loop in simulated worlds.",
    no_args_is_help=True,
)
"""Doors add commands to it."""
data_app = typer.Typer(help="Check a data set; print the data dictionary.", no_args_is_help=True)

Data = Annotated[
    str, typer.Option("--data", help="auto, hillstrom, simulated, a directory of contract tables, or a file")
]
MappingFile = Annotated[Path | None, typer.Option("--mapping", help="TOML that says what a file's columns are")]
PlaybookFile = Annotated[Path | None, typer.Option("--playbook", help="playbook to use instead of the data's own")]
Quarantine = Annotated[
    Path | None, typer.Option("--quarantine", help="write faulty rows to this CSV file and go on without them")
]
Seed = Annotated[int, typer.Option("--seed", help="seed of all randomness")]
Shuffle = Annotated[
    int | None,
    typer.Option("--shuffle-arms", help="rehearsal: shuffle who got what with this seed, so that no effect exists"),
]
LedgerUrl = Annotated[str, typer.Option("--ledger", help="sqlite:///FILE or postgresql+psycopg://USER@HOST/DATABASE")]
DEFAULT_LEDGER = "sqlite:///ledger.db"
DecisionsFile = Annotated[Path, typer.Option("--out", help="where to write the decisions: .parquet or .csv")]
DEFAULT_DECISIONS = Path("decisions.parquet")
ModelName = Annotated[str | None, typer.Option("--model", help="registered model; default: the only one")]
ModelAlias = Annotated[str, typer.Option("--alias", help="alias of the version to decide with")]
DecidedAt = Annotated[
    str | None, typer.Option("--at", help="when the decisions are taken, UTC where it names no zone; default: now")
]
BudgetOption = Annotated[
    float | None, typer.Option("--budget", min=0, help="currency to spend; default: the playbook's")
]
ListsDirectory = Annotated[
    Path | None, typer.Option("--audiences", help="also write one list a channel and offer here")
]
AddressColumn = Annotated[
    str | None, typer.Option("--hashed-email", help="column of addresses, of which lists carry the SHA-256")
]


def utc_time(text: str, option: str) -> pd.Timestamp:
    """A time or a date that an option names, in UTC where it names no zone.

    Raises
    ------
    InputError
        It is neither.
    """
    from datetime import datetime

    import pandas as pd

    from propensity.errors import InputError

    try:
        stamp = pd.Timestamp(datetime.fromisoformat(text.strip()))
    except ValueError as error:
        raise InputError(f"{option} {text}: expected a time such as 2026-01-31 or 2026-01-31T09:00:00Z") from error
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")


@app.callback()
def main_options(
    context: typer.Context, debug: Annotated[bool, typer.Option(help="show the traceback of an error")] = False
) -> None:
    """Options of every command."""
    context.obj = {"debug": debug}


@app.command()
def run(
    data: Data = "auto",
    mapping: MappingFile = None,
    playbook: PlaybookFile = None,
    quarantine: Quarantine = None,
    out: Annotated[Path, typer.Option(help="directory of the runs")] = Path("runs"),
    held_out: Annotated[float, typer.Option(min=0.05, max=0.9, help="share of people that no training sees")] = 0.5,
    port: Annotated[int, typer.Option(help="port of the service; 0 takes a free one")] = 0,
    seed: Seed = 0,
    shuffle_arms: Shuffle = None,
) -> None:
    """The whole job on a data set: check, train, evaluate, serve, decide, summarise."""
    from propensity.run import run_job

    run_job(
        data=data,
        mapping=mapping,
        playbook_path=playbook,
        quarantine=quarantine,
        out=out,
        held_out_share=held_out,
        port=port,
        seed=seed,
        shuffle_arms=shuffle_arms,
    )


@simulate_app.command("tables")
def simulate_tables(
    directory: Annotated[Path, typer.Argument(help="where to write the tables")],
    customers: Annotated[int, typer.Option(min=100, help="number of churned customers")] = 100_000,
    playbook: PlaybookFile = None,
    effect_scale: Annotated[float, typer.Option(min=0, help="multiplies every effect; 0: contact does nothing")] = 1.0,
    overwrite: Annotated[bool, typer.Option(help="replace an earlier program")] = False,
    seed: Seed = 0,
) -> None:
    """Simulate a win-back program with known truth, as contract tables."""
    from propensity import playbook as playbooks
    from propensity.simulation import simulate as simulate_program
    from propensity.simulation import write

    book = playbooks.load(playbook or "default")
    program = simulate_program(customers, seed=seed, playbook=book, effect_scale=effect_scale)
    write(program, directory, overwrite=overwrite)
    counts = ", ".join(f"{len(getattr(program, t)):,} {t}" for t in ("customers", "contacts", "outcomes"))
    typer.echo(f"Wrote {counts} to {directory}; the truth, which no training may see, is in {directory / 'truth'}.")


@data_app.command("check")
def data_check(
    data: Data = "auto",
    mapping: MappingFile = None,
    playbook: PlaybookFile = None,
    quarantine: Quarantine = None,
) -> None:
    """Check a data set against the contract and say what it holds."""
    from propensity import datasets

    dataset = datasets.load(data, mapping=mapping, playbook_path=playbook, quarantine=quarantine is not None)
    typer.echo(f"Data: {dataset.origin}.")
    typer.echo(datasets.description(dataset))
    if quarantine is not None:
        typer.echo(datasets.write_quarantine(dataset, quarantine))


@data_app.command("dictionary")
def data_dictionary() -> None:
    """Print the contract's tables as Markdown."""
    from propensity.contract import data_dictionary as dictionary

    typer.echo(dictionary())


app.add_typer(data_app, name="data")
app.add_typer(simulate_app, name="simulate")


@cache
def application() -> typer.Typer:
    """The application with the commands of every installed door, which are added once in a process."""
    from propensity import (
        decide_commands,
        ledger_commands,
        playbook_commands,
        reason_commands,
        trigger_commands,
        wave_commands,
    )

    ledger_commands.register(app)
    decide_commands.register(app)
    wave_commands.register(app)
    trigger_commands.register(app)
    playbook_commands.register(app)
    reason_commands.register(app)
    for door in sorted(entry_points(group=COMMANDS), key=lambda e: e.name):
        door.load()(app)
    return app


def main() -> None:
    """Run the command line: exit 2 for bad input, 1 for a failed job, one sentence for either."""
    debug = "--debug" in sys.argv[1:]
    one_thread_for_algebra()
    try:
        application()()
    except Exception as error:  # noqa: BLE001 - the last place where anything can be said to the user
        code = getattr(error, "exit_code", None)
        if debug:
            traceback.print_exc()
        sentence = " ".join(str(error).splitlines())
        if code is None:
            sentence = f"{type(error).__name__}: {sentence} (run again with --debug for details)"
        print(f"Error: {sentence}", file=sys.stderr)
        sys.exit(code or 1)


if __name__ == "__main__":
    main()
