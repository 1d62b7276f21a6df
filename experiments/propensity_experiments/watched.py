"""What happened to the people of an experiment, from their decisions on, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from propensity.contract import CONTROL
from propensity.ledger.experiments import Decisions, Events, Experiment

KINDS = (
    "sent",
    "delivered",
    "opened",
    "clicked",
    "bounced",
    "unsubscribed",
    "complained",
    "reactivated",
    "purchased",
    "churned",
)
"""Types of events that a summary looks at."""
DAY = 86_400_000_000
"""Microseconds."""
TWO_QUARTERS_DAYS = 183
NEVER = np.iinfo(np.int64).max

_REACTIVATED, _PURCHASED, _CHURNED = (KINDS.index(kind) for kind in ("reactivated", "purchased", "churned"))


@dataclass(frozen=True)
class Watched:
    """Decisions that count and what came after each of them; arrays (n,), in the order of person and time.

    Attributes
    ----------
    rows : int array
        Positions among all decisions of the campaign.
    person : int32 array
    at : int64 array
        When it was decided; microseconds since 1970, UTC.
    closed : bool array
        Whether the attribution window is over.
    did : dict of bool arrays
        Whether an event of each of `KINDS` came inside the window.
    returned_after : int64 array
        Microseconds from the decision to the first return within the window and two quarters; `NEVER`.
    back_before : int64 array
        Time of the last return before the decision, as far as was read; the least number where there is none.
    revenue : float array
        Sum of purchases inside the window, refunds taken off; currency.
    purchases : tuple of arrays (m,)
        Position among these decisions, microseconds since it, and amount of each purchase.
    churned : tuple of arrays (k,)
        Position and microseconds since the decision of each time that somebody left.
    not_sent : int array
        Positions among all decisions of those that were to be sent, and no event says that they were.
    overlapping : int
        Decisions that do not count, because they came inside the window of an earlier one on the same person.
    crossed_over : int
        People who got what another arm of this experiment was to get.
    newest : int or None
        Time of the newest event of these people.
    window : int
        Microseconds.
    until : int
        To when events were read; microseconds since 1970.
    """

    rows: np.ndarray
    person: np.ndarray
    at: np.ndarray
    closed: np.ndarray
    did: dict[str, np.ndarray]
    returned_after: np.ndarray
    back_before: np.ndarray
    revenue: np.ndarray
    purchases: tuple[np.ndarray, np.ndarray, np.ndarray]
    churned: tuple[np.ndarray, np.ndarray]
    not_sent: np.ndarray
    overlapping: int
    crossed_over: int
    newest: int | None
    window: int
    until: int

    @property
    def returned(self) -> np.ndarray:
        """Who came back inside the window (n,), bool."""
        return self.returned_after <= self.window


def watch(record: Experiment, window_days: float, now: int) -> Watched:
    """Follow everybody who was contacted or held out.

    Parameters
    ----------
    record : Experiment
    window_days : float
        Attribution window.
    now : int
        What happened later is not read; microseconds since 1970.

    Notes
    -----
    Decisions count that were carried out (a ``sent`` event names them) or held out. Of decisions on one person whose
    windows overlap the first counts: what happened in both windows could not be told apart.
    """
    decisions, window = record.decisions, round(window_days * DAY)
    if not len(decisions):
        return _nothing(window, now)
    first, last = int(decisions.at.min()), int(decisions.at.max())
    until = min(now, last + window + TWO_QUARTERS_DAYS * DAY)
    held_out = decisions.action == _code(decisions.actions, CONTROL)
    allowed = (decisions.assignment != _code(decisions.assignments, "suppressed")) & (decisions.at <= now)
    possible = np.flatnonzero(allowed)
    found = _Found(len(possible), window)
    times = np.bincount(decisions.person[possible], minlength=decisions.n_people)
    alone = times[decisions.person[possible]] == 1
    of_person = _Latest(np.flatnonzero(alone), decisions.person[possible], decisions.at[possible], decisions.n_people)
    sent = np.zeros(len(decisions), dtype=bool)
    crossed, waiting, newest = [], [], None
    for part in record.events(KINDS, first - window, until):
        named = part.decision >= 0
        sent[part.decision[named]] = True
        crossed.append((part.person[named], part.decision[named]))
        found.add(part, of_person)
        # of people with several decisions it is known at the end only which of them count
        several = times[part.person] > 1
        if several.any():
            waiting.append(_some(part, several))
        newest = max([newest or int(part.at.min()), int(part.at.max())]) if len(part.at) else newest
    carried_out = np.flatnonzero((held_out | sent)[possible])
    counted = _apart(carried_out, decisions.person[possible], decisions.at[possible], window)
    of_several = counted[~alone[counted]]
    of_person = _Latest(of_several, decisions.person[possible], decisions.at[possible], decisions.n_people)
    for part in waiting:
        found.add(part, of_person)
    rows = possible[counted]
    return Watched(
        rows=rows,
        person=decisions.person[rows],
        at=decisions.at[rows],
        closed=decisions.at[rows] + window <= now,
        did={kind: (found.bits[counted] & (1 << k)) > 0 for k, kind in enumerate(KINDS)},
        returned_after=found.returned_after[counted],
        back_before=found.back_before[counted],
        revenue=found.revenue[counted],
        **found.listed(counted),
        not_sent=np.flatnonzero(allowed & ~held_out & ~sent),
        overlapping=len(carried_out) - len(counted),
        crossed_over=_crossed_over(crossed, decisions, rows),
        newest=newest,
        window=window,
        until=until,
    )


def _some(part: Events, kept: np.ndarray) -> Events:
    return Events(part.person[kept], part.kind[kept], part.at[kept], part.amount[kept], part.decision[kept])


class _Found:
    """What has been found so far of each of n decisions."""

    def __init__(self, n: int, window: int) -> None:
        self.window = window
        self.bits = np.zeros(n, dtype=np.int16)
        self.returned_after = np.full(n, NEVER)
        self.back_before = np.full(n, np.iinfo(np.int64).min)
        self.revenue = np.zeros(n)
        self.purchases: list[tuple[np.ndarray, ...]] = []
        self.churned: list[tuple[np.ndarray, ...]] = []

    def add(self, part: Events, of_person: _Latest) -> None:
        """Count events that come after a decision."""
        # a purchase is a return, whether or not somebody also reported it as one
        returns = (part.kind == _REACTIVATED) | (part.kind == _PURCHASED)
        place, elapsed = of_person.before(part.person, part.at)
        early = np.flatnonzero((place < 0) & returns)
        theirs = of_person.first(part.person[early])
        np.maximum.at(self.back_before, theirs[theirs >= 0], part.at[early][theirs >= 0])
        after = place >= 0
        place, elapsed, kind, amount = place[after], elapsed[after], part.kind[after], part.amount[after]
        returns = returns[after]
        inside = elapsed <= self.window
        for k in range(len(KINDS)):
            # setting a bit twice does no harm, so repeated positions do not matter
            self.bits[place[inside & (kind == k)]] |= 1 << k
        np.minimum.at(self.returned_after, place[returns], elapsed[returns])
        bought = kind == _PURCHASED
        np.add.at(self.revenue, place[bought & inside], amount[bought & inside])
        self.purchases.append((place[bought].astype(np.int32), elapsed[bought], amount[bought]))
        left = kind == _CHURNED
        self.churned.append((place[left].astype(np.int32), elapsed[left]))


    def listed(self, counted: np.ndarray) -> dict[str, tuple[np.ndarray, ...]]:
        """Purchases and departures of those decisions that count, which are renumbered."""
        place = np.full(len(self.bits), -1, dtype=np.int32)
        place[counted] = np.arange(len(counted))
        lists = {}
        kinds = (np.int32, np.int64, np.float64)
        for name, n_columns in (("purchases", 3), ("churned", 2)):
            parts = getattr(self, name)
            columns = [np.concatenate([np.empty(0, kinds[k]), *(part[k] for part in parts)]) for k in range(n_columns)]
            mine = place[columns[0]]
            lists[name] = (mine[mine >= 0], *(column[mine >= 0] for column in columns[1:]))
        return lists


class _Latest:
    """Finds, among some decisions (positions ``rows`` of all that are possible), the one that an event comes after."""

    def __init__(self, rows: np.ndarray, person: np.ndarray, at: np.ndarray, n_people: int) -> None:
        self._rows, self._at = rows, at[rows]
        self._count = np.bincount(person[rows], minlength=n_people).astype(np.int32)
        self._first = np.where(self._count > 0, np.cumsum(self._count) - self._count, -1).astype(np.int32)
        self._most = int(self._count.max(initial=0))

    def first(self, person: np.ndarray) -> np.ndarray:
        """The first decision (m,) on each person; -1 for none."""
        place = self._first[person]
        return np.where(place >= 0, self._rows[place], -1) if len(self._rows) else place

    def before(self, person: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The last decision (m,) that is no later, -1 for none, and the time since it."""
        place = self._first[person]
        if not len(self._rows):
            return place, np.full(len(place), -1)
        more = np.flatnonzero(place >= 0) if self._most > 1 else np.empty(0, np.intp)
        for step in range(1, self._most):
            # the next decision of the same person, where there is one and it was taken by then
            more = more[self._count[person[more]] > step]
            following = self._first[person[more]] + step
            taken = self._at[following] <= at[more]
            more = more[taken]
            place[more] = following[taken]
        elapsed = np.where(place >= 0, at - self._at[place], -1)
        return np.where(elapsed >= 0, self._rows[place], -1), elapsed


def _apart(candidates: np.ndarray, persons: np.ndarray, times: np.ndarray, window: int) -> np.ndarray:
    """Those of the decisions (in the order of person and time) that come after the window of the last that counts."""
    person, at = persons[candidates], times[candidates]
    kept = np.ones(len(candidates), dtype=bool)
    again = np.flatnonzero((np.diff(person) == 0) & (np.diff(at) < window)) + 1
    if len(again):
        # the few people of whom it is true, one decision after another
        ends: dict[int, int] = {}
        for i in np.flatnonzero(np.isin(person, person[again])):
            who, when = int(person[i]), int(at[i])
            kept[i] = when >= ends.get(who, when)
            if kept[i]:
                ends[who] = when + window
    return candidates[kept]


def _crossed_over(sent_to: Sequence[tuple[np.ndarray, np.ndarray]], decisions: Decisions, rows: np.ndarray) -> int:
    """People to whom a message of another arm than their own was sent."""
    own = np.full(decisions.n_people, -1, dtype=np.int64)
    own[decisions.person[rows[::-1]]] = decisions.action[rows[::-1]]
    control = _code(decisions.actions, CONTROL)
    crossed = []
    for person, decision in sent_to:
        got = decisions.action[decision].astype(np.int64)
        # a message that names the decision to send nothing is a message all the same
        foreign = (own[person] >= 0) & ((got != own[person]) | (own[person] == control))
        # somebody decided on twice may get both, each in its turn
        foreign &= (decisions.person[decision] != person) | (got == control)
        crossed.append(person[foreign])
    return len(np.unique(np.concatenate(crossed))) if crossed else 0


def _code(names: Sequence[str], name: str) -> int:
    """Position of a name; -2, which no array holds, where it is not there."""
    return names.index(name) if name in names else -2


def _nothing(window: int, until: int) -> Watched:
    whole, real, flag = np.empty(0, np.int64), np.empty(0), np.empty(0, bool)
    return Watched(
        rows=whole,
        person=whole.astype(np.int32),
        at=whole,
        closed=flag,
        did=dict.fromkeys(KINDS, flag),
        returned_after=whole,
        back_before=whole,
        revenue=real,
        purchases=(whole, whole, real),
        churned=(whole, whole),
        not_sent=whole,
        overlapping=0,
        crossed_over=0,
        newest=None,
        window=window,
        until=until,
    )
