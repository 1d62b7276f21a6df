"""Work that gathers while a thread is busy and is then done together."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Lane(Generic[Item, Result]):
    """A thread that takes whatever has gathered since it last took something.

    One item alone is done at once; under load many are done together, which costs little more than one.

    Parameters
    ----------
    name : str
    work : callable
        From items to as many results, in their order; a result that is an exception is raised to who asked.
    most : int
        Items done together.
    """

    def __init__(self, name: str, work: Callable[[list[Item]], list[Result | Exception]], most: int) -> None:
        self._work, self._name, self._most = work, name, most
        self._waiting: queue.SimpleQueue[tuple[Item, Future[Result]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def submit(self, item: Item) -> Future[Result]:
        """Add an item; the future has its result. One that is cancelled in time is not worked on."""
        self._start()
        future: Future[Result] = Future()
        self._waiting.put((item, future))
        return future

    def close(self) -> None:
        """Finish what was submitted, and stop."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join()
            self._thread = None

    def _start(self) -> None:
        # not when it is made: a server may copy its processes after that, and threads are not copied
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                    self._thread.start()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            taken, last = [first], False
            while len(taken) < self._most and not last:
                try:
                    following = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                else:
                    taken.append(following)
            self._do([(item, future) for item, future in taken if future.set_running_or_notify_cancel()])
            if last:
                return

    def _do(self, taken: list[tuple[Item, Future[Result]]]) -> None:
        if not taken:
            return
        try:
            results = self._work([item for item, _ in taken])
        except Exception as error:  # noqa: BLE001 - it is raised to everybody who asked
            results = [error] * len(taken)
        for (_, future), result in zip(taken, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
