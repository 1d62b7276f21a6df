"""`propensity decide`: decisions for a file of customers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from propensity.cli import (
    DEFAULT_DECISIONS,
    AddressColumn,
    BudgetOption,
    DecidedAt,
    DecisionsFile,
    ListsDirectory,
    ModelAlias,
    ModelName,
    utc_time,
)
from propensity.engines.chosen import EngineName, EngineOption, Scheduler, Workers, chosen

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

    from propensity.model import DecisionModel
    from propensity.wave_file import WaveFile, WaveSummary

TEXTS = ("customer_id", "decision_id", "event_id", "source", "campaign", "action")
"""Columns that are texts whatever they look like."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(decide)


def decide(
    file: Annotated[Path, typer.Argument(help="customers: Parquet, CSV or Arrow")],
    out: DecisionsFile = DEFAULT_DECISIONS,
    model: ModelName = None,
    alias: ModelAlias = "champion",
    at: DecidedAt = None,
    campaign: Annotated[str, typer.Option(help="campaign that the decisions belong to")] = "default",
    budget: BudgetOption = None,
    weeks: Annotated[
        float,
        typer.Option(
            min=0.01,
            help="weeks until the next wave: this one may use the channels' capacities of so many, and the budget once",
        ),
    ] = 1.0,
    contacts: Annotated[Path | None, typer.Option(help="what was sent before, so that rules on touches apply")] = None,
    outcomes: Annotated[Path | None, typer.Option(help="what people did since; goes with --contacts")] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="add the column explanation: each decision in plain words")
    ] = False,
    suppressed: Annotated[Path | None, typer.Option(help="text file: an id a line that must not be contacted")] = None,
    ledger: Annotated[
        str | None, typer.Option(help="record the wave in this ledger, and go by what it knows of these people")
    ] = None,
    audiences: ListsDirectory = None,
    hashed_email: AddressColumn = None,
    what_if: Annotated[
        bool, typer.Option("--what-if", help="write no decisions; show what the wave would do, and other scenarios")
    ] = False,
    scenario: Annotated[
        list[str] | None,
        typer.Option(
            help="with --what-if, to be compared: 'budget=5000 capacity.email=2000 weeks=2 playbook=FILE', or any "
            "setting of the playbook by its place; may be given several times"
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="with --what-if: also write it to this file")] = None,
    engine: EngineOption = EngineName.local,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Decide for everybody in a file, within budget and capacities; or ask what such a wave would do.

    With a ledger the whole wave is recorded or nothing of it; who has a decision of the campaign and decision window
    already keeps it. Decisions are the same whoever does the work (--engine).
    """
    import math
    from contextlib import closing, nullcontext

    import pandas as pd

    from propensity import contract, registry
    from propensity.audiences import Audiences
    from propensity.dataset import read_file
    from propensity.decide_file import decide_file
    from propensity.errors import InputError
    from propensity.ledger import Ledger
    from propensity.progress import CountBar
    from propensity.wave_file import WaveFile
    from propensity.wave_people import MEND

    for option, value in (("--budget", budget), ("--weeks", weeks)):
        if value is not None and not math.isfinite(value):
            raise InputError(f"{option} {value}: expected a finite number; leave {option} out for the default")
    campaign = campaign.strip()
    if not campaign:
        raise InputError("--campaign: expected a name, found nothing; a campaign's decisions are found by it")
    if (contacts is None) != (outcomes is None):
        raise InputError("--contacts and --outcomes go together: rules on touches need both")
    if what_if and audiences is not None:
        raise InputError("--audiences: a what-if writes no lists; leave one of the two out")
    if not what_if and (scenario or json_file):
        raise InputError("--scenario and --json: say what to compare and where to write it; add --what-if")
    if what_if and engine is not EngineName.local:
        raise InputError(f"--engine {engine}: a what-if is worked out here; leave one of the two out")
    if hashed_email is not None and audiences is None:
        raise InputError("--hashed-email: is for lists; name a directory with --audiences")
    loaded, registered = registry.load(model, alias)
    opened = Ledger(ledger).open() if ledger else None
    wave = WaveFile(
        source=file,
        at=pd.Timestamp.now("UTC") if at is None else utc_time(at, "--at"),
        campaign=campaign,
        weeks=weeks,
        budget=budget,
        suppressed=_ids(suppressed),
        contacts=contract.check("contacts", read_file(contacts, TEXTS), fix=MEND).good if contacts else None,
        outcomes=contract.check("outcomes", read_file(outcomes, TEXTS), fix=MEND).good if outcomes else None,
        ledger=opened,
    )
    if what_if:
        with closing(opened) if opened else nullcontext():
            _show_what_if(loaded, wave, scenario or [], json_file)
        return
    lists = Audiences(audiences, hashed_email) if audiences else None
    with (
        closing(opened) if opened else nullcontext(),
        chosen(engine, scheduler, workers) as hands,
        CountBar("Deciding") as bar,
    ):
        summary = decide_file(loaded, wave, out, audiences=lists, explain=explain, show=bar.show, engine=hands)
    show_wave(summary, loaded.playbook.currency)
    typer.echo(
        f"Decided as of {wave.at:%Y-%m-%d %H:%M} UTC with {registered.name} version {registered.version}. "
        f"Decisions: {out}"
    )
    if opened:
        kept = f"; {summary.standing:,} people had a decision already, which stands" if summary.standing else ""
        typer.echo(f"Ledger: {opened.name}{kept}.")
    if audiences:
        typer.echo(f"Lists: {audiences}")


def _show_what_if(model: DecisionModel, wave: WaveFile, texts: list[str], json_file: Path | None) -> None:
    import json

    from propensity.files import write_text
    from propensity.progress import CountBar
    from propensity.what_if import FIRST, Scenario, read_settings, what_if_file
    from propensity.what_if_report import show_what_if

    first = Scenario(FIRST, model.playbook, wave.budget, wave.weeks)
    scenarios = [first, *(first.changed(read_settings(text)) for text in texts)]
    with CountBar("Trying out") as bar:
        content = what_if_file(model, wave, scenarios, bar.show).to_json()
    show_what_if(content)
    if json_file is not None:
        write_text(json_file, json.dumps(content, indent=1))
        typer.echo(f"What if, all figures: {json_file}")


def _ids(file: Path | None) -> list[str]:
    from propensity.errors import InputError

    if file is None:
        return []
    try:
        ids = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except OSError as error:
        raise InputError(f"--suppressed {file}: cannot be read ({error.strerror}); name a text file") from error
    except UnicodeDecodeError as error:
        raise InputError(f"--suppressed {file}: is no UTF-8 text (byte {error.start}); write one id a line") from error
    if not ids:
        raise InputError(f"--suppressed {file}: holds no id; write one id a line, or leave --suppressed out")
    return ids


def show_wave(summary: WaveSummary, currency: str) -> None:
    """Tables of what was decided, and what may surprise."""
    from propensity.terminal import show

    show(_people(summary))
    if len(summary.actions):
        show(_actions(summary, currency))
    if summary.amounts:
        show(_limits(summary, currency))
    for caution in summary.cautions:
        typer.echo(f"Caution: {caution}.")


def _people(summary: WaveSummary) -> Table:
    from propensity.pages.words import left_alone
    from propensity.terminal import new_table

    table = new_table(f"{summary.people:,} people", ["step"], ["people", "left"])
    for step, stopped, left in summary.funnel().itertuples(index=False):
        table.add_row(left_alone(step), f"{stopped:,}" if stopped else "", f"{left:,}")
    return table


def _actions(summary: WaveSummary, currency: str) -> Table:
    """What pays apart from what is tried, each with its sum."""
    from propensity.pages.words import action_words
    from propensity.terminal import new_table

    table = new_table(
        f"What they get, in {currency}", ["action"], ["people", "contacts cost", "expected revenue", "net value"]
    )
    pays = summary.actions.sub(summary.tried, fill_value=0) if len(summary.tried) else summary.actions
    parts = {
        "chosen because it pays": pays[pays["people"] > 0],
        "tried to learn, whether it pays or not": summary.tried,
    }
    for words, actions in parts.items():
        if actions.empty:
            continue
        table.add_row(f"{words}:", *_figures(actions.sum()))
        for label, row in actions.sort_values("people", ascending=False, kind="stable").iterrows():
            table.add_row(f"  {action_words(str(label))}", *_figures(row))
        table.add_section()
    table.add_row("all", *_figures(summary.actions.sum()))
    return table


def _figures(row: pd.Series) -> list[str]:
    return [f"{row['people']:,.0f}", *(f"{x:,.2f}" for x in row.iloc[1:])]


def _limits(summary: WaveSummary, currency: str) -> Table:
    from propensity.pages.words import action_words
    from propensity.terminal import new_table

    table = new_table("Limits", ["limit"], ["there is", "used", f"one more is worth, {currency}"])
    for name, amount in summary.amounts.items():
        table.add_row(
            action_words(name), f"{amount:,.6g}", f"{summary.used[name]:,.6g}", f"{summary.prices[name]:,.2f}"
        )
    return table
