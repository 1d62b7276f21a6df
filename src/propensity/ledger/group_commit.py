"""Many small writes at once, one commit: what gathers while a commit is on its way to the disk goes with the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from propensity.ledger.availability import Collided, LedgerUnavailable

if TYPE_CHECKING:
    import sqlalchemy as sa

    from propensity.ledger.database import Database

T = TypeVar("T")
X = TypeVar("X")

Batch = Callable[["sa.Connection", Sequence[X]], Sequence[T]]
"""A write of several items inside a transaction, with an answer for each, in their order."""

LARGEST_GROUP = 200
"""Writes that are committed together at most, so that none waits long for others."""


class _Item(NamedTuple):
    batch: Batch[Any, Any]
    content: Any
    answer: Future[Any]


class GroupWriter:
    """One thread that commits the writes of many; each is acknowledged when its commit is durable.

    Parameters
    ----------
    ledger : Database
    largest : int
        Writes that one transaction takes at most.
    """

    def __init__(self, ledger: Database, largest: int = LARGEST_GROUP) -> None:
        self._ledger = ledger
        self._largest = largest
        self._queue: SimpleQueue[_Item | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()

    def submit(self, write: Callable[[sa.Connection], T]) -> Future[T]:
        """Hand over a write.

        Parameters
        ----------
        write : callable
            Called with a connection inside a transaction, on the writer's thread, and again if that transaction fails
            or its connection is cut: it must change nothing but the database, and be harmless when repeated.

        Returns
        -------
        Future
            What ``write`` returned, once it is committed; or its error, and nothing of it is in the ledger.

        Raises
        ------
        LedgerUnavailable
            The writer was closed.
        """
        return self.submit_item(_each, write)

    def submit_item(self, batch: Batch[X, T], item: X) -> Future[T]:
        """Hand over an item; items of one ``batch`` that are committed together are written by one call of it.

        A statement for all is much faster than one each. For ``batch`` holds what `submit` says of a write.
        """
        answer: Future[T] = Future()
        with self._closing:
            if self._closed:
                raise LedgerUnavailable(f"ledger {self._ledger.name}: is closed")
            self._queue.put(_Item(batch, item, answer))
        return answer

    def close(self) -> None:
        """Commit what was handed over, and end."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, ended = self._gathered(first)
            self._commit([item for item in group if item.answer.set_running_or_notify_cancel()])
            if ended:
                return

    def _gathered(self, first: _Item) -> tuple[list[_Item], bool]:
        """What waits already, and whether the end was among it."""
        group = [first]
        while len(group) < self._largest:
            try:
                item = self._queue.get_nowait()
            except Empty:
                break
            if item is None:
                return group, True
            group.append(item)
        return group, False

    def _commit(self, group: list[_Item]) -> None:
        try:
            answers = self._ledger.attempt(lambda connection: _written(connection, group))
        except Exception as error:  # noqa: BLE001 - whoever handed a write over gets its error
            if _is_of_the_ledger(error):
                _refuse(group, error)
            else:
                self._commit_one_by_one(group)
        else:
            for item, answer in answers:
                item.answer.set_result(answer)

    def _commit_one_by_one(self, group: list[_Item]) -> None:
        for number, item in enumerate(group):
            try:
                item.answer.set_result(self._ledger.transact(partial(_alone, item)))
            except Exception as error:  # noqa: BLE001 - as above
                if _is_of_the_ledger(error):
                    return _refuse(group[number:], error)
                item.answer.set_exception(error)
        return None


def _written(connection: sa.Connection, group: list[_Item]) -> list[tuple[_Item, Any]]:
    """Write a group inside a transaction; each item with its answer."""
    of_batch: dict[Batch[Any, Any], list[_Item]] = {}
    for item in group:
        of_batch.setdefault(item.batch, []).append(item)
    return [
        pair
        for batch, items in of_batch.items()
        for pair in zip(items, batch(connection, [item.content for item in items]), strict=True)
    ]


def _alone(item: _Item, connection: sa.Connection) -> Any:
    return item.batch(connection, [item.content])[0]


def _each(connection: sa.Connection, writes: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    return [write(connection) for write in writes]


def _is_of_the_ledger(error: Exception) -> bool:
    """Whether the database is the reason, so that a try for each write would only make all of them wait."""
    return isinstance(error, LedgerUnavailable) and not isinstance(error, Collided)


def _refuse(group: list[_Item], error: Exception) -> None:
    for item in group:  # each in a thread of its own: no two may raise the same object
        item.answer.set_exception(LedgerUnavailable(str(error)))
