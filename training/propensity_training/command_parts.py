"""What several commands of this door share: where data come from, and where results go."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from propensity.datasets import Dataset
    from propensity.progress import Steps
    from propensity_training.source import LedgerSource, Source

Result = Annotated[Path | None, typer.Option("--result", help="write what came out to this JSON file")]
Report = Annotated[Path | None, typer.Option("--report", help="write the model report to this HTML file")]


def named_options(context: typer.Context) -> dict[str, str]:
    """The command's parameters that the user named, as they were declared: from ``held_out`` to ``--held-out``."""
    sources = {each: context.get_parameter_source(str(each.name)) for each in context.command.params}
    return {str(each.name): each.opts[0] for each, source in sources.items() if source and source.name == "COMMANDLINE"}


def data_source(
    data: str,
    mapping: Path | None,
    playbook: Path | None,
    quarantine: Path | None,
    seed: int,
    shuffle: int | None,
    people_share: float = 1.0,
) -> Source:
    """What the options of a data set say."""
    from propensity_training.source import Source

    return Source(
        data=data,
        mapping=None if mapping is None else str(mapping),
        playbook=None if playbook is None else str(playbook),
        quarantine=quarantine is not None,
        seed=seed,
        shuffle_arms=shuffle,
        people_share=people_share,
    )


def read_data(source: Source | LedgerSource, quarantine: Path | None, steps: Steps) -> Dataset:
    """Read and check the data, and set faulty rows aside where that is asked for."""
    from propensity import datasets

    with steps.step("Read and check the data") as step:
        dataset = source.load()
        step.result = f"{dataset.origin}; {datasets.description(dataset)}"
    if quarantine is not None:
        typer.echo(datasets.write_quarantine(dataset, quarantine))
    return dataset


def write_page(file: Path, page: str) -> None:
    """Write a model report, and say where."""
    from propensity.files import write_text

    write_text(file, page)
    typer.echo(f"Model report: {file}")


def write_json(file: Path, content: dict[str, Any]) -> None:
    """Write what came out."""
    import json

    from propensity.files import write_text

    write_text(file, json.dumps(content, indent=1))
