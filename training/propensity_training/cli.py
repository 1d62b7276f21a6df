"""`propensity train`, `evaluate`, `promote` and `models`; `monitor` is in `monitor_commands`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from propensity.cli import (
    DEFAULT_LEDGER,
    Data,
    LedgerUrl,
    MappingFile,
    PlaybookFile,
    Quarantine,
    Seed,
    Shuffle,
    utc_time,
)
from propensity.engines.chosen import EngineName, EngineOption, Scheduler, Workers, chosen
from propensity_training import monitor_commands, program_commands

if TYPE_CHECKING:
    from propensity.datasets import Dataset
    from propensity.frame import SplitKind
    from propensity.progress import Steps
    from propensity_training.pipeline import Settings, TrainingResult
    from propensity_training.promotion import Verdict
    from propensity_training.source import Source
    from propensity_training.tuning import Budget

Model = Annotated[str | None, typer.Option("--model", help="name of the registered model; default: the only one")]
Result = Annotated[Path | None, typer.Option("--result", help="write what came out to this JSON file")]
Report = Annotated[Path | None, typer.Option("--report", help="write the model report to this HTML file")]
SimulatedSeed = Annotated[int, typer.Option("--seed", help="seed of the simulated program")]


class SplitBy(StrEnum):
    """How people are held out of training."""

    auto = "auto"
    time = "time"
    customers = "customers"


def register(app: typer.Typer) -> None:
    """Add the commands of this door."""
    for command in (train, evaluate, promote, models):
        app.command()(command)
    monitor_commands.register(app)
    program_commands.register(app)


def train(
    data: Data = "auto",
    mapping: MappingFile = None,
    playbook: PlaybookFile = None,
    quarantine: Quarantine = None,
    held_out: Annotated[float, typer.Option(min=0.05, max=0.9, help="share that no training sees")] = 0.5,
    split: Annotated[
        SplitBy,
        typer.Option(help="hold out the latest decisions (time), or customers at random; auto: time if it can be"),
    ] = SplitBy.auto,
    alias: Annotated[str, typer.Option(help="alias of the registered version")] = "challenger",
    model: Annotated[str | None, typer.Option(help="name of the registered model; default: after the playbook")] = None,
    result: Result = None,
    report: Report = None,
    tune_trials: Annotated[
        int | None, typer.Option(min=1, help="search learners first: so many trials, with those in the storage")
    ] = None,
    tune_minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="search learners first: for so long; the result then depends on the machine"),
    ] = None,
    tune_storage: Annotated[
        Path | None, typer.Option(help="file that keeps the trials, so that a search that was stopped goes on")
    ] = None,
    seed: Seed = 0,
    shuffle_arms: Shuffle = None,
    from_ledger: Annotated[
        str | None, typer.Option(help="learn from what this ledger's decisions brought, instead of --data")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="with --from-ledger: only what had happened by this time; default: now")
    ] = None,
    campaign: Annotated[
        list[str] | None, typer.Option(help="with --from-ledger: of this campaign only; may be repeated")
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="with --from-ledger: even if a version that learnt the same is registered")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="with --from-ledger: until nobody else trains this model from this ledger")
    ] = False,
    work: Annotated[
        Path | None,
        typer.Option(help="with --from-ledger: directory for what was found so far; default: in your cache"),
    ] = None,
    reproduce: Annotated[
        str | None, typer.Option(help="train again as this MLflow run did, and compare; registers nothing")
    ] = None,
    ledger: Annotated[
        str | None, typer.Option(help="with --reproduce: the ledger with its password, if it has one")
    ] = None,
    engine: EngineOption = EngineName.local,
    scheduler: Scheduler = None,
    workers: Workers = None,
) -> None:
    """Learn what contact causes, assess it on held-out people, register it in MLflow.

    With --engine dask the fits by which learners are tested and weighed are made by Dask's workers; the model is the
    same.
    """
    import pandas as pd

    from propensity.errors import InputError
    from propensity.progress import Steps
    from propensity_training import pipeline

    if reproduce is not None:
        with _fits_by(engine, scheduler, workers):
            _reproduce(reproduce, ledger)
        return
    if from_ledger is None and (as_of or campaign or again or wait or work):
        raise InputError("--as-of, --campaign, --again, --wait and --work: need --from-ledger")
    tuning = _budget(tune_trials, tune_minutes, tune_storage)
    kind: SplitKind | None = None if split is SplitBy.auto else split.value
    if from_ledger is not None:
        if data != "auto" or mapping or quarantine or shuffle_arms is not None:
            raise InputError("--from-ledger: takes the place of --data, --mapping, --quarantine and --shuffle-arms")
        with _fits_by(engine, scheduler, workers):
            done = _train_from_ledger(
                from_ledger,
                as_of,
                campaign,
                playbook,
                pipeline.Settings(held_out, seed, kind, tuning),
                alias=alias,
                model_name=model,
                work=work,
                again=again,
                wait=wait,
            )
        if done is None:
            return
        _tell_training(done, result, report, alias)
        return
    source = _source(data, mapping, playbook, quarantine, seed, shuffle_arms)
    with _fits_by(engine, scheduler, workers), Steps(1 + pipeline.STEPS + (tuning is not None)) as steps:
        dataset = _read(source, quarantine, steps)
        done = pipeline.train(
            dataset,
            held_out_share=held_out,
            seed=seed,
            alias=alias,
            steps=steps,
            model_name=model,
            kind=kind,
            now=pd.Timestamp.now("UTC"),
            source=source,
            tuning=tuning,
        )
    _tell_training(done, result, report, alias)


@contextmanager
def _fits_by(engine: EngineName, scheduler: str | None, workers: int | None) -> Iterator[None]:
    """Have fits that can be made side by side made by the engine that is asked for."""
    from propensity.threads import done_by

    with chosen(engine, scheduler, workers) as hands, done_by(hands.run if hands else None):
        yield


def _tell_training(done: TrainingResult, result: Path | None, report: Path | None, alias: str) -> None:
    from dataclasses import asdict

    from propensity.registry import CHAMPION

    if result is not None:
        _write(
            result,
            {
                "registered": asdict(done.registered),
                "model_version": done.model.version,
                "mode": done.model.mode,
                "evidence": asdict(done.model.evidence_),
                "split": done.split.kind,
                "n_training": done.n_training,
                "tuning": done.tuning.to_json() if done.tuning else None,
                "assessment": done.assessment.to_json(),
            },
        )
    if report is not None:
        _write_page(report, done.page)
    name = done.registered.name
    if CHAMPION in done.registered.aliases:
        typer.echo(f"Next: propensity serve --model {name}")
    else:
        typer.echo(f"Next, put it through the gate against the champion: propensity promote {alias} --model {name}")


def _train_from_ledger(
    url: str, as_of: str | None, campaigns: list[str] | None, playbook: Path | None, settings: Settings, **options: Any
) -> TrainingResult | None:
    """The training; None where there was nothing to do, which is told."""
    import pandas as pd

    from propensity import playbook as playbooks
    from propensity.ledger import Ledger
    from propensity.ledger.leases import Held
    from propensity.ledger_dataset import newest_playbook
    from propensity.progress import Steps
    from propensity_training import job, pipeline
    from propensity_training.source import LedgerSource

    opened = Ledger(url).open()
    try:
        book = newest_playbook(opened) if playbook is None else playbooks.load(playbook)
    finally:
        opened.close()
    until = pd.Timestamp.now("UTC") if as_of is None else utc_time(as_of, "--as-of")
    source = LedgerSource(url, until, book, tuple(campaigns) if campaigns else None)
    with Steps(job.STEPS + pipeline.STEPS + (settings.tuning is not None)) as steps:
        found = job.train_from_ledger(source, settings, steps=steps, **options)
    if isinstance(found, Held):
        typer.echo(
            f"Nothing is trained: {found.who} does the {found.name}, since {found.since:%Y-%m-%d %H:%M:%S} UTC by the "
            "ledger's clock; --wait waits for its end."
        )
        return None
    if isinstance(found, job.Done):
        typer.echo(found.sentence)
        return None
    return found


def _reproduce(run_id: str, ledger: str | None) -> None:
    from propensity.progress import Steps
    from propensity_training import reproduction

    with Steps(reproduction.STEPS) as steps:
        found = reproduction.reproduce(run_id, ledger, steps)
    for sentence in found.sentences:
        typer.echo(sentence)
    if not found.same:
        raise typer.Exit(1)


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
) -> None:
    """Say what a registered model is worth on people whom its training never saw."""
    from dataclasses import asdict

    import pandas as pd

    from propensity import registry
    from propensity.assessment import assess_people, held_out_people
    from propensity.progress import Steps
    from propensity.terminal import show
    from propensity_training import tables
    from propensity_training.comparison import require_fit, require_known
    from propensity_training.unseen import fingerprint, unseen_people

    with Steps(3) as steps:
        with steps.step("Find the model") as step:
            loaded, registered = registry.load(model, alias)
            step.result = f"{registered.title}; policy: {loaded.mode.replace('_', ' ')}"
        dataset = _read(_source(data, mapping, playbook, quarantine, seed, shuffle_arms), quarantine, steps)
        with steps.step("Assess on people whom its training never saw") as step:
            unseen = unseen_people(dataset, [registered], pd.Timestamp.now("UTC"))
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
        _write(
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
        _write_page(report, page)


def promote(
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
    """Make a version the champion, if it passes the gate; or go back to the champion before."""
    import pandas as pd

    from propensity.errors import InputError
    from propensity.ledger import Ledger
    from propensity.progress import Steps
    from propensity.terminal import show
    from propensity_training import promotion, tables

    if force and not why:
        raise InputError("--force: needs --why TEXT, which goes into the ledger")
    if data is None and (mapping is not None or playbook is not None):
        raise InputError("--mapping and --playbook: say how to read the data that --data names; name them")
    who = who or _user()
    opened = Ledger(ledger).open()
    try:
        if back:
            before, after = promotion.roll_back(opened, model, who=who, why=why or "rolled back")
            typer.echo(f"{after.title} is the champion again (it was {before.title}). {_follow(after.name)}")
            return
        with Steps(promotion.STEPS) as steps:
            dataset = None
            if data is not None:
                dataset = _read(_source(data, mapping, playbook, quarantine, seed, shuffle_arms), quarantine, steps)
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
        _write(result, {**verdict.to_json(), "promoted": granted, "margin_currency_per_1000": non_inferiority_margin})
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


def _source(
    data: str, mapping: Path | None, playbook: Path | None, quarantine: Path | None, seed: int, shuffle: int | None
) -> Source:
    from propensity_training.source import Source

    return Source(
        data=data,
        mapping=None if mapping is None else str(mapping),
        playbook=None if playbook is None else str(playbook),
        quarantine=quarantine is not None,
        seed=seed,
        shuffle_arms=shuffle,
    )


def _budget(trials: int | None, minutes: float | None, storage: Path | None) -> Budget | None:
    from propensity.errors import InputError
    from propensity_training.tuning import Budget

    if trials is None and minutes is None:
        if storage is not None:
            raise InputError(f"--tune-storage {storage}: tunes nothing by itself; add --tune-trials or --tune-minutes")
        return None
    return Budget(trials, None if minutes is None else 60 * minutes, storage)


def _read(source: Source, quarantine: Path | None, steps: Steps) -> Dataset:
    from propensity import datasets

    with steps.step("Read and check the data") as step:
        dataset = source.load()
        step.result = f"{dataset.origin}; {datasets.description(dataset)}"
    if quarantine is not None:
        typer.echo(datasets.write_quarantine(dataset, quarantine))
    return dataset


def _user() -> str:
    import getpass

    from propensity.errors import InputError

    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise InputError("who: this machine does not know your name; say it with --who NAME") from error


def _follow(name: str) -> str:
    return f"Services of {name} that run take it up within seconds, once it passes their checks."


def _write_page(file: Path, page: str) -> None:
    from propensity.files import write_text

    write_text(file, page)
    typer.echo(f"Model report: {file}")


def _write(file: Path, content: dict[str, Any]) -> None:
    import json

    from propensity.files import write_text

    write_text(file, json.dumps(content, indent=1))
