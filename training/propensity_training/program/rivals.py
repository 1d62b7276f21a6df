"""What a company could do instead: simple policies, and oracles. All keep to the same rules, holdouts and limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.deciding import Wave
from propensity.model import DecisionModel
from propensity.policy import Limit, allocate, is_held_out, rule_action, used_by, wave_limits
from propensity.policy.wave import spend_table
from propensity.simulation.world import Course, Due

BEST_PART_SHARE = 0.5
"""Share of people that targeting by the chance to return contacts."""


def campaign(wave: int) -> str:
    """The name of a wave: each draws the holdout of its campaign anew."""
    return f"program-{wave:02d}"


@dataclass(frozen=True)
class Setting:
    """Within what a wave is decided: currency for each person who comes up, and weeks of capacity."""

    budget_per_person: float
    weeks: float


@dataclass(frozen=True, eq=False)
class Asked:
    """A wave on which a rival decides.

    ``people`` says who may get what; ``limits`` count what is truly spent; ``served`` (n,) says who is not held out;
    ``strength`` is what has shifted by then (`World.strength`).
    """

    wave: int
    due: Due
    people: Wave
    limits: list[Limit]
    served: np.ndarray
    strength: dict[str, float]
    setting: Setting

    @property
    def labels(self) -> pd.Index:
        """The actions without control."""
        return self.people.eligible.allowed.columns


Choice = Callable[[Asked], np.ndarray]
"""From a wave to actions (n,); holdouts and limits are seen to by `Rival`, but for choices that allocate."""


def nobody(asked: Asked) -> np.ndarray:
    """No contact."""
    return np.full(len(asked.due), CONTROL, dtype=object)


def blast(asked: Asked) -> np.ndarray:
    """The e-mail that is truly best for all of a wave together (`best_email`), to everybody who may get it."""
    return _same(asked, np.ones(len(asked.due), dtype=bool))


def by_rules(asked: Asked) -> np.ndarray:
    """The rule playbook: the first allowed action of the archetype that answers the stated reason."""
    people = asked.people
    return rule_action(asked.due.customers, people.model.playbook, people.eligible.allowed, people.changed)


def by_propensity(asked: Asked) -> np.ndarray:
    """The same e-mail as `blast`, to the half most likely to come back."""
    chance = asked.people.predictions.reactivated[CONTROL].to_numpy()
    return _same(asked, chance >= np.quantile(chance, 1 - BEST_PART_SHARE))


def by_truth(asked: Asked) -> np.ndarray:
    """The best allocation of actions whose true value is known for each person."""
    profit = asked.due.profit(asked.people.model.playbook)
    return allocated(asked, profit.drop(columns=CONTROL).sub(profit[CONTROL], axis=0))


def _same(asked: Asked, whom: np.ndarray) -> np.ndarray:
    best = best_email(asked)
    return np.where(whom & asked.people.eligible.allowed[best].to_numpy(), best, CONTROL).astype(object)


def best_email(asked: Asked) -> str:
    """The one e-mail that truly gains most, in total, when everybody who may get it in a wave does.

    It is chosen anew in each wave by the truth (`Due.profit`), what has shifted included, within the holdouts, the
    rules and the limits: nobody who sends everybody the same e-mail knows more, so that no comparison leans on a
    company that chose badly.
    """
    playbook, allowed = asked.people.model.playbook, asked.people.eligible.allowed
    profit = asked.due.profit(playbook)

    def gained(email: str) -> float:
        sent = within(np.where(asked.served & allowed[email], email, CONTROL), asked.limits, asked.labels) == email
        return float((profit[email] - profit[CONTROL])[sent].sum())

    return max((a for a in asked.labels if playbook.actions[a].channel == "email"), key=gained)


def allocated(asked: Asked, value: pd.DataFrame) -> np.ndarray:
    """The best allocation (n,) by values (n, actions), within the limits, among those who are not held out."""
    served, labels = asked.served, asked.labels
    allowed = asked.people.eligible.allowed[served].reset_index(drop=True)
    limits = [
        Limit(x.name, x.amount, x.use[served].reset_index(drop=True) if isinstance(x.use, pd.DataFrame) else x.use)
        for x in asked.limits
    ]
    action = np.full(len(served), CONTROL, dtype=object)
    action[served] = allocate(value.loc[served, labels].reset_index(drop=True), allowed, limits).action
    return action


@dataclass(eq=False)
class Rival:
    """A policy in a world.

    Attributes
    ----------
    limits_itself : bool
        It keeps to the limits by what it expects to be spent, as this product does, and not by what truly is.
    worth : list of float
        What people who came up bring on average, wave by wave, currency.
    """

    name: str
    choose: Choice
    course: Course
    base: DecisionModel
    setting: Setting
    limits_itself: bool = False
    worth: list[float] = field(default_factory=list)
    _contacts: list[pd.DataFrame] = field(default_factory=list)
    _outcomes: list[pd.DataFrame] = field(default_factory=list)

    def play(self, wave: int) -> None:
        """One wave."""
        self._outcomes.append(self.course.reported(wave))
        due = self.course.due(wave)
        asked = self._asked(wave, due)
        action = self.choose(asked)
        if not self.limits_itself:
            action = within(np.where(asked.served, action, CONTROL), asked.limits, asked.labels)
        keys = np.array([f"{self.name}-{wave}-{i}" for i in range(len(due))], dtype=object)
        self.course.follow(wave, due, action, keys)
        self._contacts.append(
            pd.DataFrame(
                {
                    "decision_id": keys,
                    "customer_id": due.customers["customer_id"].to_numpy(),
                    "decided_at": self.course.world.at(wave),
                    "campaign": campaign(wave),
                    "action": action,
                }
            )
        )
        self.worth.append(worth(due, action, self.course))

    def _asked(self, wave: int, due: Due) -> Asked:
        at, name = self.course.world.at(wave), campaign(wave)
        # a wave before which nothing was reported has a table without kinds
        told = [table for table in self._outcomes if len(table)]
        contacts = pd.concat(self._contacts, ignore_index=True) if told else None
        outcomes = pd.concat(told, ignore_index=True) if told else None
        people = Wave(self.base, due.customers, at, name, self.course.opted_out, contacts, outcomes)
        book = self.base.playbook
        labels = people.eligible.allowed.columns
        chances = due.response.reactivation()[:, [due.response.actions.index(a) for a in labels]]
        spent = spend_table(chances, book, labels, due.customers.index)
        limits = wave_limits(book, spent, weeks=self.setting.weeks, budget=self.setting.budget_per_person * len(due))
        served = ~is_held_out(due.customers["customer_id"], name, book.learning)
        return Asked(wave, due, people, limits, served, self.course.world.strength(wave), self.setting)


def within(action: np.ndarray, limits: Sequence[Limit], labels: pd.Index) -> np.ndarray:
    """The actions (n,) until the limits are used up, in the order of the people; then nobody gets more of it."""
    kept = action.copy()
    for limit in limits:
        use = used_by(limit, labels, kept)
        kept[(use > 0) & (np.cumsum(use) > limit.amount * (1 + 1e-9))] = CONTROL
    return kept


def worth(due: Due, action: np.ndarray, course: Course) -> float:
    """What people who came up bring under these actions on average, currency."""
    profit = due.profit(course.world.playbook)
    return float(profit.to_numpy()[np.arange(len(due)), profit.columns.get_indexer(pd.Index(action))].sum())
