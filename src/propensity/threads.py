"""The one place that decides how many threads to use, and who does what can be done side by side.

LightGBM with more threads than free cores is many times slower than with one, so every call that can use threads
asks here.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

THREADS_VARIABLE = "PROPENSITY_THREADS"
ROWS_WORTH_THREADS = 100_000
"""Below this many rows a second thread gains little, and costs much on a machine that is busy with something else."""


def one_thread_for_algebra() -> None:
    """Keep numpy's linear algebra to one thread, unless the environment says otherwise; before numpy is imported.

    Its threads wait for each other in a busy loop: on a machine with other work a product of small matrices took 12 ms
    instead of microseconds.
    """
    for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def threads_for(n_rows: int) -> int:
    """Threads for a computation on this many rows."""
    return available_threads() if n_rows >= ROWS_WORTH_THREADS else 1


_elsewhere: ContextVar[Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] | None] = ContextVar(
    "elsewhere", default=None
)


@contextmanager
def done_by(run: Callable[[Callable[[Any], Any], Iterable[Any]], list[Any]] | None) -> Iterator[None]:
    """Have ``run(function, items)`` do what `in_parallel` is asked for, such as workers of a cluster; None: threads."""
    before = _elsewhere.set(run)
    try:
        yield
    finally:
        _elsewhere.reset(before)


def in_parallel(function: Callable[[Item], Result], items: Iterable[Item], n_rows: int) -> list[Result]:
    """``function`` of each item, in their order; side by side where each works on too few rows to share threads within.

    Parameters
    ----------
    function : callable
        Its heavy work releases the interpreter's lock, as fits of LightGBM do; it changes nothing outside itself, for
        it may be done by another process (`done_by`).
    items : iterable
    n_rows : int
        That the work on one item goes through.
    """
    items = list(items)
    elsewhere = _elsewhere.get()
    if elsewhere is not None:
        return elsewhere(function, items)
    side_by_side = min(available_threads() // threads_for(n_rows), len(items))
    if side_by_side <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(side_by_side) as pool:
        return list(pool.map(function, items))


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """``function`` of each item, in their order, worked out before it is asked for: a thread an item.

    No more items are taken from ``items`` than there are threads to work on them, and one that waits, so that what
    they hold in memory does not grow with their number. With one thread each is worked out when it is asked for.

    Parameters
    ----------
    function : callable
        Its heavy work releases the interpreter's lock.
    items : iterable
    """
    if available_threads() == 1:
        yield from map(function, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(available_threads()) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > available_threads():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


@cache
def available_threads() -> int:
    """Cores that this process may really use: the affinity mask, cut by the container's quota and by the variable."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _container_quota()
    if quota is not None:
        cores = min(cores, max(1, int(quota)))
    named = os.environ.get(THREADS_VARIABLE)
    if named is not None and named.isdigit() and int(named) > 0:
        cores = min(cores, int(named))
    return cores


def _container_quota() -> float | None:
    """Cores granted by control groups (version 2), or None where there is no limit."""
    file = Path("/sys/fs/cgroup/cpu.max")
    if not file.is_file():
        return None
    limit, period = file.read_text(encoding="ascii").split()
    return None if limit == "max" else int(limit) / int(period)
