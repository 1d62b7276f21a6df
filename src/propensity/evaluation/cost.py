"""What a budget buys: value against spend when contacts with several actions and costs are bought in the best order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from propensity.errors import InputError
from propensity.evaluation.checks import checked_table, checked_vectors, checked_weight
from propensity.evaluation.estimate import Estimate, normal_estimate
from propensity.evaluation.upgrades import Bought, Path, best_path, purchases

N_BUDGETS = 20
"""Budgets of a curve unless they are named: as many equal steps up to what the whole path costs."""


class _Campaign(NamedTuple):
    """What can be bought; arrays (n, n actions) without control, weight (n,)."""

    actions: list[str]
    score: np.ndarray
    predicted: np.ndarray
    cost: np.ndarray
    weight: np.ndarray

    def mean(self, values: np.ndarray) -> float:
        return float(self.weight @ values / self.weight.sum())

    def estimate(self, value: float, moves: np.ndarray, level: float) -> Estimate:
        """An estimate from each person's influence on it, up to a constant."""
        return normal_estimate(value, moves - self.mean(moves), self.weight, level)


def cost_curve(
    scores: pd.DataFrame,
    effect_value: pd.DataFrame,
    cost: pd.DataFrame | pd.Series | Mapping[str, float],
    *,
    control: str = "control",
    budgets: object = None,
    level: float = 0.95,
    weight: object = None,
) -> pd.DataFrame:
    """Value against budget: actions bought by predicted value per cost, measured in doubly robust scores.

    Parameters
    ----------
    scores : DataFrame (n, n actions with control)
        Doubly robust scores of the value (see `dr_scores`), before the cost of contact.
    effect_value : DataFrame (n, n actions without control)
        Predicted value of each action above that of control, in the same unit, made by a model that saw none of these
        people. -inf where a person may not get an action. What has no value above 0 is never bought.
    cost : DataFrame (n, n actions without control) | Series or mapping of one cost an action
        Cost of the action for the person, 0 or more.
    control : str
    budgets : array-like (k,), optional
        Increasing budgets, in units of cost per person of the whole population. Default: 20 equal steps to what the
        whole path costs.
    level : float
        Confidence of the intervals, each at one budget.
    weight : array-like (n,), optional
        Weight of each person.

    Returns
    -------
    DataFrame (k, 17)
        ``budget``; ``spend`` (less than the budget where nothing worth buying is left); ``contacted`` share of people;
        ``predicted`` value; measured ``value``, ``standard_error``, ``low``, ``high``, all per person of the whole
        population. Beside it ``random``, the same purchases made in random order, and ``single``: the one action named
        in ``single_action`` (predicted to be worth most at this budget; None where none is worth anything) given to
        people drawn at random until the budget is spent. ``over_random`` and ``over_single`` are the paired differences
        from them, with ``_low`` and ``_high``.

    Raises
    ------
    InputError
        Columns or lengths differ, a number is missing, a cost is negative, or no action is predicted to be worth more
        than nothing to anybody.

    Notes
    -----
    The budget decides where buying stops, so who is contacted depends on what others cost. The influence of a person is
    therefore S_i - r C_i with S_i and C_i their score and cost at the budget and r the measured value of the last unit
    of money, taken from a window of n^(-1/3) / 2 of the path's cost on either side.

    References
    ----------
    Sverdrup, Wu, Athey, Wager (2023), Qini curves for multi-armed treatment rules, arXiv 2306.11979.
    """
    campaign = _checked(scores, effect_value, cost, control, weight)
    path = _path(campaign)
    budget = _budgets(budgets, float(path.spend[-1]))
    n = len(campaign.weight)
    (full,) = purchases(path, n, path.spend[-1:])
    bought = purchases(path, n, budget)
    return pd.DataFrame(
        [_at_budget(b, campaign, path, x, full, level) for b, x in zip(budget.tolist(), bought, strict=True)]
    )


def cost_qini_score(
    scores: pd.DataFrame,
    effect_value: pd.DataFrame,
    cost: pd.DataFrame | pd.Series | Mapping[str, float],
    *,
    control: str = "control",
    n_budgets: int = 100,
    level: float = 0.95,
    weight: object = None,
) -> Estimate:
    """Area between the `cost_curve` and random order: QINI for several actions with costs.

    Parameters
    ----------
    scores, effect_value, cost, control, level, weight
        As for `cost_curve`.
    n_budgets : int
        Equal steps of the budget at which the curve is measured (trapezoid rule).

    Returns
    -------
    Estimate
        In units of the scores, per person: the mean over t from 0 to 1 of V(t C) - t V(C), where C is what the whole
        path costs. With one action of one cost that is worth something to everybody it is `qini_score`.

    Raises
    ------
    InputError
        As `cost_curve`.
    """
    campaign = _checked(scores, effect_value, cost, control, weight)
    path = _path(campaign)
    total, n, window = float(path.spend[-1]), len(campaign.weight), _window(path, campaign)
    (full,) = purchases(path, n, np.array([total]))
    shares = np.arange(n_budgets + 1) / n_budgets
    moves, area = np.zeros(n), 0.0
    for share, bought in zip(shares.tolist(), purchases(path, n, shares * total), strict=True):
        step = (0.5 if share in (0.0, 1.0) else 1.0) / n_budgets
        over_random = bought.score - share * full.score
        area += step * campaign.mean(over_random)
        # the budget is a share of what the path costs, which people's own costs decide
        over_budget = bought.cost - share * full.cost
        moves += step * (over_random - path.marginal(share * total, window) * over_budget)
    return campaign.estimate(area, moves, level)


def _checked(
    scores: pd.DataFrame,
    effect_value: pd.DataFrame,
    cost: pd.DataFrame | pd.Series | Mapping[str, float],
    control: str,
    weight: object,
) -> _Campaign:
    actions, labels = list(effect_value.columns), ", ".join(map(str, scores.columns))
    if control not in scores.columns or set(actions) != set(scores.columns) - {control}:
        found = ", ".join(map(str, actions))
        raise InputError(f"effect_value: expected the columns of scores ({labels}) without {control}, found {found}")
    costs = cost if isinstance(cost, pd.DataFrame) else pd.DataFrame(dict(cost), index=effect_value.index)
    missing = sorted(str(a) for a in actions if a not in costs.columns)
    if missing:
        raise InputError(f"cost: expected one for each action, found none for {', '.join(missing)}")
    lengths = (len(scores), len(effect_value), len(costs))
    if len(set(lengths)) > 1:
        raise InputError(f"scores, effect_value and cost: expected the same length, found {lengths}")
    price = checked_table(costs[actions], "cost")
    if (price < 0).any():
        raise InputError(f"cost: expected 0 or more, found {price.min():g}")
    predicted = effect_value.to_numpy(dtype=float)
    if np.isnan(predicted).any() or (predicted == np.inf).any():
        raise InputError("effect_value: expected finite numbers, or -inf where an action is not allowed")
    values = checked_table(scores[[control, *actions]], "scores")
    gain = values[:, 1:] - values[:, :1]
    return _Campaign(actions, gain, predicted, price, checked_weight(weight, len(values)))


def _path(campaign: _Campaign) -> Path:
    path = best_path(campaign.score, campaign.predicted, campaign.cost, campaign.weight)
    if not path.spend[-1] > 0:
        raise InputError("effect_value: expected somebody to whom an action that costs something is worth more than 0")
    return path


def _budgets(budgets: object, total: float) -> np.ndarray:
    """The budgets (k,) of a curve whose whole path costs ``total``."""
    if budgets is None:
        return total * np.arange(1, N_BUDGETS + 1) / N_BUDGETS
    (budget,) = checked_vectors(budgets=budgets, minimum=1)
    if budget[0] < 0 or (np.diff(budget) <= 0).any():
        raise InputError("budgets: expected increasing numbers from 0 up")
    return budget


def _at_budget(
    budget: float, campaign: _Campaign, path: Path, bought: Bought, full: Bought, level: float
) -> dict[str, object]:
    """One row of a curve: what was ``bought``, against the ``full`` path in random order and a single action."""
    value = campaign.mean(bought.score)
    moves = bought.score - path.marginal(budget, _window(path, campaign)) * bought.cost
    random, random_moves = _at_random(full.score, full.cost, campaign, budget)
    single_action, single, single_moves = _best_single(campaign, budget)
    measured = campaign.estimate(value, moves, level)
    over_random = campaign.estimate(value - random, moves - random_moves, level)
    over_single = campaign.estimate(value - single, moves - single_moves, level)
    return {
        "budget": budget,
        "spend": campaign.mean(bought.cost),
        "contacted": campaign.mean(bought.contacted),
        "predicted": campaign.mean(bought.predicted),
        "value": value,
        "standard_error": measured.standard_error,
        "low": measured.low,
        "high": measured.high,
        "random": random,
        "over_random": over_random.value,
        "over_random_low": over_random.low,
        "over_random_high": over_random.high,
        "single_action": single_action,
        "single": single,
        "over_single": over_single.value,
        "over_single_low": over_single.low,
        "over_single_high": over_single.high,
    }


def _window(path: Path, campaign: _Campaign) -> float:
    return float(path.spend[-1]) * np.count_nonzero(campaign.weight) ** (-1 / 3) / 2


def _at_random(score: np.ndarray, cost: np.ndarray, campaign: _Campaign, budget: float) -> tuple[float, np.ndarray]:
    """Value of giving people drawn at random what is theirs until the budget is spent, and each one's influence."""
    value, price = campaign.mean(score), campaign.mean(cost)
    if price <= budget:
        return value, score
    return budget / price * value, budget / price * (score - value / price * cost)


def _best_single(campaign: _Campaign, budget: float) -> tuple[object, float, np.ndarray]:
    """The one action that is predicted to be worth most to people drawn at random, its measured value and influence."""
    best, most = None, 0.0
    for column in range(len(campaign.actions)):
        allowed = np.isfinite(campaign.predicted[:, column])
        price = campaign.mean(np.where(allowed, campaign.cost[:, column], 0.0))
        predicted = campaign.mean(np.where(allowed, campaign.predicted[:, column], 0.0))
        predicted *= min(1.0, budget / price) if price else 1.0
        if predicted > most:
            best, most = column, predicted
    if best is None:
        return None, 0.0, np.zeros(len(campaign.weight))
    allowed = np.isfinite(campaign.predicted[:, best])
    score = np.where(allowed, campaign.score[:, best], 0.0)
    return campaign.actions[best], *_at_random(score, np.where(allowed, campaign.cost[:, best], 0.0), campaign, budget)
