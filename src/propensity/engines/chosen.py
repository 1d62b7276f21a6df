"""The options ``--engine``, ``--scheduler`` and ``--workers``, and the engine that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from propensity.errors import InputError

if TYPE_CHECKING:
    from propensity.engines.dask_engine import DaskEngine

WORKERS = 2
"""On this machine, where nobody says how many."""


class EngineName(StrEnum):
    """Who does the work."""

    local = "local"
    dask = "dask"


EngineOption = Annotated[
    EngineName, typer.Option("--engine", help="who does the work: threads of this process, or Dask's workers")
]
Scheduler = Annotated[
    str | None,
    typer.Option(help="with --engine dask: the scheduler's address; default: workers on this machine"),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help=f"with --engine dask: workers on this machine; default: {WORKERS}")
]


@contextmanager
def chosen(name: EngineName, scheduler: str | None = None, workers: int | None = None) -> Iterator[DaskEngine | None]:
    """The engine that is asked for, None for threads of this process; for as long as the context is.

    Raises
    ------
    InputError
        Options do not go together, or Dask is not installed.
    JobError
        The scheduler does not answer.
    """
    if name is EngineName.local:
        if scheduler is not None or workers is not None:
            raise InputError("--scheduler and --workers: need --engine dask")
        yield None
        return
    if scheduler is not None and workers is not None:
        raise InputError("--workers: are for this machine, those of a scheduler are its own; leave one of the two out")
    if find_spec("distributed") is None:
        raise InputError("--engine dask: Dask is not installed; install it with: pip install 'propensity[dask]'")
    from propensity.engines.dask_engine import DaskEngine

    with DaskEngine(scheduler, workers or WORKERS) as engine:
        yield engine
