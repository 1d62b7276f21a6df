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
RETURNS = ("reactivated", "purchased")
"""A purchase is a return, whether or not somebody also reported it as one."""
DAY = 86_400_000_000
"""Microseconds."""
TWO_QUARTERS_DAYS = 183
NEVER = np.iinfo(np.int64).max

_SENT, _PURCHASED, _CHURNED = (KINDS.index(kind) for kind in ("sent", "purchased", "churned"))


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
    parts, sent = [], np.zeros(len(decisions), dtype=bool)
    sent_to: list[tuple[np.ndarray, np.ndarray]] = []
    for part in record.events(KINDS, first - window, until):
        named = part.decision >= 0
        sent[part.decision[named]] = True
        sent_to.append((part.person[named], part.decision[named]))
        parts.append(part)
    held_out = decisions.action == _code(decisions.actions, CONTROL)
    allowed = decisions.assignment != _code(decisions.assignments, "suppressed")
    in_time = decisions.at <= now
    candidates = np.flatnonzero(allowed & in_time & (held_out | sent))
    rows = _apart(candidates, decisions, window)
    found = _Found(len(rows), window, until)
    of_person = _Latest(decisions.person[rows], decisions.at[rows], decisions.n_people)
    for part in parts:
        found.add(part, of_person)
    purchases = [np.concatenate(x) if x else np.empty(0) for x in zip(*found.purchases, strict=True)] or [np.empty(0)] * 3
    churned = [np.concatenate(x) for x in zip(*found.churned, strict=True)] or [np.empty(0, np.int64)] * 2
    return Watched(
        rows=rows,
        person=decisions.person[rows],
        at=decisions.at[rows],
        closed=decisions.at[rows] + window <= now,
        did={kind: (found.bits & (1 << k)) > 0 for k, kind in enumerate(KINDS)},
        returned_after=found.returned_after,
        back_before=found.back_before,
        revenue=found.revenue,
        purchases=(purchases[0].astype(np.int64), purchases[1].astype(np.int64), purchases[2].astype(float)),
        churned=(churned[0].astype(np.int64), churned[1].astype(np.int64)),
        not_sent=np.flatnonzero(allowed & in_time & ~held_out & ~sent),
        overlapping=len(candidates) - len(rows),
        crossed_over=_crossed_over(sent_to, decisions, rows),
        newest=max((int(part.at.max()) for part in parts if len(part.at)), default=None),
        window=window,
        until=until,
    )


class _Found:
    """What has been found so far."""

    def __init__(self, n: int, window: int, until: int) -> None:
        self.window, self.until = window, until
        self.bits = np.zeros(n, dtype=np.int16)
        self.returned_after = np.full(n, NEVER)
        self.back_before = np.full(n, np.iinfo(np.int64).min)
        self.revenue = np.zeros(n)
        self.purchases: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.churned: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, part: Events, of_person: _Latest) -> None:
        """Count events that come after a decision."""
        returns = np.isin(part.kind, [KINDS.index(kind) for kind in RETURNS])
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


class _Latest:
    """Finds the decision that a person's event comes after."""

    def __init__(self, person: np.ndarray, at: np.ndarray, n_people: int) -> None:
        self._at = at
        self._count = np.bincount(person, minlength=n_people)
        self._first = np.where(self._count > 0, np.cumsum(self._count) - self._count, -1).astype(np.int32)

    def first(self, person: np.ndarray) -> np.ndarray:
        """The first decision (m,) on each person; -1 for none."""
        return self._first[person]

    def before(self, person: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The last decision (m,) that is no later, -1 for none, and the time since it."""
        place = self._first[person]
        more = np.flatnonzero(self._count[person] > 1)
        for step in range(1, int(self._count.max(initial=1))):
            # the next decision of the same person, where there is one and it was taken by then
            more = more[self._count[person[more]] > step]
            following = self._first[person[more]] + step
            more, following = (x[self._at[following] <= at[more]] for x in (more, following))
            place[more] = following
        elapsed = np.where(place >= 0, at - self._at[place], -1) if len(self._at) else np.full(len(at), -1)
        return np.where(elapsed >= 0, place, -1), elapsed


def _apart(candidates: np.ndarray, decisions: Decisions, window: int) -> np.ndarray:
    """Those of the decisions (in the order of person and time) that come after the window of the last that counts."""
    person, at = decisions.person[candidates], decisions.at[candidates]
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
