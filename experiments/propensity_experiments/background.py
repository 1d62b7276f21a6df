"""What takes long is made in a thread of its own while requests are answered, and is shown again for a while."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from propensity.errors import InputError
from propensity.ledger import LedgerUnavailable

T = TypeVar("T")

logger = logging.getLogger("propensity.experiments")


@dataclass(frozen=True)
class Made(Generic[T]):
    """Something that was made, and whether it is older than it should be while a newer one is being made."""

    value: T
    stale: bool


class Background(Generic[T]):
    """Makes one thing at a time, each name once however many ask for it, and keeps the newest of some names.

    Parameters
    ----------
    fresh_seconds : float
        For so long what was made is shown again without making it anew.
    kept : int
        Names of which something is kept.
    clock : callable
        Seconds from any moment on.
    """

    def __init__(self, *, fresh_seconds: float, kept: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._fresh, self._most, self._clock = fresh_seconds, kept, clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, T]] = OrderedDict()
        self._failed: dict[Hashable, tuple[float, Exception]] = {}
        self._under_way: dict[Hashable, Future[T]] = {}
        self._waiting: deque[tuple[Hashable, Callable[[], T]]] = deque()
        self._works = False

    def of(self, name: Hashable, make: Callable[[], T], patience_seconds: float) -> Made[T] | None:
        """What was made of a name lately, or what is being made if it comes before patience ends.

        Returns
        -------
        Made or None
            None: it is being made, and there is no older one.

        Raises
        ------
        Exception
            What making it raised, now or since it was last asked for; asking again after that begins anew.
        """
        with self._lock:
            at, error = self._failed.pop(name, (0.0, None))
            if error is not None and self._clock() - at < self._fresh:
                raise error
            kept = self._kept.get(name)
            task = self._under_way.get(name)
            if task is None:
                if kept is not None and self._clock() - kept[0] < self._fresh:
                    return Made(kept[1], stale=False)
                task = self._begin(name, make)
        if task not in wait([task], patience_seconds).done:
            return None if kept is None else Made(kept[1], stale=True)
        if task.exception() is not None:
            with self._lock:
                self._failed.pop(name, None)
        return Made(task.result(), stale=False)

    def _begin(self, name: Hashable, make: Callable[[], T]) -> Future[T]:
        """Put it in the queue, whose thread ends when there is nothing to do."""
        task = self._under_way[name] = Future[T]()
        self._waiting.append((name, make))
        if not self._works:
            self._works = True
            threading.Thread(target=self._work, name="summaries", daemon=True).start()
        return task

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._works = False
                    return
                name, make = self._waiting.popleft()
            try:
                made = make()
            except Exception as error:
                if not isinstance(error, (InputError, LedgerUnavailable)):
                    logger.exception("a summary could not be computed")
                with self._lock:
                    self._failed[name] = (self._clock(), error)
                    task = self._under_way.pop(name)
                task.set_exception(error)
                continue
            with self._lock:
                self._kept[name] = (self._clock(), made)
                self._kept.move_to_end(name)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
                task = self._under_way.pop(name)
            task.set_result(made)
