"""Curves over held-out people: what the order in which the model puts them is worth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from propensity.assessment import PEOPLE
from propensity.contract import CONTROL
from propensity.evaluation import cost_curve, toc_curve
from propensity.held_out import HeldOutPeople
from propensity.model import DecisionModel
from propensity.policy import contact_costs
from propensity.targeting import TargetingCurves, gross_value
from propensity_training.report.contents import Curves

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


def curves(model: DecisionModel, people: HeldOutPeople, assessed: TargetingCurves) -> Curves:
    """The curves of a report, beside those of its assessment."""
    gain, priority = people.observed_gain, people.predicted_gain
    ranked = not assessed.no_qini
    toc = toc_curve(gain, priority, weight=people.weight[people.reachable]) if ranked else None
    return Curves(
        ranked=ranked,
        toc=[] if toc is None else _rows(_times(toc, "toc", "standard_error", "low", "high", "low_all", "high_all")),
        cost=_cost(model, people) if assessed.budgets else [],
        no_cost_curve=assessed.no_budgets,
    )


def _cost(model: DecisionModel, people: HeldOutPeople) -> list[dict[str, Any]]:
    """Rows of the cost curve: of value before the cost of sending, which is what a budget buys."""
    actions = model.actions[1:]
    price = pd.Series(contact_costs(model.playbook, model.actions), index=model.actions)
    possible = gross_value(people.predictions.net_value, price).where(people.allowed[actions], -np.inf)
    scores = people.scores["expected_value"] + price[[CONTROL, *actions]]
    return _rows(_times(cost_curve(scores, possible, price[actions], weight=people.weight), *_MONEY))


def _times(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return table.assign(**{name: table[name] * PEOPLE for name in columns})


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]
