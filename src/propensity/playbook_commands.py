"""`propensity playbook`: check a playbook, show what it holds, approve it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from propensity.cli import DEFAULT_LEDGER, LedgerUrl, MappingFile, Quarantine, utc_time

if TYPE_CHECKING:
    from propensity.dataset import Dataset
    from propensity.playbook import Playbook
    from propensity.policy.cells import Cell

playbook_app = typer.Typer(help="Check a playbook, show its cells, approve it.", no_args_is_help=True)

PlaybookArgument = Annotated[str, typer.Argument(metavar="FILE", help="TOML file, or the name of a shipped playbook")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(playbook_app, name="playbook")


@playbook_app.command("check")
def check(file: PlaybookArgument) -> None:
    """Say what a playbook holds, or every mistake in it with its line."""
    from propensity import playbook
    from propensity.playbook.cautions import cautions

    try:
        book = playbook.load(file)
    except playbook.PlaybookError as error:
        for mistake in sorted(error.mistakes, key=lambda m: m.line or 0):
            place = file if mistake.line is None else f"{file}:{mistake.line}"
            typer.echo(f"{place}: {mistake.sentence.removeprefix(f'playbook {file}: ')}", err=True)
        raise typer.Exit(error.exit_code) from error
    typer.echo(f"{_description(book)} No mistake was found.")
    for caution in [*cautions(book), *_cautions_of_conditions(book)]:
        typer.echo(f"Caution: {caution}.")


@playbook_app.command("show")
def show(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE]", help="TOML file or name of a shipped playbook; default: the data's own"),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="count the people of this data set, named as for propensity run")
    ] = None,
    mapping: MappingFile = None,
    quarantine: Quarantine = None,
    at: Annotated[
        str | None, typer.Option(help="count them as of this time (UTC); default: that of the newest customer row")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="write everything to this JSON file")] = None,
) -> None:
    """Show the cells of a playbook, what their actions cost, and with data how many people each would hold."""
    import json
    from dataclasses import asdict

    from propensity import datasets, playbook
    from propensity.errors import InputError
    from propensity.files import write_text
    from propensity.policy.cells import cells
    from propensity.terminal import show as show_table

    if data is None:
        if mapping is not None or quarantine is not None or at is not None:
            raise InputError("--mapping, --quarantine and --at: say how to count the people of --data; name the data")
        book, counted = playbook.load(file or "default"), None
        found = cells(book)
    else:
        dataset = datasets.load(data, mapping=mapping, playbook_path=file, quarantine=quarantine is not None)
        if quarantine is not None:
            typer.echo(datasets.write_quarantine(dataset, quarantine))
        book = dataset.playbook
        found, counted = _count(dataset, at)
    typer.echo(_description(book))
    show_table(_matrix(book, found))
    show_table(_actions(book, found))
    if counted is not None:
        typer.echo(_sentence(counted))
    if json_file is not None:
        content = {
            "playbook": book.name,
            "playbook_version": book.version,
            "currency": book.currency,
            "counted": None if counted is None else {**counted, "at": counted["at"].isoformat()},
            "cells": [asdict(cell) for cell in found],
        }
        write_text(json_file, json.dumps(content, indent=1))


@playbook_app.command("approve")
def approve(
    file: PlaybookArgument,
    who: Annotated[str, typer.Option(help="who approves it")],
    ledger: LedgerUrl = DEFAULT_LEDGER,
    what_if: Annotated[
        Path | None, typer.Option("--what-if", help="JSON file that says what this playbook is expected to do")
    ] = None,
    why: Annotated[str | None, typer.Option(help="why")] = None,
) -> None:
    """Record in the ledger who approved a playbook; the service decides by approved playbooks only."""
    from contextlib import closing

    from propensity import playbook
    from propensity.ledger import Ledger, approve_playbook

    book = playbook.load(file)
    expected = None if what_if is None else _read_what_if(what_if)
    with closing(Ledger(ledger).open()) as opened:
        approve_playbook(opened, book, who=who, what_if=expected, why=why)
    on = "" if what_if is None else f", on the what-if {what_if}"
    typer.echo(f"{who} approved playbook {book.name}, version {book.version}{on}; recorded in {opened.name}.")


@playbook_app.command("approvals")
def approvals(ledger: LedgerUrl = DEFAULT_LEDGER) -> None:
    """List who approved which playbook."""
    from contextlib import closing

    from propensity.ledger import Ledger, playbook_approvals
    from propensity.terminal import new_table
    from propensity.terminal import show as show_table

    with closing(Ledger(ledger).open()) as opened:
        rows = playbook_approvals(opened)
    if not rows:
        typer.echo(f"The ledger {opened.name} holds no approval of a playbook yet.")
        return
    table = new_table(f"Approved playbooks in {opened.name}", ["at", "playbook", "version", "who", "what-if", "why"])
    for row in rows:
        when = row["at"].strftime("%Y-%m-%d %H:%M UTC")
        what_if = "none" if row["what_if"] is None else "recorded"
        table.add_row(when, row["name"], row["version"], row["who"], what_if, row["why"] or "")
    show_table(table)


def _description(book: Playbook) -> str:
    """What a playbook holds, in one line."""
    parts: dict[str, Collection[Any]] = {
        "action": book.actions,
        "archetype": book.archetypes,
        "channel": book.channels,
        "offer": book.offers,
        "change": book.changes,
        "season": book.seasons,
    }
    counts = ", ".join(f"{len(held)} {name}{'' if len(held) == 1 else 's'}" for name, held in parts.items())
    return f"Playbook {book.name}, version {book.version}: {counts}."


def _cautions_of_conditions(book: Playbook) -> Iterator[str]:
    """Conditions on columns that are no segment, no feature and not the contract's, or on values that cannot be."""
    from propensity.contract import CUSTOMERS
    from propensity.features import required_columns
    from propensity.segments import SEGMENTS

    known: dict[str, Collection[str]] = {c.name: c.choices or () for c in (*CUSTOMERS, *required_columns(book))}
    known |= {name: segment.values for name, segment in SEGMENTS.items()}
    conditions = {f"actions.{label}.only": action.only for label, action in book.actions.items()}
    conditions |= {f"changes.{i}.where": change.where for i, change in enumerate(book.changes)}
    for where, condition in conditions.items():
        for name, wanted in condition.items():
            if name not in known:
                yield (
                    f"{where}: {name} is no segment, no feature and no column of the contract, so every customers "
                    "table must have it"
                )
            strange = [value for value in wanted if known.get(name) and value not in known[name]]
            if strange:
                yield f"{where}.{name}: nobody can have {', '.join(strange)}; it is one of {', '.join(known[name])}"


def _count(dataset: Dataset, at: str | None) -> tuple[list[Cell], dict[str, Any]]:
    """The cells with the people of a data set, and how many people there are, as of when, and what stops the others."""

    from propensity.contract import CONTROL
    from propensity.errors import InputError
    from propensity.ledger.schema import OPT_OUTS
    from propensity.policy import eligibility, rule_action
    from propensity.policy.cells import cells

    now = dataset.customers["as_of"].max() if at is None else utc_time(at, "--at")
    known = dataset.customers[dataset.customers["as_of"] <= now]
    if known.empty:
        first = dataset.customers["as_of"].min().isoformat()
        raise InputError(f"--at {at}: nobody is known at that time; the oldest customer row is of {first}")
    people = known.sort_values("as_of", kind="stable").drop_duplicates("customer_id", keep="last")
    events = dataset.outcomes
    opted_out = events.loc[events["type"].isin(OPT_OUTS) & (events["at"] <= now), "customer_id"]
    found = eligibility(people, dataset.playbook, now, set(opted_out))
    by_rule = rule_action(people, dataset.playbook, found.allowed)
    counted = {
        "data": dataset.origin,
        "at": now,
        "people": len(people),
        "eligible": int(found.allowed.any(axis=1).sum()),
        "by_rule": int((by_rule != CONTROL).sum()),
        "stopped_by": {str(rule): int(n) for rule, n in found.stopped_by.value_counts().items()},
    }
    return cells(dataset.playbook, found.allowed, by_rule), counted


def _sentence(counted: dict[str, Any]) -> str:
    may, people = f"{counted['eligible']:,}", f"{counted['people']:,}"
    stopped = ", ".join(f"{rule.replace('_', ' ')} {n:,}" for rule, n in counted["stopped_by"].items())
    return (
        f"As of {counted['at']:%Y-%m-%d %H:%M} UTC, {may} of {people} people may get something; by rule, without a "
        f"model, {counted['by_rule']:,} would." + (f" What stops the others: {stopped}." if stopped else "")
    )


def _matrix(book: Playbook, found: list[Cell]) -> Any:
    """Channels by archetypes; a cell has its offers, and its people where they were counted."""
    from propensity.terminal import new_table

    inside = {(cell.channel, cell.archetype): cell for cell in found}
    archetypes = [name for name in book.archetypes if name in {cell.archetype for cell in found}]
    table = new_table("Offers of each cell", ["", *map(_words, archetypes)])
    for channel in book.channels:
        held = [inside.get((channel, name)) for name in archetypes]
        if any(held):
            table.add_row(_words(channel), *(_cell_text(cell) for cell in held), end_section=True)
    return table


def _cell_text(cell: Cell | None) -> str:
    if cell is None:
        return ""
    lines = [_words(action.offer) for action in cell.actions]
    if cell.eligible is not None:
        lines += [f"{cell.eligible:,} eligible", f"{cell.by_rule:,} by rule"]
    return "\n".join(lines)


def _actions(book: Playbook, found: list[Cell]) -> Any:
    """Every action under its archetype, with its channel, offer and costs, and its people where they were counted."""
    from itertools import groupby

    from rich.text import Text

    from propensity.terminal import new_table

    counted = any(cell.eligible is not None for cell in found)
    figures = [f"contact, {book.currency}", f"if redeemed, {book.currency}"]
    if counted:
        figures += ["eligible", "by rule"]
    table = new_table("Actions, and what a contact and a redeemed offer cost", ["action", "channel", "offer"], figures)
    # where the screen is narrow, the words of a channel go below each other before a label is broken
    table.columns[0].no_wrap = True
    for archetype, of_archetype in groupby(found, key=lambda cell: cell.archetype):
        table.add_row(Text(_words(archetype), style="bold"))
        for cell in of_archetype:
            for action in cell.actions:
                costs = (_money(action.contact_cost_currency), _money(action.cost_if_redeemed_currency))
                people = (f"{action.eligible:,}", f"{action.by_rule:,}") if counted else ()
                table.add_row(action.action, _words(cell.channel), _words(action.offer), *costs, *people)
        table.add_section()
    return table


def _words(name: str) -> str:
    return name.replace("_", " ")


def _money(amount: float) -> str:
    """At least two digits after the point, and more where two would hide something."""
    return f"{amount:,.2f}" if round(amount, 2) == amount else f"{amount:,g}"


def _read_what_if(file: Path) -> dict[str, Any]:
    """A what-if as it was written.

    Raises
    ------
    InputError
        The file cannot be read, or holds no JSON object.
    """
    import json

    from propensity.errors import InputError

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no value of JSON")

    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
    except OSError as error:
        raise InputError(f"what-if {file}: cannot be read ({error.strerror}); name a JSON file") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"what-if {file}: is not valid JSON ({error})") from error
    if not isinstance(content, dict):
        raise InputError(f"what-if {file}: expected a JSON object, found {json.dumps(content)[:40]}")
    return content
