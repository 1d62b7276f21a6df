"""`propensity train`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from propensity.cli import Data, MappingFile, PlaybookFile, Quarantine, Seed, Shuffle, utc_time
from propensity.engines.chosen import EngineName, EngineOption, Scheduler, Workers, chosen
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
    from propensity.frame import SplitKind
    from propensity_training.pipeline import Settings, TrainingResult
    from propensity_training.tuning import Budget


OF_DATA = ("data", "mapping", "quarantine", "shuffle_arms")
OF_A_LEDGER = ("as_of", "campaign", "again", "wait", "work")
OF_A_REPRODUCTION = ("reproduce", "ledger", "engine", "scheduler", "workers")
"""Parameters of `train` that have an effect with some of the others only."""


class SplitBy(StrEnum):
    """How people are held out of training."""

    auto = "auto"
    time = "time"
    customers = "customers"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    context: typer.Context,
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
    people_share: Annotated[
        float,
        typer.Option(
            min=0.001, max=1, help="with --from-ledger or a directory of tables: read so many of the people, at random"
        ),
    ] = 1.0,
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

    from propensity.progress import Steps
    from propensity_training import pipeline

    _require_effect(named_options(context))
    if reproduce is not None:
        with _fits_by(engine, scheduler, workers):
            _reproduce(reproduce, ledger)
        return
    tuning = _budget(tune_trials, tune_minutes, tune_storage)
    kind: SplitKind | None = None if split is SplitBy.auto else split.value
    if from_ledger is not None:
        with _fits_by(engine, scheduler, workers):
            done = _train_from_ledger(
                from_ledger,
                as_of,
                campaign,
                playbook,
                people_share,
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
    source = data_source(data, mapping, playbook, quarantine, seed, shuffle_arms, people_share)
    with _fits_by(engine, scheduler, workers), Steps(1 + pipeline.STEPS + (tuning is not None)) as steps:
        dataset = read_data(source, quarantine, steps)
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


def _require_effect(named: dict[str, str]) -> None:
    """Refuse options that would have no effect beside the others that were named.

    Raises
    ------
    InputError
    """
    from propensity.errors import InputError

    def flags(*names: str) -> str:
        return ", ".join(flag for name, flag in named.items() if name in names)

    if "reproduce" in named:
        idle = flags(*(set(named) - set(OF_A_REPRODUCTION)))
        if idle:
            raise InputError(f"{idle}: no effect with --reproduce, which trains as the run did and registers nothing")
        return
    if "ledger" in named:
        hint = "--from-ledger names the ledger already" if "from_ledger" in named else "did you mean --from-ledger?"
        raise InputError(f"--ledger: is read with --reproduce only; {hint}")
    if "from_ledger" in named and (idle := flags(*OF_DATA)):
        raise InputError(f"{idle}: no effect with --from-ledger, which takes the place of --data")
    if "from_ledger" not in named and (idle := flags(*OF_A_LEDGER)):
        raise InputError(f"{idle}: need --from-ledger")


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
        write_json(
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
        write_page(report, done.page)
    name = done.registered.name
    if CHAMPION in done.registered.aliases:
        typer.echo(f"Next: propensity serve --model {name}")
    else:
        typer.echo(f"Next, put it through the gate against the champion: propensity promote {alias} --model {name}")


def _train_from_ledger(
    url: str,
    as_of: str | None,
    campaigns: list[str] | None,
    playbook: Path | None,
    people_share: float,
    settings: Settings,
    **options: Any,
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
    source = LedgerSource(url, until, book, tuple(campaigns) if campaigns else None, people_share)
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


def _budget(trials: int | None, minutes: float | None, storage: Path | None) -> Budget | None:
    from propensity.errors import InputError
    from propensity_training.tuning import Budget

    if trials is None and minutes is None:
        if storage is not None:
            raise InputError(f"--tune-storage {storage}: tunes nothing by itself; add --tune-trials or --tune-minutes")
        return None
    return Budget(trials, None if minutes is None else 60 * minutes, storage)
