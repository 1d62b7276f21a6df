"""Many small writes at once, one commit: what gathers while a commit is on its way to the disk goes with the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from propensity.lanes import Lane
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
        self._lane: Lane[_Item, Any] = Lane("ledger-writer", self._commit, largest)
        self._closing = threading.Lock()
        self._closed = False

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
        with self._closing:
            if self._closed:
                raise LedgerUnavailable(f"ledger {self._ledger.name}: is closed")
            return self._lane.submit(_Item(batch, item))

    def close(self) -> None:
        """Commit what was handed over, and end."""
        with self._closing:
            self._closed = True
        self._lane.close()

    def _commit(self, group: list[_Item]) -> list[Any | Exception]:
        """The answer to each, or why it was not written."""
        try:
            return self._ledger.attempt(lambda connection: _written(connection, group))
        except Exception as error:  # noqa: BLE001 - whoever handed a write over gets its error
            if _is_of_the_ledger(error):
                return _refused(group, error)
            return self._commit_one_by_one(group)

    def _commit_one_by_one(self, group: list[_Item]) -> list[Any | Exception]:
        answers: list[Any | Exception] = []
        for item in group:
            try:
                answers.append(self._ledger.transact(partial(_alone, item)))
            except Exception as error:  # noqa: BLE001 - as above
                if _is_of_the_ledger(error):
                    return answers + _refused(group[len(answers) :], error)
                answers.append(error)
        return answers


def _written(connection: sa.Connection, group: list[_Item]) -> list[Any]:
    """Write a group inside a transaction; the answer to each item."""
    of_batch: dict[Batch[Any, Any], list[int]] = {}
    for place, item in enumerate(group):
        of_batch.setdefault(item.batch, []).append(place)
    answers: list[Any] = [None] * len(group)
    for batch, places in of_batch.items():
        found = batch(connection, [group[place].content for place in places])
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
    return answers


def _alone(item: _Item, connection: sa.Connection) -> Any:
    return item.batch(connection, [item.content])[0]


def _each(connection: sa.Connection, writes: Sequence[Callable[[sa.Connection], T]]) -> list[T]:
    return [write(connection) for write in writes]


def _is_of_the_ledger(error: Exception) -> bool:
    """Whether the database is the reason, so that a try for each write would only make all of them wait."""
    return isinstance(error, LedgerUnavailable) and not isinstance(error, Collided)


def _refused(group: list[_Item], error: Exception) -> list[Any | Exception]:
    # each is raised in a thread of its own: no two may raise the same object
    return [LedgerUnavailable(str(error)) for _ in group]
