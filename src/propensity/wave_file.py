"""A file of customers to decide on, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.ledger import Ledger
from propensity.policy import funnel


@dataclass(frozen=True)
class WaveFile:
    """What to decide about, and within what.

    Attributes
    ----------
    source : Path
        Customers: Parquet, CSV or Arrow.
    at : Timestamp
        When the decisions are taken.
    campaign : str
    weeks : float
        For which capacities a week are meant.
    budget : float or None
        Currency; None: the playbook's.
    suppressed : collection of str
        Ids that must not be contacted.
    contacts, outcomes : DataFrame or None
        Checked tables of what was sent and what people did; None: what the ledger knows, if there is one.
    ledger : Ledger or None
        Where the wave is recorded. Whom it knows to have opted out, complained or been erased is suppressed too, and
        who has a decision of the campaign and decision window already keeps it.
    """

    source: Path
    at: pd.Timestamp
    campaign: str = "default"
    weeks: float = 1.0
    budget: float | None = None
    suppressed: Collection[str] = ()
    contacts: pd.DataFrame | None = None
    outcomes: pd.DataFrame | None = None
    ledger: Ledger | None = None

    @cached_property
    def past(self) -> Past:
        """What the files know of everybody, so that some people get their part without looking through all."""
        return Past(
            frozenset(self.suppressed),
            None if self.contacts is None else ByCustomer(self.contacts),
            None if self.outcomes is None else ByCustomer(self.outcomes),
        )


class ByCustomer:
    """A table's rows by ``customer_id``."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table
        code, self.customers = pd.factorize(pd.Index(table["customer_id"]))
        self.rows = np.argsort(code, kind="stable")
        self.first = np.searchsorted(code[self.rows], np.arange(len(self.customers) + 1))

    def of(self, people: pd.DataFrame) -> pd.DataFrame:
        """The rows of these people, in the table's order."""
        known = self.customers.get_indexer(pd.Index(people["customer_id"]))
        rows = [self.rows[self.first[k] : self.first[k + 1]] for k in known[known >= 0]]
        return self.table.take(np.sort(np.concatenate(rows)) if rows else [])


class Past(NamedTuple):
    """What is known of people beside their rows; see `WaveFile`."""

    suppressed: frozenset[str]
    contacts: ByCustomer | None
    outcomes: ByCustomer | None


class Left(NamedTuple):
    """What is left by limit: of what may be used, and of what may be planned for everybody, held out or not."""

    of_use: dict[str, float]
    of_plan: dict[str, float]

    def after(self, used: Mapping[str, float], planned: Mapping[str, float]) -> Left:
        """What is left when so much more is used, and planned."""
        return Left(
            {name: max(0.0, amount - used[name]) for name, amount in self.of_use.items()},
            {name: max(0.0, amount - planned[name]) for name, amount in self.of_plan.items()},
        )


class Tally(NamedTuple):
    """Decisions counted; see `WaveSummary`."""

    people: int
    actions: pd.DataFrame
    tried: pd.DataFrame
    stopped: Counter[str]

    @classmethod
    def of(cls, decisions: pd.DataFrame) -> Tally:
        """Count decisions (n, columns)."""
        is_sent = decisions["send"].astype(bool)
        sent = decisions[is_sent]
        stopped = Counter(codes[0] for codes in decisions.loc[~is_sent, "reason_codes"])
        return cls(len(decisions), _figures(sent), _figures(sent[sent["assignment"] == "explore"]), stopped)


@dataclass
class WaveSummary:
    """What was decided, counted while people passed by.

    Attributes
    ----------
    people : int
    standing : int
        Those of them who had a decision already.
    actions : DataFrame (actions, 4)
        Of those who are contacted, indexed by action: ``people``, ``cost``, ``expected_revenue`` and ``net_value``, in
        currency.
    tried : DataFrame (actions, 4)
        The part of ``actions`` that was drawn to learn.
    stopped : Counter
        People by the first reason code of those who are not contacted.
    prices, amounts, used : dict
        By limit; what standing decisions use counts.
    room, planned : dict
        By limit: what all plans together may use, and what those of the people so far use, held out or not.
    cautions : list of str
        Sentences about what may surprise; see `wave_cautions`.
    """

    people: int = 0
    standing: int = 0
    actions: pd.DataFrame = field(default_factory=pd.DataFrame)
    tried: pd.DataFrame = field(default_factory=pd.DataFrame)
    stopped: Counter[str] = field(default_factory=Counter)
    prices: dict[str, float] = field(default_factory=dict)
    amounts: dict[str, float] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)
    room: dict[str, float] = field(default_factory=dict)
    planned: dict[str, float] = field(default_factory=dict)
    cautions: list[str] = field(default_factory=list)

    def left(self) -> Left:
        """What is left of each limit."""
        return Left(
            {name: max(0.0, amount - self.used[name]) for name, amount in self.amounts.items()},
            {name: max(0.0, amount - self.planned.get(name, 0.0)) for name, amount in self.room.items()},
        )

    def add(self, tally: Tally, used: Mapping[str, float], planned: Mapping[str, float]) -> None:
        """Count a batch, and what it uses of the limits, and of the plan's room, beyond what is counted already."""
        for name in used:
            self.used[name] += used[name]
            self.planned[name] = self.planned.get(name, 0.0) + planned[name]
        self.people += tally.people
        self.stopped.update(tally.stopped)
        self.actions = _added(self.actions, tally.actions)
        self.tried = _added(self.tried, tally.tried)

    def funnel(self) -> pd.DataFrame:
        """See `policy.funnel`."""
        return funnel(self.stopped, self.people)


def _figures(sent: pd.DataFrame) -> pd.DataFrame:
    """Figures of the actions of decisions, indexed by action."""
    table = sent.groupby("action")[["cost", "expected_revenue", "net_value"]].sum()
    table.insert(0, "people", sent.groupby("action").size())
    return table


def _added(actions: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Figures of actions, and those of more decisions."""
    return actions.add(more, fill_value=0) if len(actions) else more
