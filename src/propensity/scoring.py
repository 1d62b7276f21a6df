"""Decisions on some people of a wave, as a function of nothing but these people and what the wave is decided by.

What a batch gives depends on its rows, what is known of its people, the model, the terms of the wave (`Order`) and what
is left of its limits. So it does not matter where it is worked out: threads of this machine and workers elsewhere call
the same `score` (see `engines`), and `score_batches` is the form for whoever brings record batches of Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from propensity.deciding import Wave
from propensity.decision import DECISION_COLUMNS, DECISION_TIMES
from propensity.known import snapshots
from propensity.model import DecisionModel
from propensity.pages.decision_words import EXPLANATION, explained
from propensity.policy import Terms, used_by
from propensity.wave_file import Left, Tally
from propensity.wave_people import checked


@dataclass(frozen=True)
class Order:
    """What all people of a wave are decided by, beside the model.

    Attributes
    ----------
    at, campaign, weeks, budget
        See `WaveFile`.
    terms : Terms
        Prices of what is scarce, and how often each action is tried.
    explain : bool
        Tell each decision in words, too.
    chances : bool
        Give also the chance of every action and what each is expected to cost, as a ledger keeps them.
    """

    at: pd.Timestamp
    campaign: str
    weeks: float
    budget: float | None
    terms: Terms
    explain: bool = False
    chances: bool = False


class Batch(NamedTuple):
    """People who are decided on together, and what is known of them beside their rows; see `Wave`."""

    customers: pd.DataFrame
    contacts: pd.DataFrame | None = None
    outcomes: pd.DataFrame | None = None
    suppressed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, people: Wave) -> Batch:
        """What deciding needs of a wave's people: all but the model, and columns that nothing reads."""
        customers = snapshots(people.people, people.model.playbook).table
        return cls(customers, people.contacts, people.outcomes, frozenset(people.suppressed))

    def people(self, model: DecisionModel, order: Order) -> Wave:
        """The people, to be decided on by a model."""
        return Wave(model, self.customers, order.at, order.campaign, self.suppressed, self.contacts, self.outcomes)


class Chances(NamedTuple):
    """The chance of every action, DataFrame (n, actions with control), and each one's expected cost (n,), currency."""

    probabilities: pd.DataFrame
    spent: np.ndarray


@dataclass(frozen=True, eq=False)
class Decided:
    """Decisions of people within what is (or was thought to be) left, what they use, and what their plans would."""

    people: Wave
    decisions: pd.DataFrame
    probabilities: pd.DataFrame
    used: dict[str, float]
    planned: dict[str, float]


class Scored(NamedTuple):
    """What a batch gives.

    Attributes
    ----------
    decisions : Table (n, columns)
        See `decisions_table`.
    tally : Tally
        Of the decisions.
    left : Left
        What was (or was thought to be) left of the limits.
    used, planned : dict
        By limit: what the decisions use, and what the plans of all people would.
    cut : bool
        Whether anybody was left out because more was drawn than is left.
    chances : Chances or None
    """

    decisions: pa.Table
    tally: Tally
    left: Left
    used: dict[str, float]
    planned: dict[str, float]
    cut: bool
    chances: Chances | None

    def holds(self, left: Left) -> bool:
        """Whether the decisions are the same now that it is known what others have left."""
        # an action of which nothing is left does not come into question, so that what is chosen instead may differ
        return left == self.left or (
            all(self.used[name] <= amount for name, amount in left.of_use.items())
            and all(self.planned[name] <= amount for name, amount in left.of_plan.items())
            and all((amount > 0) == (self.left.of_plan[name] > 0) for name, amount in left.of_plan.items())
            and not self.cut
        )

    @property
    def leaves(self) -> Left:
        """What those who come next have left."""
        return self.left.after(self.used, self.planned)


def score(people: Wave, left: Left, order: Order) -> Scored:
    """Decide within what is left of each limit."""
    decided = decide_within(people, left, order.budget, order.weeks, order.terms)
    decisions = decided.decisions
    chances = None
    if order.chances:
        spent = people.spent_on(decisions["action"].to_numpy(dtype=object))
        chances = Chances(decided.probabilities, spent)
    told = explained(decisions, people.model.playbook.currency) if order.explain else decisions
    return Scored(
        decisions_table(told),
        Tally.of(decisions),
        left,
        decided.used,
        decided.planned,
        bool((decisions["assignment"] == "fallback").any()),
        chances,
    )


def decide_within(people: Wave, left: Left, budget: float | None, weeks: float, terms: Terms) -> Decided:
    """Decide within what is left of each limit of a wave of that budget and so many weeks."""
    limits = [replace(limit, amount=left.of_use[limit.name]) for limit in people.limits(weeks, budget)]
    decisions, probabilities = people.decide(limits, terms, left.of_plan)

    def use_of(column: str) -> dict[str, float]:
        action = decisions[column].to_numpy(dtype=object)
        return {x.name: float(used_by(x, people.value.columns, action).sum()) for x in limits}

    return Decided(people, decisions, probabilities, use_of("action"), use_of("would_have_sent"))


def score_batches(
    model: DecisionModel, order: Order, batches: Iterable[pa.RecordBatch], left: Left | None = None
) -> Iterator[pa.RecordBatch]:
    """Decisions on customers, record batches to record batches: what Spark's ``mapInArrow`` wants of a function.

    Parameters
    ----------
    model : DecisionModel
    order : Order
    batches : iterable of RecordBatch
        Customers, of whom nothing is known but their rows; each batch is decided together.
    left : Left, optional
        What these batches may use of each limit. Default: without end, so that prices alone keep the wave near its
        limits; nobody knows what others use who are decided elsewhere at the same time.

    Yields
    ------
    RecordBatch (n, columns)
        See `decisions_table`; in the order of the customers.

    Raises
    ------
    InputError, ContractError
        Customers break the contract, or their rows are younger than the decision.
    """
    first = 0
    for batch in batches:
        if not batch.num_rows:
            continue
        customers = checked(model, batch.to_pandas(), "customers", order.at, first)
        people = Batch(customers).people(model, order)
        if left is None:
            left = _endless(people, order)
        scored = score(people, left, order)
        left, first = scored.leaves, first + batch.num_rows
        yield from scored.decisions.to_batches()


def _endless(people: Wave, order: Order) -> Left:
    without_end = dict.fromkeys((x.name for x in people.limits(order.weeks, order.budget)), np.inf)
    return Left(without_end, without_end)


def decisions_table(decisions: pd.DataFrame) -> pa.Table:
    """Decisions with fixed kinds, whatever a batch happens to hold."""
    columns = {}
    for name in (*DECISION_COLUMNS, *(name for name in decisions if name == EXPLANATION)):
        values, kind = decisions[name], _KINDS.get(name, pa.string())
        if kind == _TIME:
            moments = pd.to_datetime(values, utc=True).dt.tz_localize(None).astype("datetime64[us]")
            columns[name] = pa.array(moments.to_numpy(), pa.timestamp("us")).cast(_TIME)
            continue
        columns[name] = pa.array(values, kind, from_pandas=True)
    return pa.table(columns)


def decisions_schema(explain: bool = False) -> pa.Schema:
    """The columns of `decisions_table`."""
    names = (*DECISION_COLUMNS, *((EXPLANATION,) if explain else ()))
    return pa.schema([(name, _KINDS.get(name, pa.string())) for name in names])


def as_decisions(table: pa.Table) -> pd.DataFrame:
    """A `decisions_table` as the DataFrame that it was made of."""
    decisions = table.to_pandas()
    decisions["reason_codes"] = decisions["reason_codes"].map(list)
    return decisions


_TIME = pa.timestamp("us", "UTC")
_KINDS: Mapping[str, pa.DataType] = {
    "send": pa.bool_(),
    "reason_codes": pa.list_(pa.string()),
    "touch": pa.int64(),
    **dict.fromkeys(DECISION_TIMES, _TIME),
    **dict.fromkeys(
        (
            *("probability", "reactivation_propensity", "uplift", "uplift_low", "uplift_high", "expected_revenue"),
            *("cost", "net_value", "archetype_probability", "alternative_net_value"),
        ),
        pa.float64(),
    ),
}
