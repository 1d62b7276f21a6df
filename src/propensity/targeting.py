"""What the order in which a model puts held-out people is worth: as more of them are contacted, as more is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from propensity.contract import CONTROL
from propensity.evaluation import cost_curve, qini_points
from propensity.evaluation.checks import varying

N_SHARES, N_BUDGETS = 50, 25
"""Equal steps of the curves: more than an eye can tell, few enough to keep."""
_KEPT = ("value", "low", "high", "random", "over_random", "over_random_low", "over_random_high")


@dataclass(frozen=True)
class TargetingCurves:
    """Curves over held-out people, in doubly robust scores; contacting nobody is 0.

    Attributes
    ----------
    qini : list of dict
        Rows of `qini_points` at rising ``share`` of the people who may get anything, those with the largest predicted
        effect first, each given their most effective allowed action; in reactivations per 1,000 people.
    no_qini : str
        Why there are none, where there are none.
    budgets : list of dict
        Rows at rising budgets, actions bought by predicted value per cost (see `cost_curve`), per 1,000 people of all:
        ``budget`` and ``spend`` in currency, ``contacted`` share of people, and of each currency (``reactivations``,
        ``net_value``, ``expected_value``) an object with ``value``, ``low``, ``high``, the same spend in ``random``
        order, and ``over_random`` with ``_low`` and ``_high``. Net value and expected value are after the cost.
    no_budgets : str
        Why there are none, where there are none.
    best_budget : float or None
        Spend at which choosing per person stops: the next contact is predicted to bring less than it costs. One of the
        budgets; None where there are none.
    """

    qini: list[dict[str, Any]]
    no_qini: str
    budgets: list[dict[str, Any]]
    no_budgets: str
    best_budget: float | None


def targeting_curves(
    *,
    predicted_gain: np.ndarray,
    observed_gain: np.ndarray,
    net_value: pd.DataFrame,
    allowed: pd.DataFrame,
    price: pd.Series,
    scores: dict[str, pd.DataFrame],
    weight: np.ndarray,
    per: float,
) -> TargetingCurves:
    """The curves of people whom no training saw.

    Parameters
    ----------
    predicted_gain, observed_gain : array (m,)
        Of the m people who may get anything: effect of their most effective allowed action, predicted and as scored.
    net_value, allowed : DataFrame (n, actions without control)
        Of all n people: predicted value of each action after its cost, and whether they may get it.
    price : Series
        Cost of contact by action, in currency.
    scores : dict of DataFrame (n, actions with control)
        Doubly robust scores in several currencies; those of money after the cost.
    weight : array (n,)
        How much each person counts.
    per : float
        People whom everything is told for.
    """
    qini, no_qini = _qini(predicted_gain, observed_gain, weight[allowed.any(axis=1).to_numpy()], per)
    possible = net_value.where(allowed[net_value.columns], -np.inf)
    budgets, no_budgets, best = _budgets(possible, price, scores, weight, per)
    return TargetingCurves(qini, no_qini, budgets, no_budgets, best)


def gross_value(net_value: pd.DataFrame, price: pd.Series) -> pd.DataFrame:
    """Value before the cost of sending, which is what a budget buys."""
    return net_value + price[net_value.columns]


def why_nothing_to_buy(gross: pd.DataFrame, price: pd.Series) -> str:
    """Why there is no curve over budgets; empty where there is one."""
    worth = (gross > 0).to_numpy()
    if not worth.any():
        return "no action is predicted to bring anybody anything, before its cost"
    if not (worth & (price[gross.columns].to_numpy() > 0)).any():
        return "no action that is predicted to bring something costs anything to send"
    return ""


def _qini(
    predicted: np.ndarray, observed: np.ndarray, weight: np.ndarray, per: float
) -> tuple[list[dict[str, Any]], str]:
    if not varying(predicted):
        return [], "the model predicts the same effect for everybody, so that it puts nobody first"
    table = qini_points(observed, predicted, np.arange(1, N_SHARES + 1) / N_SHARES, weight=weight)
    nothing = pd.DataFrame([dict.fromkeys(table.columns, 0.0)])
    table = pd.concat([nothing, table], ignore_index=True)
    table[table.columns.difference(["share"])] *= per
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")], ""


def _budgets(
    net_value: pd.DataFrame, price: pd.Series, scores: dict[str, pd.DataFrame], weight: np.ndarray, per: float
) -> tuple[list[dict[str, Any]], str, float | None]:
    gross = gross_value(net_value, price)
    why = why_nothing_to_buy(gross, price)
    if why:
        return [], why, None
    actions = list(net_value.columns)
    best = _spend_of_best(net_value.to_numpy(), price[actions].to_numpy(), weight)
    top = _spend_of_best(gross.to_numpy(), price[actions].to_numpy(), weight)
    budgets = np.unique([*(top * np.arange(N_BUDGETS + 1) / N_BUDGETS), best])
    curves = {
        currency: cost_curve(table[[CONTROL, *actions]], gross, price[actions], weight=weight, budgets=budgets)
        for currency, table in scores.items()
    }
    rows: list[dict[str, Any]] = []
    for k, budget in enumerate(budgets.tolist()):
        at = {currency: curve.iloc[k] for currency, curve in curves.items()}
        first = next(iter(at.values()))
        told = {currency: {name: per * float(row[name]) for name in _KEPT} for currency, row in at.items()}
        spend = {"budget": per * budget, "spend": per * float(first["spend"])}
        rows.append({**spend, "contacted": float(first["contacted"]), **told})
    return rows, "", per * best


def _spend_of_best(value: np.ndarray, price: np.ndarray, weight: np.ndarray) -> float:
    """Cost per person of giving each (n, actions) what is worth most, or nothing where nothing is worth more than 0."""
    best = value.argmax(axis=1)
    return float(np.average(np.where(value.max(axis=1) > 0, price[best], 0.0), weights=weight))
