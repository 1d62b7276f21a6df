"""Work done by Dask's workers, on this machine or elsewhere.

Workers get the model as the text files that `DecisionModel.save` writes, never as a pickle. What else passes between
them and this process, people and decisions, does so in Dask's own protocol, in which whoever reaches the scheduler can
run programs: it belongs on a network of those who may, or behind TLS (``tls://``). Workers that are started here
listen on this machine's loopback address alone, and no dashboard is started.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import tempfile
import threading
import zipfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import dask
from distributed import Client, Future, LocalCluster
from distributed.client import ClosedClientError, FutureCancelledError
from distributed.comm import CommClosedError
from distributed.scheduler import KilledWorker

from propensity import __version__
from propensity.errors import InputError, JobError
from propensity.model import DecisionModel
from propensity.scoring import Batch, Order, Scored, score
from propensity.threads import THREADS_VARIABLE
from propensity.wave_file import Left

Item = TypeVar("Item")
Result = TypeVar("Result")

ANSWER_SECONDS = 10
"""For a scheduler to answer."""
WORKERLESS_SECONDS = 60
"""That work waits for a worker where there is none: one that was killed is started anew."""
LOOK_SECONDS = 2
AHEAD = 2
"""Parts that wait or are worked on for each of the workers' threads."""
SAME = ("lightgbm", "numpy", "pandas", "pyarrow", "scikit-learn")
"""Packages whose versions must be the workers' too, so that decisions do not depend on who makes them."""
CONNECTION_LOGGERS = ("distributed.client", "distributed.batched")
"""Dask's, which write tracebacks of a connection that is lost."""


class DaskEngine:
    """Scores batches, and fits, on Dask's workers; a context.

    Parameters
    ----------
    scheduler : str, optional
        Its address, such as ``tcp://10.0.0.5:8786``. Default: workers on this machine, for as long as the context is.
    workers : int
        Of those on this machine: processes of one thread each.
    batches : int
        That one worker scores in a row.

    Raises
    ------
    JobError
        The scheduler does not answer, or is lost later.
    """

    def __init__(self, scheduler: str | None = None, workers: int = 1, batches: int = 1) -> None:
        self.scheduler = scheduler
        self.workers = workers
        self.batches = batches

    def __enter__(self) -> DaskEngine:
        with ExitStack() as stack:
            # a task holds its people, or what a fit learns from: megabytes, which Dask else warns of
            stack.enter_context(dask.config.set({"distributed.admin.large-graph-warning-threshold": "10 GB"}))
            for logger in map(logging.getLogger, CONNECTION_LOGGERS):
                logger.addFilter(_is_not_of_a_lost_connection)
                stack.callback(logger.removeFilter, _is_not_of_a_lost_connection)
            cluster = None if self.scheduler else stack.enter_context(_on_this_machine(self.workers))
            try:
                client = _Client(cluster or self.scheduler, timeout=ANSWER_SECONDS, set_as_default=False)
            # addresses that cannot be read, and TLS without certificates, besides those where nobody answers
            except (OSError, ValueError, TypeError) as error:
                raise JobError(
                    f"--scheduler {self.scheduler}: does not answer ({_first_line(error)}); name the address that "
                    "'dask scheduler' shows, or leave --scheduler out for workers on this machine"
                ) from error
            stack.callback(client.close, timeout=ANSWER_SECONDS)
            self.client = client
            self._opened = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def answers(self, model: DecisionModel, order: Order, asked: Iterable[tuple[Batch, Left]]) -> Iterator[DaskAnswer]:
        """See `Engine.answers`."""
        archive = archived(model)
        digest = hashlib.sha256(archive).hexdigest()
        # as a task, which is done again where the worker that holds it is lost
        sent = self._submit(_kept, archive)

        def submit(part: list[tuple[Batch, Left]]) -> Future:
            batches, (_, left) = [batch for batch, _ in part], part[0]
            return self._submit(score_part, sent, digest, order, batches, left, versions())

        def again(batch: Batch, left: Left) -> Scored:
            found: list[Scored] = self._result(submit([(batch, left)]))
            return found[0]

        for part, future in self._ahead(submit, _parts(asked, self.batches)):
            for (batch, _), scored in zip(part, self._result(future), strict=True):
                yield DaskAnswer(scored, partial(again, batch))

    def run(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """``function`` of each item, in their order, each by a worker; see `threads.done_by`."""
        # sent once, and not with each item: a fit's function holds the people that it learns from
        shared = self._submit(_kept, function)
        return [self._result(future) for future in [self._submit(_call, shared, item, versions()) for item in items]]

    def _ahead(self, submit: Callable[[Item], Future], items: Iterable[Item]) -> Iterator[tuple[Item, Future]]:
        """Futures in the order of their items, a few of which are submitted ahead."""
        waiting: deque[tuple[Item, Future]] = deque()
        try:
            for item in items:
                waiting.append((item, submit(item)))
                if len(waiting) > AHEAD * self._n_threads():
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()
        finally:
            for _, future in waiting:
                future.cancel()

    def _submit(self, function: Callable[..., Any], *arguments: Any) -> Future:
        try:
            return self.client.submit(function, *arguments, pure=False)
        except ClosedClientError as error:
            raise self._lost() from error

    def _result(self, future: Future) -> Any:
        """What a worker gave, once there is a worker to give it."""
        without_workers = None
        while True:
            try:
                return future.result(timeout=LOOK_SECONDS)
            except TimeoutError:
                if self._n_threads():
                    without_workers = None
                    continue
                without_workers = without_workers or monotonic()
                if monotonic() - without_workers > WORKERLESS_SECONDS:
                    raise JobError(
                        f"{self._name}: has had no worker for {WORKERLESS_SECONDS} seconds; start some with "
                        "'dask worker ADDRESS', and run it again"
                    ) from None
            except KilledWorker as error:
                raise JobError(
                    f"{self._name}: workers were killed again and again over the same people; look whether they have "
                    "memory enough, and run it again"
                ) from error
            except (FutureCancelledError, asyncio.CancelledError) as error:
                raise self._lost() from error

    def _n_threads(self) -> int:
        try:
            return sum(self.client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise self._lost() from error

    def _lost(self) -> JobError:
        return JobError(f"{self._name}: was lost while it worked; run it again")

    @property
    def _name(self) -> str:
        return f"--scheduler {self.scheduler}" if self.scheduler else "Dask on this machine"


class _Client(Client):
    """Dask's client, closed where it cannot start: half made, it would hold the process up at its end, and complain."""

    def start(self, **options: Any) -> None:
        """Connect to the scheduler."""
        try:
            super().start(**options)
        except BaseException:
            self.close()
            raise


def _is_not_of_a_lost_connection(record: logging.LogRecord) -> bool:
    """Whether Dask logs something else than that the scheduler was lost, of which `DaskEngine` makes a sentence."""
    error = record.exc_info[1] if record.exc_info else None
    given_up = record.getMessage().startswith("Failed to reconnect to scheduler")
    return not (given_up or isinstance(error, (CommClosedError, ConnectionError, asyncio.CancelledError)))


@dataclass(frozen=True, eq=False)
class DaskAnswer:
    """A batch that a worker scored; to decide again is asked of a worker, too."""

    scored: Scored
    within: Callable[[Left], Scored]


def score_part(
    archive: bytes, digest: str, order: Order, batches: list[Batch], left: Left, expected: dict[str, str]
) -> list[Scored]:
    """What a worker does: batches scored one after another, each within what those before it leave."""
    _require_same(expected)
    model = _loaded(archive, digest)
    found = []
    for batch in batches:
        scored = score(batch.people(model, order), left, order)
        found.append(scored)
        left = scored.leaves
    return found


def versions() -> dict[str, str]:
    """Installed versions of the packages that decisions depend on; see `SAME`."""
    return {"propensity": __version__} | {name: metadata.version(name) for name in SAME}


def archived(model: DecisionModel) -> bytes:
    """The text files of a saved model, packed into one."""
    packed = io.BytesIO()
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch) / "model"
        model.save(directory)
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(directory.rglob("*")):
                if file.is_file():
                    archive.write(file, file.relative_to(directory))
    return packed.getvalue()


_models: dict[str, DecisionModel] = {}
_loading = threading.Lock()


def _loaded(archive: bytes, digest: str) -> DecisionModel:
    """The model of an archive; a worker keeps the last one."""
    with _loading:
        if digest not in _models:
            with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(directory)
                loaded = DecisionModel.load(directory)
            _models.clear()
            _models[digest] = loaded
        return _models[digest]


def _require_same(expected: dict[str, str]) -> None:
    here = versions()
    other = [f"{name} {here[name]} instead of {version}" for name, version in expected.items() if here[name] != version]
    if other:
        raise JobError(f"a worker of Dask has {', '.join(other)}; install the same versions there")


def _kept(value: Item) -> Item:
    return value


def _call(function: Callable[[Item], Result], item: Item, expected: dict[str, str]) -> Result:
    _require_same(expected)
    return function(item)


def _parts(items: Iterable[Item], n: int) -> Iterator[list[Item]]:
    """Items in lists of n."""
    rest = iter(items)
    while part := list(islice(rest, n)):
        yield part


def _on_this_machine(workers: int) -> LocalCluster:
    if workers < 1:
        raise InputError(f"--workers {workers}: expected at least 1")
    one_thread = dict.fromkeys((THREADS_VARIABLE, "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "1")
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        # pages for health checks, on any free port of this machine alone
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        # people are not spilled to disk
        memory_limit=0,
        env=one_thread,
        silence_logs="ERROR",
    )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
