"""`propensity train` and `propensity models`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from propensity.cli import Data, MappingFile, PlaybookFile, Quarantine, Seed, Shuffle


def register(app: typer.Typer) -> None:
    """Add the commands of this door."""
    app.command()(train)
    app.command()(models)


def train(
    data: Data = "auto",
    mapping: MappingFile = None,
    playbook: PlaybookFile = None,
    quarantine: Quarantine = None,
    held_out: Annotated[float, typer.Option(min=0.05, max=0.9, help="share of people that no training sees")] = 0.5,
    alias: Annotated[str, typer.Option(help="alias of the registered version")] = "champion",
    model: Annotated[str | None, typer.Option(help="name of the registered model")] = None,
    result: Annotated[Path | None, typer.Option(help="write what came out to this JSON file")] = None,
    seed: Seed = 0,
    shuffle_arms: Shuffle = None,
) -> None:
    """Learn what contact causes, assess it on held-out people, register it in MLflow."""
    import json
    from dataclasses import asdict

    from propensity import datasets
    from propensity.files import write_text
    from propensity.progress import Steps
    from propensity_training.pipeline import train as train_model

    with Steps(4) as steps:
        with steps.step("Read and check the data") as step:
            dataset = datasets.load(
                data,
                mapping=mapping,
                playbook_path=playbook,
                quarantine=quarantine is not None,
                seed=seed,
                shuffle_arms=shuffle_arms,
            )
            step.result = f"{dataset.origin}; {datasets.description(dataset)}"
        if quarantine is not None:
            typer.echo(datasets.write_quarantine(dataset, quarantine))
        done = train_model(dataset, held_out_share=held_out, seed=seed, alias=alias, steps=steps, model_name=model)
    if result is not None:
        content = {
            "registered": asdict(done.registered),
            "model_version": done.model.version,
            "mode": done.model.mode,
            "evidence": asdict(done.model.evidence_),
            "n_training": done.n_training,
            "assessment": done.assessment.to_json(),
        }
        write_text(result, json.dumps(content, indent=1))


def models() -> None:
    """List registered models, their aliases and what they were worth."""
    from datetime import UTC, datetime

    from rich.console import Console
    from rich.table import Table

    from propensity import registry

    rows = registry.versions()
    if not rows:
        typer.echo(f"No model is registered at {registry.tracking_uri()}; make one with: propensity train")
        return
    table = Table(title=f"Models at {registry.tracking_uri()}")
    for column in ("model", "version", "alias", "registered", "net value per 1,000 people, held out"):
        table.add_column(column)
    for row in rows:
        metrics = row["metrics"]
        value = "model.net_value_per_1000"
        worth = f"{metrics[value]:,.0f} ({metrics[value + '.low']:,.0f} to {metrics[value + '.high']:,.0f})"
        when = datetime.fromtimestamp(row["created"] / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(row["name"], row["version"], ", ".join(row["aliases"]), when, worth if value in metrics else "")
    Console().print(table)
