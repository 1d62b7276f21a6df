"""Batches scored by threads of this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from propensity.deciding import Wave
from propensity.model import DecisionModel
from propensity.scoring import Batch, Order, Scored, score
from propensity.threads import ahead
from propensity.wave_file import Left


@dataclass(frozen=True, eq=False)
class LocalAnswer:
    """A scored batch whose people are at hand: to decide again costs no second prediction."""

    people: Wave
    order: Order
    scored: Scored

    def within(self, left: Left) -> Scored:
        """What the batch gives within what is left in fact."""
        return score(self.people, left, self.order)


class LocalEngine:
    """As many threads as this process may use; see `threads.available_threads`."""

    def answers(self, model: DecisionModel, order: Order, asked: Iterable[tuple[Batch, Left]]) -> Iterator[LocalAnswer]:
        """See `Engine.answers`."""

        def answer(item: tuple[Batch, Left]) -> LocalAnswer:
            batch, left = item
            people = batch.people(model, order)
            return LocalAnswer(people, order, score(people, left, order))

        return ahead(answer, asked)
