"""`propensity evaluate`, `promote` and `models`; `train_commands` and `monitor_commands` have the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from propensity.cli import (
    DEFAULT_LEDGER,
    Data,
    LedgerUrl,
    MappingFile,
    PlaybookFile,
    Quarantine,
    Shuffle,
)
from propensity_training import monitor_commands, program_commands, train_commands
from propensity_training.command_parts import (
    Report,
    Result,
    data_source,
    named_options,
    read_data,
    write_json,
    write_page,
)

if TYPE_CHECKING:
    from propensity_training.promotion import Verdict

Model = Annotated[str | None, typer.Option("--model", help="name of the registered model; default: the only one")]
SimulatedSeed = Annotated[int, typer.Option("--seed", help="seed of the simulated program")]
OF_DATA = ("mapping", "playbook", "quarantine", "seed", "shuffle_arms")
OF_A_ROLLBACK = ("back", "model", "who", "why", "ledger")
"""Parameters of `promote` that have an effect with --data, and those that have one with --rollback."""


def register(app: typer.Typer) -> None:
    """Add the commands of this door."""
    train_commands.register(app)
    for command in (evaluate, promote, models):
        app.command()(command)
    monitor_commands.register(app)
    program_commands.register(app)


def evaluate(
    data: Data = "auto",
    mapping: MappingFile = None,
    playbook: PlaybookFile = None,
    quarantine: Quarantine = None,
    model: Model = None,
    alias: Annotated[str, typer.Option(help="alias, or number of the version")] = "challenger",
    result: Result = None,
    report: Report = None,
    seed: SimulatedSeed = 0,
    shuffle_arms: Shuffle = None,
    from_ledger: Annotated[
        str | None, typer.Option(help="judge by what this ledger's decisions brought, instead of by --data")
    ] = None,
) -> None:
    """Say what a registered model is worth on people whom its training never saw."""
    from dataclasses import asdict

    import pandas as pd

    from propensity import registry
    from propensity.assessment import assess_people
    from propensity.errors import InputError
    from propensity.held_out import held_out_people
    from propensity.progress import Steps
    from propensity.terminal import show
    from propensity_training import tables
    from propensity_training.comparison import require_fit, require_known
    from propensity_training.source import LedgerSource
    from propensity_training.unseen import fingerprint, unseen_people

    if from_ledger is not None and (data != "auto" or mapping or playbook or quarantine or shuffle_arms is not None):
        raise InputError(
            "--from-ledger: takes the place of --data, --mapping, --playbook, --quarantine and --shuffle-arms"
        )
    with Steps(3) as steps:
        with steps.step("Find the model") as step:
            loaded, registered = registry.load(model, alias)
            step.result = f"{registered.title}; policy: {loaded.mode.replace('_', ' ')}"
        now = pd.Timestamp.now("UTC")
        if from_ledger is None:
            dataset = read_data(data_source(data, mapping, playbook, quarantine, seed, shuffle_arms), quarantine, steps)
        else:
            dataset = read_data(LedgerSource(from_ledger, now, loaded.playbook), None, steps)
        with steps.step("Assess on people whom its training never saw") as step:
            unseen = unseen_people(dataset, [registered], now)
            require_fit(loaded, registered.title, dataset.playbook, unseen.frame)
            require_known(set(unseen.frame["action"]), set(loaded.actions), registered.title)
            people = held_out_people(loaded, unseen.frame)
            assessment = assess_people(loaded, people, mode=loaded.mode)
            step.result = unseen.line
    page = ""
    if report is not None:
        from propensity_training.report import model_report, render

        report_made = model_report(
            loaded,
            dataset,
            people,
            assessment,
            title=registered.title,
            split=unseen.line,
            importance=loaded.importance(),
        )
        page = render(report_made)
    show(tables.policies_table(assessment, dataset.playbook.currency, dataset.words.reactivated_plural))
    show(tables.quality_table(assessment))
    if assessment.gate.granted != loaded.mode:
        granted = assessment.gate.granted.replace("_", " ")
        typer.echo(f"Its policy is {loaded.mode.replace('_', ' ')}; these people would grant {granted}.")
    typer.echo(assessment.gate.why)
    if result is not None:
        write_json(
            result,
            {
                "registered": asdict(registered),
                "model_version": loaded.version,
                "mode": loaded.mode,
                "data": dataset.origin,
                "data_fingerprint": fingerprint(dataset),
                "n_people": unseen.n_people,
                "n_people_in_training": unseen.n_seen,
                "assessment": assessment.to_json(),
            },
        )
    if report is not None:
        write_page(report, page)


def promote(
    context: typer.Context,
    which: Annotated[str, typer.Argument(help="alias, or number of the version")] = "challenger",
    model: Model = None,
    data: Annotated[
        str | None, typer.Option(help="data to judge on; default: those of the challenger's training, held-out people")
    ] = None,
    mapping: MappingFile = None,
    playbook: PlaybookFile = None,
    quarantine: Quarantine = None,
    seed: SimulatedSeed = 0,
    shuffle_arms: Shuffle = None,
    non_inferiority_margin: Annotated[
        float, typer.Option(min=0, help="by how much less it may be worth, in currency per 1,000 people")
    ] = 0.0,
    retrained: Annotated[
        bool,
        typer.Option(
            "--retrained",
            help="it learnt as the champion did, from more decisions: it passes unless it is shown to be worse",
        ),
    ] = False,
    who: Annotated[str | None, typer.Option(help="who decides; default: the user of this machine")] = None,
    why: Annotated[str | None, typer.Option(help="why; default: what the gate found")] = None,
    force: Annotated[bool, typer.Option("--force", help="promote whatever the gate says; needs --why")] = False,
    back: Annotated[
        bool, typer.Option("--rollback", help="give the alias back to the champion before this one")
    ] = False,
    ledger: LedgerUrl = DEFAULT_LEDGER,
    result: Result = None,
) -> None:
    """Make a version the champion, if it passes the gate; or go back to the champion before.

    Where the alias points to the champion already there is nothing to do, and the exit code is 0.
    """
    import pandas as pd

    from propensity import registry
    from propensity.errors import InputError
    from propensity.ledger import Ledger
    from propensity.progress import Steps
    from propensity.terminal import show
    from propensity_training import promotion, tables

    named = named_options(context)
    if back and "which" in named:
        raise InputError(
            f"--rollback: goes back to the champion before this one; leave {which} out, or leave --rollback out to "
            f"promote {which}"
        )
    if back and (idle := [flag for name, flag in named.items() if name not in OF_A_ROLLBACK]):
        raise InputError(f"{', '.join(idle)}: no effect with --rollback, which asks no gate")
    if force and not why:
        raise InputError("--force: needs --why TEXT, which goes into the ledger")
    if data is None and (idle := [flag for name, flag in named.items() if name in OF_DATA]):
        raise InputError(f"{', '.join(idle)}: only for the data that --data names; name them")
    who = who or _user()
    opened = Ledger(ledger).open()
    try:
        if back:
            before, after = promotion.roll_back(opened, model, who=who, why=why or "rolled back")
            typer.echo(f"{after.title} is the champion again (it was {before.title}). {_follow(after.name)}")
            return
        named = registry.find(model, which)
        # whoever names an alias asks for what is newest there, and that may have won already
        if not which.isdigit() and which != registry.CHAMPION and registry.CHAMPION in named.aliases:
            if result is not None:
                write_json(result, {**promotion.Verdict(named, named, []).to_json(), "promoted": False})
            typer.echo(f"{named.title} is the champion already: nothing to promote.")
            return
        with Steps(promotion.STEPS) as steps:
            dataset = None
            if data is not None:
                dataset = read_data(
                    data_source(data, mapping, playbook, quarantine, seed, shuffle_arms), quarantine, steps
                )
            now = pd.Timestamp.now("UTC")
            verdict = promotion.examine(
                model,
                which,
                dataset,
                margin_currency=non_inferiority_margin,
                now=now,
                steps=steps,
                ledger=ledger,
                retrained=retrained,
            )
        for table in tables.verdict_tables(verdict):
            show(table)
        granted = verdict.passed or force
        if granted:
            promotion.promote(opened, verdict, who=who, why=why or verdict.sentence, forced=not verdict.passed)
    finally:
        opened.close()
    if result is not None:
        write_json(
            result, {**verdict.to_json(), "promoted": granted, "margin_currency_per_1000": non_inferiority_margin}
        )
    typer.echo(_outcome(verdict, granted))
    if not granted:
        raise typer.Exit(1)


def _outcome(verdict: Verdict, granted: bool) -> str:
    challenger, champion = verdict.challenger, verdict.champion
    if not granted:
        stays = f"{champion.title} stays the champion." if champion else "There is no champion still."
        return f"{challenger.title} is not promoted: {verdict.sentence} {stays}{_margin_advice(verdict)}"
    was = f" (it was {champion.title})" if champion else ""
    forced = "" if verdict.passed else ", by force"
    back = f" The way back: propensity promote --rollback --model {challenger.name}" if champion else ""
    return f"{challenger.title} is the champion now{was}{forced}. {_follow(challenger.name)}{back}"


def _margin_advice(verdict: Verdict) -> str:
    value = verdict.checks[0]
    undecided = verdict.comparison is not None and verdict.comparison.difference["expected_value"].high >= 0
    if value.passed or not undecided:
        return ""
    return (
        " More people would tell. A loss that would not matter to you can be allowed with --non-inferiority-margin; "
        "fix it before you look at figures like these."
    )


def models(
    history: Annotated[bool, typer.Option("--history", help="promotions and rollbacks, from the ledger")] = False,
    ledger: LedgerUrl = DEFAULT_LEDGER,
) -> None:
    """List registered models, their aliases and what they were worth."""
    from propensity import registry
    from propensity.terminal import show
    from propensity_training import tables

    if history:
        from propensity.ledger import Ledger

        opened = Ledger(ledger).open()
        made = opened.promotions()
        opened.close()
        if made:
            show(tables.history_table(made, opened.name))
        else:
            typer.echo(f"The ledger {opened.name} holds no promotion yet.")
        return
    rows = registry.versions()
    if rows:
        show(tables.versions_table(rows, registry.tracking_uri()))
    else:
        typer.echo(f"No model is registered at {registry.tracking_uri()}; make one with: propensity train")


def _user() -> str:
    import getpass

    from propensity.errors import InputError

    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise InputError("who: this machine does not know your name; say it with --who NAME") from error


def _follow(name: str) -> str:
    return f"Services of {name} that run take it up within seconds, once it passes their checks."
