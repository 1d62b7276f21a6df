"""Curves over held-out people: what the order in which the model puts them is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from propensity.assessment import PEOPLE, HeldOutPeople
from propensity.contract import CONTROL
from propensity.evaluation import cost_curve, qini_curve, toc_curve
from propensity.model import DecisionModel
from propensity.policy import contact_costs
from propensity_training.report.contents import Curves

N_STEPS = 50
"""Steps of the Qini curve; a curve of every person is longer than any eye can tell."""
_MONEY = (
    "budget",
    "spend",
    "predicted",
    "value",
    "standard_error",
    "low",
    "high",
    "random",
    "over_random",
    "over_random_low",
    "over_random_high",
    "single",
    "over_single",
    "over_single_low",
    "over_single_high",
)


def curves(model: DecisionModel, people: HeldOutPeople) -> Curves:
    """The curves of a report."""
    gain, priority = people.observed_gain, people.predicted_gain
    ranked = bool(np.ptp(priority) > 1e-9 * np.abs(priority).max(initial=0.0))
    cost, no_cost_curve = _cost(model, people)
    return Curves(
        ranked=ranked,
        qini=_qini(gain, priority) if ranked else [],
        toc=_rows(_times(toc_curve(gain, priority), "toc", "standard_error", "low", "high", "low_all", "high_all"))
        if ranked
        else [],
        cost=cost,
        no_cost_curve=no_cost_curve,
    )


def _qini(gain: np.ndarray, priority: np.ndarray) -> list[dict[str, Any]]:
    full = qini_curve(gain, priority)
    share = np.arange(N_STEPS + 1) / N_STEPS
    at = {name: np.interp(share, full["share"], full[name]) for name in ("gain", "random")}
    return _rows(_times(pd.DataFrame({"share": share, **at}), "gain", "random"))


def _cost(model: DecisionModel, people: HeldOutPeople) -> tuple[list[dict[str, Any]], str]:
    """Rows of the cost curve, or why there are none."""
    actions = model.actions[1:]
    price = pd.Series(contact_costs(model.playbook, model.actions), index=model.actions)
    # what is bought is the value before the cost of sending: that is what the budget is for
    gross = people.predictions.net_value + price[actions]
    possible = gross.where(people.allowed[actions], -np.inf)
    worth = (possible > 0).to_numpy()
    if not worth.any():
        return [], "no action is predicted to bring anybody anything, before its cost"
    if not (worth & (price[actions].to_numpy() > 0)).any():
        return [], "no action that is predicted to bring something costs anything to send"
    scores = people.scores["expected_value"] + price[[CONTROL, *actions]]
    return _rows(_times(cost_curve(scores, possible, price[actions]), *_MONEY)), ""


def _times(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return table.assign(**{name: table[name] * PEOPLE for name in columns})


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]
