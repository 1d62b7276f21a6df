"""Where batches are scored: an engine works them out, whoever asks puts them together in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from propensity.model import DecisionModel
    from propensity.scoring import Batch, Order, Scored
    from propensity.wave_file import Left


class Answer(Protocol):
    """A batch that was scored within what was thought to be left of the limits."""

    @property
    def scored(self) -> Scored:
        """What it gave."""
        ...

    def within(self, left: Left) -> Scored:
        """What it gives within what is left in fact."""
        ...


class Engine(Protocol):
    """Calls `scoring.score` somewhere; nothing that it gives depends on where."""

    def answers(self, model: DecisionModel, order: Order, asked: Iterable[tuple[Batch, Left]]) -> Iterator[Answer]:
        """Batches scored, in their order, worked out ahead of who asks.

        Parameters
        ----------
        model : DecisionModel
        order : Order
        asked : iterable of (Batch, Left)
            Read no further ahead than there are hands to work on it; each with what is thought to be left.

        Raises
        ------
        JobError
            Those who should work are away.
        """
        ...
