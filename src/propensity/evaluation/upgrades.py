"""The best order in which to buy contacts with several actions and costs.

The order is the optimal path of the multiple-choice knapsack (Sinha, Zoltners 1979, Operations Research 27). Each
person's actions that are worth buying at some price form the upper convex hull of value against cost; going up along it
is a sequence of upgrades (nothing -> mail -> call) of falling merit, which is value per cost. All people's upgrades are
bought in the order of merit. At each budget this solves the linear program in which the last ones are bought in part.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Path(NamedTuple):
    """Upgrades in the order in which they are bought.

    Attributes
    ----------
    person : int array (n upgrades,)
    adds : array (n upgrades, 4)
        What the upgrade adds for the person: score, cost, predicted value, and 1 where nothing was bought before.
    ends : int array (n steps + 1,)
        Upgrades from ``ends[s]`` to ``ends[s + 1]`` have equal merit and are bought together, each in the same part.
    spend, measured : array (n steps + 1,)
        Cost and score of all upgrades before each end, per person of the whole population.
    """

    person: np.ndarray
    adds: np.ndarray
    ends: np.ndarray
    spend: np.ndarray
    measured: np.ndarray

    def marginal(self, budget: float, window: float) -> float:
        """Measured value of the last unit of money at a budget, from the path within ``window`` on either side."""
        total = self.spend[-1]
        if budget >= total:
            return 0.0
        low, high = max(budget - window, 0.0), min(budget + window, total)
        # what is free has been bought before any money is spent
        paid = np.searchsorted(self.spend, 0.0, side="right") - 1
        below, above = np.interp([low, high], self.spend[paid:], self.measured[paid:])
        return float((above - below) / (high - low))


class Bought(NamedTuple):
    """What each person has at a budget, arrays (n,): score, cost, predicted value, and whether anything (0 to 1)."""

    score: np.ndarray
    cost: np.ndarray
    predicted: np.ndarray
    contacted: np.ndarray


def best_path(score: np.ndarray, predicted: np.ndarray, cost: np.ndarray, weight: np.ndarray) -> Path:
    """The order in which to buy.

    Parameters
    ----------
    score, predicted, cost : array (n, n actions)
        Measured and predicted value above that of nothing, and cost, of each action; -inf in ``predicted`` where a
        person may not get it.
    weight : array (n,)
    """
    parts = list(_climb(predicted, cost))
    person, action, before, merit = (np.concatenate([part[k] for part in parts]) for k in range(4))
    order = np.argsort(-merit, kind="stable")
    person, action, before, merit = person[order], action[order], before[order], merit[order]
    adds = np.empty((len(person), 4))
    started = before >= 0
    for column, values in enumerate((score, cost, predicted)):
        adds[:, column] = values[person, action]
        adds[started, column] -= values[person[started], before[started]]
    adds[:, 3] = ~started
    ends = np.flatnonzero(np.concatenate([[True], merit[1:] != merit[:-1], [True]])) if len(merit) else np.zeros(1, int)
    sums = np.zeros((len(person) + 1, 2))
    np.cumsum(adds[:, :2] * weight[person, None], axis=0, out=sums[1:])
    sums = sums[ends] / weight.sum()
    return Path(person, adds, ends, sums[:, 1], sums[:, 0])


def purchases(path: Path, n: int, budgets: np.ndarray) -> Iterator[Bought]:
    """What n people have at each of several rising budgets."""
    have, done = np.zeros((4, n)), 0
    for budget in budgets:
        step = int(np.searchsorted(path.spend, budget, side="right")) - 1
        have = have + _sums(path, n, slice(done, path.ends[step]))
        done = path.ends[step]
        if step == len(path.spend) - 1:
            yield Bought(*have)
            continue
        part = (budget - path.spend[step]) / (path.spend[step + 1] - path.spend[step])
        yield Bought(*(have + part * _sums(path, n, slice(done, path.ends[step + 1]))))


def _sums(path: Path, n: int, rows: slice) -> np.ndarray:
    person, adds = path.person[rows], path.adds[rows]
    return np.stack([np.bincount(person, column, n) for column in adds.T])


def _climb(predicted: np.ndarray, cost: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """All people's first upgrades, then all second ones, ...: person, action, action before (-1 = none), merit."""
    n = len(predicted)
    person, here = np.arange(n), np.full(n, -1)
    value, spent, last = np.zeros(n), np.zeros(n), np.full(n, np.inf)
    while True:
        more, extra = predicted[person] - value[:, None], cost[person] - spent[:, None]
        merit = np.full(more.shape, -np.inf)
        np.divide(more, extra, out=merit, where=(more > 0) & (extra > 0))
        merit[(more > 0) & (extra == 0)] = np.inf
        best = merit.argmax(axis=1)
        found = merit[np.arange(len(person)), best]
        going = found > 0
        # rounding must not put an upgrade before the one that it builds on
        person, action, before, last = person[going], best[going], here[going], np.minimum(found, last)[going]
        yield person, action, before, last
        if not len(person):
            return
        here, value, spent = action, predicted[person, action], cost[person, action]
