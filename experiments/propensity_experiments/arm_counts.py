"""What was counted of the people of one arm, or of all who were contacted: what measures are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from propensity.contract import CONTROL
from propensity.ledger.experiments import Decisions
from propensity.playbook import Playbook
from propensity.playbook.parts import TIERS
from propensity_experiments.arms import Arms
from propensity_experiments.contents import ANY_CONTACT
from propensity_experiments.known import Known
from propensity_experiments.watched import DAY, NEVER, TWO_QUARTERS_DAYS, Watched


@dataclass(frozen=True)
class ArmCounts:
    """Counts of people whose window is closed.

    Attributes
    ----------
    action : str
    people, returned : int
    revenue : float
        Of their purchases inside the window, refunds taken off; currency.
    sending, offers, making : float
        What was spent; currency. Offers are those that were redeemed, as the playbook expects; making is None where no
        playbook tells what it costs.
    cured, curable : int
        People who came back within two quarters of leaving, and those of whom these two quarters are over.
    watched_on, left_again : int
        Returned people of whom two quarters since their return are over, and those of them who left again.
    margins : float array (days + 1,)
        Margin that came in by each day since the return, summed over the returned people.
    days : float array (returned,)
        From the decision to the return.
    rest, rest_harmed : int
        People who did not come back, and those of them who unsubscribed or complained.
    yearly_revenue : float
        Of the returned people, from their return to the end of the window, as if a year long; currency.
    """

    action: str
    people: int
    returned: int
    revenue: float
    sending: float
    offers: float
    making: float | None
    cured: int
    curable: int
    watched_on: int
    left_again: int
    margins: np.ndarray
    days: np.ndarray
    rest: int
    rest_harmed: int
    yearly_revenue: float

    @property
    def cost(self) -> float:
        """Of making and sending, offers included."""
        return self.sending + self.offers + (self.making or 0.0)


class Counting:
    """Counts arms one after another; what all of them need is worked out once."""

    def __init__(
        self,
        decisions: Decisions,
        watched: Watched,
        rows: np.ndarray,
        arms: Arms,
        known: Known,
        playbook: Playbook | None,
    ) -> None:
        self.arms, self.watched, self.rows, self.playbook = arms, watched, rows, playbook
        self.returned = watched.returned[rows]
        self.after = watched.returned_after[rows]
        self.cost = decisions.cost[watched.rows[rows]]
        self.tier = _tiers(known, rows, playbook)
        place = np.full(len(watched.rows), -1)
        place[rows] = np.arange(len(rows))
        self._count_purchases(place)
        self._count_leaving(place)
        since = (watched.at - known.churned_at)[rows]
        quarters = TWO_QUARTERS_DAYS * DAY
        self.curable = known.there[rows] & (known.churned_at[rows] + quarters <= watched.until)
        came = self.after != NEVER
        self.cured = self.curable & came & (since + np.where(came, self.after, 0) <= quarters)
        self.harmed = watched.did["unsubscribed"][rows] | watched.did["complained"][rows]
        self.control = arms.labels.index(CONTROL) if CONTROL in arms.labels else -1

    def _count_purchases(self, place: np.ndarray) -> None:
        where, elapsed, amount = self.watched.purchases
        mine = place[where]
        counted = (mine >= 0) & self.returned[np.maximum(mine, 0)] if len(self.rows) else np.zeros(len(mine), bool)
        mine, elapsed, amount = mine[counted], elapsed[counted], amount[counted]
        self.bought_by, self.amount = mine, amount
        self.bought_day = (elapsed - self.after[mine]) // DAY
        self.inside = elapsed <= self.watched.window

    def _count_leaving(self, place: np.ndarray) -> None:
        quarters = TWO_QUARTERS_DAYS * DAY
        where, elapsed = self.watched.churned
        mine = place[where]
        counted = (mine >= 0) & self.returned[np.maximum(mine, 0)] if len(self.rows) else np.zeros(len(mine), bool)
        mine, since = mine[counted], elapsed[counted] - self.after[mine[counted]]
        self.left = np.zeros(len(self.rows), dtype=bool)
        self.left[mine[(since > 0) & (since <= quarters)]] = True
        end = self.watched.at[self.rows] + np.where(self.returned, self.after, 0) + quarters
        self.over = self.returned & (end <= self.watched.until)

    def of(self, action: str) -> ArmCounts:
        """The counts of an arm, or of any contact."""
        arms = self.arms
        of_arm = np.array([(action == ANY_CONTACT and name != CONTROL) or name == action for name in arms.labels])
        mine = of_arm[arms.arm]
        returned = mine & self.returned
        bought = of_arm[arms.arm[self.bought_by]]
        share = self.playbook.value.margin_share if self.playbook else 1.0
        watched_days = (self.watched.window - self.after[returned]) / DAY
        inside = float(self.amount[bought & self.inside].sum())
        return ArmCounts(
            action=action,
            people=int(mine.sum()),
            returned=int(returned.sum()),
            revenue=float(self.watched.revenue[self.rows][mine].sum()),
            sending=float(self.cost[mine].sum()),
            offers=self._offers(of_arm, returned),
            making=self._making(of_arm),
            cured=int((mine & self.cured).sum()),
            curable=int((mine & self.curable).sum()),
            watched_on=int((mine & self.over).sum()),
            left_again=int((mine & self.over & self.left).sum()),
            margins=share * _by_day(self.bought_day[bought], self.amount[bought]),
            days=self.after[returned] / DAY,
            rest=int((mine & ~self.returned).sum()),
            rest_harmed=int((mine & ~self.returned & self.harmed).sum()),
            yearly_revenue=inside * 365 / max(float(watched_days.sum()), 1.0) * int(returned.sum()),
        )

    def _offers(self, of_arm: np.ndarray, returned: np.ndarray) -> float:
        """What the offers of those who came back cost, as often as the playbook expects them to be redeemed."""
        if self.playbook is None:
            return 0.0
        total = 0.0
        for k in np.flatnonzero(of_arm):
            action = self.playbook.actions.get(self.arms.labels[k])
            if action is not None:
                offer = self.playbook.offers[action.offer]
                redeemed = int((returned & (self.arms.arm == k)).sum()) * offer.redemption_rate
                total += redeemed * offer.cost_if_redeemed_currency
        return total

    def _making(self, of_arm: np.ndarray) -> float | None:
        """One variant of the message for each arm and each value tier that has people in it."""
        if self.playbook is None or not self.playbook.tiers:
            return None
        costs = [self.playbook.tiers[name].production_cost_currency for name in TIERS if name in self.playbook.tiers]
        pairs = np.bincount(
            self.arms.arm.astype(np.int64) * len(costs) + self.tier, minlength=len(self.arms.labels) * len(costs)
        ).reshape(-1, len(costs))
        contacted = of_arm & (np.arange(len(of_arm)) != self.control)
        return float((pairs[contacted] > 0).sum(axis=0) @ np.array(costs))


def _tiers(known: Known, rows: np.ndarray, playbook: Playbook | None) -> np.ndarray:
    """Position (n,) of each person's value tier among those of the playbook; the last where the value is not known."""
    if playbook is None or not playbook.tiers:
        return np.zeros(len(rows), dtype=np.int64)
    least = [playbook.tiers[name].min_annual_value_currency for name in TIERS if name in playbook.tiers]
    value = known.numbers.get(playbook.segments.value)
    if value is None:
        return np.full(len(rows), len(least) - 1)
    reached = [value[rows] >= bound for bound in least[:-1]]
    return np.select(reached, range(len(reached)), default=len(least) - 1)


def _by_day(day: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Amounts that came in by each day since the return."""
    kept = (day >= 0) & (day <= TWO_QUARTERS_DAYS)
    return np.cumsum(np.bincount(day[kept], amount[kept], TWO_QUARTERS_DAYS + 1))
